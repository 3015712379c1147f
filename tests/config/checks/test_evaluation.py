"""Rows to evaluate on that are unlike those of training."""

from checked_runs import profile_of, run_of, told

from raydnn.config.checks.evaluation import shifted_means, unseen_words


def test_words_that_training_never_sees_are_told() -> None:
    run = run_of({"x": {"hash": 10}, "z": {"hash": 10}})
    train = profile_of(run, x=["a", "b"] * 50, z=["a", "b"] * 50)
    evaluation = profile_of(run, x=["a"] * 80 + ["c"] * 20, z=["a"] * 98 + ["c"] * 2)
    found = told(unseen_words, run, train, evaluation)
    assert [(level, key) for level, key, _ in found] == [("warning", "features.x"), ("info", "features.z")]
    assert "20 % of the values of data.eval (50 % of the words) never occur in data.train" in found[0][2]
    assert told(unseen_words, run, train, train) == []


def test_means_that_are_apart_are_told_in_deviations() -> None:
    run = run_of({"x": "numeric", "z": {"buckets": [1]}})
    train = profile_of(run, x=[-1.0, 1.0], z=[-1.0, 1.0])
    evaluation = profile_of(run, x=[1.0, 3.0], z=[-0.8, 1.2])
    ((level, key, text),) = told(shifted_means, run, train, evaluation)
    assert (level, key) == ("warning", "features.x")
    assert "has mean 2 in data.eval and 0 in data.train, 2.0 standard deviations apart" in text
