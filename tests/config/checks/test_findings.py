"""All rules together."""

from checked_runs import profile_of, run_of

from raydnn.config.checks import findings
from raydnn.config.machine import memory_bytes


def test_errors_come_first_and_the_same_is_not_told_twice() -> None:
    run = run_of({"x": "numeric", "w": {"hash": 10}, "gone": "numeric"})
    train = profile_of(run, x=[1000.0, 2000.0], w=["a", "b"])
    evaluation = profile_of(run, x=[1000.0, None], w=["a", "b"])
    found = [(each.level, each.key) for each in findings(run, train, evaluation, memory_bytes())]
    assert found == [
        ("error", "features.gone"),
        ("error", "features.x"),
        ("warning", "features.x"),
        ("warning", "features.x"),
        ("info", "run"),
    ]


def test_what_is_wrong_with_the_rows_of_the_evaluation_alone_is_said_so() -> None:
    run = run_of()
    found = findings(run, profile_of(run, x=[0.0, 1.0]), profile_of(run, x=["a", "b"]), memory_bytes())
    (error,) = [each for each in found if each.level == "error"]
    assert error.text.startswith("in the rows of data.eval: the column 'x' holds string")
