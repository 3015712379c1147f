"""A look at the first rows of training, as the network gets them: warnings about columns that it learns little from."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.feature_column.categorical import HashedCategoricalColumn
from raydnn.feature_column.columns import CategoricalColumn
from raydnn.feature_column.dtypes import is_list
from raydnn.feature_column.encoder import DENSE, MISSING_ID, UNKNOWN_ID, Encoder
from raydnn.feature_column.numeric import NumericColumn
from raydnn.feature_column.soundness import (
    COLLIDING,
    MISSED,
    colliding_share,
    collision,
    hash_buckets,
    is_far,
    lack,
    percent,
    scale,
    words_in,
)
from raydnn.feature_column.weighted import WeightedCategoricalColumn
from raydnn.inputs.arrays import concat_batches
from raydnn.inputs.batch import Batch
from raydnn.warn_once import warn_once

MOST_ROWS = 65_536
MOST_BATCHES = 200
MOST_BYTES = 2 << 20
LEAST_ROWS = 500
"""Fewer rows tell too little."""

logger = logging.getLogger(__name__)


class FirstRows:
    """Looks at the first batches of a replica, as many as there are of one epoch up to the limits of this module.

    Args:
        encoder: has made the rows of the batches.
        model_dir: of the model; see `warn_once`.
    """

    def __init__(self, encoder: Encoder, model_dir: str) -> None:
        self._encoder = encoder
        self._model_dir = model_dir

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; warnings are logged where they are made, when there are enough of them, or no more."""
        # Apart, so that nothing keeps the last of them in memory.
        yield from self._watched(batches)
        yield from batches

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        seen: list[pa.RecordBatch] = []
        num_rows = num_bytes = 0
        epochs: set[int | None] = set()
        try:
            for batch in batches:
                epochs.add(None if batch.cursor is None else batch.cursor.epoch)
                if len(epochs) > 1:
                    yield batch
                    break
                # A copy: slices would keep all the rows in memory that they were cut from.
                seen.append(batch.rows.take(pa.array(np.arange(batch.num_rows))))
                num_rows, num_bytes = num_rows + batch.num_rows, num_bytes + batch.rows.nbytes
                yield batch
                if num_rows >= MOST_ROWS or len(seen) >= MOST_BATCHES or num_bytes >= MOST_BYTES:
                    break
        finally:
            if num_rows >= LEAST_ROWS:
                self.look_at(concat_batches(seen))
            seen.clear()
            # Arrow would keep what the copies took.
            pa.default_memory_pool().release_unused()

    def look_at(self, rows: pa.RecordBatch) -> None:
        """Warn of what is found in encoded rows."""
        if self._encoder.value_columns:
            dense = rows.column(DENSE).flatten().to_numpy().reshape(rows.num_rows, -1)
            start = 0
            for column in self._encoder.value_columns:
                if isinstance(column, NumericColumn):
                    self._look_at_numbers(column, dense[:, start : start + column.width])
                start += column.width
        for place, categorical in enumerate(self._encoder.categorical_columns):
            ids = rows.column(f"ids/{place}")
            self._look_at_ids(categorical, (ids.flatten() if is_list(ids.type) else ids).to_numpy())

    def _look_at_numbers(self, column: NumericColumn, values: NDArray[np.float32]) -> None:
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            return  # the loss will tell
        if low == high:
            self._warn(column.name, f"it is {low:.6g} in all of the first {len(values):,} rows; leave the feature out")
            return
        mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        if is_far(mean, std):
            way_out = (
                f"give it normalizer_fn=Standardize({mean:.6g}, {std:.6g}) of raydnn.feature_column.normalizers"
                if column.normalizer_fn is None
                else "its normalizer_fn does not fit the data: make it one that gives mean 0 and standard deviation 1"
            )
            self._warn(column.name, f"it {scale(mean, std)}, in the first {len(values):,} rows; {way_out}")

    def _look_at_ids(self, column: CategoricalColumn, ids: NDArray[Any]) -> None:
        name = column.name
        if isinstance(column, WeightedCategoricalColumn):
            column = column.categorical_column
        present = ids[ids != MISSING_ID]
        missed = float((present == UNKNOWN_ID).mean()) if len(present) else 0.0
        if missed > MISSED:
            self._warn(
                name,
                f"{lack(missed)} in the first rows ({len(present):,}), and nothing is learned of them; add words, give "
                "num_oov_buckets, or hash instead",
            )
        if isinstance(column, HashedCategoricalColumn):
            buckets = column.num_buckets
            words = words_in(len(np.unique(present)), buckets)
            if colliding_share(words, buckets) > COLLIDING:
                wider = hash_buckets(words)
                self._warn(
                    name,
                    f"{collision(words, buckets)}, as far as the first rows tell; give it {wider:,} buckets for "
                    f"{percent(colliding_share(words, wider))}, or more if there are more words",
                )

    def _warn(self, column: str, text: str) -> None:
        warn_once(logger, self._model_dir, f"column {column}", f"column '{column}': {text}")
