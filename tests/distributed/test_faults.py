"""Training goes on when workers hang and nodes are lost, and gives the numbers of an undisturbed run."""

import json
import logging
import os
import random
import subprocess
import sys
import time
from pathlib import Path

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
    assert_the_ledger_has_each_row_once,
    ledger,
    processes,
    rows_that_count,
    two_epochs,
)
from worker_processes import WorkerProcesses

import raydnn
from raydnn.train.ledger import read_ledger

FAULTS_SEED = 23

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
    # Less than what raydnn sets: this cluster knows of the loss after 5 seconds.
    settings = os.environ | {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "6"}
    subprocess.run(program, check=True, timeout=400, env=settings)

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
def test_kills_of_driver_and_worker_and_one_that_hangs_cost_no_row_and_change_no_bit(
    tmp_path: Path,
    two_processes: WorkerProcesses,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    moments = random.Random(FAULTS_SEED)
    driver_step, killed_step, hung_step = sorted(moments.sample(range(2, EPOCHS * BATCHES), 3))
    rank = moments.randrange(2)
    logging.warning(
        "seed %d: driver killed in step %d, worker %d after %d, worker 1 hangs after %d",
        FAULTS_SEED,
        driver_step,
        rank,
        killed_step,
        hung_step,
    )

    hurt = tmp_path / "hurt"
    address = ray.get_runtime_context().gcs_address
    program = [sys.executable, killed_driver.__file__, str(hurt), str(FAULTS_SEED)]
    driver = subprocess.Popen(program, env=os.environ | {"RAY_ADDRESS": address})
    try:
        while len(ledger(hurt)) < 2 * driver_step:
            assert driver.poll() is None
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    assert_all_end(processes(hurt), expected=2)

    faults = [KillOnce(tmp_path / "killed", killed_step, rank), HangOnce(tmp_path / "hung", hung_step)]
    with caplog.at_level(logging.WARNING, "raydnn"):
        found = two_epochs(hurt, FAULTS_SEED, faults, num_workers=2, max_failures=2, worker_timeout_secs=15)
    assert (tmp_path / "killed").exists()
    assert_all_end(processes(hurt) | {int((tmp_path / "hung").read_text())}, expected=2 * (1 + 3))
    assert "worker 0 has waited 15 seconds for the other workers in one step" in caplog.text
    assert "set RunConfig(worker_timeout_secs=...) to more" in caplog.text

    two_processes.stand_in_for_ray(monkeypatch)
    undisturbed = two_epochs(tmp_path / "undisturbed", FAULTS_SEED, num_workers=2)
    assert_same_bits(found, undisturbed)
    assert_each_epoch_uses_each_row_once(hurt)
    assert_the_ledger_has_each_row_once(hurt)
    assert read_ledger(str(hurt))[-1].workers == read_ledger(str(tmp_path / "undisturbed"))[-1].workers
    assert rows_that_count(hurt) == rows_that_count(tmp_path / "undisturbed")
    # Steps were lost with the workers and made again.
    assert len(ledger(hurt)) > len(ledger(tmp_path / "undisturbed"))
