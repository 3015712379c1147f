"""The profile of rows that Ray Data reads: each block by a task, and the parts merged as they come."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.cloudpickle
import ray.data

from raydnn.config.profile import Profile, merge, profile_rows
from raydnn.distributed import sources
from raydnn.distributed.cluster import own_errors
from raydnn.distributed.pipelines import quiet, quiet_copy

_PART = "part"


def profile_files(
    kind: str, paths: Sequence[str], options: Mapping[str, Any], watched: Mapping[str, pa.Array]
) -> Profile:
    """The profile of files or of a table, which are read once and never kept.

    Args:
        kind, paths, options: see `raydnn.distributed.sources.read`.
        watched: see `raydnn.config.profile.profile_rows`.

    Raises:
        FileNotFoundError: a path is not there.
    """
    with own_errors(), quiet():
        return profile_dataset(sources.read(kind, paths, options), watched)


def profile_dataset(dataset: ray.data.Dataset, watched: Mapping[str, pa.Array]) -> Profile:
    """The profile of a Ray Dataset.

    Args:
        dataset: is executed once; no more than a few blocks of it are in memory at a time.
        watched: see `raydnn.config.profile.profile_rows`.
    """
    parts = dataset.map_batches(_ProfileBlock(watched), batch_format="pyarrow", batch_size=None, zero_copy_batch=True)
    parts = quiet_copy(parts)
    parts.context.raise_original_map_exception = True
    with quiet():
        return merge(_parts(parts.iter_batches(batch_format="pyarrow", batch_size=None)))


@dataclass(frozen=True)
class _ProfileBlock:
    """Gives the profile of a block, as one row of bytes."""

    watched: Mapping[str, pa.Array]

    def __call__(self, block: pa.Table) -> pa.Table:
        return pa.table(
            {_PART: pa.array([ray.cloudpickle.dumps(profile_rows(block, self.watched))], pa.large_binary())}
        )


def _parts(blocks: Iterable[pa.Table]) -> Iterator[Profile]:
    for block in blocks:
        for part in block.column(_PART):
            yield ray.cloudpickle.loads(part.as_py())
