"""What is said of trials."""

from raydnn.tune import SweepResult, TrialResult
from raydnn.tune.text import end_told, metric_told, status_told, told


def trial(number: int, auc: float, status: str = "done", **told: str) -> TrialResult:
    return TrialResult(number, {}, "", status, [{"auc": auc, "global_step": 1000}], **told)  # type: ignore[arg-type]


def test_a_configuration_is_told_in_one_line() -> None:
    configuration = {"a": {"name": "Adam", "rate": 0.0123456}, "b": [1, 2], "c": True, "d": None}
    assert told(configuration) == "a={name: Adam, rate: 0.01235}, b=[1, 2], c=true, d=null"
    assert (metric_told(None), metric_told(0.12345678)) == ("-", "0.123457")


def test_the_end_of_a_trial_says_why_and_which_one_is_the_best() -> None:
    best, other = trial(1, 0.7), trial(2, 0.6, "stopped", reason="asha at step 1,000")
    failed = TrialResult(3, {}, "", "failed", error="ValueError: no")
    result = SweepResult([best, other, failed], (("auc", "max"),), "")
    assert end_told(best, result) == "Trial 1 is done: auc 0.7 at step 1,000; the best so far"
    assert end_told(other, result) == (
        "Trial 2 was stopped by asha at step 1,000: auc 0.6; the best is trial 1: auc 0.7"
    )
    assert end_told(failed, result) == "Trial 3 has failed: ValueError: no; the best is trial 1: auc 0.7"
    assert [status_told(each) for each in result.trials] == [
        "done",
        "stopped: asha at step 1,000",
        "failed: ValueError: no",
    ]
