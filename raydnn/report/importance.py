"""How much worse a model gets when a column of its input loses its meaning.

Breiman, "Random Forests", Machine Learning 45, 2001; here of the mean loss, as in Fisher, Rudin and Dominici, "All
Models are Wrong, but Many are Useful", Journal of Machine Learning Research 20, 2019.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raydnn.feature_column.columns import DenseColumn
from raydnn.feature_column.weighted import WeightedCategoricalColumn
from raydnn.report.scored import Scored, Scorer

REPEATS = 3
MOST_ROWS, FEWEST_ROWS = 20_000, 2_000
MOST_SCORED = 1_000_000
"""Rows that are scored for all columns together; of many columns fewer rows are taken."""
SEED = 7


@dataclass(frozen=True)
class Importance:
    """Of one column, or of columns that only mean something together.

    Attributes:
        columns: their names.
        increase: of the mean loss when their values are dealt out to other rows: the mean of some repeats.
        spread: the standard deviation of the repeats.
    """

    columns: tuple[str, ...]
    increase: float
    spread: float

    @property
    def name(self) -> str:
        """Of the columns."""
        return " + ".join(self.columns)


def column_groups(columns: Iterable[DenseColumn]) -> list[tuple[str, ...]]:
    """The raw columns that a model reads, sorted; values and their weights belong together.

    All that is made of a raw column, such as crosses, follows it.
    """
    groups: list[set[str]] = []
    for column in columns:
        inner = getattr(column, "categorical_column", None)
        together = (
            [inner.feature_keys]
            if isinstance(inner, WeightedCategoricalColumn)
            else [(key,) for key in column.feature_keys]
        )
        for keys in together:
            touched = [group for group in groups if group & set(keys)]
            groups = [group for group in groups if not group & set(keys)]
            groups.append(set(keys).union(*touched))
    return sorted(tuple(sorted(group)) for group in groups)


def importances(scorer: Scorer, scored: Scored, groups: Sequence[tuple[str, ...]]) -> list[Importance]:
    """The importance of columns, the largest first.

    Args:
        scorer: of the model.
        scored: rows, of which some are taken that lie equally far apart.
        groups: names of columns that are shuffled together.
    """
    rows = min(MOST_ROWS, max(FEWEST_ROWS, MOST_SCORED // (REPEATS * max(len(groups), 1))))
    places = np.linspace(0, scored.rows - 1, min(rows, scored.rows)).astype(np.int64)
    part = scorer.score(scored.table.take(pa.array(places)))
    before = part.mean(part.losses)
    losses = scorer.mean_losses(_shuffled(part.table, groups), part)
    found = []
    for group in groups:
        increases = [next(losses) - before for _ in range(REPEATS)]
        found.append(Importance(group, float(np.mean(increases)), float(np.std(increases, ddof=1))))
    return sorted(found, key=lambda each: -each.increase)


def _shuffled(table: pa.Table, groups: Sequence[tuple[str, ...]]) -> Iterator[pa.Table]:
    """The table with the values of each group in the order of other rows, several times each."""
    random = np.random.default_rng(SEED)
    for group in groups:
        for _ in range(REPEATS):
            order, shuffled = pa.array(random.permutation(table.num_rows)), table
            for name in group:
                place = table.schema.get_field_index(name)
                shuffled = shuffled.set_column(place, table.schema.field(place), table.column(place).take(order))
            yield shuffled
