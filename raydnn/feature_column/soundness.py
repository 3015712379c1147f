"""What makes a column of little use to a network, in numbers and in words: for checks before training and during it."""

from math import expm1, log, log1p

MISSED = 0.05
"""A vocabulary that misses a larger share of the values is called short."""
COLLIDING = -expm1(-1)
"""Buckets that a larger share of the words has to share are called few: 63 %, which is that of a word for each."""
BUCKETS_PER_WORD = 2
"""Hash buckets: the first power of two with so many for each word, which lets at most 39 % of the words collide."""
LARGE = 10.0
"""A mean further from 0 than this, or a larger standard deviation, is called unscaled."""
SMALL = 0.05
"""So are numbers that all lie closer to 0 than this."""
FAR = 1000.0
"""A mean further from 0 than this, or a larger standard deviation, is off by orders of magnitude."""


def is_far(mean: float, std: float) -> bool:
    """Whether numbers are off by orders of magnitude where they enter the network."""
    return abs(mean) > FAR or std > FAR


def scale(mean: float, std: float) -> str:
    """Tell where numbers lie."""
    return f"has mean {mean:.4g} and standard deviation {std:.4g} where it enters the network"


def lack(missed: float) -> str:
    """Tell of a short vocabulary.

    Args:
        missed: share of the values that it lacks.
    """
    return f"the vocabulary lacks {percent(missed)} of the values"


def collision(words: int, buckets: int) -> str:
    """Tell of few buckets."""
    share = percent(colliding_share(words, buckets))
    return f"about {share} of {words:,} values share one of {buckets:,} buckets with another"


def colliding_share(words: int, buckets: int) -> float:
    """The expected share of words that share a bucket with another: 1 - (1 - 1 / buckets) ** (words - 1)."""
    if words < 2:
        return 0.0
    return 1.0 if buckets == 1 else -expm1((words - 1) * log1p(-1 / buckets))


def words_in(used: int, buckets: int) -> int:
    """About how many different words use so many of the buckets: -buckets * ln(1 - used / buckets).

    So many words leave that many buckets empty in expectation (the occupancy problem). Where none is empty there may be
    any number of words; the answer is then that for half an empty bucket.
    """
    return round(-buckets * log((buckets - used or 0.5) / buckets))


def hash_buckets(words: int) -> int:
    """Buckets for so many different words, a power of two."""
    return 1 << max(BUCKETS_PER_WORD * words - 1, 1).bit_length()


def percent(share: float) -> str:
    """A share in percent, with the digits that matter."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
