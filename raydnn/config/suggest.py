"""How a column may enter the network, judged by what is in it."""

import re
from dataclasses import dataclass
from math import expm1
from typing import Any

from raydnn.config.profile import ColumnProfile
from raydnn.feature_column.soundness import hash_buckets

INDICATOR_WORDS = 10
"""So many words enter as counts; more are embedded."""
VOCABULARY_WORDS = 50
"""So many words stand in the file; more are hashed."""
FEW_NUMBERS = 32
"""Whole numbers from 0 to below this, of which there are more than two, are taken for ids and not for amounts."""
MOST_DIMENSIONS = 64
"""Of an embedding."""
UNIQUE_SHARE = 0.95
"""Columns with so many different values per row tell rows apart and nothing else."""
SKEWED_FROM = 3.0
"""Skewness from which numbers are better taken by their logarithm."""
MOST_LOG = 10.0
"""Largest mean that a logarithm may have as it is; above it, mean and deviation serve better."""

_ID_NAME = re.compile(r"(^|_|(?<=[a-z]))(id|ids|uuid|guid|key|code|zip|zipcode|zip_code|hash)$", re.IGNORECASE)
_UNWRITABLE = re.compile(r"\$\{|://|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass(frozen=True)
class Suggestion:
    """How a column enters the network.

    Attributes:
        feature: as the section `features` takes it; None leaves the column out.
        reason: why, in a few words.
    """

    feature: Any
    reason: str


def suggest(name: str, column: ColumnProfile, weights: tuple[str, str] | None = None) -> Suggestion:
    """How a column enters the network.

    Args:
        name: of the column.
        column: what is in it.
        weights: column and dtype of the weights of its values, if it is a column of lists that has some.
    """
    if column.kind in ("null", "other", "mixed", "time"):
        return Suggestion(None, _unreadable(column))
    if column.not_finite:
        return Suggestion(None, f"{_count(column.not_finite, 'value is', 'values are')} NaN or infinite; mend the data")
    if column.distinct <= 1 and (column.kind in ("integer", "float") or not column.missing):
        return Suggestion(None, f"is constant: {_shown(column)}")
    if column.has_null_arrays:
        return Suggestion(None, "has null rows among arrays of a fixed size; fill them, or write lists, in the data")
    if column.kind == "boolean":
        return _flag(column)
    if column.kind == "float":
        return _number(column)
    if _is_unique(name, column):
        return Suggestion(None, f"{_words(column)} in {column.rows:,} rows: it tells rows apart and nothing else")
    if column.kind == "integer" and not column.is_list and not _is_identifier(name, column):
        return _number(column)
    return _categorical(column, weights)


def embedding_dimension(ids: int) -> int:
    """Dimension of the vectors of so many ids: round(1.6 * ids ** 0.56), at most 64.

    The rule of thumb of fastai's tabular models (`emb_sz_rule`), which stops at 600.
    """
    return max(1, min(MOST_DIMENSIONS, round(1.6 * ids**0.56)))


def _unreadable(column: ColumnProfile) -> str:
    if column.kind == "null":
        return "no value is there"
    if column.kind == "time":
        return f"is of type {column.type}; make numbers of it (hour, day of the week, days since ...) in the data"
    if column.kind == "mixed":
        return f"is of several types: {column.type}; make it one in the data"
    return f"is of type {column.type}, which no feature reads; cast it in the data"


def _is_unique(name: str, column: ColumnProfile) -> bool:
    if column.is_list or column.distinct < UNIQUE_SHARE * column.values or column.distinct < 2:
        return False
    if column.kind == "string":
        return True
    # Counted through, as the rows are.
    spread = column.moments.max - column.moments.min
    return bool(_ID_NAME.search(name)) or spread < 2 * column.values


def _is_identifier(name: str, column: ColumnProfile) -> bool:
    """Whether whole numbers stand for things, and are no amounts."""
    is_few = column.distinct > 2 and column.moments.min >= -1 and column.moments.max < FEW_NUMBERS
    return bool(_ID_NAME.search(name)) or is_few


def _flag(column: ColumnProfile) -> Suggestion:
    share = column.moments.mean
    if column.is_list:
        return Suggestion(None, "holds lists of truth values, which no feature reads; make numbers of them in the data")
    feature = {"default": round(share)} if column.missing else "numeric"
    return Suggestion(feature, f"{_percent(share)} true{_missing(column, column.missing)}")


def _number(column: ColumnProfile) -> Suggestion:
    moments = column.moments
    feature: dict[str, Any] = {}
    default: float
    if column.is_list:
        if column.missing or column.lengths.std > 0:
            text = f"holds {column.lengths.min:.0f} to {column.lengths.max:.0f} numbers a row"
            return Suggestion(None, f"{text}; a number has a shape, so give each row as many in the data")
        feature["shape"] = round(column.lengths.mean)
    missing = column.missing + column.missing_values
    reason = f"{_short(moments.min)} to {_short(moments.max)}"
    if column.kind == "integer" and moments.min == 0 and moments.max == 1:
        reason = f"0 or 1, {_percent(moments.mean)} are 1"
        default = round(moments.mean)
    elif moments.min >= 0 and moments.skewness > SKEWED_FROM and column.log_moments.mean <= MOST_LOG:
        feature["normalize"] = "log1p"
        reason += f", skewed by {moments.skewness:.1f}"
        default = _rounded(expm1(column.log_moments.mean))
    else:
        default = _rounded(moments.mean)
        feature["normalize"] = {"mean": default, "std": _rounded(moments.std)}
    if missing:
        feature["default"] = default
    return Suggestion(feature or "numeric", reason + _missing(column, missing))


def _categorical(column: ColumnProfile, weights: tuple[str, str] | None) -> Suggestion:
    """Words or ids; '' and -1 mean that a value is missing."""
    is_text = column.kind == "string"
    feature: dict[str, Any]
    words = [word for word, _ in column.sketch.top(VOCABULARY_WORDS + 2) if column.is_list or word not in ("", -1)]
    if not words:
        return Suggestion(None, "no value is there")
    if not is_text and column.moments.min >= -1 and column.moments.max < INDICATOR_WORDS and not column.is_list:
        # As counts: an embedding would refuse larger ids in other rows.
        ids = int(column.moments.max) + 1
        feature = {"identity": ids}
    elif len(words) <= VOCABULARY_WORDS and all(map(_is_writable, words)):
        ids = len(words)
        feature = {"vocabulary": sorted(words)}
    else:
        ids = column.distinct
        feature = {"hash": hash_buckets(ids)} | ({} if is_text else {"dtype": "int64"})
    if "hash" in feature or ids > INDICATOR_WORDS:
        feature["embed"] = embedding_dimension(ids)
    reason = _words(column)
    if weights is not None:
        feature["weights"] = weights[0]
        reason += f" weighted by {weights[0]!r}"
        if weights[1] != "float32":
            feature["weights_dtype"] = weights[1]
    if column.is_list:
        reason += f", {column.lengths.mean:.2g} a row"
    return Suggestion(feature, reason + _missing(column, column.absent))


def _is_writable(word: str | int | float) -> bool:
    """Whether YAML and a vocabulary keep a word as it is."""
    return isinstance(word, int) or (isinstance(word, str) and not _UNWRITABLE.search(word))


def _words(column: ColumnProfile) -> str:
    noun = ("word", "words") if column.kind == "string" else ("value", "values")
    about = "about " if column.sketch.is_cut else ""
    has_empty = not column.is_list and column.absent > column.missing
    return about + _count(column.distinct - has_empty, *noun)


def _shown(column: ColumnProfile) -> str:
    return " ".join(repr(column.sketch.top(1)[0][0] if column.distinct else None).split())


def _missing(column: ColumnProfile, missing: int) -> str:
    """Say which share of rows, or of the numbers in them, is missing."""
    whole = column.rows if not column.is_list or column.kind == "string" else column.values + missing
    return f", {_percent(missing / whole)} missing" if missing else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else "less than 0.1 %"


def _short(number: float) -> str:
    return f"{number:.4g}"


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")
