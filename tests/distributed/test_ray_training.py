"""Training with Ray Train workers, against training in this process."""

import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import ray.cloudpickle
import ray.data
from custom_models import normalized_model_fn
from fake_data import fake_batches
from recording_hooks import FileLossRecorder, ProcessRecorder, assert_all_end, recorded_losses, recorded_processes
from worker_processes import WorkerProcesses

import raydnn
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.losses import Reduction

# Workers cannot import test modules by name.
for name in (__name__, "custom_models", "fake_data", "recording_hooks"):
    ray.cloudpickle.register_pickle_by_value(sys.modules[name])

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

ROWS = 1003
BATCH = 64


def make_table(rows: int = ROWS) -> pa.Table:
    random = np.random.default_rng(5)
    amount = random.normal(size=rows)
    words = random.choice(["red", "green", "blue", ""], size=rows)
    label = (amount + (words == "red") + random.normal(size=rows) > 0.3).astype(np.int64)
    tags = [[int(tag) for tag in random.integers(0, 50, size=random.integers(0, 4))] for _ in range(rows)]
    return pa.table(
        {
            "amount": amount.astype(np.float32),
            "word": words.tolist(),
            "tags": pa.array(tags, pa.list_(pa.int64())),
            "importance": random.choice([0.0, 0.5, 2.0], size=rows).astype(np.float32),
            "label": label,
        }
    )


def columns() -> list[Any]:
    return [
        numeric_column("amount"),
        indicator_column(categorical_column_with_vocabulary_list("word", ["red", "green", "blue"])),
        embedding_column(categorical_column_with_hash_bucket("tags", 20, dtype="int64"), 4),
    ]


def classifier(model_dir: Path, num_workers: int | None, *, config: dict[str, Any] | None = None, **arguments: Any):
    settings = {"tf_random_seed": 11, "num_workers": num_workers, "save_checkpoints_steps": 5, **(config or {})}
    return raydnn.DNNClassifier(
        [8, 4], columns(), model_dir=model_dir, config=raydnn.RunConfig(**settings), **arguments
    )


def train(estimator: raydnn.DNNClassifier, input_fn: Any, folder: Path) -> list[float]:
    """Train, and give the losses, which all processes must have seen alike."""
    folder.mkdir()
    estimator.train(input_fn, hooks=[FileLossRecorder(folder)])
    losses = recorded_losses(folder)
    for other in losses[1:]:
        assert other == losses[0]
    return losses[0]


def variables(estimator: raydnn.DNNClassifier) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


@pytest.fixture
def _without_ray(monkeypatch: pytest.MonkeyPatch, two_processes: WorkerProcesses) -> None:
    """Workers that are there already: those of Ray take ten seconds to come."""
    two_processes.stand_in_for_ray(monkeypatch)


def test_two_workers_on_a_ray_dataset_train_as_one_process_does_on_its_rows_in_order(tmp_path: Path):
    def from_ray():
        rows = ray.data.from_arrow([make_table().slice(start, 300) for start in range(0, ROWS, 300)])
        return raydnn.inputs.from_ray(rows, label="label", batch_size=BATCH, num_epochs=2)

    compare_with_one_process(tmp_path, Reduction.SUM_BY_NONZERO_WEIGHTS, batch_norm=True, shuffle=False, rows=from_ray)


@pytest.mark.usefixtures("_without_ray")
def test_a_summed_loss_is_the_same_for_two_workers(tmp_path: Path):
    compare_with_one_process(tmp_path, Reduction.SUM, batch_norm=False, shuffle=True)


