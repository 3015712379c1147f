"""The file of the ledger, and sums of its entries."""

from dataclasses import replace
from pathlib import Path

import pytest

from raydnn.errors import DataLossError, FailedPreconditionError
from raydnn.train.ledger import (
    INCOMPLETE_BATCH,
    NOT_REACHED,
    LedgerEntry,
    read_ledger,
    sums_of_calls,
    sums_of_epochs,
    write_ledger,
)

FIRST = LedgerEntry(
    call_start_step=0,
    epoch=0,
    first_step=1,
    last_step=3,
    read=17,
    dropped={INCOMPLETE_BATCH: 2},
    rows=15,
    weight=7.5,
    zero_weight_rows=4,
    workers=(8, 7),
)


@pytest.mark.parametrize("folder", ["{}", "memory://ledger{}"])
def test_what_was_written_is_read(tmp_path: Path, folder: str) -> None:
    model_dir = folder.format(tmp_path)
    assert read_ledger(model_dir) == []
    entries = [FIRST, replace(FIRST, epoch=1, dropped={}, read=15, weight=None, zero_weight_rows=None)]
    write_ledger(model_dir, entries)
    assert read_ledger(model_dir) == entries
    write_ledger(model_dir, [])
    assert read_ledger(model_dir) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "raydnn-ledger-1", "entries": [{"epoch": 1}]}'])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(content)
    with pytest.raises(DataLossError, match=rf"{path} is damaged .*; remove it, and the ledger begins anew"):
        read_ledger(str(tmp_path))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text('{"format": "raydnn-ledger-9", "entries": []}')
    with pytest.raises(FailedPreconditionError, match="'raydnn-ledger-9'; this version reads 'raydnn-ledger-1'"):
        read_ledger(str(tmp_path))


def test_entries_of_an_epoch_add_up_and_calls_stay_apart() -> None:
    second = replace(FIRST, first_step=4, last_step=5, read=9, dropped={NOT_REACHED: 3}, rows=6, workers=(2, 2, 2))
    other_epoch = replace(FIRST, epoch=1, first_step=6, last_step=6)
    other_call = replace(FIRST, call_start_step=6, first_step=7, last_step=8, weight=None, zero_weight_rows=None)
    whole = LedgerEntry(
        call_start_step=0,
        epoch=0,
        first_step=1,
        last_step=5,
        read=26,
        dropped={INCOMPLETE_BATCH: 2, NOT_REACHED: 3},
        rows=21,
        weight=15.0,
        zero_weight_rows=8,
        workers=(10, 9, 2),
    )
    entries = [FIRST, second, other_epoch, other_call]
    assert sums_of_epochs(entries) == [whole, other_epoch, other_call]
    assert sums_of_calls(entries) == [whole + other_epoch, other_call]
    assert (other_call + second).weight == second.weight


def test_what_is_dropped_is_answered_for_and_can_be_taken_back() -> None:
    more = FIRST.with_dropped(NOT_REACHED, 5).with_dropped(NOT_REACHED, 1)
    assert (more.read, more.dropped) == (23, {INCOMPLETE_BATCH: 2, NOT_REACHED: 6})
    assert more.read - sum(more.dropped.values()) == more.rows
    assert more.without_dropped(NOT_REACHED) == FIRST
    assert FIRST.without_dropped(NOT_REACHED) == FIRST
