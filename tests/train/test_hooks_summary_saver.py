"""Writing the model's summaries."""

from pathlib import Path
from typing import Any

import pytest
from fake_training import CountingModel, run_loop

from raydnn.tracking.event_file import EventFileWriter, read_scalars
from raydnn.train import SummarySaverHook


@pytest.mark.parametrize(
    ("every", "start", "expected"),
    [(1, 0, [1, 2, 3, 4, 5, 6]), (2, 0, [1, 3, 5]), (4, 0, [1, 5]), (100, 0, [1]), (2, 7, [8, 10, 12])],
)
def test_the_first_step_and_then_every_nth_is_written(
    tmp_path: Path, every: int, start: int, expected: list[int]
) -> None:
    with EventFileWriter(tmp_path) as writer:
        hook = SummarySaverHook(save_steps=every, summary_writer=writer)
        run_loop(CountingModel(global_step=start), [hook], steps=6)
    assert read_scalars(tmp_path) == {step: {"loss": float(step)} for step in expected}


def test_a_folder_will_do_for_a_writer_and_the_hook_can_be_used_again(tmp_path: Path) -> None:
    hook = SummarySaverHook(save_steps=9, output_dir=str(tmp_path))
    run_loop(CountingModel(), [hook], steps=2)
    run_loop(CountingModel(global_step=2), [hook], steps=2)
    assert read_scalars(tmp_path) == {1: {"loss": 1.0}, 3: {"loss": 3.0}}


@pytest.mark.parametrize(
    "arguments",
    [
        {"save_steps": 1},
        {"output_dir": "folder"},
        {"output_dir": "folder", "save_steps": 1, "save_secs": 1.0},
    ],
)
def test_a_place_and_exactly_one_period_are_needed(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"give output_dir or summary_writer|exactly one"):
        SummarySaverHook(**arguments)
