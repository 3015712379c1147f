"""Loading an export and predicting with it."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from raydnn import errors, storage
from raydnn.export.manifest import MANIFEST_FILE, WEIGHTS_FILE, ExportManifest
from raydnn.export.signatures import Signature
from raydnn.inputs.arrays import features_to_arrow, table_to_batch
from raydnn.model.batch import EncodedBatch
from raydnn.model.variable import assign
from raydnn.train.checkpoint.writer import sha256


class ExportedModel:
    """A model loaded from an export; made by `load`.

    Attributes:
        path: of the export.
        manifest: all about the model but its weights.
    """

    def __init__(self, path: str, manifest: ExportManifest, weights: Mapping[str, NDArray[Any]]) -> None:
        self.path = path
        self.manifest = manifest
        self._encoder, self._network, self._head = manifest.build(path)
        self._network.eval()
        with torch.no_grad():
            for variable in self._network.variables():
                assign(variable.tensor, weights[variable.name], variable.name, path)

    @property
    def signatures(self) -> dict[str, Signature]:
        """Name -> signature."""
        return self.manifest.signatures

    def predict(
        self, inputs: Mapping[str, Any] | pa.Table | pa.RecordBatch, signature: str = "predict"
    ) -> dict[str, NDArray[Any]]:
        """Predict for some rows.

        Args:
            inputs: raw features: a dict of arrays or lists of values, or an Arrow table.
            signature: which inputs and outputs to use.

        Returns:
            Output name -> array [rows, ...]; class names are bytes.

        Raises:
            ValueError: an unknown signature, a missing input, or one of a wrong type or shape.
        """
        if signature not in self.signatures:
            raise ValueError(f"there is no signature {signature!r}; there are {', '.join(self.signatures)}")
        chosen = self.signatures[signature]
        rows = _as_batch(inputs)
        absent = [name for name in chosen.inputs if name not in rows.schema.names]
        if absent:
            raise ValueError(f"the inputs lack {', '.join(absent)}; they are {', '.join(rows.schema.names)}")
        features = pa.RecordBatch.from_arrays(
            [rows.column(name) for name in chosen.inputs], names=list(chosen.inputs.values())
        )
        with torch.inference_mode():
            logits = self._network(EncodedBatch.from_arrow(self._encoder.encode(features)))
            predictions = self._head.predictions(logits)
        return {name: np.asarray(predictions[key]) for name, key in chosen.outputs.items()}

    def signature_json(self) -> dict[str, Any]:
        """Inputs and outputs of the signature 'predict' as plain values: name, dtype, shape of one row, ragged."""
        outputs = self._head.predictions(torch.zeros(1, self._head.logits_dimension))
        described = []
        for name, value in outputs.items():
            array = np.asarray(value)
            dtype = "string" if array.dtype == object else str(array.dtype)
            described.append({"name": name, "dtype": dtype, "shape": list(array.shape[1:]), "ragged": False})
        return {"inputs": self.manifest.inputs, "outputs": described}


class ExportReader:
    """The variables of an export, as of a checkpoint; see `raydnn.train.checkpoint.VariableReader`.

    Args:
        path: of the export.

    Raises:
        NotFoundError: there is no export.
        DataLossError: a file is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.manifest, self._weights = _read(path)

    @property
    def global_step(self) -> int:
        return self.manifest.global_step

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(value.shape) for name, value in self._weights.items()}

    def get_variable_to_dtype_map(self) -> dict[str, str]:
        return {name: str(value.dtype) for name, value in self._weights.items()}

    def has_tensor(self, name: str) -> bool:
        return name in self._weights

    def get_tensor(self, name: str) -> NDArray[Any]:
        if name not in self._weights:
            raise errors.NotFoundError(
                f"there is no variable '{name}' in {self.path}; it has {', '.join(self._weights)}"
            )
        return self._weights[name]

    def get_tensors(self, names: list[str]) -> dict[str, NDArray[Any]]:
        return {name: self.get_tensor(name) for name in names}


def is_export(path: str) -> bool:
    """Whether a folder is an export."""
    return storage.exists(storage.join(path, MANIFEST_FILE))


def load(export_dir: str | bytes | PathLike[str]) -> ExportedModel:
    """Load an export.

    Args:
        export_dir: what `export_saved_model` returned, or its copy; local or any fsspec URL.

    Raises:
        NotFoundError: there is no export.
        DataLossError: a file is damaged.
    """
    path = export_dir.decode() if isinstance(export_dir, bytes) else fspath(export_dir)
    return ExportedModel(path, *_read(path))


def _read(path: str) -> tuple[ExportManifest, dict[str, NDArray[Any]]]:
    """The manifest and the weights of an export, every file checked."""
    url = storage.join(path, MANIFEST_FILE)
    if not is_export(path):
        raise errors.NotFoundError(f"{path} is not an export: it has no {MANIFEST_FILE}")
    manifest = ExportManifest.from_json(storage.read_bytes(url), url)
    weights: dict[str, NDArray[Any]] = {}
    for name, digest in manifest.files.items():
        file = storage.join(path, name)
        if not storage.exists(file):
            raise errors.DataLossError(f"{file} is missing; the export is incomplete")
        with storage.local_copy(file) as local:
            if sha256(local) != digest:
                raise errors.DataLossError(f"{file} is damaged: its bytes do not match {MANIFEST_FILE}")
            if name == WEIGHTS_FILE:
                weights = load_file(local)
    return manifest, weights


def _as_batch(inputs: Any) -> pa.RecordBatch:
    if isinstance(inputs, pa.RecordBatch):
        return inputs
    if isinstance(inputs, pa.Table):
        return table_to_batch(inputs)
    return features_to_arrow(inputs)
