"""Initial values against the range and the moments of TensorFlow's."""

import json
from math import sqrt
from typing import Any

import numpy as np
import pytest
from golden_case import GOLDENS, make_columns

import raydnn

GOLDEN: dict[str, Any] = json.loads((GOLDENS / "initializers.json").read_text())
# Drawn values have a sharp edge which many draws come close to; others are constant.
DRAWN = [name for name, expected in GOLDEN["variables"].items() if expected["std"]]


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> raydnn.DNNClassifier:
    """A classifier whose first checkpoint holds its initial values."""
    model_dir = tmp_path_factory.mktemp("initial")
    classifier = raydnn.DNNClassifier(
        feature_columns=[column for spec in GOLDEN["feature_columns"] for column in make_columns(spec, model_dir)],
        model_dir=model_dir,
        config=raydnn.RunConfig(tf_random_seed=11, save_checkpoints_steps=1, keep_checkpoint_max=0),
        **GOLDEN["classifier"],
    )
    features = {"x": np.zeros((2, 100), np.float32), **{key: np.array([0, 1]) for key in "ijpq"}}
    return classifier.train(lambda: (features, np.array([0, 1])), steps=1)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def values(initial: raydnn.DNNClassifier) -> dict[str, np.ndarray]:
    reader = raydnn.train.load_checkpoint(f"{initial.model_dir}/model.ckpt-0")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_the_variables_are_those_of_tensorflow(values: dict[str, np.ndarray]) -> None:
    assert {name: list(value.shape) for name, value in values.items()} == {
        name: expected["shape"] for name, expected in GOLDEN["variables"].items()
    }


@pytest.mark.parametrize("name", GOLDEN["variables"])
def test_the_moments_of_a_variable_are_those_of_tensorflow(name: str, values: dict[str, np.ndarray]) -> None:
    value, expected = values[name].astype(np.float64), GOLDEN["variables"][name]
    if name not in DRAWN:
        np.testing.assert_array_equal(value, np.float32(expected["mean"]))
        return
    # Both means and both deviations are draws; five standard errors of their difference.
    error = 5 * sqrt(2) * expected["std"] / sqrt(value.size)
    np.testing.assert_allclose(value.mean(), expected["mean"], rtol=0, atol=error)
    np.testing.assert_allclose(value.std(), expected["std"], rtol=0, atol=error)


@pytest.mark.parametrize("name", DRAWN)
def test_the_range_of_a_variable_is_that_of_tensorflow(name: str, values: dict[str, np.ndarray]) -> None:
    value, expected = values[name], GOLDEN["variables"][name]
    rows, columns = value.shape
    limit = 2 / sqrt(columns) if "embedding_weights" in name else sqrt(6 / (rows + columns))
    for low, high in ((value.min(), value.max()), (expected["min"], expected["max"])):
        assert -limit <= low < -0.98 * limit
        assert 0.98 * limit < high <= limit
