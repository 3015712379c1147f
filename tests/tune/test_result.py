"""How the trials of a sweep compare."""

import math

from raydnn.tune import SweepResult, TrialResult


def trial(number: int, auc: float, loss: float = 0.0, status: str = "done") -> TrialResult:
    report = {"auc": auc, "loss": loss, "global_step": 10, "rows": 100, "seconds": 1.0, "is_last": True}
    return TrialResult(number, {"a": number}, "", status, [report], is_default=number == 0)  # type: ignore[arg-type]


def test_the_best_comes_first_and_what_failed_or_is_no_number_is_left_out() -> None:
    trials = [trial(0, 0.5), trial(1, 0.7), trial(2, 0.9, status="failed"), trial(3, math.nan), trial(4, 0.6)]
    trials.append(TrialResult(5, {}, ""))
    result = SweepResult(trials, (("auc", "max"),), "")
    assert [each.number for each in result.ranked] == [1, 4, 0]
    assert result.best is trials[1]
    assert result.default is trials[0]
    assert [each.number for each in SweepResult(trials, (("auc", "min"),), "").ranked] == [0, 4, 1]
    assert SweepResult([], (("auc", "max"),), "").best is None


def test_the_front_of_two_metrics_is_what_nothing_beats_in_both() -> None:
    trials = [trial(0, 0.5, 0.1), trial(1, 0.7, 0.3), trial(2, 0.6, 0.4), trial(3, 0.4, 0.2)]
    result = SweepResult(trials, (("auc", "max"), ("loss", "min")), "")
    assert [each.number for each in result.front] == [1, 0]


def test_metrics_are_told_apart_from_what_else_is_reported() -> None:
    assert trial(1, 0.7).metrics == {"auc": 0.7, "loss": 0.0}
    assert trial(1, 0.7).global_step == 10
