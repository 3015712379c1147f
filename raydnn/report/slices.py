"""How a model does on the rows of each value of a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn.feature_column.dtypes import is_list
from raydnn.report.curves import Ranking
from raydnn.report.importance import Importance
from raydnn.report.intervals import effective_size, wilson
from raydnn.report.scored import Scored
from raydnn.report.text import number

MOST_VALUES = 12
"""Slices of a column; the rows of rarer values are one slice together."""
BINS = 6
"""Slices of numbers with many different values, with about equally many rows each."""
FEW = 20
"""A column with so many different values, or fewer, has few."""
MOST_DEFAULT, LEAST_DEFAULT = 6, 3
"""Columns whose slices are shown unless others are asked for."""
MISSING, OTHERS = "missing", "all others"


@dataclass(frozen=True)
class Slice:
    """Rows with one value of a column, and what the model does with them.

    Attributes:
        name: of the value, or of the range.
        rows: how many.
        weight: of all rows, the share of their weight.
        share, low, high: of two classes the share of the second, else of right predictions, weighted, with its interval
            of 95 %.
        predicted: the mean of the model's probability for it: of the second class, else of the predicted one.
        area, area_low, area_high: of two classes the area under the ROC curve and its interval of 95 %; else NaN.
        loss: the mean.
    """

    name: str
    rows: int
    weight: float
    share: float
    low: float
    high: float
    predicted: float
    area: float
    area_low: float
    area_high: float
    loss: float


def slice_rows(scored: Scored, column: str) -> list[Slice]:
    """The slices of a column, those of numbers in their order, others by their numbers of rows.

    Args:
        scored: the rows.
        column: whose values make the slices.

    Raises:
        ValueError: there is no such column, or its rows hold lists.
    """
    names, places = _groups(_column(scored, column))
    slices = [_slice(scored, name, places == place) for place, name in enumerate(names)]
    return [each for each in slices if each.rows]


def distinct_values(table: pa.Table, column: str) -> int | None:
    """How many different values a column has; None where a row holds many, or nested ones."""
    kind = table.schema.field(column).type
    return None if pa.types.is_nested(kind) else int(pc.count_distinct(table.column(column)).as_py())


def _column(scored: Scored, column: str) -> pa.Array:
    if column not in scored.table.column_names:
        known = ", ".join(scored.table.column_names)
        raise ValueError(f"slices: the data has no column '{column}'; there are {known}")
    array = scored.table.column(column).combine_chunks()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if is_list(array.type) or pa.types.is_nested(array.type):
        raise ValueError(f"slices: a row of '{column}' holds many values; choose columns with one value a row")
    return array


def _groups(array: pa.Array) -> tuple[list[str], NDArray[np.int64]]:
    """The names of slices, and the place of each row's slice among them."""
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if is_number and pc.count_distinct(array).as_py() > FEW:
        return _ranges(array)
    counted = pc.value_counts(array.drop_null())
    values, counts = counted.field(0), counted.field(1).to_numpy()
    order = np.lexsort((np.arange(len(counts)), -counts))
    kept = order[: MOST_VALUES if len(order) <= MOST_VALUES else MOST_VALUES - 1]
    if is_number:
        kept = kept[np.argsort(values.to_numpy(zero_copy_only=False)[kept], kind="stable")]
    names = [_name(values[int(place)].as_py()) for place in kept]
    found = pc.index_in(array, value_set=values.take(pa.array(kept)), skip_nulls=True)
    places = pc.fill_null(found, len(kept)).to_numpy(zero_copy_only=False).astype(np.int64)
    places[array.is_null().to_numpy(zero_copy_only=False)] = len(kept) + 1
    rest = len(order) - len(kept)
    return [*names, f"{OTHERS} ({rest:,} values)", MISSING], places


def _ranges(array: pa.Array) -> tuple[list[str], NDArray[np.int64]]:
    numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    is_known = np.isfinite(numbers)
    known = numbers[is_known]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="closest_observation"))
    places = np.where(is_known, np.searchsorted(edges, numbers, side="left"), len(edges) + 1)
    bounds = [known.min(), *edges, known.max()]
    is_whole = pa.types.is_integer(array.type)
    texts = [number(int(bound)) if is_whole else number(float(bound)) for bound in bounds]
    names = [f"{texts[0]} to {texts[1]}"]
    names += [f"above {low} to {high}" for low, high in pairwise(texts[1:])]
    return [*names, MISSING], places


def _slice(scored: Scored, name: str, chosen: NDArray[np.bool_]) -> Slice:
    weights = scored.weights[chosen]
    members = scored.labels if scored.is_binary else scored.right
    share = scored.mean(members, chosen)
    low, high = wilson(share, effective_size(weights))
    area, interval = float("nan"), (float("nan"), float("nan"))
    if scored.is_binary:
        ranking = Ranking.of(scored.scores[chosen], members[chosen], weights)
        area, interval = ranking.area, ranking.area_interval
    total = float(scored.weights.sum())
    return Slice(
        name,
        int(chosen.sum()),
        float(weights.sum()) / total if total > 0 else float("nan"),
        share,
        low,
        high,
        scored.mean(scored.scores, chosen),
        area,
        *interval,
        scored.mean(scored.losses, chosen),
    )


def _name(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return '""' if value == "" else str(value)


def default_columns(scored: Scored, importances: Sequence[Importance]) -> list[str]:
    """Columns that are worth slices: of those that the model reads, the most important ones with few values.

    Where hardly any has few, ranges of the most important numbers take their place.

    Args:
        scored: the rows.
        importances: the columns that the model reads, the most important first.
    """
    names = [name for each in importances for name in each.columns]
    counts = {name: distinct_values(scored.table, name) for name in names}
    few = [name for name, count in counts.items() if count is not None and 2 <= count <= FEW][:MOST_DEFAULT]
    many = [name for name, count in counts.items() if count is not None and count > FEW and _is_number(scored, name)]
    return few + many[: max(LEAST_DEFAULT - len(few), 0)]


def _is_number(scored: Scored, column: str) -> bool:
    kind = scored.table.schema.field(column).type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
