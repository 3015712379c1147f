"""Training goes on when workers hang and nodes are lost, and gives the numbers of an undisturbed run."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fake_data
import lost_node
import numpy as np
import pytest
import ray.cloudpickle
import recording_hooks
from recording_hooks import FileLossRecorder, HangOnce, recorded_losses

import raydnn

# Workers cannot import test modules by name.
for module in (fake_data, recording_hooks):
    ray.cloudpickle.register_pickle_by_value(module)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def assert_same_variables(found: raydnn.DNNClassifier, expected: raydnn.DNNClassifier, tolerance: float) -> None:
    for name in expected.get_variable_names():
        value, right = found.get_variable_value(name), expected.get_variable_value(name)
        np.testing.assert_allclose(value, right, rtol=tolerance, atol=tolerance, err_msg=name)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_after_the_loss_of_a_node_the_others_go_on_with_the_same_rows(tmp_path: Path) -> None:
    program = [sys.executable, lost_node.__file__, str(tmp_path)]
    # Half of what raydnn sets: this cluster knows of the loss after 5 seconds.
    settings = os.environ | {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "10"}
    subprocess.run(program, check=True, timeout=200, env=settings)

    alone = lost_node.classifier(tmp_path / "alone")
    alone.train(lost_node.input_fn, hooks=[FileLossRecorder(tmp_path)])
    (expected,) = recorded_losses(tmp_path)
    assert len(expected) == -(-lost_node.ROWS * lost_node.EPOCHS // lost_node.BATCH)

    sizes: dict[int, set[int]] = {1: set(), 2: set()}
    records = list(tmp_path.glob("steps-*.jsonl"))
    for path in records:
        for step, loss, workers in map(json.loads, path.read_text().splitlines()):
            # The loss of a step depends on its rows, and on all that were seen before.
            assert loss == pytest.approx(expected[step - 1], rel=1e-4), step
            sizes[workers].add(step)
    assert sizes[2] == set(range(1, lost_node.LOST_AT + 1))
    # From the last checkpoint, step 8, to the end.
    assert sizes[1] == set(range(9, len(expected) + 1))
    assert_same_variables(lost_node.classifier(tmp_path / "model"), alone, 1e-4)

    deadline = time.monotonic() + 20
    workers_left = {int(path.stem.split("-")[1]) for path in records}
    assert len(workers_left) == 3
    while workers_left and time.monotonic() < deadline:
        workers_left = {process for process in workers_left if is_running(process)}
        time.sleep(0.1)
    assert not workers_left


@pytest.mark.usefixtures("ray_four_cpus")
def test_a_worker_that_hangs_is_given_up_and_the_numbers_stay_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def classifier(name: str, **settings: Any) -> raydnn.DNNClassifier:
        config = raydnn.RunConfig(tf_random_seed=2, save_checkpoints_steps=3, **settings)
        return fake_data.fake_classifier(tmp_path / name, config)

    def input_fn() -> Any:
        return raydnn.inputs.from_arrow(
            fake_data.fake_table(480), label=fake_data.LABEL, batch_size=32, shuffle=True, seed=9
        )

    alone = classifier("alone")
    alone.train(input_fn)
    hurt = classifier("hurt", num_workers=2, max_failures=1, worker_timeout_secs=5)
    with caplog.at_level(logging.WARNING, "raydnn"):
        hurt.train(input_fn, hooks=[HangOnce(tmp_path / "hung", step=8)])
    assert (tmp_path / "hung").exists()
    assert "worker 0 has waited 5 seconds for the other workers in one step" in caplog.text
    assert "set RunConfig(worker_timeout_secs=...) to more" in caplog.text
    assert_same_variables(hurt, alone, 1e-5)