def compare_with_one_process(tmp_path: Path, reduction: str, batch_norm: bool, shuffle: bool, rows: Any = None) -> None:
    """Train with two workers and without, these on the rows in memory; `rows` gives them to the workers otherwise."""
    table = make_table()
    arguments = {"loss_reduction": reduction, "batch_norm": batch_norm, "weight_column": "importance"}

    def input_fn():
        return raydnn.inputs.from_arrow(table, label="label", batch_size=BATCH, num_epochs=2, shuffle=shuffle, seed=3)

    alone = classifier(tmp_path / "alone", None, **arguments)
    together = classifier(tmp_path / "together", 2, **arguments)
    expected = train(alone, input_fn, tmp_path / "alone-losses")
    found = train(together, rows or input_fn, tmp_path / "together-losses")
    assert len(expected) == 2 * -(-ROWS // BATCH)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for name, value in variables(alone).items():
        np.testing.assert_allclose(together.get_variable_value(name), value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.usefixtures("_without_ray")
def test_two_workers_train_a_model_function_of_ones_own_as_one_process_does(tmp_path: Path):
    def estimator(name: str, num_workers: int | None) -> raydnn.Estimator:
        config = raydnn.RunConfig(tf_random_seed=3, num_workers=num_workers)
        return raydnn.Estimator(normalized_model_fn, tmp_path / name, config)

    # Batches of 7 rows: the parts of two workers are not alike.
    def input_fn():
        return iter(fake_batches(8, 7))

    alone, together = estimator("alone", None), estimator("together", 2)
    expected = train(alone, input_fn, tmp_path / "alone-losses")
    found = train(together, input_fn, tmp_path / "together-losses")
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for name, value in variables(alone).items():
        np.testing.assert_allclose(together.get_variable_value(name), value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert together.evaluate(input_fn)["accuracy"] == alone.evaluate(input_fn)["accuracy"]


@pytest.mark.usefixtures("_without_ray")
def test_a_run_with_shards_of_1000_and_3_rows_ends_and_uses_every_row(tmp_path: Path):
    table = make_table()

    def input_fn(input_context):
        start, stop = (0, 1000) if input_context.input_pipeline_id == 0 else (1000, 1003)
        shard = table.slice(start, stop - start)
        for first in range(0, shard.num_rows, BATCH):
            batch = shard.slice(first, BATCH).to_pydict()
            labels = batch.pop("label")
            yield batch, np.asarray(labels)

    # With a learning rate of 0 and zero weights every row costs log(2): the losses count the rows.
    estimator = classifier(tmp_path / "model", 2, optimizer=lambda: raydnn.train.GradientDescentOptimizer(0.0))
    alone = classifier(tmp_path / "names", None)
    alone.train(lambda: raydnn.inputs.from_arrow(table, label="label"), steps=1)
    zeros = {name: np.zeros_like(value) for name, value in variables(alone).items() if "Adagrad" not in name}
    zeros.pop("global_step")
    raydnn.train.save_checkpoint(str(tmp_path / "model"), zeros, 0)
    losses = train(estimator, input_fn, tmp_path / "losses")
    assert len(losses) == -(-1000 // BATCH)
    assert sum(losses) / np.log(2) == pytest.approx(ROWS, rel=1e-5)


def test_a_bare_ray_dataset_with_its_label_is_an_input(tmp_path: Path):
    rows = ray.data.from_arrow(make_table(100))
    estimator = classifier(tmp_path, None)
    estimator.train(lambda: (rows, "label"))
    assert estimator.get_variable_value("global_step") == 1
    assert len(list(estimator.predict(lambda: rows))) == 100
    assert estimator.evaluate(lambda: (rows, "label"))["global_step"] == 1


def test_every_engine_gives_the_same_batches(tmp_path: Path):
    pq.write_table(make_table(), tmp_path / "rows.parquet", row_group_size=100)

    def input_fn():
        return raydnn.inputs.from_parquet(
            str(tmp_path / "rows.parquet"), label="label", batch_size=BATCH, shuffle=True, seed=1
        )

    losses = {
        engine: train(
            classifier(tmp_path / engine, None, config={"input_engine": engine}),
            input_fn,
            tmp_path / f"{engine}-losses",
        )
        for engine in ("inline", "thread", "ray_tasks", "ray_data")
    }
    for engine, found in losses.items():
        assert found == losses["inline"], engine


@pytest.mark.parametrize("engine", ["ray_data", "ray_tasks"])
def test_an_engine_raises_what_a_reader_raises(engine: str, tmp_path: Path):
    table = make_table(100).set_column(4, "label", pa.array([0] * 99 + [2]))
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=50)
    estimator = classifier(tmp_path / "model", None, config={"input_engine": engine})
    with pytest.raises(raydnn.errors.InvalidArgumentError, match="label 2 in row 49 is out of range"):
        estimator.train(lambda: raydnn.inputs.from_parquet(str(tmp_path / "rows.parquet"), label="label"))


def test_what_a_worker_raises_is_raised_here(tmp_path: Path):
    table = make_table(100).set_column(4, "label", pa.array([2] * 100))
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    with pytest.raises(raydnn.errors.InvalidArgumentError, match="label 2 in row 0 is out of range"):
        classifier(tmp_path / "model", 1).train(
            lambda: raydnn.inputs.from_arrow(table, label="label"), hooks=[ProcessRecorder(tmp_path)]
        )
    assert signal.getsignal(signal.SIGINT) is on_ctrl_c
    assert_all_end(recorded_processes(tmp_path), expected=1)


def test_a_ray_dataset_that_lacks_a_feature_is_refused_by_name(tmp_path: Path):
    rows = ray.data.from_arrow(make_table(100).drop_columns(["word"]))
    with pytest.raises(ValueError, match="'word' is not in features dictionary"):
        classifier(tmp_path, 2).train(lambda: (rows, "label"))


def test_more_workers_than_cpus_are_refused_with_the_numbers(tmp_path: Path):
    with pytest.raises(ValueError, match="has 4 CPUs, but 5 workers with 1 each need 5"):
        classifier(tmp_path, 5).train(lambda: raydnn.inputs.from_arrow(make_table(100), label="label"))
