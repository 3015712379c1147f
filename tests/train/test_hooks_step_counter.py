"""Measuring steps per second."""

import logging
from pathlib import Path

import pytest
from fake_training import CountingModel, run_loop

from raydnn.tracking.event_file import EventFileWriter, read_scalars
from raydnn.train import StepCounterHook


def test_the_first_trigger_starts_the_clock_and_the_later_ones_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EventFileWriter(tmp_path) as writer, caplog.at_level(logging.INFO):
        run_loop(CountingModel(), [StepCounterHook(every_n_steps=2, summary_writer=writer)], steps=6)
    scalars = read_scalars(tmp_path)
    assert list(scalars) == [3, 5]
    assert all(values["global_step/sec"] > 0 for values in scalars.values())
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["global_step/sec"] * 2


def test_a_folder_will_do_for_a_writer_and_the_hook_can_be_used_again(tmp_path: Path) -> None:
    hook = StepCounterHook(every_n_steps=1, output_dir=str(tmp_path))
    run_loop(CountingModel(), [hook], steps=2)
    run_loop(CountingModel(global_step=2), [hook], steps=2)
    assert list(read_scalars(tmp_path)) == [2, 4]


def test_without_a_writer_the_rate_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run_loop(CountingModel(), [StepCounterHook(every_n_steps=1)], steps=3)
    assert len(caplog.records) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [{"every_n_steps": None}, {"every_n_secs": 1.0}])
def test_exactly_one_period_is_needed(arguments: dict[str, float | None]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        StepCounterHook(**arguments)
