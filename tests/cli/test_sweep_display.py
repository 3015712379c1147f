"""The live table of a sweep, drawn on a terminal of a known size."""

import io
import os
import pty
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from made_sweep import made_sweep
from rich.console import Console

from raydnn.cli.options import LogFormat
from raydnn.cli.sweep_display import LINES_BESIDE, SweepDisplay, watched
from raydnn.tune import Sweep, SweepResult, TrialResult


class Terminal:
    """A display with the text that it has drawn last.

    Args:
        sweep: that is shown.
        height: lines of the terminal.
    """

    def __init__(self, sweep: Sweep, height: int = 30) -> None:
        self.now = 100.0
        self._console = Console(file=io.StringIO(), force_terminal=True, width=140, height=height)
        self.display = SweepDisplay(sweep, self._console, clock=lambda: self.now)

    def drawn(self) -> str:
        console = Console(file=io.StringIO(), width=140, height=self._console.height)
        console.print(self.display._draw())
        return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, SweepResult]:
    """Seven trials of eight have begun: one runs, one has failed and one was stopped."""
    record = made_sweep(tmp_path_factory.mktemp("sweep"), trials=6, is_running=True, budget={"trials": 7, "steps": 60})
    return record.sweep, record.result


def test_it_says_who_runs_who_was_stopped_and_why_and_who_is_the_best(running: tuple[Sweep, SweepResult]) -> None:
    sweep, result = running
    terminal = Terminal(sweep)
    assert "sweep small: the first trials are starting" in terminal.drawn()
    terminal.display.show(SweepResult([], result.objectives, ""))
    assert "the first trials are starting" in terminal.drawn()
    terminal.display.show(result)
    text = terminal.drawn()
    lines = [line for line in text.splitlines() if line.startswith("│")]
    numbers = [line.split("│")[1].strip() for line in lines]
    ranked = [str(trial.number) for trial in result.ranked if trial.number != 4]
    # What runs stands first, then what has ended, the best first, then what has failed.
    assert numbers == ["4", *ranked, "3"]
    for part in (
        "running",
        "stopped: asha at step 20",
        "failed: ValueError: rows of",
        "nothing: the run as it is",
        "6 of 8 trials have ended: 1 running, 4 done, 1 stopped early, 1 failed",
        f"best so far: trial {result.best.number}: auc 0.7",  # type: ignore[union-attr]
        "; base run: auc 0.6",
        "0:00:00 used",
    ):
        assert part in text, part


def test_the_time_left_follows_from_trials_that_have_ended_since_and_from_the_budget(
    running: tuple[Sweep, SweepResult], tmp_path: Path
) -> None:
    sweep, result = running
    terminal = Terminal(sweep)
    # Three trials of an earlier driver, before the first one of this.
    terminal.display.show(SweepResult(result.trials[:3], result.objectives, ""))
    terminal.now += 20
    terminal.display.show(SweepResult([*result.trials[:3], result.trials[4]], result.objectives, ""))
    terminal.now += 90
    assert "0:01:30 used" in terminal.drawn()
    # Nothing has ended since this driver began.
    assert "left" not in terminal.drawn()
    terminal.display.show(result)
    assert "0:01:30 used, about 0:01:00 left" in terminal.drawn()
    # Where all have ended, nothing is left.
    ended = [TrialResult(number, {}, "", "done") for number in range(8)]
    terminal.display.show(SweepResult(ended, result.objectives, ""))
    assert "8 of 8 trials have ended: 8 done" in terminal.drawn()
    assert "left" not in terminal.drawn()
    timed = Terminal(made_sweep(tmp_path, trials=1, budget={"seconds": 100}).sweep)
    timed.display.show(result)
    timed.now += 90
    assert "0:01:30 used, about 0:00:10 left" in timed.drawn()
    assert "6 trials have ended" in timed.drawn()


def test_a_small_terminal_shows_as_many_trials_as_it_has_room_for(running: tuple[Sweep, SweepResult]) -> None:
    sweep, result = running
    trials = [TrialResult(number, {}, "", "done", [{"auc": 0.5, "global_step": 1}]) for number in range(50)]
    terminal = Terminal(sweep, height=24)
    terminal.display.show(SweepResult(trials, result.objectives, ""))
    text = terminal.drawn()
    assert f"{50 - (24 - LINES_BESIDE)} more" in text
    assert len(text.splitlines()) <= 24


def test_it_draws_and_leaves_nothing_behind(
    running: tuple[Sweep, SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, result = running
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    with SweepDisplay(sweep, console) as display:
        display.show(result)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trials have ended" in written
    # The last line is erased, and the cursor shown again.
    assert written.rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in written


def all_of(terminal: int) -> str:
    """What was written to the other end of a terminal, which is closed; it comes in pieces."""
    written = b""
    # The end of a terminal is an error.
    with suppress(OSError):
        while piece := os.read(terminal, 1 << 16):
            written += piece
    os.close(terminal)
    return written.decode()


def test_only_a_person_at_a_terminal_sees_it(
    running: tuple[Sweep, SweepResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, result = running
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with watched(sweep, LogFormat.JSON) as watch:
            assert watch is None
        with watched(sweep, LogFormat.TEXT) as watch:
            assert watch is not None
            watch(result)
    assert "trials have ended" in all_of(ours)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with watched(sweep, LogFormat.TEXT) as watch:
        assert watch is None
