"""Ten times the rows take no more memory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flat_memory
import pytest
from worker_processes import WorkerProcesses

import raydnn

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

MOST = 1.15
STREAMED = 2_000_000
# What a worker reads ahead and shuffles takes in all of 200,000 rows: memory is flat only beyond that.
IN_FILES = (600_000, 6_000_000)


def test_workers_on_a_stream_need_no_more_memory_for_rows_that_the_object_store_cannot_hold(tmp_path: Path) -> None:
    # The newer reader of Ray Data starts processes in each execution, which takes longer than all the rest.
    settings = os.environ | {"RAY_DATA_USE_DATASOURCE_V2": "0"}
    program = [sys.executable, flat_memory.__file__, str(tmp_path), str(STREAMED)]
    subprocess.run(program, check=True, timeout=500, env=settings)
    found = json.loads((tmp_path / "memory.json").read_text())
    assert found["steps"] == STREAMED // flat_memory.BATCH
    assert found["decoded"] > 1.9 * flat_memory.STORE_BYTES
    assert len(found["workers"]) == 2
    # A tenth of the rows would fit into the store; to start a second training for them takes half a minute.
    assert max(found["workers"]) <= MOST * min(found["workers_early"])
    # Windows and what the pipeline is allowed take two thirds of the store: what goes through it finds room.
    assert found["spilled"] < 0.25 * flat_memory.STORE_BYTES
    assert found["feeder"] < 3 * flat_memory.STORE_BYTES


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[WorkerProcesses]:
    group = WorkerProcesses(2, tmp_path)
    yield group
    group.close()


def test_workers_on_files_need_no_more_memory_for_more_rows(
    tmp_path: Path, workers: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.stand_in_for_ray(monkeypatch)
    peaks = []
    for size in IN_FILES:
        folder = tmp_path / str(size)
        (folder / "rows").mkdir(parents=True)
        flat_memory.write_rows(folder / "rows", size)
        estimator = flat_memory.classifier(folder / "model", num_workers=2)
        estimator.train(
            lambda folder=folder: raydnn.inputs.from_parquet(
                str(folder / "rows"), label="label", batch_size=flat_memory.BATCH, shuffle=True
            ),
            hooks=[flat_memory.PeakRecorder(folder)],
        )
        assert estimator.get_variable_value("global_step") == size // flat_memory.BATCH
        peaks.append(flat_memory.recorded_peaks(folder))
    small, large = peaks
    assert len(small) == len(large) == 2
    assert max(large) <= MOST * min(small)
