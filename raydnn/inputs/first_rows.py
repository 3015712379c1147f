"""A look at the first rows of training, as the network gets them: warnings about columns that it learns little from."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.feature_column.categorical import HashedCategoricalColumn
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
from raydnn.inputs.batch import Batch
from raydnn.warn_once import warn_once

MOST_ROWS = 65_536
MOST_BATCHES = 200
LEAST_ROWS = 500
"""Fewer rows tell too little."""
MOST_BUCKETS = 1 << 20
"""Of a hashed column that is looked at; the words of the first rows do not fill more."""

logger = logging.getLogger(__name__)


class FirstRows:
    """Looks at the first batches of a replica, as many as there are of one epoch up to the limits of this module.

    Of the rows only sums are kept, and which buckets their words fall into.

    Args:
        encoder: has made the rows of the batches.
        model_dir: of the model; see `warn_once`.
    """

    def __init__(self, encoder: Encoder, model_dir: str) -> None:
        self._encoder = encoder
        self._model_dir = model_dir

    def watch(self, made: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
        """The same batches; warnings are logged where they are made, when there are enough of them, or no more.

        Args:
            made: batches that were made together.
        """
        # Apart, so that nothing keeps the last of them, or what was seen, in memory.
        yield from self._watched(made)
        yield from made

    def _watched(self, made: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
        seen = _Sums(self._encoder)
        num_rows = num_batches = 0
        first_epoch: int | None = None
        is_enough = False
        try:
            for batches in made:
                for batch in batches:
                    epoch = 0 if batch.cursor is None else batch.cursor.epoch
                    first_epoch = epoch if first_epoch is None else first_epoch
                    is_enough = epoch != first_epoch or num_rows >= MOST_ROWS or num_batches >= MOST_BATCHES
                    if is_enough:
                        break
                    if batch.num_rows:
                        seen.add(batch.rows)
                    num_rows, num_batches = num_rows + batch.num_rows, num_batches + 1
                yield batches
                if is_enough:
                    break
        finally:
            if num_rows >= LEAST_ROWS:
                for column, text in seen.findings():
                    warn_once(logger, self._model_dir, f"column {column}", f"column '{column}': {text}")


class _Sums:
    """What is kept of rows."""

    def __init__(self, encoder: Encoder) -> None:
        self._numbers = _Numbers(encoder)
        self._words: list[tuple[int, _Vocabulary | _Buckets]] = []
        for place, column in enumerate(encoder.categorical_columns):
            inner = column.categorical_column if isinstance(column, WeightedCategoricalColumn) else column
            if not isinstance(inner, HashedCategoricalColumn):
                self._words.append((place, _Vocabulary(column.name)))
            elif inner.num_buckets <= MOST_BUCKETS:
                self._words.append((place, _Buckets(column.name, inner.num_buckets)))

    def add(self, rows: pa.RecordBatch) -> None:
        """Look at encoded rows; at least one."""
        self._numbers.add(rows)
        for place, words in self._words:
            ids = rows.column(f"ids/{place}")
            words.add((ids.flatten() if is_list(ids.type) else ids).to_numpy())

    def findings(self) -> Iterator[tuple[str, str]]:
        """The name of a column, and what is wrong with it."""
        yield from self._numbers.findings()
        for _, words in self._words:
            for text in words.findings():
                yield words.name, text


class _Numbers:
    """Range, mean and variance of what numeric columns give to the network, of each place in a row by itself."""

    def __init__(self, encoder: Encoder) -> None:
        self._dense_width = encoder.dense_width
        # The columns, which lie side by side in what is kept, and the places in a row that they come from.
        self._columns: list[NumericColumn] = []
        places: list[int] = []
        start = 0
        for column in encoder.value_columns:
            if isinstance(column, NumericColumn):
                self._columns.append(column)
                places += range(start, start + column.width)
            start += column.width
        self._places = np.array(places, np.intp)
        self._num_rows = 0
        self._low, self._high = np.full(len(places), np.inf), np.full(len(places), -np.inf)
        self._mean = np.zeros(len(places))
        # Sums of squared differences from the mean: these of two parts make that of both without loss of digits.
        self._squares = np.zeros(len(places))

    def add(self, rows: pa.RecordBatch) -> None:
        if not self._columns:
            return
        dense = rows.column(DENSE).flatten().to_numpy().reshape(-1, self._dense_width)
        # Sums along rows of a matrix are several times as fast as those down its columns.
        values = np.ascontiguousarray(dense.T[self._places], np.float64)
        before = self._num_rows
        self._num_rows += rows.num_rows
        # What is not finite shows in the range.
        with np.errstate(invalid="ignore", over="ignore"):
            np.minimum(self._low, values.min(1), out=self._low)
            np.maximum(self._high, values.max(1), out=self._high)
            mean = values.mean(1)
            values -= mean[:, None]
            shift = mean - self._mean
            self._mean += shift * (rows.num_rows / self._num_rows)
            self._squares += np.einsum("ij,ij->i", values, values)
            self._squares += shift**2 * (before * rows.num_rows / self._num_rows)

    def findings(self) -> Iterator[tuple[str, str]]:
        """The name of a column, and what is wrong with it."""
        start = 0
        for column in self._columns:
            part = slice(start, start + column.width)
            start += column.width
            low, high = float(self._low[part].min()), float(self._high[part].max())
            if not (np.isfinite(low) and np.isfinite(high)):
                continue  # the loss will tell
            if low == high:
                yield column.name, f"it is {low:.6g} in all of the first {self._num_rows:,} rows; leave the feature out"
                continue
            mean = float(self._mean[part].mean())
            variances = self._squares[part] / self._num_rows + (self._mean[part] - mean) ** 2
            std = float(np.sqrt(variances.mean()))
            if is_far(mean, std):
                way_out = (
                    f"give it normalizer_fn=Standardize({mean:.6g}, {std:.6g}) of raydnn.feature_column.normalizers"
                    if column.normalizer_fn is None
                    else "its normalizer_fn does not fit the data: make it one that gives mean 0 and standard "
                    "deviation 1"
                )
                yield column.name, f"it {scale(mean, std)}, in the first {self._num_rows:,} rows; {way_out}"


class _Vocabulary:
    """How many values a vocabulary lacks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._present = 0
        self._unknown = 0

    def add(self, ids: NDArray[Any]) -> None:
        self._present += len(ids) - int(np.count_nonzero(ids == MISSING_ID))
        self._unknown += int(np.count_nonzero(ids == UNKNOWN_ID))

    def findings(self) -> Iterator[str]:
        """What is wrong with the column."""
        missed = self._unknown / self._present if self._present else 0.0
        if missed > MISSED:
            yield (
                f"{lack(missed)} in the first rows ({self._present:,}), and nothing is learned of them; add words, "
                "give num_oov_buckets, or hash instead"
            )


class _Buckets:
    """Which hash buckets words fall into."""

    def __init__(self, name: str, num_buckets: int) -> None:
        self.name = name
        self._num_buckets = num_buckets
        # A missing value marks one behind the last bucket: ids below 0 count from the end.
        self._is_used = np.zeros(num_buckets - MISSING_ID, np.bool_)

    def add(self, ids: NDArray[Any]) -> None:
        self._is_used[ids] = True

    def findings(self) -> Iterator[str]:
        """What is wrong with the column."""
        buckets = self._num_buckets
        words = words_in(int(np.count_nonzero(self._is_used[:buckets])), buckets)
        if colliding_share(words, buckets) > COLLIDING:
            wider = hash_buckets(words)
            yield (
                f"{collision(words, buckets)}, as far as the first rows tell; give it {wider:,} buckets for "
                f"{percent(colliding_share(words, wider))}, or more if there are more words"
            )
