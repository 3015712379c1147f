"""Tables spread over workers: training, checkpoints, and other numbers of workers, against one process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from recording_hooks import FileLossRecorder, recorded_losses
from worker_processes import WorkerProcesses

import raydnn
from raydnn import train
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    embedding_column,
    numeric_column,
    shared_embedding_columns,
    weighted_categorical_column,
)
from raydnn.train.checkpoint import CheckpointReader

ROWS, BATCH = 203, 32
OPTIMIZERS = {
    "Adagrad": lambda: train.AdagradOptimizer(0.05),
    "Adam": lambda: train.AdamOptimizer(0.01),
    "Ftrl": lambda: train.FtrlOptimizer(0.05, l1_regularization_strength=0.001),
    "RMSProp": lambda: train.RMSPropOptimizer(0.01, momentum=0.5),
    "Momentum": lambda: train.MomentumOptimizer(0.05, 0.9),
    "SGD": lambda: train.GradientDescentOptimizer(0.05),
    "ProximalAdagrad": lambda: train.ProximalAdagradOptimizer(0.05, l1_regularization_strength=0.001),
}


@pytest.fixture(scope="module")
def three_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcesses]:
    workers = WorkerProcesses(3, tmp_path_factory.mktemp("workers"))
    yield workers
    workers.close()


@pytest.fixture
def in_three_workers(three_workers: WorkerProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of several workers go to the three processes, all others run here."""
    three_workers.stand_in_for_ray(monkeypatch)


def table() -> pa.Table:
    random = np.random.default_rng(3)

    def ragged(high: int, least: int = 0) -> list[list[int]]:
        return [[int(each) for each in random.integers(0, high, random.integers(least, 4))] for _ in range(ROWS)]

    tags = ragged(60)
    amount = random.normal(size=ROWS).astype(np.float32)
    return pa.table(
        {
            "amount": amount,
            "tags": pa.array(tags, pa.list_(pa.int64())),
            "weights": pa.array([[float(1 + tag % 3) for tag in row] for row in tags], pa.list_(pa.float32())),
            "first": pa.array([f"w{each}" for each in random.integers(0, 30, ROWS)]),
            "second": pa.array(ragged(30), pa.list_(pa.int64())),
            "third": pa.array(random.integers(0, 11, ROWS)),
            "fourth": pa.array(random.integers(0, 11, ROWS)),
            "label": (amount + random.normal(size=ROWS) > 0).astype(np.int64),
            "importance": random.choice([0.0, 0.5, 2.0], ROWS).astype(np.float32),
        }
    )


def columns() -> list[Any]:
    """Weighted, multivalent, shared, clipped and frozen tables, whose rows three workers cannot share evenly."""
    tags = weighted_categorical_column(categorical_column_with_identity("tags", 60), "weights")
    second = categorical_column_with_identity("second", 31)
    third = categorical_column_with_identity("third", 11)
    return [
        numeric_column("amount"),
        embedding_column(tags, 4, combiner="sqrtn"),
        embedding_column(categorical_column_with_hash_bucket("first", 17), 4),
        *shared_embedding_columns([second, categorical_column_with_identity("third", 31)], 4, combiner="sum"),
        embedding_column(third, 3, max_norm=0.5),
        embedding_column(categorical_column_with_identity("fourth", 11), 2, trainable=False),
    ]


def classifier(model_dir: Path, num_workers: int | None, **arguments: Any) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=11, num_workers=num_workers, save_checkpoints_steps=3)
    settings = {
        "hidden_units": [6],
        "feature_columns": columns(),
        "input_layer_partitioner": raydnn.fixed_size_partitioner(2),
        "dropout": 0.2,
        "batch_norm": True,
        **arguments,
    }
    return raydnn.DNNClassifier(model_dir=model_dir, config=config, **settings)


def input_fn() -> raydnn.inputs.Dataset:
    return raydnn.inputs.from_arrow(table(), label="label", batch_size=BATCH, shuffle=True)


def train_losses(estimator: raydnn.DNNClassifier, folder: Path, steps: int | None = None) -> list[float]:
    folder.mkdir()
    estimator.train(input_fn, hooks=[FileLossRecorder(folder)], steps=steps)
    losses = recorded_losses(folder)
    assert all(other == losses[0] for other in losses)
    return losses[0]


def variables(estimator: raydnn.DNNClassifier) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_same_variables(found: raydnn.DNNClassifier, expected: raydnn.DNNClassifier) -> None:
    values = variables(found)
    assert values.keys() == variables(expected).keys()
    for name, value in variables(expected).items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.usefixtures("in_three_workers")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_spread_tables_learn_as_whole_ones_with_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    arguments = {"optimizer": OPTIMIZERS[optimizer], "loss_reduction": raydnn.losses.Reduction.SUM_OVER_BATCH_SIZE}
    alone = classifier(tmp_path / "alone", None, **arguments)
    together = classifier(tmp_path / "together", 3, **arguments)
    expected = train_losses(alone, tmp_path / "a")
    np.testing.assert_allclose(train_losses(together, tmp_path / "t"), expected, rtol=1e-5)
    assert_same_variables(together, alone)
    reader = CheckpointReader(str(together.latest_checkpoint()))
    spread = {name for name, place in reader.manifest.variables.items() if len(place.parts) == 3}
    assert {name for name in spread if name.endswith("embedding_weights")} == {
        name for name in reader.get_variable_to_shape_map() if name.endswith("embedding_weights")
    }
    assert reader.manifest.files.keys() == {
        "variables.safetensors",
        *(f"partition-0000{rank}-of-00003.safetensors" for rank in range(3)),
    }


