"""Loading units in Ray tasks."""

import logging
import sys
import threading
import time

import pyarrow as pa
import pytest
import ray
import ray.cloudpickle

from raydnn.distributed import tasks
from raydnn.inputs.plan import Piece, Unit

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

UNITS = [Unit(0, (Piece(0, place, place + 3),)) for place in range(8)]


def rows(unit: Unit) -> pa.RecordBatch:
    (piece,) = unit.pieces
    time.sleep(0.02 * (piece.start % 3))
    return pa.record_batch({"row": list(range(piece.start, piece.stop))})


@ray.remote(num_cpus=1)
class Occupier:
    """Holds a CPU until it is killed."""

    def is_there(self) -> bool:
        return True


def test_units_come_in_their_order() -> None:
    found = [batch.column("row").to_pylist() for batch in tasks.map_in_ray_tasks(rows, UNITS)]
    assert found == [rows(unit).column("row").to_pylist() for unit in UNITS]


def test_no_more_units_are_asked_for_than_can_be_loaded_ahead() -> None:
    asked: list[Unit] = []
    loaded = tasks.map_in_ray_tasks(rows, (asked.append(unit) or unit for unit in UNITS))
    next(loaded)
    assert len(asked) == tasks.LOOK_AHEAD + 1


def test_a_stall_is_logged_with_its_cause_and_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "STALL_SECS", 0.5)
    monkeypatch.setattr(tasks, "free_cpus", lambda: 1.0)

    busy = [Occupier.remote() for _ in range(4)]
    ray.get([each.is_there.remote() for each in busy])
    timer = threading.Timer(1.5, lambda: [ray.kill(each) for each in busy])
    timer.start()
    with caplog.at_level(logging.WARNING):
        assert next(tasks.map_in_ray_tasks(rows, UNITS)).num_rows == 3
    timer.join()
    assert "No input for" in caplog.text
    assert "asks for 1 CPUs" in caplog.text
