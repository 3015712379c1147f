"""How many different values there are, and which are frequent: exact for few values, in bounded room for any number.

A value is known by its 64-bit hash: FarmHash for text, TensorFlow's mixing of words for numbers.

*How many* is told by the K values with the smallest hashes (K minimum values; Bar-Yossef et al., "Counting Distinct
Elements in a Data Stream", 2002). Up to K different values they are all there and the number is exact. Beyond, it is
(K - 1) / (largest kept hash / 2**64), with a relative standard error of 1 / sqrt(K - 2): 1.6 % for K = 4096. These
values are a random sample of all, with exact counts, and two sketches sample alike, so that they can be compared.

*Which are frequent* is told by the summary of Misra and Gries, 1982, merged as in Agarwal et al., "Mergeable
Summaries", 2012: a count is never too large, and too small by no more than n / (M + 1) of n values: 0.1 % for M = 1024.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raydnn.feature_column.fingerprint import fingerprint64_arrow, fingerprint_cat64

SAMPLE = 4096
"""K: so many different values are counted exactly."""
FREQUENT = 1024
"""M: so many frequent values are kept."""
LEAST_COMPARED = 100
"""Two samples tell something of each other from so many values on."""

_HASHES = 2.0**64


@dataclass(frozen=True, eq=False)
class Words:
    """Different values and how often each occurs.

    Attributes:
        hashes: uint64 [n], ascending.
        counts: int64 [n].
        values: Arrow array [n].
    """

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]
    values: pa.Array

    def __len__(self) -> int:
        return len(self.hashes)

    def merged(self, other: "Words") -> "Words":
        """The values of both, with the sums of their counts."""
        if not len(self) or not len(other):
            return self if len(self) else other
        hashes, first, place = np.unique(
            np.concatenate([self.hashes, other.hashes]), return_index=True, return_inverse=True
        )
        counts = np.zeros(len(hashes), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return Words(hashes, counts, _concat(self.values, other.values).take(pa.array(first)))

    def smallest(self, number: int) -> "Words":
        """The values with the smallest hashes, also of values that do not stand in order yet."""
        if len(self) <= number:
            return self._ordered(np.argsort(self.hashes))
        places = np.argpartition(self.hashes, number)[:number]
        return self._ordered(places[np.argsort(self.hashes[places])])

    def above(self, count: int) -> "Words":
        """All counts less so much; values whose count is used up are gone."""
        places = np.flatnonzero(self.counts > count)
        words = self._ordered(places[np.argsort(self.hashes[places])])
        return Words(words.hashes, words.counts - count, words.values)

    def _ordered(self, places: NDArray[np.int64]) -> "Words":
        return Words(self.hashes[places], self.counts[places], self.values.take(pa.array(places)))


@dataclass(frozen=True, eq=False)
class Sketch:
    """The different values of a column, as far as there is room for them.

    Attributes:
        sample: the values with the smallest hashes, with exact counts.
        is_cut: whether there are other values.
        frequent: frequent values, with counts that are too small by at most `error`.
        error: 0 as long as no value had to be left out of `frequent`.
        total: how many values there are, different or not.
    """

    sample: Words
    is_cut: bool
    frequent: Words
    error: int
    total: int

    @classmethod
    def of(cls, values: pa.Array, counts: NDArray[np.int64]) -> "Sketch":
        """The sketch of different values.

        Args:
            values: text, int64 or float64 [n], without nulls.
            counts: how often each occurs, int64 [n].
        """
        words = Words(_hashes(values), counts, values)
        return _cut(words, False, words, 0, int(counts.sum()))

    @classmethod
    def empty(cls) -> "Sketch":
        """The sketch of no values."""
        return cls.of(pa.array([], pa.int64()), np.zeros(0, np.int64))

    def merged(self, other: "Sketch") -> "Sketch":
        """The sketch of the values of both."""
        sample, frequent = self.sample.merged(other.sample), self.frequent.merged(other.frequent)
        total = self.total + other.total
        return _cut(sample, self.is_cut or other.is_cut, frequent, self.error + other.error, total)

    @property
    def distinct(self) -> int:
        """How many different values there are: exact unless `is_cut`."""
        if not self.is_cut:
            return len(self.sample)
        return round((len(self.sample) - 1) / (float(self.sample.hashes[-1]) / _HASHES))

    def top(self, number: int) -> list[tuple[str | int | float, int]]:
        """The most frequent values with their counts, the most frequent first, equally frequent ones in their order."""
        words = self.frequent if self.is_cut else self.sample
        pairs = zip(words.values.to_pylist(), words.counts.tolist(), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:number]

    def unseen(self, known: "Sketch") -> tuple[float, float] | None:
        """The shares of different values, and of all values, that another sketch has not seen.

        Args:
            known: of the other values.

        Returns:
            Two shares in [0, 1], exact as long as neither sketch is cut; None if too few values can be compared.
        """
        # Below this hash, both know all their values.
        limits = [each.sample.hashes[-1] for each in (self, known) if each.is_cut]
        limit = min(limits) if limits else np.uint64(2**64 - 1)
        compared = self.sample.hashes <= limit
        if not compared.any() or (limits and compared.sum() < LEAST_COMPARED):
            return None
        is_new = ~np.isin(self.sample.hashes[compared], known.sample.hashes)
        new = float(self.sample.counts[compared][is_new].sum())
        sampled = (float(limit) + 1) / _HASHES if limits else 1.0
        return float(is_new.mean()), min(new / sampled / self.total, 1.0)


def _cut(sample: Words, is_cut: bool, frequent: Words, error: int, total: int) -> Sketch:
    """A sketch in its bounds."""
    taken = 0
    if len(frequent) > FREQUENT:
        taken = int(np.partition(frequent.counts, -FREQUENT - 1)[-FREQUENT - 1])
    is_cut = is_cut or len(sample) > SAMPLE
    return Sketch(sample.smallest(SAMPLE), is_cut, frequent.above(taken), error + taken, total)


def _hashes(values: pa.Array) -> NDArray[np.uint64]:
    """64-bit hashes of text or numbers [n]; a whole number has one hash, whatever its type."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return fingerprint64_arrow(values)
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f":
        is_whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)
        whole = np.where(is_whole, numbers, 0).astype(np.int64)
        numbers = np.where(is_whole, whole, numbers.astype(np.float64).view(np.int64))
    words = numbers.astype(np.int64).view(np.uint64)
    return fingerprint_cat64(np.zeros(1, np.uint64), words)


def _concat(one: pa.Array, other: pa.Array) -> pa.Array:
    if one.type != other.type:
        are_numbers = all(pa.types.is_integer(each.type) or pa.types.is_floating(each.type) for each in (one, other))
        wanted = pa.float64() if are_numbers else pa.string()
        one, other = one.cast(wanted, safe=False), other.cast(wanted, safe=False)
    return pa.concat_arrays([one, other])
