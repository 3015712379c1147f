"""Signatures: MLflow lets ordinary tables through and stops wrong ones."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import validate_schema

from raydnn.tracking.mlflow_signature import make_signature


def _column(name: str, dtype: str, shape: list[int] | None = None, ragged: bool = False) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": shape or [], "ragged": ragged}


SIGNATURE = make_signature(
    {
        "inputs": [
            _column("age", "float32"),
            _column("hours", "float32", [1]),
            _column("user", "int64"),
            _column("city", "string"),
            _column("pixels", "float32", [2]),
            _column("tags", "string", ragged=True),
            _column("clicks", "int64", ragged=True),
            _column("board", "float32", [2, 2]),
        ],
        "outputs": [
            _column("logits", "float32", [1]),
            _column("probabilities", "float32", [2]),
            _column("class_ids", "int64", [1]),
            _column("classes", "string", [1]),
        ],
    }
)


def _table() -> dict[str, list[Any]]:
    return {
        "age": [31.5, 40.0],
        "hours": [38.0, 40.0],
        "user": [7, 8],
        "city": ["Zürich", ""],
        "pixels": [[0.1, 0.2], [0.3, 0.4]],
        "tags": [["a", "b"], []],
        "clicks": [[1], [2, 3]],
        "board": [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]],
    }


def test_ordinary_pandas_table_passes() -> None:
    validate_schema(pd.DataFrame(_table()), SIGNATURE.inputs)


def test_narrower_numbers_and_arrays_pass() -> None:
    table = pd.DataFrame(_table()).astype({"age": np.float32, "user": np.int32})
    table["pixels"] = list(np.array([[0.1, 0.2], [0.3, 0.4]], np.float32))
    validate_schema(table, SIGNATURE.inputs)


@pytest.mark.parametrize("name", list(_table()))
def test_every_input_is_required(name: str) -> None:
    with pytest.raises(MlflowException, match=name):
        validate_schema(pd.DataFrame(_table()).drop(columns=name), SIGNATURE.inputs)


@pytest.mark.parametrize(
    ("name", "values"),
    [("age", ["old", "young"]), ("user", [1.5, 2.5]), ("city", [1, 2]), ("pixels", [0.1, 0.2])],
)
def test_columns_of_another_kind_are_stopped(name: str, values: list[Any]) -> None:
    with pytest.raises(MlflowException):
        validate_schema(pd.DataFrame(_table() | {name: values}), SIGNATURE.inputs)


def test_outputs_are_described_with_their_own_types() -> None:
    expected = {
        "logits": "float",
        "probabilities": "Array(float)",
        "class_ids": "long",
        "classes": "string",
    }
    assert expected == {column.name: repr(column.type) for column in SIGNATURE.outputs.inputs}


def test_unknown_dtype_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'x'.*complex64"):
        make_signature({"inputs": [_column("x", "complex64")], "outputs": []})
