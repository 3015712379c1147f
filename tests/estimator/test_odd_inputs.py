"""Ways to hand over values, labels and functions that are easily got wrong."""

import functools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import raydnn
from raydnn.estimator import WarmStartSettings
from raydnn.feature_column import (
    categorical_column_with_vocabulary_list,
    embedding_column,
    numeric_column,
    weighted_categorical_column,
)
from raydnn.train import GradientDescentOptimizer, LoggingTensorHook, SessionRunHook, exponential_decay, get_global_step

X = {"x": np.arange(8, dtype=np.float32)}
Y = [0, 1] * 4


def classifier(model_dir: Path, columns: Any = None, **arguments: Any) -> raydnn.DNNClassifier:
    arguments = {"config": raydnn.RunConfig(tf_random_seed=3), **arguments}
    return raydnn.DNNClassifier([2], columns or [numeric_column("x")], model_dir=model_dir, **arguments)


def step(estimator: raydnn.DNNClassifier) -> int:
    return int(estimator.get_variable_value("global_step"))


def test_an_endless_data_set_without_a_batch_is_refused(tmp_path: Path):
    data = raydnn.inputs.from_numpy(X, Y, batch_size=128, num_epochs=None, drop_remainder=True)
    with pytest.raises(ValueError, match="has 8 rows, fewer than its batch_size 128"):
        classifier(tmp_path).train(lambda: data, steps=2)


def test_an_endless_evaluation_without_a_batch_ends(tmp_path: Path):
    data = raydnn.inputs.from_numpy(X, Y, batch_size=128, num_epochs=None, drop_remainder=True)
    assert classifier(tmp_path).evaluate(lambda: data)["accuracy_baseline"] == 1


def test_the_seed_of_the_run_is_that_of_the_shuffles(tmp_path: Path):
    values = []
    for place in range(2):
        estimator = classifier(tmp_path / str(place))
        estimator.train(lambda: raydnn.inputs.from_numpy(X, Y, batch_size=2, shuffle=True, num_epochs=3))
        values.append(estimator.get_variable_value("dnn/logits/kernel"))
    np.testing.assert_array_equal(*values)


def test_steps_are_counted_from_a_step_that_a_warm_start_took(tmp_path: Path):
    first = classifier(tmp_path / "first").train(lambda: (X, Y), steps=10)
    second = classifier(tmp_path / "second", warm_start_from=WarmStartSettings(first.model_dir, [".*"]))
    second.train(lambda: (X, Y), steps=5)
    assert step(second) == 15


def test_what_a_partial_has_bound_stays_the_users(tmp_path: Path):
    seen = {}

    def input_fn(mode, params):
        seen.update(mode=mode, params=params)
        return X, Y

    classifier(tmp_path).train(functools.partial(input_fn, params={"a": 1}, mode="mine"), steps=1)
    assert seen == {"mode": "mine", "params": {"a": 1}}


def test_a_normalizer_never_sees_an_empty_batch(tmp_path: Path):
    column = numeric_column("x", normalizer_fn=lambda values: values / values.max())
    assert step(classifier(tmp_path, [column]).train(lambda: (X, Y), steps=1)) == 1


def test_a_refused_input_leaves_no_thread(tmp_path: Path):
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(ValueError, match="'wrong' is not in features dictionary"):
            classifier(tmp_path, [numeric_column("wrong")]).train(lambda: (X, Y), steps=1)
    for thread in threading.enumerate():
        if thread.name.startswith("raydnn"):
            thread.join(timeout=5)
    assert threading.active_count() <= before


def test_the_last_loss_can_be_logged_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="raydnn")
    classifier(tmp_path).train(lambda: (X, Y), steps=1, hooks=[LoggingTensorHook({"last": "loss"}, at_end=True)])
    assert "last = " in caplog.text


def test_a_loss_may_be_fetched_with_its_graph_name(tmp_path: Path):
    hook = LoggingTensorHook(["loss:0"], every_n_iter=1)
    assert step(classifier(tmp_path).train(lambda: (X, Y), steps=1, hooks=[hook])) == 1


def weighted() -> list[Any]:
    words = categorical_column_with_vocabulary_list("c", ["a", "b"])
    return [embedding_column(weighted_categorical_column(words, "w"), 2)]


@pytest.mark.parametrize(
    "weights",
    [
        [0.5] * 8,
        [[0.5]] * 8,
        raydnn.SparseTensor([[row, 0] for row in range(8)], [0.5] * 8, [8, 1]),
        torch.full((8,), 0.5),
        np.full((8, 1), 0.5, ">f4"),
    ],
    ids=["list", "lists", "sparse", "torch", "big endian"],
)
def test_weights_may_be_given_in_any_common_form(tmp_path: Path, weights: Any):
    words = raydnn.SparseTensor([[row, 0] for row in range(8)], ["a", "b"] * 4, [8, 1])
    estimator = classifier(tmp_path, weighted())
    assert step(estimator.train(lambda: ({"c": words, "w": weights}, Y), steps=1)) == 1


@pytest.mark.parametrize(
    "labels", [[[0], [1]] * 4, ((0,), (1,)) * 4, [np.array([0]), np.array([1])] * 4, torch.tensor(Y)]
)
def test_labels_may_be_nested(tmp_path: Path, labels: Any):
    estimator = classifier(tmp_path)
    estimator.train(lambda: raydnn.inputs.from_numpy(X, labels, batch_size=8))
    estimator.train(lambda: (X, labels), steps=1)
    assert step(estimator) == 2


def test_class_names_may_be_bytes(tmp_path: Path):
    estimator = classifier(tmp_path, label_vocabulary=[b"no", b"yes"])
    estimator.train(lambda: (X, ["no", "yes"] * 4), steps=1)
    assert next(estimator.predict(lambda: iter([X])))["all_classes"].tolist() == [b"no", b"yes"]


def test_nan_of_pandas_stays_nan(tmp_path: Path):
    frame = pd.DataFrame({"x": [1.0, np.nan] * 4, "y": Y})
    with pytest.raises(raydnn.errors.NanLossDuringTrainingError):
        classifier(tmp_path, activation_fn="tanh", config=raydnn.RunConfig(save_summary_steps=0)).train(
            lambda: raydnn.inputs.from_pandas(frame, label="y")
        )


def test_a_learning_rate_may_be_a_function_that_is_called_once(tmp_path: Path):
    calls = []

    def rate():
        calls.append(1)
        return exponential_decay(0.1, get_global_step(), 10, 0.9, name="rate")

    classifier(tmp_path, optimizer=GradientDescentOptimizer(rate)).train(lambda: (X, Y), steps=3)
    assert calls == [1]
    assert exponential_decay(0.1, 10, 10, 0.9) == pytest.approx(0.09)


def test_a_hook_that_ends_prediction_ends_it(tmp_path: Path):
    class End(SessionRunHook):
        def before_run(self, run_context):
            raise raydnn.errors.OutOfRangeError

    assert list(classifier(tmp_path).predict(lambda: iter([X]), hooks=[End()])) == []


def test_hidden_files_in_a_folder_of_parquet_are_passed_over(tmp_path: Path):
    pd.DataFrame({"x": X["x"], "y": Y}).to_parquet(tmp_path / "part.parquet")
    (tmp_path / ".part.parquet.crc").write_bytes(b"crc")
    (tmp_path / "_SUCCESS.parquet").write_bytes(b"")
    assert raydnn.inputs.from_parquet(tmp_path, label="y").plan.num_rows == 8
