"""Loading an export and predicting with it."""

from collections.abc import Mapping
from os import PathLike, fsdecode
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from raydnn import storage
from raydnn.estimator.model import to_numpy
from raydnn.estimator.model_fn import DNNModelFn, ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.served_model import ServedModel
from raydnn.export.manifest import ExportManifest, with_files
from raydnn.export.reader import ExportReader
from raydnn.export.signatures import EVAL, TRAIN, Signature
from raydnn.inputs.arrays import features_to_arrow, table_to_batch
from raydnn.inputs.example import parse_examples


class ExportedModel:
    """A model loaded from an export; made by `load`.

    Attributes:
        path: of the export.
        manifest: all about the model but its weights.
    """

    def __init__(self, reader: ExportReader, model_fn: ModelFn, params: Mapping[str, Any]) -> None:
        self.path = reader.path
        self.manifest: ExportManifest = reader.manifest
        self._reader = reader
        self._model_fn = model_fn
        self._params = params
        self._served: dict[str, ServedModel] = {}
        # What cannot be served is to be found now and not at the first request.
        self._model(self.signatures[self.manifest.default_signature])

    @property
    def signatures(self) -> dict[str, Signature]:
        """Name -> signature."""
        return self.manifest.signatures

    def predict(
        self, inputs: Mapping[str, Any] | pa.Table | pa.RecordBatch, signature: str | None = None
    ) -> dict[str, NDArray[Any]]:
        """Predict for some rows.

        Args:
            inputs: raw features: a dict of arrays or lists of values, or an Arrow table; with a parsing receiver its
                one input of serialized tf.Examples.
            signature: which inputs and outputs to use; None is 'predict', or else 'serving_default'. 'train' and
                'eval', where they were exported, take the label too and give loss, predictions and metrics.

        Returns:
            Output name -> array [rows, ...]; class names are bytes.

        Raises:
            ValueError: an unknown signature, a missing input, or one of a wrong type or shape.
        """
        name = self.manifest.default_signature if signature is None else signature
        if name not in self.signatures:
            raise ValueError(f"there is no signature {name!r}; there are {', '.join(self.signatures)}")
        chosen = self.signatures[name]
        model = self._model(chosen)
        rows = _features(chosen, _as_batch(inputs))
        if chosen.kind in (TRAIN, EVAL):
            outputs = model.supervised_outputs(rows)
        else:
            outputs = model.export_outputs(rows)[chosen.output].values
        return {name: to_numpy(value) for name, value in outputs.items()}

    def _model(self, signature: Signature) -> ServedModel:
        if signature.mode not in self._served:
            self._served[signature.mode] = ServedModel(
                self._model_fn,
                self._params,
                RunConfig(),
                signature.mode,
                signature.layouts(),
                signature.label,
                signature.takes_tensor,
                self._reader,
            )
        return self._served[signature.mode]


def load(export_dir: str | bytes | PathLike[str], model_fn: ModelFn | None = None) -> ExportedModel:
    """Load an export.

    Args:
        export_dir: what `export_saved_model` returned, or its copy; local or any fsspec URL.
        model_fn: of an estimator that was made with a model function of the user's own: an export holds no code.

    Raises:
        NotFoundError: there is no export.
        DataLossError: a file is damaged.
        ValueError: the model function is missing, or its variables are not those of the export.
    """
    reader = ExportReader(fsdecode(export_dir))
    model = reader.manifest.model
    if "classifier" in model:
        located = with_files(model["classifier"], lambda path: storage.join(reader.path, path))
        return ExportedModel(reader, DNNModelFn.from_json(located), {})
    if model_fn is None:
        raise ValueError(
            f"{reader.path} was made with the model function {model['model_fn']}, and an export holds no code: "
            "give it, load(export_dir, model_fn=...)"
        )
    return ExportedModel(reader, model_fn, model["params"])


def _features(signature: Signature, rows: pa.RecordBatch) -> pa.RecordBatch:
    """The features that a request carries.

    Raises:
        ValueError: inputs are missing.
    """
    absent = [name for name in signature.inputs if name not in rows.schema.names]
    if absent:
        raise ValueError(f"the inputs lack {', '.join(absent)}; they are {', '.join(rows.schema.names)}")
    if None in signature.inputs.values():
        (serialized,) = signature.inputs
        return parse_examples(rows.column(serialized).cast(pa.binary()).to_pylist(), signature.layouts())
    names = [feature for feature in signature.inputs.values() if feature is not None]
    arrays = [rows.column(name) for name in signature.inputs]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _as_batch(inputs: Any) -> pa.RecordBatch:
    if isinstance(inputs, pa.RecordBatch):
        return inputs
    if isinstance(inputs, pa.Table):
        return table_to_batch(inputs)
    return features_to_arrow(inputs)
