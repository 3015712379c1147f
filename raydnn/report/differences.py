"""How the rows to evaluate on differ from those that were trained on, column by column, told from their profiles."""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from raydnn.config.profile import ColumnProfile, Profile

BINS = 10
"""Of numbers, with about equally many values of training each."""
MOST_WORDS = 50
"""So many of the most frequent values of training are told apart; all others are one."""


@dataclass(frozen=True)
class Difference:
    """What differs in one column.

    Attributes:
        column: its name.
        distance: the total variation distance: of all values, the share that would have to be others to make the shares
            of both alike, from 0 to 1. Half the sum of |p - q|; Levin and Peres, "Markov Chains and Mixing Times", 2nd
            edition, 2017, section 4.1. Numbers are taken in bins, words as the most frequent ones and the rest; that a
            value is missing counts as a value.
        missing_train, missing_eval: share of the rows without a value.
        unseen: share of the evaluation's values that training has not; NaN for numbers, and where it is not known.
        shift: of the mean, in standard deviations of training; NaN where there are no means.
    """

    column: str
    distance: float
    missing_train: float
    missing_eval: float
    unseen: float
    shift: float


def differences(train: Profile, evaluation: Profile) -> list[Difference]:
    """The differences in all columns that both have, the largest distance first; lists and other types are left out."""
    found = []
    for name, column in train.columns.items():
        other = evaluation.columns.get(name)
        if other is not None and _can_be_compared(column, other):
            found.append(_difference(name, column, other))
    return sorted(found, key=lambda each: -each.distance)


def _can_be_compared(train: ColumnProfile, evaluation: ColumnProfile) -> bool:
    kinds = {_family(train), _family(evaluation)} - {"null"}
    return len(kinds) <= 1 and kinds <= {"number", "word"} and not (train.is_list or evaluation.is_list)


def _family(column: ColumnProfile) -> str:
    if column.kind in ("integer", "float", "boolean"):
        return "number"
    return "word" if column.kind == "string" else column.kind


def _difference(name: str, train: ColumnProfile, evaluation: ColumnProfile) -> Difference:
    is_number = "number" in (_family(train), _family(evaluation))
    unseen = None if _has_ranges(train) else evaluation.sketch.unseen(train.sketch)
    shift = nan
    if is_number and train.moments.std > 0 and evaluation.moments.count:
        shift = (evaluation.moments.mean - train.moments.mean) / train.moments.std
    shares = _in_ranges(train, evaluation) if _has_ranges(train) else _by_word(train, evaluation)
    return Difference(
        name,
        float(np.abs(shares[0] - shares[1]).sum() / 2),
        _share(train.missing, train.rows),
        _share(evaluation.missing, evaluation.rows),
        nan if unseen is None else unseen[1],
        shift,
    )


def _has_ranges(train: ColumnProfile) -> bool:
    """Whether values are compared in bins: numbers with more different ones than could be listed."""
    return _family(train) == "number" and train.distinct > MOST_WORDS


def _in_ranges(train: ColumnProfile, evaluation: ColumnProfile) -> NDArray[np.float64]:
    values, counts = _sample(train)
    order = np.argsort(values)
    reached = np.cumsum(counts[order]) / counts.sum()
    edges = np.unique(values[order][np.searchsorted(reached, np.arange(1, BINS) / BINS)])
    return np.stack([_shares_in(edges, each) for each in (train, evaluation)])


def _shares_in(edges: NDArray[np.float64], column: ColumnProfile) -> NDArray[np.float64]:
    """Of all rows, the share in each range and of those without a value."""
    values, counts = _sample(column)
    in_ranges = np.bincount(np.searchsorted(edges, values), counts, len(edges) + 1)
    present = _share(column.values, column.rows)
    return np.append(in_ranges / max(in_ranges.sum(), 1.0) * present, 1 - present)


def _by_word(train: ColumnProfile, evaluation: ColumnProfile) -> NDArray[np.float64]:
    words = [word for word, _ in train.sketch.top(MOST_WORDS)]
    shares = []
    for column in (train, evaluation):
        # Beyond the bounds of a sketch, rare words are not counted: they are among the others.
        counted = dict(column.sketch.top(len(column.sketch.frequent) + len(column.sketch.sample)))
        of_words = [_share(counted.get(word, 0), column.rows) for word in words]
        missing = _share(column.missing, column.rows)
        shares.append([*of_words, missing, max(1 - sum(of_words) - missing, 0.0)])
    return np.array(shares)


def _sample(column: ColumnProfile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Different values, all or a random sample of them, and how often each occurs."""
    words = column.sketch.sample
    return words.values.to_numpy(zero_copy_only=False).astype(np.float64), words.counts.astype(np.float64)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
