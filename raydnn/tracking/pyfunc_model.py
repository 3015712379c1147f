"""The Python code that MLflow stores beside an export and runs to serve it.

MLflow copies this file into the model and executes it there, so it stands alone and imports raydnn only by
its public names.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class ExportedModel(PythonModel):
    """A raydnn export behind MLflow's table interface."""

    def load_context(self, context: Any) -> None:
        """Loads the export from the model's artifacts."""
        from raydnn import export

        self.model = export.load(context.artifacts["export"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predicts a table.

        Args:
            context: unused.
            model_input: one row per example; a cell is a number, a string, or a list for multivalent columns.
            params: unused.

        Returns:
            One row per example and one column per output; outputs of `[batch, k > 1]` are lists, text is str.
        """
        columns = {str(name): _to_column(model_input[name]) for name in model_input.columns}
        outputs = self.model.predict(columns)
        return pd.DataFrame({name: _to_cells(values) for name, values in outputs.items()})


def _to_column(series: pd.Series) -> np.ndarray[Any, Any] | list[list[Any]]:
    """Plain cells as an array `[batch]` (strings: dtype object), a column of lists as a list of lists."""
    if len(series) and isinstance(series.iloc[0], list | tuple | np.ndarray):
        return [list(cell) for cell in series]
    if series.dtype.kind in "biuf":
        return np.asarray(series)
    return np.asarray(series, dtype=object)


def _to_cells(values: np.ndarray[Any, Any]) -> Iterable[Any]:
    """An output `[batch, ...]` as the cells of a column."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "OS":
        return array if array.ndim == 1 else array.tolist()
    return [_decode(cell) for cell in array.tolist()]


def _decode(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


set_model(ExportedModel())
