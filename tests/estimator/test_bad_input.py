"""Mistakes in data and folders: each error names the place and the way out."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_data import LABEL, fake_batches, fake_classifier, fake_features, fake_labels, fake_table

import raydnn
from raydnn import RunConfig, SparseTensor, errors
from raydnn.feature_column import numeric_column

NUM_ROWS = 4


def given(labels: Any = None, **changed: Any) -> Callable[[], Iterator[Any]]:
    """An input with some features changed, or left out where the change is None."""
    features = {name: value for name, value in {**fake_features(NUM_ROWS), **changed}.items() if value is not None}
    labels = fake_labels(NUM_ROWS) if labels is None else labels
    return lambda: iter([(features, labels)])


@pytest.mark.parametrize("action", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("input_fn", "error", "message"),
    [
        pytest.param(
            given(city=None),
            ValueError,
            r"Feature 'city' .* the input has age, size, tags.*change the key of the column",
            id="missing feature",
        ),
        pytest.param(
            given(age=np.array(["31"] * NUM_ROWS)),
            ValueError,
            r"'age' is declared numeric but .* '31'; declare it categorical, or convert it",
            id="text for a number",
        ),
        pytest.param(given(city=np.arange(4.0)), ValueError, r"'city'.*", id="number for text"),
        pytest.param(
            given(size=np.zeros((NUM_ROWS, 3), np.float32)),
            ValueError,
            r"'size' is declared with shape \(2,\) .* row 0 .* has 3; declare shape=\(3,\)",
            id="wrong shape",
        ),
        pytest.param(
            given(size=[[1.0, 2.0], [3.0], [4.0, 5.0], []]),
            ValueError,
            r"'size' is declared with shape \(2,\) .* row 1 .* has 1",
            id="ragged numbers",
        ),
        pytest.param(
            given(age=SparseTensor([[0, 0]], np.array([1.0]), (NUM_ROWS, 1))),
            ValueError,
            r"'age' is numeric and cannot read a SparseTensor; give a dense array",
            id="sparse numbers",
        ),
        pytest.param(
            given(size=pa.array([[1.0, None]] * NUM_ROWS, pa.list_(pa.float32(), 2))),
            ValueError,
            r"'size' has 4 missing values, the first in row 0; fill them .* default_value",
            id="missing numbers",
        ),
        pytest.param(
            given(age=np.zeros(3)), ValueError, r"different numbers of rows: \{'age': 3, 'city': 4", id="wrong length"
        ),
        pytest.param(given(age=5.0), ValueError, r"feature 'age' is a single value.*each row", id="single value"),
        pytest.param(
            given(labels=np.array([0, 1, 0])),
            errors.InvalidArgumentError,
            "labels have 3 rows, features have 4",
            id="wrong number of labels",
        ),
        pytest.param(
            given(labels=np.array([0, 1, 2, 0])),
            errors.InvalidArgumentError,
            r"label 2 in row 2 is out of range.* <= n_classes - 1 = 1; mend .* or set n_classes",
            id="label too large",
        ),
        pytest.param(
            given(labels=np.array([0, -1, 0, 0])),
            errors.InvalidArgumentError,
            r"label -1 in row 1 is out of range: labels must be >= 0",
            id="negative label",
        ),
        pytest.param(
            given(labels=np.array([0, np.nan, 0, 1])),
            errors.InvalidArgumentError,
            "label nan in row 1 is out of range",
            id="nan label",
        ),
        pytest.param(
            given(labels=[0, None, 1, None]),
            errors.InvalidArgumentError,
            "label is missing in 2 of 4 rows, the first in row 1; drop such rows",
            id="missing labels",
        ),
        pytest.param(
            given(labels=np.array(["yes"] * NUM_ROWS)),
            errors.UnimplementedError,
            "labels are strings, for example 'yes'; give .* label_vocabulary",
            id="text labels",
        ),
        pytest.param(
            given(labels=np.zeros((NUM_ROWS, 2))), ValueError, "the last dimension is 2", id="labels of wrong shape"
        ),
        pytest.param(
            given(labels=SparseTensor([[0, 0]], [1], (NUM_ROWS, 1))),
            ValueError,
            "labels must be dense",
            id="sparse labels",
        ),
        pytest.param(
            lambda: iter([fake_features(NUM_ROWS)]),
            ValueError,
            r"labels are missing.* returns \(features, labels\).*label=",
            id="no labels",
        ),
        pytest.param(
            lambda: iter([(np.zeros(3), fake_labels(3))]), ValueError, r"\{'x': array\}", id="features no dict"
        ),
        pytest.param(lambda: None, ValueError, "input_fn should return", id="nothing returned"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, action: str, input_fn: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(fake_classifier(tmp_path), action)(input_fn)


def test_a_label_outside_the_vocabulary_is_named_with_its_row(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, label_vocabulary=["no", "yes"])
    message = r"label 'maybe' in row 2 is not in label_vocabulary \['no', 'yes'\]; add it there, or drop such rows"
    with pytest.raises(errors.InvalidArgumentError, match=message):
        estimator.train(given(labels=["no", "yes", "maybe", "no"]))


@pytest.mark.parametrize(
    ("n_classes", "vocabulary", "labels", "error"),
    [
        (2, ["no", "yes"], np.array([0, 1, 0, 1]), TypeError),
        (3, ["a", "b", "c"], np.array([0, 1, 0, 1]), ValueError),
        (3, None, np.array([0.0, 1.0, 0.0, 1.0]), ValueError),
        (3, None, np.array([True, False, True, True]), ValueError),
        (3, ["a", "b", "c", "d"], ["d", "a", "a", "a"], errors.InvalidArgumentError),
    ],
)
def test_labels_of_a_wrong_type_are_refused(
    tmp_path: Path, n_classes: int, vocabulary: list[str] | None, labels: Any, error: type[Exception]
) -> None:
    estimator = fake_classifier(tmp_path, n_classes=n_classes, label_vocabulary=vocabulary)
    with pytest.raises(error, match="label"):
        estimator.train(given(labels=labels))


@pytest.mark.parametrize("action", ["train", "evaluate"])
def test_a_missing_weight_is_named(tmp_path: Path, action: str) -> None:
    with pytest.raises(ValueError, match="'weight' is not in features dictionary"):
        getattr(fake_classifier(tmp_path, weight_column="weight"), action)(given())


def test_a_data_set_without_rows_is_refused_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    empty = fake_table(4).slice(0, 0)
    estimator = fake_classifier(tmp_path)
    with pytest.raises(ValueError, match="the data set of the input_fn has no rows: check its files and filters"):
        estimator.train(lambda: raydnn.inputs.from_arrow(empty, label=LABEL))
    assert estimator.latest_checkpoint() is None


def test_an_empty_data_set_evaluates_to_zeros(tmp_path: Path) -> None:
    empty = fake_table(4).slice(0, 0)
    metrics = fake_classifier(tmp_path).evaluate(lambda: raydnn.inputs.from_arrow(empty, label=LABEL))
    assert {name for name, value in metrics.items() if value} == {"accuracy_baseline"}
    assert metrics["accuracy_baseline"] == 1


def test_an_empty_iterator_warns_and_leaves_a_checkpoint_at_step_0(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        estimator = fake_classifier(tmp_path).train(lambda: iter([]))
    assert "without a single step: the input gave no batch" in caplog.text
    assert estimator.latest_checkpoint() == f"{tmp_path}/model.ckpt-0"


def test_a_nan_feature_gives_a_nan_loss_error(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, RunConfig(save_summary_steps=0))
    message = "loss is NaN at step 2: look for NaN in the numeric features"
    features, labels = fake_batches(1)[0]
    bad = {**features, "size": np.full_like(features["size"], np.nan)}
    with pytest.raises(errors.NanLossDuringTrainingError, match=message):
        estimator.train(lambda: iter([(features, labels), (bad, labels)]))
    assert estimator.latest_checkpoint() == f"{tmp_path}/model.ckpt-0"


def test_a_nan_activation_is_found_by_its_summary(tmp_path: Path) -> None:
    features, labels = fake_batches(1)[0]
    bad = {**features, "size": np.full_like(features["size"], np.nan)}
    with pytest.raises(errors.InvalidArgumentError, match="summary 'dnn/dnn/hiddenlayer_0/activation' at step 1"):
        fake_classifier(tmp_path, RunConfig(save_summary_steps=1)).train(lambda: iter([(bad, labels)]))


def test_a_model_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    estimator = fake_classifier(tmp_path / "file" / "model")
    with pytest.raises(OSError, match="model_dir cannot be written .*; choose another folder") as caught:
        estimator.train(given())
    assert caught.value.filename == f"{tmp_path}/file/model"


@pytest.mark.parametrize("action", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("file", ["variables.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_named_by_every_action(tmp_path: Path, action: str, file: str) -> None:
    estimator = fake_classifier(tmp_path).train(given())
    path = tmp_path / "model.ckpt-1" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if file.startswith("variables") else 0] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(errors.DataLossError, match=rf"{path} is damaged"):
        list(estimator.predict(given())) if action == "predict" else getattr(estimator, action)(given())


@pytest.mark.parametrize("action", ["train", "evaluate", "predict"])
def test_what_a_generator_raises_arrives_unchanged(tmp_path: Path, action: str) -> None:
    error = RuntimeError("the data base is away")

    def failing() -> Iterator[Any]:
        yield from fake_batches(2)
        raise error

    estimator = fake_classifier(tmp_path)
    with pytest.raises(RuntimeError) as caught:
        list(estimator.predict(failing)) if action == "predict" else getattr(estimator, action)(failing)
    assert caught.value is error


@pytest.mark.parametrize("end", [errors.OutOfRangeError("end"), None])
def test_the_end_of_a_generator_is_a_normal_end(tmp_path: Path, end: Exception | None) -> None:
    def ending() -> Iterator[Any]:
        yield from fake_batches(2)
        if end is not None:
            raise end

    estimator = fake_classifier(tmp_path).train(ending)
    assert estimator.latest_checkpoint() == f"{tmp_path}/model.ckpt-2"
    assert estimator.evaluate(ending) == estimator.evaluate(lambda: iter(fake_batches(2)))


def test_one_batch_returned_as_a_tuple_is_trained_on_for_as_many_steps_as_asked(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path).train(lambda: fake_batches(1)[0], steps=7)
    assert estimator.get_variable_value("global_step") == 7
    twice = estimator.evaluate(lambda: fake_batches(1)[0], steps=2)
    assert twice == pytest.approx(estimator.evaluate(lambda: iter(fake_batches(1))), rel=1e-5)


def test_a_column_that_some_files_lack_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0], "y": [0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"y": [0]}), tmp_path / "b.parquet")
    estimator = fake_classifier(tmp_path / "model", feature_columns=[numeric_column("x")])
    with pytest.raises(ValueError, match="'x' is not in features dictionary"):
        estimator.train(lambda: raydnn.inputs.from_parquet(str(tmp_path), label="y"))
