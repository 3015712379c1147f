"""Training goes on when workers hang and nodes are lost, and gives the numbers of an undisturbed run."""

import json
import logging
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fake_data
import killed_driver
import lost_node
import numpy as np
import pytest
import ray.cloudpickle
import recording_hooks
import resumed_calls
from recording_hooks import FileLossRecorder, HangOnce, KillOnce, assert_all_end, recorded_losses
from resumed_calls import (
    BATCHES,
    EPOCHS,
    assert_each_epoch_uses_each_row_once,
    assert_same_bits,
    ledger,
    processes,
    rows_that_count,
    two_epochs,
)
from worker_processes import WorkerProcesses

import raydnn

KILLS_SEED = 23
WORKER_KILLS = 2

# Workers cannot import test modules by name.
for module in (fake_data, recording_hooks, resumed_calls):
    ray.cloudpickle.register_pickle_by_value(module)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def assert_same_variables(found: raydnn.DNNClassifier, expected: raydnn.DNNClassifier, tolerance: float) -> None:
    for name in expected.get_variable_names():
        value, right = found.get_variable_value(name), expected.get_variable_value(name)
        np.testing.assert_allclose(value, right, rtol=tolerance, atol=tolerance, err_msg=name)


def test_after_a_node_is_lost_and_after_one_is_added_training_goes_on_with_the_same_rows(tmp_path: Path) -> None:
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
    # Each change goes on from the last checkpoint: step 8, and step 20.
    assert sizes[1] == set(range(9, lost_node.JOINED_AT + 1))
    assert sizes[2] == {*range(1, lost_node.LOST_AT + 1), *range(21, len(expected) + 1)}
    assert_same_variables(lost_node.classifier(tmp_path / "model"), alone, 1e-4)

    assert_all_end({int(path.stem.split("-")[1]) for path in records}, expected=2 + 1 + 2)


@pytest.mark.usefixtures("ray_four_cpus")
def test_kills_of_the_driver_and_of_random_workers_cost_no_row_and_change_no_bit(
    tmp_path: Path, two_processes: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = random.Random(KILLS_SEED)
    steps = sorted(moments.sample(range(2, EPOCHS * BATCHES), 1 + WORKER_KILLS))
    ranks = [moments.randrange(2) for _ in range(WORKER_KILLS)]
    logging.warning("seed %d: driver killed in step %d, workers %s after %s", KILLS_SEED, steps[0], ranks, steps[1:])

    hurt = tmp_path / "hurt"
    address = ray.get_runtime_context().gcs_address
    program = [sys.executable, killed_driver.__file__, str(hurt), str(KILLS_SEED)]
    driver = subprocess.Popen(program, env=os.environ | {"RAY_ADDRESS": address})
    try:
        while len(ledger(hurt)) < 2 * steps[0]:
            assert driver.poll() is None
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    assert_all_end(processes(hurt), expected=2)

    kills = [KillOnce(tmp_path / f"killed-{step}", step, rank) for step, rank in zip(steps[1:], ranks, strict=True)]
    found = two_epochs(hurt, KILLS_SEED, kills, num_workers=2, max_failures=WORKER_KILLS)
    assert all((tmp_path / f"killed-{step}").exists() for step in steps[1:])
    assert_all_end(processes(hurt), expected=2 * (1 + WORKER_KILLS + 1))

    two_processes.stand_in_for_ray(monkeypatch)
    undisturbed = two_epochs(tmp_path / "undisturbed", KILLS_SEED, num_workers=2)
    assert_same_bits(found, undisturbed)
    assert_each_epoch_uses_each_row_once(hurt)
    assert rows_that_count(hurt) == rows_that_count(tmp_path / "undisturbed")
    # Steps were lost with the workers and made again.
    assert len(ledger(hurt)) > len(ledger(tmp_path / "undisturbed"))


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
    assert_all_end({int((tmp_path / "hung").read_text())}, expected=1)
    assert "worker 0 has waited 5 seconds for the other workers in one step" in caplog.text
    assert "set RunConfig(worker_timeout_secs=...) to more" in caplog.text
    assert_same_variables(hurt, alone, 1e-5)
