"""A sample of the rows of declared files, spread evenly over all of them."""

from collections.abc import Iterable, Iterator
from importlib import import_module

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.config.profiling import read_here
from raydnn.config.rows import RowsInput
from raydnn.inputs.arrays import without_dictionaries

SEED = 7


def sample_rows(source: RowsInput, total: int, most: int) -> pa.Table:
    """Some rows of an input function, with all their columns; the same ones each time.

    Args:
        source: whose files are read once, here or by Ray Data, as for a profile.
        total: how many rows they have.
        most: how many rows are wanted. If there are more, as many stretches of equal length give one row each; Ray Data
            draws each row with the same probability, and so gives about as many.

    Returns:
        The rows, with text in place of dictionaries.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: the files have columns that do not go together.
    """
    rows = read_here(source)
    if rows is not None:
        tables = _taken(rows, spread_places(total, most))
    else:
        # By name: this package knows no Ray.
        distributed = import_module("raydnn.distributed.samples")
        share = min(most / total, 1.0)
        tables = distributed.sample_files(source.format, source.paths, source.options, share, SEED)
    try:
        return pa.concat_tables(map(without_dictionaries, tables), promote_options="permissive").combine_chunks()
    except pa.ArrowTypeError as error:
        raise ValueError(
            f"the columns of {', '.join(source.paths)} are of types that do not go together: {error}"
        ) from (error)


def spread_places(total: int, most: int) -> NDArray[np.int64]:
    """One random place in each of `most` stretches of 0, 1, ..., total - 1; all places if there are no more.

    Returns:
        int64 [min(total, most)], ascending.
    """
    if total <= most:
        return np.arange(total)
    ends = np.arange(most + 1) * total // most
    return ends[:-1] + np.floor(np.random.default_rng(SEED).random(most) * np.diff(ends)).astype(np.int64)


def _taken(batches: Iterable[pa.RecordBatch], places: NDArray[np.int64]) -> Iterator[pa.Table]:
    """The rows at ascending places of batches laid end to end."""
    start = 0
    for batch in batches:
        first, last = np.searchsorted(places, [start, start + batch.num_rows])
        yield pa.Table.from_batches([batch]).take(pa.array(places[first:last] - start))
        start += batch.num_rows
