"""Counting the rows of steps, and what the ledger has of them after stops, restarts and trouble."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn import storage
from raydnn.inputs.plan import Cursor
from raydnn.train.checkpoint.state import write_state
from raydnn.train.ledger import INCOMPLETE_BATCH, NOT_REACHED, LedgerEntry, read_ledger, write_ledger
from raydnn.train.replicas import SingleReplica
from raydnn.train.row_counter import EpochSize, RowCounter, StepRows, described

SIZE = EpochSize(rows=25, batches=2, batch_size=10)
"""Of a data set that leaves 5 rows out."""


def counter(model_dir: Any, size: EpochSize | None = SIZE, start: int = 0, **settings: Any) -> RowCounter:
    return RowCounter(str(model_dir), SingleReplica(), start, size, **settings)


def count(counting: RowCounter, *steps: int, size: EpochSize = SIZE, rows: int = 10) -> None:
    """Count so many rows in each of these steps of a call that began at step 0 or where an epoch ended."""
    for step in steps:
        epoch, batch = divmod(step - 1, size.batches)
        counting.count(StepRows((rows,)), Cursor(epoch, batch + 1, ""), step)


def checkpoint(model_dir: Path, *steps: int) -> None:
    write_state(str(model_dir), [f"model.ckpt-{step}" for step in steps])


def facts(model_dir: Any) -> list[tuple[int, int, int, int, dict[str, int]]]:
    """Call, epoch, last step, rows and what was dropped of each entry, which must be consistent."""
    entries = read_ledger(str(model_dir))
    for entry in entries:
        assert entry.read - sum(entry.dropped.values()) == entry.rows == sum(entry.workers)
    return [(each.call_start_step, each.epoch, each.last_step, each.rows, dict(each.dropped)) for each in entries]


def test_each_epoch_answers_for_its_rows_and_those_left_out(tmp_path: Path) -> None:
    counting = counter(tmp_path)
    count(counting, 1, 2, 3, 4)
    counting.end(is_stopped=False)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 2, 20, {INCOMPLETE_BATCH: 5}), (0, 1, 4, 20, {INCOMPLETE_BATCH: 5})]


def test_a_stop_within_an_epoch_leaves_the_rest_of_it_not_reached(tmp_path: Path) -> None:
    counting = counter(tmp_path)
    count(counting, 1, 2, 3)
    counting.end(is_stopped=True)
    counting.flush()
    assert facts(tmp_path)[1] == (0, 1, 3, 10, {NOT_REACHED: 15})
    assert read_ledger(str(tmp_path))[1].read == SIZE.rows


def test_a_stop_at_the_end_of_an_epoch_leaves_nothing(tmp_path: Path) -> None:
    counting = counter(tmp_path)
    count(counting, 1, 2)
    counting.end(is_stopped=True)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 2, 20, {INCOMPLETE_BATCH: 5})]


def test_an_input_of_unknown_size_tells_what_was_read_alone(tmp_path: Path) -> None:
    counting = counter(tmp_path, size=None)
    for step in (1, 2):
        counting.count(StepRows((7,)), None, step)
    counting.end(is_stopped=True)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 2, 14, {})]


def test_an_epoch_of_unknown_size_ends_where_the_next_begins(tmp_path: Path) -> None:
    counting = counter(tmp_path, size=None)
    count(counting, 1, 2, 3)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 2, 20, {}), (0, 1, 3, 10, {})]


def test_a_call_that_goes_on_forgets_what_comes_after_its_checkpoint(tmp_path: Path) -> None:
    size = EpochSize(rows=100, batches=10, batch_size=10)
    killed = counter(tmp_path, size)
    count(killed, 1, 2, 3, size=size)
    killed.flush()
    checkpoint(tmp_path, 3)
    count(killed, 4, 5, 6, size=size)
    # The process dies before checkpoint 6 is there.
    killed.flush()
    assert [entry[2] for entry in facts(tmp_path)] == [3, 6]

    going_on = counter(tmp_path, size, step=3, cursor=Cursor(0, 3, ""))
    count(going_on, *range(4, 11), size=size)
    going_on.end(is_stopped=False)
    going_on.flush()
    assert sum(entry[3] for entry in facts(tmp_path)) == 100


def test_what_a_stopped_call_did_not_reach_it_reaches_when_it_goes_on(tmp_path: Path) -> None:
    stopped = counter(tmp_path)
    count(stopped, 1)
    stopped.end(is_stopped=True)
    stopped.flush()
    assert facts(tmp_path) == [(0, 0, 1, 10, {NOT_REACHED: 15})]
    going_on = counter(tmp_path, step=1, cursor=Cursor(0, 1, ""))
    count(going_on, 2)
    going_on.end(is_stopped=False)
    going_on.flush()
    assert facts(tmp_path) == [(0, 0, 2, 20, {INCOMPLETE_BATCH: 5})]


def test_a_stop_that_is_repeated_without_a_step_is_told_once(tmp_path: Path) -> None:
    for step, cursor in ((0, None), (1, Cursor(0, 1, "")), (1, Cursor(0, 1, ""))):
        counting = counter(tmp_path, step=step, cursor=cursor)
        if not step:
            count(counting, 1)
        counting.end(is_stopped=True)
        counting.flush()
        assert facts(tmp_path) == [(0, 0, 1, 10, {NOT_REACHED: 15})]


def test_a_new_call_leaves_the_entries_of_others_as_they_are(tmp_path: Path) -> None:
    first = counter(tmp_path)
    count(first, 1)
    first.end(is_stopped=True)
    first.flush()
    second = counter(tmp_path, start=1, step=1)
    second.count(StepRows((10,)), Cursor(0, 1, ""), 2)
    second.end(is_stopped=True)
    second.flush()
    assert facts(tmp_path) == [(0, 0, 1, 10, {NOT_REACHED: 15}), (1, 0, 2, 10, {NOT_REACHED: 15})]


def test_entries_end_only_where_training_may_go_on(tmp_path: Path) -> None:
    size = EpochSize(rows=10_000, batches=1000, batch_size=10)
    counting = counter(tmp_path, size)
    for step in range(1, 101):
        count(counting, step, size=size)
        counting.flush()
        checkpoint(tmp_path, *range(max(step - 2, 1), step + 1))
    assert [(last, rows) for _, _, last, rows, _ in facts(tmp_path)] == [(97, 970), (98, 10), (99, 10), (100, 10)]


def test_nothing_is_written_where_nothing_was_counted(tmp_path: Path) -> None:
    counting = counter(tmp_path)
    counting.flush()
    counting.end(is_stopped=True)
    counting.flush()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_ledger_begins_anew_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ledger.json").write_text("{")
    counting = counter(tmp_path)
    assert "The ledger of rows begins anew: " in caplog.text
    count(counting, 1)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 1, 10, {})]


def test_a_ledger_that_cannot_be_written_ends_no_training_and_catches_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counting = counter(tmp_path)
    count(counting, 1)
    (tmp_path / "ledger.json").mkdir()
    counting.flush()
    assert "The ledger of rows is not written until the next checkpoint: " in caplog.text
    (tmp_path / "ledger.json").rmdir()
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 1, 10, {})]


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    left = Path(storage.temporary_name(str(tmp_path / "ledger.json")))
    left.write_text("{")
    counter(tmp_path)
    assert not left.exists()


def test_an_object_store_keeps_a_ledger_too() -> None:
    model_dir = "memory://counted/model"
    counting = counter(model_dir)
    count(counting, 1, 2)
    counting.flush()
    assert facts(model_dir) == [(0, 0, 2, 20, {INCOMPLETE_BATCH: 5})]


def test_weights_add_up_and_rows_of_weight_0_are_counted(tmp_path: Path) -> None:
    counting = counter(tmp_path)
    counting.count(StepRows((6, 4), 2.5, 3), Cursor(0, 1, ""), 1)
    counting.count(StepRows((5, 0), 1.0, 0), Cursor(0, 2, ""), 2)
    counting.flush()
    (entry,) = read_ledger(str(tmp_path))
    assert (entry.weight, entry.zero_weight_rows, entry.workers) == (3.5, 3, (11, 4))


def test_one_line_tells_of_each_epoch_and_one_of_the_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counting = counter(tmp_path)
    with caplog.at_level(logging.INFO):
        count(counting, 1, 2, 3)
        counting.end(is_stopped=True)
    assert caplog.messages == [
        "epoch 1: 25 rows read, 5 dropped (incomplete last batch: 5)",
        "epoch 2: 10 rows read, 0 dropped, 15 not reached because training stopped",
        "training: 35 rows read, 5 dropped (incomplete last batch: 5), 15 not reached because training stopped",
    ]


def test_epochs_that_end_in_quick_succession_share_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    size = EpochSize(rows=10, batches=1, batch_size=10)
    counting = counter(tmp_path, size)
    with caplog.at_level(logging.INFO):
        count(counting, *range(1, 501), size=size)
        counting.end(is_stopped=True)
    assert len(caplog.messages) < 20
    assert caplog.messages[0] == "epoch 1: 10 rows read, 0 dropped"
    assert caplog.messages[-1] == "training: 5,000 rows read, 0 dropped"


def test_a_line_names_workers_and_weights() -> None:
    entry = LedgerEntry(
        call_start_step=0, epoch=0, first_step=1, last_step=9, read=241_203, rows=241_203, workers=(120_602, 120_601)
    )
    assert described(entry) == "241,203 rows read, 0 dropped; workers saw 120,602 and 120,601"
    weighted = replace(entry, weight=1000.25, zero_weight_rows=2, workers=(241_203,))
    assert described(weighted) == (
        "241,203 rows read, 0 dropped; their weights sum up to 1,000.25, and 2 of them are 0"
    )


def test_what_each_own_shard_drops_is_told_at_the_end(tmp_path: Path) -> None:
    counting = counter(tmp_path, is_own_shard=True)
    count(counting, 1, 2, 3)
    counting.end(is_stopped=True)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 3, 30, {INCOMPLETE_BATCH: 5, NOT_REACHED: 15})]


def test_an_own_shard_too_small_for_a_batch_is_left_out(tmp_path: Path) -> None:
    counting = counter(tmp_path, EpochSize(rows=4, batches=0, batch_size=10), is_own_shard=True)
    counting.count(StepRows((0, 10)), None, 1)
    counting.end(is_stopped=False)
    counting.flush()
    assert facts(tmp_path) == [(0, 0, 1, 10, {INCOMPLETE_BATCH: 4})]


def test_the_size_of_epochs_is_that_of_a_planned_data_set() -> None:
    data = raydnn.inputs.from_numpy({"x": np.zeros(25)}, np.zeros(25), batch_size=10, drop_remainder=True)
    assert EpochSize.of(data) == SIZE
    assert (SIZE.incomplete, SIZE.left_at(0), SIZE.left_at(1)) == (5, 25, 15)
    assert EpochSize.of(replace(data, drop_remainder=False)) == replace(SIZE, batches=3)
    assert EpochSize.of(raydnn.inputs.input_fn.GivenBatches([])) is None


def test_a_ledger_of_later_steps_than_the_model_is_forgotten(tmp_path: Path) -> None:
    entry = LedgerEntry(call_start_step=0, epoch=0, first_step=1, last_step=9, read=3, rows=3, workers=(3,))
    write_ledger(str(tmp_path), [entry])
    counting = counter(tmp_path, step=8, start=8)
    counting.flush()
    assert read_ledger(str(tmp_path)) == []
