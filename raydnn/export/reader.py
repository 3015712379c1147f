"""Reading an export's manifest and variables, with every byte checked."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file

from raydnn import errors, storage
from raydnn.export.manifest import MANIFEST_FILE, WEIGHTS_FILE, ExportManifest
from raydnn.model.rows import Rows
from raydnn.train.checkpoint.writer import sha256


class ExportReader:
    """The variables of an export, as of a checkpoint; see `raydnn.train.checkpoint.VariableReader`.

    Args:
        path: of the export, local or any fsspec URL.

    Raises:
        NotFoundError: there is no export.
        DataLossError: a file is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.manifest = read_manifest(path)
        self._weights: dict[str, NDArray[Any]] = {}
        for name, digest in self.manifest.files.items():
            self._check_file(name, digest)

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

    def get_tensors(self, names: list[str], rows: Mapping[str, Rows] | None = None) -> dict[str, NDArray[Any]]:
        values = {name: self.get_tensor(name) for name in names}
        return values | {name: values[name][wanted.places] for name, wanted in (rows or {}).items()}

    def _check_file(self, name: str, digest: str) -> None:
        file = storage.join(self.path, name)
        if not storage.exists(file):
            raise errors.DataLossError(f"{file} is missing; the export is incomplete")
        with storage.local_copy(file) as local:
            if sha256(local) != digest:
                raise errors.DataLossError(f"{file} is damaged: its bytes do not match {MANIFEST_FILE}")
            if name == WEIGHTS_FILE:
                self._weights = load_file(local)


def read_manifest(path: str) -> ExportManifest:
    """The manifest of an export; its files are not looked at.

    Raises:
        NotFoundError: there is no export.
        DataLossError: the manifest is damaged.
    """
    url = storage.join(path, MANIFEST_FILE)
    if not is_export(path):
        raise errors.NotFoundError(f"{path} is not an export: it has no {MANIFEST_FILE}")
    return ExportManifest.from_json(storage.read_bytes(url), url)


def is_export(path: str) -> bool:
    """Whether a folder is an export."""
    return storage.exists(storage.join(path, MANIFEST_FILE))
