"""Evaluations beside Ray Train workers."""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import ray.cloudpickle

import raydnn
from raydnn import errors
from raydnn.distributed import cluster, side_car
from raydnn.estimator import EvalSpec, Exporter, FinalExporter, LatestExporter, TrainSpec, train_and_evaluate
from raydnn.estimator import estimator as estimator_module
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import numeric_column
from raydnn.tracking.event_file import read_scalars
from raydnn.train.launcher import LocalLauncher

# Workers cannot import test modules by name.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

RECEIVER = build_raw_serving_input_receiver_fn({"x": "float32"})
MAX_STEPS = 20


def input_fn() -> Any:
    x = np.linspace(-1, 1, 40, dtype=np.float32)
    return raydnn.inputs.from_numpy({"x": x}, (x > 0).astype(np.int64), batch_size=4, num_epochs=2)


def broken_input_fn() -> Any:
    raise errors.NotFoundError("no such data")


def classifier(model_dir: Path | str, **config: Any) -> raydnn.DNNClassifier:
    settings = {"tf_random_seed": 1, "save_checkpoints_steps": 5, "num_workers": 2, **config}
    return raydnn.DNNClassifier([2], [numeric_column("x")], model_dir=model_dir, config=raydnn.RunConfig(**settings))


def spec(**arguments: Any) -> EvalSpec:
    return EvalSpec(**{"input_fn": input_fn, "steps": None, "start_delay_secs": 0, "throttle_secs": 0, **arguments})


class TellsItsProcess(Exporter):
    """Appends the id of its process to a file."""

    name = "process"

    def __init__(self, file: Path) -> None:
        self._file = file

    def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
        with self._file.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return str(os.getpid()).encode()


