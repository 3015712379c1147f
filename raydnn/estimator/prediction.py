"""Predicting: the rows of an input in this process, and tables of rows wherever they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from raydnn.estimator.inference import restored_model, until_stop
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader
from raydnn.estimator.warm_start import WarmStartSettings
from raydnn.inputs.arrays import array_to_arrow, table_to_batch
from raydnn.inputs.batch import Batch
from raydnn.inputs.stream import InputStream, Reader
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.hooks.session_run_hook import SessionRunHook
from raydnn.train.loop import LoopSession, finish, normal_end, start


def predict(
    model: Model, stream: InputStream, predict_keys: Any, yield_single_examples: bool, hooks: Sequence[SessionRunHook]
) -> Iterator[Any]:
    """The predictions of a model over its input.

    Args:
        model: in PREDICT mode.
        stream: its input; closed at the end.
        predict_keys: which keys to keep; None or empty keeps all.
        yield_single_examples: one item per row, else one per batch.
        hooks: called around each batch, before those of the model function.

    Raises:
        ValueError: no key remains, keys are given but predictions are no dict, or their rows differ in number.
    """
    predicted: list[Any] = []

    def step(batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        predicted.append(model.predict(batch, feeds))
        return model.fetch(fetches, predicted[-1])

    all_hooks = [*hooks, *model.prediction_hooks]
    session = LoopSession(model, step)
    try:
        with normal_end():
            start(session, all_hooks)
            for batch in until_stop(stream.batches, session):
                session.run_step(batch, all_hooks)
                yield from _items(select_keys(predicted.pop(), predict_keys), yield_single_examples)
    finally:
        stream.close()
    finish(session, all_hooks)


def _items(predictions: Any, yield_single_examples: bool) -> Iterator[Any]:
    """What one batch of predictions yields."""
    if not yield_single_examples:
        yield predictions
    elif isinstance(predictions, dict):
        for row in range(_num_rows(predictions)):
            yield {key: value[row] for key, value in predictions.items()}
    else:
        yield from predictions


def select_keys(predictions: Any, predict_keys: Any) -> Any:
    """The predictions whose key is in `predict_keys`."""
    if not predict_keys:
        return predictions
    if not isinstance(predictions, dict):
        raise ValueError("predict_keys are given, but predictions are not a dict")
    kept = {key: value for key, value in predictions.items() if key in predict_keys}
    if not kept:
        raise ValueError(f"no prediction has a key in {predict_keys!r}; there are {', '.join(predictions)}")
    return kept


def _num_rows(predictions: Mapping[str, Any]) -> int:
    """The size of the first axis, which all must have."""
    rows = {key: len(value) for key, value in predictions.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"predictions have different numbers of rows: {rows}")
    return next(iter(rows.values()), 0)


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
