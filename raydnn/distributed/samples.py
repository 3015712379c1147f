"""A sample of rows that Ray Data reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from raydnn.distributed import sources
from raydnn.distributed.cluster import own_errors
from raydnn.distributed.pipelines import quiet, quiet_copy


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
        rows = quiet_copy(sources.read(kind, paths, options))
        rows.context.execution_options.preserve_order = True
        drawn = rows if share >= 1 else rows.random_sample(share, seed=seed)
        yield from drawn.iter_batches(batch_format="pyarrow", batch_size=None)
