"""A model function with stored values, called in one mode with rows of raw features."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from raydnn import errors
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.streams import make_reader
from raydnn.export.outputs import ExportOutput, checked_outputs
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature, VarLenFeature
from raydnn.inputs.batch import Batch
from raydnn.model.metrics import Metrics, NamedMetrics
from raydnn.train.checkpoint import VariableReader


class ServedModel:
    """A model to export, or one that was exported.

    Args:
        model_fn: the model function.
        params, config: passed to it.
        mode: a value of `ModeKeys`.
        features: name -> layout of what it reads, the label included.
        label: which of them is the label, or None.
        takes_tensor: whether the model function gets its one feature as such and not in a dict.
        reader: gives the values of the variables.

    Raises:
        ValueError: a feature that the model reads, or a variable that it has, is missing.
        InvalidArgumentError: a variable has another shape among the stored ones.
    """

    def __init__(
        self,
        model_fn: ModelFn,
        params: Mapping[str, Any],
        config: Any,
        mode: str,
        features: Mapping[str, FeatureSpec],
        label: str | None,
        takes_tensor: bool,
        reader: VariableReader,
    ) -> None:
        self._features = features
        self._label = label
        self._takes_tensor = takes_tensor
        self._batches = make_reader(model_fn, mode)
        lacking = [key for key in self._batches.preparer.feature_keys or () if key not in features]
        if lacking:
            raise ValueError(
                f"the input receiver lacks the features {', '.join(lacking)}, which the model reads; "
                "make_parse_example_spec(feature_columns) lists them all"
            )
        self._no_rows = self._without_rows(features)
        self._model = Model(model_fn, params, config, mode, seed=0)
        self._model.build(self._no_rows, values_are_drawn=False)
        try:
            self._model.restore(reader)
        except errors.NotFoundError as error:
            raise ValueError(f"{error}; the columns or layers have changed since") from error

    def variables(self) -> dict[str, NDArray[Any]]:
        """A copy of all variables and slots by name, as they are stored."""
        return {name: value.copy() for name, value in self._model.checkpoint_values().items()}

    def export_outputs(self, rows: pa.RecordBatch | None) -> dict[str, ExportOutput]:
        """The outputs of each signature of a model that predicts.

        Args:
            rows: raw features; None is no rows.
        """
        spec = self._run(rows)
        return checked_outputs(spec.export_outputs, spec.predictions)

    def supervised_outputs(self, rows: pa.RecordBatch | None) -> dict[str, Any]:
        """Loss, predictions and, in EVAL, the metrics over these rows, under TensorFlow's names."""
        spec = self._run(rows)
        outputs: dict[str, Any] = {"loss": spec.loss}
        if isinstance(spec.predictions, Mapping):
            outputs |= {f"predictions/{key}": value for key, value in spec.predictions.items()}
        elif spec.predictions is not None:
            outputs["predictions"] = spec.predictions
        for name, value in _metrics(spec).items():
            # There is no state between calls: the value is that of these rows, and so is what an update gives.
            outputs |= {f"metrics/{name}/value": value, f"metrics/{name}/update_op": value}
        return outputs

    def _run(self, rows: pa.RecordBatch | None) -> EstimatorSpec:
        return self._model.run(self._no_rows if rows is None else self._batch(rows))

    def _batch(self, rows: pa.RecordBatch) -> Batch:
        if self._batches.preparer.feature_keys is None:
            # Columns look after themselves; a model function of the user's own gets what was declared.
            laid_out = {name: _laid_out(name, rows.column(name), layout) for name, layout in self._features.items()}
            rows = pa.RecordBatch.from_pydict(laid_out)
        labels = None
        if self._label is not None:
            labels = rows.column(self._label)
            rows = rows.drop_columns([self._label])
        return self._tensor(self._batches.batch(self._batches.preparer.prepare(rows, labels), rows.num_rows))

    def _without_rows(self, features: Mapping[str, FeatureSpec]) -> Batch:
        rows = self._batches.preparer.empty()
        if rows is not None:
            return self._batches.batch(rows, 0)
        columns = {name: pa.array([], _arrow_type(layout)) for name, layout in features.items()}
        return self._batch(pa.RecordBatch.from_pydict(columns))

    def _tensor(self, batch: Batch) -> Batch:
        if not self._takes_tensor:
            return batch
        (only,) = batch.features.values()
        return replace(batch, features=only)


def _metrics(spec: EstimatorSpec) -> dict[str, Any]:
    if spec.mode != ModeKeys.EVAL or spec.eval_metric_ops is None:
        return {}
    ops = spec.eval_metric_ops
    return dict((ops if isinstance(ops, Metrics) else NamedMetrics(ops)).result())


def _laid_out(name: str, values: pa.Array, layout: FeatureSpec) -> pa.Array:
    """A feature of a request in its declared type and shape.

    Raises:
        ValueError: it does not fit.
    """
    wanted = _arrow_type(layout)
    if isinstance(layout, FixedLenFeature) and layout.shape == (1,) and not pa.types.is_nested(values.type):
        values = pa.FixedSizeListArray.from_arrays(values, 1)
    if isinstance(layout, VarLenFeature) and not pa.types.is_nested(values.type):
        # One value in each row needs no list, and a cross hashes the two kinds in another order.
        wanted = wanted.value_type
    try:
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise ValueError(f"feature '{name}' should be {wanted}; got {values.type}: {error}") from error


def _arrow_type(layout: FeatureSpec) -> pa.DataType:
    kind = pa.string() if layout.dtype == "string" else pa.type_for_alias(layout.dtype)
    if isinstance(layout, VarLenFeature):
        return pa.list_(kind)
    for size in reversed(layout.shape):
        kind = pa.list_(kind, size)
    return kind
