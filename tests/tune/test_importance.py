"""Which keys decide: known where the metric was made of them."""

import numpy as np
import pytest

from raydnn.report.ranked_charts import ParallelAxis
from raydnn.tune.importance import FEWEST_TRIALS, key_importances

TRIALS = 60


@pytest.fixture(scope="module")
def axes() -> list[ParallelAxis]:
    random = np.random.default_rng(1)
    kinds = random.integers(0, 2, TRIALS)
    rates = [float(rate) if kind else None for rate, kind in zip(random.uniform(0, 1, TRIALS), kinds, strict=True)]
    return [
        ParallelAxis("noise", random.uniform(0, 1, TRIALS).tolist()),
        ParallelAxis("kind", kinds.tolist(), ("none", "some")),
        # Only trials of one kind have it.
        ParallelAxis("rate", rates),
    ]


def test_what_the_metric_is_made_of_comes_first_and_noise_is_next_to_nothing(axes: list[ParallelAxis]) -> None:
    _, kinds, rates = axes
    metric = [kind + (0 if rate is None else 0.5 * rate) for kind, rate in zip(kinds.values, rates.values, strict=True)]  # type: ignore[operator]
    found = key_importances(axes, metric)
    assert found is not None
    assert found.keys[-1].name == "noise"
    assert abs(found.keys[-1].increase) < 0.02
    assert found.keys[0].increase > 0.3
    assert found.explained > 0.8
    assert found == key_importances(axes, metric)


def test_of_noise_alone_the_forest_explains_nothing(axes: list[ParallelAxis]) -> None:
    found = key_importances(axes, np.random.default_rng(2).normal(size=TRIALS).tolist())
    assert found is not None
    assert found.explained < 0.1


def test_nothing_is_told_of_few_trials_equal_metrics_or_no_keys(axes: list[ParallelAxis]) -> None:
    few = [ParallelAxis(axis.name, axis.values[: FEWEST_TRIALS - 1], axis.categories) for axis in axes]
    assert key_importances(few, [float(number) for number in range(FEWEST_TRIALS - 1)]) is None
    assert key_importances(axes, [0.5] * TRIALS) is None
    assert key_importances([], [float(number) for number in range(TRIALS)]) is None
    assert key_importances([], []) is None