def test_four_workers_with_weights_learn_as_one_and_one_goes_on_with_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"weight_column": "importance", "loss_reduction": raydnn.losses.Reduction.SUM_BY_NONZERO_WEIGHTS}
    alone, together = tmp_path / "alone", tmp_path / "together"
    expected = train_losses(classifier(alone, None, **arguments), tmp_path / "a")
    workers = WorkerProcesses(4, tmp_path)
    with closing(workers), monkeypatch.context() as patch:
        workers.stand_in_for_ray(patch)
        found = train_losses(classifier(together, 4, **arguments), tmp_path / "t")
    # The last batch has 11 rows, which four workers cannot share evenly.
    assert len(found) == -(-ROWS // BATCH)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert_same_variables(classifier(together, None, **arguments), classifier(alone, None, **arguments))
    expected_next = train_losses(classifier(alone, None, **arguments), tmp_path / "a2", steps=3)
    found_next = train_losses(classifier(together, None, **arguments), tmp_path / "t2", steps=3)
    np.testing.assert_allclose(found_next, expected_next, rtol=1e-5)


@pytest.mark.usefixtures("in_three_workers")
def test_checkpoints_of_any_number_of_workers_are_gone_on_with_by_any_other(tmp_path: Path) -> None:
    expected = train_losses(classifier(tmp_path / "undisturbed", None), tmp_path / "u", steps=3)
    undisturbed = classifier(tmp_path / "undisturbed", None)
    expected_next = train_losses(undisturbed, tmp_path / "u2", steps=3)
    for name, (before, after) in {"spread": (None, 3), "joined": (3, None), "kept": (3, 3)}.items():
        first = train_losses(classifier(tmp_path / name, before), tmp_path / f"{name}-1", steps=3)
        np.testing.assert_allclose(first, expected, rtol=1e-5)
        second = train_losses(classifier(tmp_path / name, after), tmp_path / f"{name}-2", steps=3)
        np.testing.assert_allclose(second, expected_next, rtol=1e-5)
        assert_same_variables(classifier(tmp_path / name, None), undisturbed)


@pytest.mark.usefixtures("in_three_workers")
def test_small_tables_stay_whole_and_large_ones_are_spread(tmp_path: Path) -> None:
    by_size = raydnn.min_max_variable_partitioner(max_partitions=2, min_slice_size=400)
    together = classifier(tmp_path / "model", 3, input_layer_partitioner=by_size)
    together.train(input_fn, steps=1)
    manifest = CheckpointReader(str(together.latest_checkpoint())).manifest
    parts = {
        place.shape[0]: len(place.parts)
        for name, place in manifest.variables.items()
        if name.endswith("embedding_weights")
    }
    assert parts == {17: 1, 11: 1, 31: 3, 60: 3}


@pytest.mark.usefixtures("in_three_workers")
def test_evaluation_prediction_export_and_warm_start_see_whole_tables(tmp_path: Path) -> None:
    alone, together = classifier(tmp_path / "alone", None), classifier(tmp_path / "together", 3)
    alone.train(input_fn)
    together.train(input_fn)
    expected, found = alone.evaluate(input_fn), together.evaluate(input_fn)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    warm = classifier(tmp_path / "warm", 3, warm_start_from=str(tmp_path / "together"))
    warm.train(input_fn, steps=1)
    name = "dnn/input_from_feature_columns/input_layer/third_embedding/embedding_weights"
    assert np.abs(warm.get_variable_value(name) - together.get_variable_value(name)).max() < 0.3


@pytest.mark.usefixtures("in_three_workers")
def test_a_spread_table_cannot_be_fetched_and_says_what_to_do(tmp_path: Path) -> None:
    class Fetching(train.SessionRunHook):
        def before_run(self, run_context: Any) -> Any:
            return train.SessionRunArgs("dnn/input_from_feature_columns/input_layer/first_embedding/embedding_weights")

    with pytest.raises(ValueError, match="is spread over workers and cannot be fetched; read it from a checkpoint"):
        classifier(tmp_path / "model", 3).train(input_fn, hooks=[Fetching()], steps=1)


class EndOfInput(train.SessionRunHook):
    """The input of the chief alone ends in a method, at step 3."""

    def __init__(self, method: str) -> None:
        self._method = method

    def begin(self) -> None:
        self._is_chief = torch.distributed.get_rank() == 0

    def before_run(self, run_context: Any) -> None:
        self._end("before_run", run_context)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._end("after_run", run_context)

    def _end(self, method: str, run_context: Any) -> None:
        if self._is_chief and method == self._method and run_context.session.global_step == 3:
            raise raydnn.errors.OutOfRangeError


@pytest.mark.usefixtures("in_three_workers")
@pytest.mark.parametrize(("method", "steps"), [("before_run", 4), ("after_run", 3)])
def test_an_end_on_one_worker_is_an_end_for_all(method: str, steps: int, tmp_path: Path) -> None:
    together = classifier(tmp_path / "model", 3).train(input_fn, hooks=[EndOfInput(method)])
    assert together.get_variable_value("global_step") == steps
