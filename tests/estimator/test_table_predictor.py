"""Predictions as columns of a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from custom_models import normalized_model_fn
from fake_data import fake_classifier, fake_table

import raydnn
from raydnn.estimator.prediction import TablePredictor

TABLE = pa.table({"x": [1.0, 2.0, 3.0]})


def predictor(predictions: Any, predict_keys: Any = None, prefix: str = "") -> TablePredictor:
    """Of a model function that gives the same for whatever rows, none aside."""

    def model_fn(features: Any, mode: str) -> raydnn.EstimatorSpec:
        return raydnn.EstimatorSpec(mode, predictions=predictions)

    return TablePredictor(model_fn, {}, raydnn.RunConfig(), None, None, 1, predict_keys, prefix)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.float32([1, 2, 3]), pa.float32(), [1, 2, 3]),
        (np.int64([[1], [2], [3]]), pa.int64(), [1, 2, 3]),
        (np.array([[b"a"], [b"b"], [b"c"]]), pa.string(), ["a", "b", "c"]),
        (np.array([[b"a", b"b"]] * 3, object), pa.list_(pa.string(), 2), [["a", "b"]] * 3),
        (np.array([True, False, True]), pa.bool_(), [True, False, True]),
        (np.zeros((3, 1, 2), np.float32), pa.list_(pa.list_(pa.float32(), 2), 1), [[[0, 0]]] * 3),
    ],
)
def test_values_become_columns_of_their_shape(values: Any, kind: pa.DataType, expected: list[Any]) -> None:
    found = predictor({"y": values})(TABLE)
    assert found.column_names == ["x", "y"]
    assert found.schema.field("y").type == kind
    assert found.column("y").to_pylist() == expected


def test_the_types_of_no_rows_are_those_of_some(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path)
    model = TablePredictor(estimator._model_fn, {}, estimator.config, None, None, 1, None, "")
    assert model(fake_table(0)).schema == model(fake_table(5)).schema


def test_a_column_of_the_name_of_a_prediction_is_refused_and_a_prefix_is_the_way_out() -> None:
    both = {"x": np.zeros(3), "y": np.zeros(3)}
    with pytest.raises(ValueError, match="with the names of predictions: x; choose other names with prefix="):
        predictor(both)(TABLE)
    assert predictor(both, prefix="p_")(TABLE).column_names == ["x", "p_x", "p_y"]
    assert predictor(both, ["y"])(TABLE).column_names == ["x", "y"]


@pytest.mark.parametrize(
    ("predictions", "predict_keys", "message"),
    [
        (np.zeros(3), None, "predictions must be a dict to become columns"),
        ({"y": np.zeros(3)}, ["z"], "no prediction has a key in"),
        ({"y": np.zeros(2)}, None, "prediction 'y' has 2 rows, the features have 3"),
        ({"y": np.zeros(())}, None, "prediction 'y' is a single value"),
    ],
)
def test_what_cannot_be_columns_is_refused(predictions: Any, predict_keys: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictor(predictions, predict_keys)(TABLE)


def test_a_model_function_whose_predictions_are_no_dict_is_refused() -> None:
    model = TablePredictor(normalized_model_fn, {}, raydnn.RunConfig(), None, None, 1, None, "")
    with pytest.raises(ValueError, match="predictions must be a dict"):
        model(fake_table(5))


def test_tables_are_predicted_one_by_one_in_this_process(tmp_path: Path) -> None:
    classifier = fake_classifier(tmp_path)
    table = fake_table(50)
    found = classifier.predict_tables((table.slice(start, 20) for start in (0, 20, 40)), ["logits"], prefix="my_")
    sizes = []
    expected = iter(classifier.predict(lambda: raydnn.inputs.from_arrow(table), ["logits"]))
    for part in found:
        sizes.append(part.num_rows)
        assert part.column_names == [*table.column_names, "my_logits"]
        for value in part["my_logits"].to_pylist():
            np.testing.assert_allclose(value, next(expected)["logits"][0], rtol=1e-6)
    assert sizes == [20, 20, 10]
