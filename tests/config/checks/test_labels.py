"""Labels that are no classes, and classes that are hardly there."""

from typing import Any

import pyarrow as pa
import pytest
from checked_runs import profile_of, run_of, told

from raydnn.config.checks.labels import classes_are_there, labels_are_classes

NAMES = {"label_vocabulary": ["a", "b"]}


@pytest.mark.parametrize(
    ("model", "labels", "key", "text"),
    [
        ({}, [0, None], "data.label", "is missing in 1 of 2 rows"),
        ({}, [0, 2], "data.label", "goes up to 2, and n_classes 2 ends at 1; set model.n_classes"),
        ({}, [-1, 1], "data.label", "number the classes from 0"),
        ({}, [0.0, float("nan")], "data.label", "is NaN or infinite in 1 rows"),
        ({"n_classes": 3}, [0.0, 2.0], "data.label", "3 classes need whole numbers"),
        ({}, ["a", "b"], "data.label", "holds text (a, b); write model.label_vocabulary"),
        ({}, [[0], [1]], "data.label", "give one number or word a row"),
        (NAMES, ["a", "c"], "model.label_vocabulary", "lacks 'c', the labels of 1 rows"),
        (NAMES, [0, 1], "model.label_vocabulary", "is for labels of text"),
    ],
)
def test_a_label_that_is_no_class_is_an_error(model: Any, labels: Any, key: str, text: str) -> None:
    run = run_of(model=model)
    ((level, found_key, found),) = told(labels_are_classes, run, profile_of(run, y=pa.array(labels)))
    assert (level, found_key) == ("error", key)
    assert text in found


@pytest.mark.parametrize(
    ("model", "labels"),
    [({}, [0, 1]), ({}, [True, False]), ({}, [0.0, 0.3]), ({"n_classes": 3}, [0, 1, 2]), (NAMES, ["a", "b"])],
)
def test_labels_that_are_classes_are_nothing_to_tell(model: Any, labels: Any) -> None:
    run = run_of(model=model)
    for rule in (labels_are_classes, classes_are_there):
        assert told(rule, run, profile_of(run, y=labels)) == []


@pytest.mark.parametrize(
    ("model", "labels", "text"),
    [
        ({}, [1, 1], "is 1 in all rows; there is nothing to learn"),
        ({"n_classes": 4}, [0, 1, 1], "is never 2, 3; bring rows"),
        (NAMES | {"n_classes": 3, "label_vocabulary": ["a", "b", "c"]}, ["a", "b"], "is never c; bring rows"),
        ({}, [0] * 199 + [1], "is 1 in 0.5 % of the rows (1); accuracy says little"),
        ({}, [0.0] * 199 + [1.0], "is 1 in 0.5 % of the rows (1); accuracy says little"),
    ],
)
def test_classes_that_are_hardly_there_are_a_warning(model: Any, labels: Any, text: str) -> None:
    run = run_of(model=model)
    ((level, key, found),) = told(classes_are_there, run, profile_of(run, y=labels))
    assert (level, key) == ("warning", "data.label")
    assert text in found
