"""Which searched keys decide how good a trial is, as a forest of trees tells that was fitted to the trials.

Breiman, "Random Forests", Machine Learning 45, 2001. A tree asks for one value after the other, so a forest takes keys
that only some trials have, and learns what they do to each other, where few trials are there to learn from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydnn.report.ranked_charts import ParallelAxis

FEWEST_TRIALS = 6
TREES = 200
REPEATS = 10
SEED = 7


@dataclass(frozen=True)
class KeyImportance:
    """Of one axis.

    Attributes:
        name: of the axis.
        increase: of the forest's mean squared error when the values are dealt out to other trials, as a share of the
            variance of the metric: the mean of some repeats.
        spread: the standard deviation of the repeats.
    """

    name: str
    increase: float
    spread: float


@dataclass(frozen=True)
class Importances:
    """Of all axes.

    Attributes:
        keys: the most important first.
        explained: share of the variance of the metric that the forest predicts of trials which the trees have not
            seen; at 0 and below it has learned nothing.
    """

    keys: Sequence[KeyImportance]
    explained: float


def key_importances(axes: Sequence[ParallelAxis], metric: Sequence[float]) -> Importances | None:
    """How important axes are for a metric; None where there are too few trials, or nothing differs.

    Args:
        axes: with a value for each trial [n].
        metric: of the trials [n], finite.
    """
    values = np.asarray(metric, np.float64)
    variance = float(values.var()) if len(values) else 0.0
    if len(values) < FEWEST_TRIALS or not axes or not variance > 0:
        return None
    blocks = [_columns(axis) for axis in axes]
    # By name: scikit-learn takes a second to load.
    forest: Any = import_module("sklearn.ensemble").RandomForestRegressor(
        TREES, max_features=0.5, oob_score=True, random_state=SEED
    )
    forest.fit(np.hstack(blocks), values)

    def error(changed: Sequence[NDArray[np.float64]]) -> float:
        return float(np.mean((forest.predict(np.hstack(changed)) - values) ** 2))

    random, undisturbed = np.random.default_rng(SEED), error(blocks)
    keys = []
    for place, axis in enumerate(axes):
        shuffled = [[*blocks[:place], random.permutation(blocks[place]), *blocks[place + 1 :]] for _ in range(REPEATS)]
        increases = (np.array([error(each) for each in shuffled]) - undisturbed) / variance
        keys.append(KeyImportance(axis.name, float(increases.mean()), float(increases.std())))
    keys.sort(key=lambda each: (-each.increase, each.name))
    return Importances(keys, float(forest.oob_score_))


def _columns(axis: ParallelAxis) -> NDArray[np.float64]:
    """The columns [n, k] of an axis: its numbers, NaN where there is none, or one for each category."""
    numbers = np.array([np.nan if value is None else value for value in axis.values], np.float64)
    if not axis.categories:
        return numbers[:, None]
    return (numbers[:, None] == np.arange(len(axis.categories))).astype(np.float64)
