"""Real trials, run by Ray Tune."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray.cloudpickle

import raydnn
from raydnn.feature_column import numeric_column
from raydnn.tune import parse_space, run

# Trials cannot import test modules by name.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.filterwarnings("default")


def input_fn() -> Any:
    x = np.linspace(-1, 1, 400, dtype=np.float32)
    return raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(np.int64), batch_size=50, num_epochs=5)


def make_estimator(configuration: dict[str, Any], model_dir: str) -> raydnn.DNNClassifier:
    rate = configuration["rate"]
    return raydnn.DNNClassifier(
        configuration["hidden_units"],
        [numeric_column("x")],
        model_dir=model_dir,
        optimizer=lambda: raydnn.train.GradientDescentOptimizer(rate),
        config=raydnn.RunConfig(tf_random_seed=1),
    )


@pytest.mark.usefixtures("ray_four_cpus")
def test_a_sweep_finds_the_configuration_that_learns(tmp_path: Path):
    space = parse_space({"hidden_units": [4], "rate": {"grid_search": [0.0, 0.005]}})
    results = run(
        make_estimator, input_fn, input_fn, space, metric="average_loss", storage=tmp_path, name="two", max_steps=40
    )
    assert results.num_errors == 0
    assert len(results) == 2
    best = results.get_best_result()
    assert best.config["rate"] == 0.005
    assert raydnn.train.load_variable(best.metrics["model_dir"], "global_step") == 40


def test_a_mode_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="mode must be 'min' or 'max'"):
        run(make_estimator, input_fn, input_fn, {}, mode="best", storage=tmp_path)
