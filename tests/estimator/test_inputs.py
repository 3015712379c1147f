"""Input functions over arrays in memory."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import raydnn
from raydnn.estimator.inputs import numpy_input_fn, pandas_input_fn
from raydnn.feature_column import numeric_column

X = {"x": np.arange(5, dtype=np.float32)}
Y = np.array([0, 1, 0, 1, 0])


def rows_of(batches: Any) -> list[list[float]]:
    return [features["x"].tolist() for features, _ in batches]


def test_rows_run_on_from_one_epoch_into_the_next():
    input_fn = numpy_input_fn(X, Y, batch_size=2, num_epochs=2, shuffle=False)
    assert rows_of(input_fn()) == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    labels = [label.tolist() for _, label in input_fn()]
    assert labels == [[0, 1], [0, 1], [0, 0], [1, 0], [1, 0]]


def test_only_the_very_last_batch_is_smaller():
    assert [len(rows) for rows in rows_of(numpy_input_fn(X, Y, batch_size=3, shuffle=False)())] == [3, 2]


def test_without_end_every_batch_is_full():
    batches = islice(numpy_input_fn(X, Y, batch_size=4, num_epochs=None, shuffle=False)(), 10)
    assert {len(rows) for rows in rows_of(batches)} == {4}


def test_shuffling_keeps_every_row_and_gives_all_workers_the_same_batches():
    input_fn = numpy_input_fn(X, Y, batch_size=2, num_epochs=3, shuffle=True)
    first, second = rows_of(input_fn()), rows_of(input_fn())
    assert first == second
    assert sorted(row for rows in first for row in rows) == sorted(list(range(5)) * 3)


def test_features_alone_and_one_array_and_dicts_of_labels_are_given_as_they_came():
    assert next(numpy_input_fn(X, shuffle=False)())["x"].tolist() == [0, 1, 2, 3, 4]
    assert next(numpy_input_fn(X["x"], shuffle=False)()).tolist() == [0, 1, 2, 3, 4]
    _, labels = next(numpy_input_fn(X, {"y": Y}, shuffle=False)())
    assert labels["y"].tolist() == Y.tolist()


@pytest.mark.parametrize(
    ("x", "y", "error", "word"),
    [
        ({}, None, ValueError, "empty"),
        (np.empty(0), None, ValueError, "empty"),
        ([1, 2], None, TypeError, "dict of arrays"),
        (X, np.zeros(3), ValueError, "different lengths"),
        (X, {"x": Y}, ValueError, "share the keys x"),
    ],
)
def test_bad_arrays_are_refused_when_the_function_runs(x: Any, y: Any, error: type[Exception], word: str):
    input_fn = numpy_input_fn(x, y, shuffle=False)
    with pytest.raises(error, match=word):
        next(input_fn())


@pytest.mark.parametrize("shuffle", [None, 1, "yes"])
def test_shuffle_must_be_said(shuffle: Any):
    for make in (numpy_input_fn, pandas_input_fn):
        with pytest.raises(ValueError, match="shuffle must be True or False"):
            make(pd.DataFrame(X), shuffle=shuffle)


def test_a_frame_gives_its_columns_but_not_its_index():
    frame, target = pd.DataFrame(X, index=range(10, 15)), pd.Series(Y, index=range(10, 15))
    features, labels = next(pandas_input_fn(frame, target, batch_size=2, shuffle=False)())
    assert list(features) == ["x"]
    assert labels.tolist() == [0, 1]
    _, labels = next(pandas_input_fn(frame, target.to_frame("y"), shuffle=False)())
    assert labels["y"].tolist() == Y.tolist()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"target_column": 3}, TypeError),
        ({"target_column": "x"}, ValueError),
        ({"y": pd.Series(Y, index=range(1, 6))}, ValueError),
    ],
)
def test_what_a_frame_is_refused_for(arguments: Any, error: type[Exception]):
    with pytest.raises(error):
        pandas_input_fn(pd.DataFrame(X), **{"y": pd.Series(Y), "shuffle": False, **arguments})


@pytest.mark.parametrize("kind", ["numpy", "pandas"])
def test_a_classifier_trains_evaluates_and_predicts_with_them(tmp_path: Path, kind: str):
    x, y = (X, Y) if kind == "numpy" else (pd.DataFrame(X), pd.Series(Y))
    make = numpy_input_fn if kind == "numpy" else pandas_input_fn
    estimator = raydnn.DNNClassifier([2], [numeric_column("x")], model_dir=tmp_path)
    estimator.train(make(x, y, batch_size=2, num_epochs=None, shuffle=True), steps=4)
    assert estimator.evaluate(make(x, y, shuffle=False))["global_step"] == 4
    assert len(list(estimator.predict(make(x, shuffle=False)))) == 5
