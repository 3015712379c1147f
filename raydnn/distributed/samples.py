"""A sample of rows that Ray Data reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import ray.data

from raydnn.distributed import sources
from raydnn.distributed.cluster import own_errors
from raydnn.distributed.pipelines import quiet


def sample_files(
    kind: str, paths: Sequence[str], options: Mapping[str, Any], share: float, seed: int
) -> Iterator[pa.Table]:
    """Some rows of files or of a table, drawn where they are read.

    Args:
        kind, paths, options: see `raydnn.distributed.sources.read`.
        share: the probability of each row.
        seed: of the draw.

    Yields:
        Tables with the rows in their order.

    Raises:
        FileNotFoundError: a path is not there.
    """
    with own_errors(), quiet():
        # With a context of its own: that of the process stays as it is.
        rows = ray.data.Dataset.copy(sources.read(kind, paths, options), _deep_copy=True)
        rows.context.execution_options.preserve_order = True
        rows.context.enable_progress_bars = rows.context.print_on_execution_start = False
        drawn = rows if share >= 1 else rows.random_sample(share, seed=seed)
        yield from drawn.iter_batches(batch_format="pyarrow", batch_size=None)
