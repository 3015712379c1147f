"""Torch's optimizers in the place of TensorFlow's."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raydnn
from raydnn.feature_column import categorical_column_with_identity, embedding_column, numeric_column
from raydnn.initializers import Constant

TABLE = "dnn/input_from_feature_columns/input_layer/i_embedding/embedding_weights"
ADAMW = partial(torch.optim.AdamW, lr=0.05, weight_decay=0.1)


def features(num_rows: int = 16) -> dict[str, Any]:
    random = np.random.default_rng(4)
    return {"x": random.normal(size=num_rows), "i": random.integers(0, 5, num_rows)}


def labels(num_rows: int = 16) -> np.ndarray:
    return (features(num_rows)["x"] > 0).astype(np.int64)


def train(make: Callable[[], Any], model_dir: Path, steps: int) -> raydnn.DNNClassifier:
    columns = [numeric_column("x"), embedding_column(categorical_column_with_identity("i", 6), 2)]
    config = raydnn.RunConfig(tf_random_seed=2, save_summary_steps=0, log_step_count_steps=None)
    classifier = raydnn.DNNClassifier([3], columns, model_dir=model_dir, optimizer=make, config=config)
    return classifier.train(lambda: (features(), labels()), steps=steps)  # type: ignore[return-value]


def values(classifier: raydnn.DNNClassifier) -> dict[str, np.ndarray]:
    return {name: classifier.get_variable_value(name) for name in classifier.get_variable_names()}


@pytest.mark.parametrize(
    "factory",
    [
        ADAMW,
        torch.optim.AdamW,
        partial(torch.optim.SGD, lr=0.05),
        partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True),
        partial(torch.optim.NAdam, lr=0.05),
        partial(torch.optim.RMSprop, lr=0.05, centered=True),
        partial(torch.optim.Adagrad, lr=0.05),
    ],
    ids=str,
)
def test_four_steps_equal_two_and_two(factory: Any, tmp_path: Path) -> None:
    whole = values(train(lambda: factory, tmp_path / "whole", 4))
    train(lambda: factory, tmp_path / "parts", 2)
    parts = values(train(lambda: factory, tmp_path / "parts", 2))
    assert set(whole) == set(parts)
    for name, expected in whole.items():
        np.testing.assert_array_equal(parts[name], expected, err_msg=name)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    classifier = train(lambda: ADAMW, tmp_path, 1)
    before = classifier.evaluate(lambda: iter([(features(), labels())]))
    after = train(lambda: ADAMW, tmp_path, 30).evaluate(lambda: iter([(features(), labels())]))
    assert after["loss"] < 0.7 * before["loss"]
    assert after["global_step"] == 31


def test_the_state_is_stored_beside_the_variables(tmp_path: Path) -> None:
    names = train(lambda: ADAMW, tmp_path, 1).get_variable_names()
    for variable in (TABLE, "dnn/hiddenlayer_0/kernel", "dnn/logits/bias"):
        keys = [name.removeprefix(f"{variable}/t_0/AdamW/") for name in names if name.startswith(f"{variable}/t_0/")]
        assert keys == ["exp_avg", "exp_avg_sq", "step"]


def test_a_step_is_torchs_own(tmp_path: Path) -> None:
    rate, decay = 0.05, 0.1
    column = embedding_column(categorical_column_with_identity("i", 4), 2, initializer=Constant(1.0))
    classifier = raydnn.DNNClassifier([], [column], model_dir=tmp_path, optimizer=lambda: ADAMW)
    raydnn.train.save_checkpoint(
        str(tmp_path),
        {TABLE: np.ones((4, 2)), "dnn/logits/kernel": np.array([[1.0], [-2.0]]), "dnn/logits/bias": np.zeros(1)},
        0,
    )
    classifier.train(lambda: ({"i": np.array([0, 1])}, np.array([1, 0])), steps=1)
    # In its first step AdamW moves by the sign of the gradient; rows that no id touched only decay.
    signs = np.array([[-1, 1], [1, -1], [0, 0], [0, 0]])
    expected = (1 - rate * decay) - rate * signs
    np.testing.assert_allclose(classifier.get_variable_value(TABLE), expected, rtol=1e-5)


def test_a_fixed_table_is_left_to_itself(tmp_path: Path) -> None:
    column = embedding_column(categorical_column_with_identity("i", 6), 2, initializer=Constant(1.0), trainable=False)
    classifier = raydnn.DNNClassifier([2], [column, numeric_column("x")], model_dir=tmp_path, optimizer=lambda: ADAMW)
    classifier.train(lambda: (features(), labels()), steps=2)
    np.testing.assert_array_equal(classifier.get_variable_value(TABLE), np.ones((6, 2)))
    assert not [name for name in classifier.get_variable_names() if name.startswith(f"{TABLE}/")]


def test_a_checkpoint_without_its_state_begins_afresh(tmp_path: Path) -> None:
    train(lambda: partial(torch.optim.SGD, lr=0.05), tmp_path, 2)
    found = values(train(lambda: ADAMW, tmp_path, 1))
    assert found["dnn/logits/bias/t_0/AdamW/step"] == 1
    assert found["global_step"] == 3


def test_a_trained_model_evaluates_and_predicts(tmp_path: Path) -> None:
    classifier = train(lambda: ADAMW, tmp_path, 2)
    assert classifier.evaluate(lambda: iter([(features(), labels())]))["global_step"] == 2
    assert len(list(classifier.predict(lambda: iter([features()])))) == 16
