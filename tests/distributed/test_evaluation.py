"""Evaluation by Ray actors, against evaluation in this process."""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
import ray.cloudpickle
import ray.data
import torch
from fake_data import LABEL, fake_classifier, fake_table
from ray.exceptions import RayActorError
from ray.util.placement_group import placement_group, remove_placement_group

import raydnn
from raydnn import EstimatorSpec, ModeKeys, RunConfig, errors
from raydnn.distributed import evaluation
from raydnn.distributed.reports import reports_from_workers
from raydnn.feature_column import categorical_column_with_identity, embedding_column
from raydnn.tracking.event_file import read_scalars

# Actors cannot import test modules by name.
for name in (__name__, "fake_data"):
    ray.cloudpickle.register_pickle_by_value(sys.modules[name])

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

ROWS = 103
DEADLY_ROW = 50


def rows_model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
    """Counts each row; outside of the driver notes each batch, and the first to come to `DEADLY_ROW` is killed."""
    rows = features["row"]
    if len(rows) and os.getpid() != params["driver"]:
        folder = Path(params["folder"])
        with (folder / "batches").open("a") as file:
            file.write(f"{os.getpid()} {int(rows[0])}\n")
        logging.getLogger("raydnn").info("Row %d in an actor", rows[0])
        if int(rows[0]) == DEADLY_ROW:
            with suppress(FileExistsError):
                (folder / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
    weight = raydnn.train.get_variable("weight", [], initializer=raydnn.initializers.Ones())
    loss = raydnn.losses.mean_squared_error(labels, rows * weight)
    seen = raydnn.metrics.Metric({"seen": torch.bincount(rows, minlength=ROWS)}, lambda sums: sums["seen"])
    return EstimatorSpec(mode, loss=loss, eval_metric_ops={"seen": seen, "mean": raydnn.metrics.mean(labels)})


def rows_input_fn() -> Any:
    rows = np.arange(ROWS)
    return raydnn.inputs.from_numpy({"row": rows}, np.sqrt(rows).astype(np.float32), batch_size=10, num_epochs=2)


def rows_estimator(folder: Path, num_evaluators: int | None) -> raydnn.Estimator:
    params = {"driver": os.getpid(), "folder": str(folder)}
    config = RunConfig(tf_random_seed=1, num_evaluators=num_evaluators)
    return raydnn.Estimator(rows_model_fn, folder / "model", config, params)


@pytest.fixture
def reserved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So many CPUs are reserved by others, and nobody waits long for them."""
    monkeypatch.setattr(evaluation, "SETTLE_SECS", 0.5)
    monkeypatch.setattr(evaluation, "START_SECS", 0.5)
    group = placement_group([{"CPU": 1}] * request.param)
    ray.get(group.ready(), timeout=30)
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU", 0.0) != 4 - request.param:
        # What others had reserved comes back a little later.
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield
    remove_placement_group(group)


def test_the_part_of_a_killed_actor_is_evaluated_by_another_and_each_row_counts_once_an_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = rows_estimator(tmp_path, None).evaluate(rows_input_fn)
    with caplog.at_level(logging.INFO, "raydnn"):
        found = rows_estimator(tmp_path, 2).evaluate(rows_input_fn, name="dealt")
    np.testing.assert_array_equal(found["seen"], np.full(ROWS, 2))
    assert found["loss"] == expected["loss"]
    assert found["mean"] == expected["mean"]
    assert found["global_step"] == 0
    assert read_scalars(tmp_path / "model" / "eval_dealt") == read_scalars(tmp_path / "model" / "eval")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "A process that evaluates died and is replaced (1 of 3 times)" in warning
    lines = [tuple(map(int, line.split())) for line in (tmp_path / "batches").read_text().splitlines()]
    assert len({process for process, _ in lines}) >= 2
    # What the evaluator of the first part logs comes out here.
    assert "Row 100 in an actor" in caplog.text
    # Once in each epoch, and once by the killed one.
    assert [row for _, row in lines].count(DEADLY_ROW) == 3


def test_actors_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    job = rows_estimator(tmp_path, 2)._job(ModeKeys.EVAL, rows_input_fn, None)
    with reports_from_workers(None) as reports:
        evaluators = evaluation._Evaluators(job, [(0, 1), (1, 2)], reports)
        for _ in range(evaluation.REPLACEMENTS):
            evaluators._count_death(RayActorError())
        with pytest.raises(errors.AbortedError, match=r"died 4 times; .* lower RunConfig\(num_evaluators=...\)"):
            evaluators._count_death(RayActorError())


def test_a_ray_dataset_and_a_checkpoint_of_a_relative_folder_are_found_by_actors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = fake_table(ROWS)
    blocks = ray.data.from_arrow([table.slice(start, 20) for start in range(0, ROWS, 20)])

    def input_fn() -> Any:
        return raydnn.inputs.from_arrow(table, label=LABEL, batch_size=10)

    expected = fake_classifier("model").train(input_fn).evaluate(input_fn)
    estimator = fake_classifier("model", RunConfig(tf_random_seed=1, num_evaluators=2))
    with caplog.at_level(logging.INFO, "raydnn"):
        found = estimator.evaluate(lambda: raydnn.inputs.from_ray(blocks, label=LABEL, batch_size=10))
    assert "Evaluating" not in caplog.text
    assert list(found) == list(expected)
    assert found["global_step"] == 11
    for name, value in expected.items():
        # Matrix products of processes with other numbers of threads differ in their last bits.
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_an_error_keeps_its_type_and_names_the_column(tmp_path: Path) -> None:
    columns = [embedding_column(categorical_column_with_identity("place", 5), 2)]
    estimator = raydnn.DNNClassifier([2], columns, tmp_path, config=RunConfig(num_evaluators=2))
    rows = pa.table({"place": [0] * 99 + [7], LABEL: [0, 1] * 50})
    with pytest.raises(errors.InvalidArgumentError, match="column 'place_embedding': id 7") as raised:
        estimator.evaluate(lambda: raydnn.inputs.from_arrow(rows, label=LABEL, batch_size=10))
    assert type(raised.value) is errors.InvalidArgumentError
    assert not (tmp_path / "eval").exists()


@pytest.mark.parametrize("reserved", [4], indirect=True)
@pytest.mark.usefixtures("reserved")
@pytest.mark.parametrize("is_seen", [True, False])
def test_without_a_free_cpu_this_process_evaluates_and_says_why(
    is_seen: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_seen:
        # Others take the CPUs after it was seen that they were free.
        monkeypatch.setattr(evaluation, "_free_places", lambda config, wanted: wanted)
    with caplog.at_level(logging.INFO, "raydnn"):
        found = rows_estimator(tmp_path, 2).evaluate(rows_input_fn)
    np.testing.assert_array_equal(found["seen"], np.full(ROWS, 2))
    assert not (tmp_path / "batches").exists()
    assert "Evaluating in this process instead of 2 others" in caplog.text
    reason = "0 of 4 CPUs of the cluster are free" if is_seen else "no other process has started in 0.5 seconds"
    assert reason in caplog.text


@pytest.mark.parametrize("reserved", [2], indirect=True)
@pytest.mark.usefixtures("reserved")
@pytest.mark.parametrize(
    ("settings", "wanted", "expected"),
    [({}, 1, 1), ({}, 3, 2), ({}, 9, 2), ({"input_engine": "ray_data"}, 3, 1), ({"use_gpu": True}, 3, 0)],
)
def test_there_are_as_many_actors_as_find_a_free_place(settings: dict[str, Any], wanted: int, expected: int) -> None:
    assert evaluation._free_places(RunConfig(**settings), wanted) == expected