class AtStep(raydnn.train.SessionRunHook):
    """Does something before a step."""

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        self._step = step
        self._act = act

    def before_run(self, run_context):
        if run_context.session.global_step == self._step:
            self._act()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def processes(file: Path) -> list[int]:
    """The processes that evaluated, each once, in their order."""
    return list(dict.fromkeys(map(int, file.read_text().split()))) if file.exists() else []


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training runs in this process, which saves the time to start workers; the side-car is the real one."""
    monkeypatch.setattr(estimator_module, "get_launcher", lambda config: LocalLauncher())


def test_checkpoints_are_evaluated_and_exported_while_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def evaluated(step: int) -> Callable[[], bool]:
        return lambda: max(read_scalars(tmp_path / "eval_later"), default=0) >= step

    hooks = [AtStep(step + 2, lambda step=step: wait_for(evaluated(step))) for step in (5, 10)]
    exporters = [
        FinalExporter("final", RECEIVER),
        LatestExporter("latest", RECEIVER),
        TellsItsProcess(tmp_path / "processes"),
    ]
    estimator = classifier(tmp_path)
    with caplog.at_level(logging.INFO, "raydnn"):
        metrics, exports = train_and_evaluate(
            estimator,
            TrainSpec(input_fn, max_steps=MAX_STEPS, hooks=hooks),
            spec(exporters=exporters, name="later"),
        )
    assert {5, 10, 20} <= set(read_scalars(tmp_path / "eval_later"))
    expected = estimator.evaluate(input_fn, name="again")
    assert metrics["global_step"] == MAX_STEPS
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
    assert [raydnn.export.load(path).manifest.global_step for path in exports[:2]] == [MAX_STEPS, MAX_STEPS]
    assert len(list((tmp_path / "export" / "final").iterdir())) == 1
    assert "Global step 20 has reached max_steps" in caplog.text
    (process,) = processes(tmp_path / "processes")
    assert process != os.getpid()
    wait_for(lambda: not is_running(process))
    # Nothing more to train: nothing is evaluated.
    assert train_and_evaluate(estimator, TrainSpec(input_fn, max_steps=MAX_STEPS), spec()) == (None, None)
    assert not (tmp_path / "eval").exists()


@pytest.mark.usefixtures("trained_here")
def test_a_killed_side_car_is_replaced_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, killed = tmp_path / "processes", tmp_path / "killed"

    def kill() -> None:
        wait_for(lambda: processes(file))
        try:
            killed.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(processes(file)[0], signal.SIGKILL)

    hooks = [AtStep(7, kill), AtStep(12, lambda: wait_for(lambda: len(processes(file)) == 2))]
    metrics, exports = train_and_evaluate(
        classifier(tmp_path / "model"),
        TrainSpec(input_fn, max_steps=MAX_STEPS, hooks=hooks),
        spec(exporters=TellsItsProcess(file)),
    )
    assert metrics["global_step"] == MAX_STEPS
    first, second = processes(file)
    assert exports == [str(second).encode()]
    (warning,) = [record.getMessage() for record in caplog.records if "started again" in record.getMessage()]
    assert "(1 of 3 times)" in warning
    wait_for(lambda: not is_running(first) and not is_running(second))


@pytest.mark.usefixtures("trained_here")
def test_what_an_evaluation_raises_is_raised_here_when_training_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = classifier(tmp_path)
    hook = AtStep(7, lambda: wait_for(lambda: "NotFoundError: no such data" in caplog.text))
    with pytest.raises(errors.NotFoundError, match="no such data"):
        train_and_evaluate(estimator, TrainSpec(input_fn, hooks=[hook]), spec(input_fn=broken_input_fn))
    assert estimator.get_variable_value("global_step") == MAX_STEPS


@pytest.mark.usefixtures("trained_here")
def test_the_last_checkpoint_is_evaluated_at_once_beside_workers_that_have_all_cpus(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "raydnn"):
        metrics, exports = train_and_evaluate(
            classifier("model", num_workers=4, num_evaluators=2),
            TrainSpec(input_fn),
            spec(
                exporters=FinalExporter("final", RECEIVER),
                hooks=[raydnn.train.SessionRunHook()],
                start_delay_secs=600,
                throttle_secs=600,
            ),
        )
    assert metrics["global_step"] == MAX_STEPS
    assert exports == [None]
    assert list(read_scalars(tmp_path / "model" / "eval")) == [MAX_STEPS]
    assert "No CPU is left beside the workers" in caplog.text
    # With hooks, a line would say so if it had thought of asking other processes.
    assert "instead of 2 others" not in caplog.text


@pytest.mark.usefixtures("trained_here")
def test_an_error_of_training_ends_the_side_car(tmp_path: Path) -> None:
    file = tmp_path / "processes"

    def fail() -> None:
        wait_for(lambda: processes(file))
        raise ZeroDivisionError("in a hook")

    train_spec = TrainSpec(input_fn, hooks=[AtStep(1, fail)])
    with pytest.raises(ZeroDivisionError, match="in a hook"):
        train_and_evaluate(classifier(tmp_path / "model"), train_spec, spec(exporters=TellsItsProcess(file)))
    (process,) = processes(file)
    wait_for(lambda: not is_running(process))


@pytest.mark.usefixtures("trained_here")
def test_a_side_car_that_dies_again_and_again_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly_input_fn() -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(side_car, "RESTARTS", 1)
    estimator = classifier(tmp_path)
    with pytest.raises(errors.AbortedError, match="died 2 times"):
        train_and_evaluate(estimator, TrainSpec(input_fn), spec(input_fn=deadly_input_fn))
    assert estimator.get_variable_value("global_step") == MAX_STEPS
    assert sum("started again" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.usefixtures("trained_here")
def test_an_evaluator_of_the_cluster_needs_no_side_car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"chief": ["chief:1"], "worker": ["worker:1"], "evaluator": ["evaluator:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": {"type": "chief", "index": 0}}))
    estimator = classifier(tmp_path)
    assert train_and_evaluate(estimator, TrainSpec(input_fn, max_steps=2), spec()) == (None, None)
    assert estimator.get_variable_value("global_step") == 2
    assert not (tmp_path / "eval").exists()


@pytest.mark.usefixtures("trained_here")
def test_without_checkpoints_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="saving_listeners need checkpoints"):
        train_and_evaluate(classifier(tmp_path, save_checkpoints_steps=None), TrainSpec(input_fn), spec())


@pytest.mark.parametrize(
    ("nodes", "wanted", "is_spare"),
    [
        ([2.0], (2, 1.0, 0.0), False),
        ([3.0], (2, 1.0, 0.0), True),
        ([3.0], (2, 1.0, 1.0), False),
        ([1.0], (1, 0.0, 0.0), False),  # a Ray Dataset could not be encoded
        ([4.0, 6.0], (2, 4.0, 0.0), False),  # on the first node it would leave room for one worker alone
        ([4.0, 9.0], (2, 4.0, 0.0), True),
        ([0.5, 2.5], (2, 0.5, 0.0), True),
        ([0.5], (1, 0.1, 0.0), False),
    ],
)
def test_a_cpu_is_to_spare_only_if_the_workers_fit_beside_it(
    nodes: list[float], wanted: tuple[int, float, float], is_spare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = {str(place): {"CPU": cpus, "memory": 1e9} for place, cpus in enumerate(nodes)}
    monkeypatch.setattr(cluster, "available_resources_per_node", lambda: resources)
    assert cluster.has_spare_cpu(*wanted) is is_spare
