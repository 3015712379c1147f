"""Predicting tables of rows, wherever they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from raydnn.estimator.evaluation import restored_model, select_keys
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader
from raydnn.estimator.warm_start import WarmStartSettings
from raydnn.inputs.arrays import array_to_arrow, table_to_batch
from raydnn.inputs.batch import Batch
from raydnn.inputs.stream import Reader
from raydnn.train.checkpoint import CheckpointReader


@dataclass(eq=False)
class TablePredictor:
    """Adds the predictions of a model to tables of raw rows; can be sent to another process before its first call.

    Attributes:
        model_fn, params, config: what the model is made of.
        checkpoint: gives the values of its variables; None takes those of the warm start, or the initial ones.
        warm_start: of the estimator, or None.
        seed: of initial values.
        predict_keys: which predictions to add; None or empty adds all.
        prefix: what the names of the added columns begin with.
    """

    model_fn: ModelFn
    params: Mapping[str, Any]
    config: RunConfig
    checkpoint: CheckpointReader | None
    warm_start: WarmStartSettings | None
    seed: int
    predict_keys: Any
    prefix: str
    _model: Model | None = field(default=None, init=False)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows with the predictions as further columns.

        [rows] and [rows, 1] become plain columns, [rows, n, ...] fixed-size lists, bytes strings.

        Raises:
            ValueError: the rows do not fit the model or have a column of the name of a prediction, predictions are no
                dict of arrays with a value for each row, or none remains.
            NotFoundError: the checkpoint lacks a variable.
            InvalidArgumentError: a value that the model cannot take, or a variable of another shape in the checkpoint.
            DataLossError: a damaged checkpoint.
        """
        prepared = self._reader.preparer.prepare(table_to_batch(table), None)
        if self._model is None:
            # Not before: a model function of the user's own makes its variables from features, if only from none.
            self._model = self._make_model(self._reader.batch(prepared.slice(0, 0), 0))
        predictions = self._model.predict(self._reader.batch(prepared, table.num_rows))
        if not isinstance(predictions, dict):
            raise ValueError(
                "predictions must be a dict to become columns: return EstimatorSpec(mode, predictions={'name': ...})"
            )
        columns = {
            f"{self.prefix}{key}": _column(key, value, table.num_rows)
            for key, value in select_keys(predictions, self.predict_keys).items()
        }
        taken = [name for name in columns if name in table.column_names]
        if taken:
            raise ValueError(
                f"the rows already have columns with the names of predictions: {', '.join(taken)}; choose other names "
                "with prefix='predicted_', or leave them out of predict_keys"
            )
        for name, column in columns.items():
            table = table.append_column(name, column)
        return table

    @property
    def _device(self) -> str:
        return "cuda" if self.config.use_gpu else "cpu"

    @cached_property
    def _reader(self) -> Reader:
        return make_reader(self.model_fn, ModeKeys.PREDICT, device=self._device)

    def _make_model(self, empty: Batch) -> Model:
        return restored_model(
            Model(self.model_fn, self.params, self.config, ModeKeys.PREDICT, self.seed, device=self._device),
            empty,
            self.checkpoint,
            self.warm_start,
        )


def _column(key: str, value: Any, num_rows: int) -> pa.Array:
    """A prediction as an Arrow column.

    Raises:
        ValueError: it has another number of rows, or cannot be a column.
    """
    if value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    array = array_to_arrow(value, f"prediction '{key}'")
    if len(array) != num_rows:
        raise ValueError(f"prediction '{key}' has {len(array)} rows, the features have {num_rows}")
    return array.cast(_with_strings(array.type))


def _with_strings(kind: pa.DataType) -> pa.DataType:
    """A type with text in place of bytes, and of what bytes become where there are no rows."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_with_strings(kind.value_type), kind.list_size)
    return pa.string() if pa.types.is_binary(kind) or pa.types.is_null(kind) else kind
