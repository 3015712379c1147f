"""Reading checkpoints, with every byte checked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import gcd
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from raydnn import errors, storage
from raydnn.model.rows import Rows
from raydnn.model.variable import Variable
from raydnn.train.checkpoint.manifest import WAY_OUT, Manifest, Part, StoredVariable
from raydnn.train.checkpoint.state import MANIFEST_FILE, latest_checkpoint
from raydnn.train.checkpoint.tensor_bundle import TensorBundleReader, find_tensor_bundle
from raydnn.train.checkpoint.writer import sha256


class CheckpointReader:
    """The variables of one checkpoint.

    Args:
        path: of the checkpoint's folder, local or any fsspec URL.

    Raises:
        NotFoundError: there is no checkpoint.
        DataLossError: its manifest is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        manifest = storage.join(path, MANIFEST_FILE)
        if not storage.exists(manifest):
            raise errors.NotFoundError(f"{path} is not a checkpoint: it has no {MANIFEST_FILE}")
        self.manifest = Manifest.from_json(storage.read_bytes(manifest), manifest)
        self._checked: set[str] = set()

    @property
    def global_step(self) -> int:
        """The step at which it was taken."""
        return self.manifest.global_step

    def check(self) -> None:
        """Read all files that were not read yet and compare their bytes with their digests.

        Raises:
            DataLossError: one is damaged or missing.
        """
        for file in sorted(
            {*self.manifest.files, *(part.file for place in self.manifest.variables.values() for part in place.parts)}
        ):
            with self._whole_file(file):
                pass

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Name -> shape of every variable."""
        return {name: list(place.shape) for name, place in self.manifest.variables.items()}

    def get_variable_to_dtype_map(self) -> dict[str, str]:
        """Name -> dtype name of every variable."""
        return {name: place.dtype for name, place in self.manifest.variables.items()}

    def has_tensor(self, name: str) -> bool:
        """Whether there is a variable of this name."""
        return name in self.manifest.variables

    def get_tensor(self, name: str) -> NDArray[Any]:
        """The value of a variable, in TensorFlow's layout.

        Raises:
            NotFoundError: there is no such variable.
            DataLossError: the stored bytes are damaged.
        """
        return self.get_tensors([name])[name]

    def get_tensors(self, names: list[str], rows: Mapping[str, Rows] | None = None) -> dict[str, NDArray[Any]]:
        """The values of several variables; each file is opened once.

        Args:
            names: of the variables.
            rows: which rows are wanted, by name; where nothing is said, all.
        """
        wanted = rows or {}
        by_file: dict[str, list[tuple[str, Part]]] = {}
        for name in names:
            for part in self._parts(name, wanted.get(name)):
                by_file.setdefault(part.file, []).append((name, part))
        values: dict[str, NDArray[Any]] = {}
        for file, members in by_file.items():
            with self._whole_file(file) as local:
                try:
                    with safe_open(str(local), framework="numpy") as tensors:
                        for name, part in members:
                            self._take(values, name, part, wanted.get(name), np.asarray(tensors.get_tensor(name)))
                except SafetensorError as error:
                    raise errors.DataLossError(f"{self.path}/{file} is damaged: {error}{WAY_OUT}") from error
        return {name: values[name] for name in names}

    def _parts(self, name: str, wanted: Rows | None) -> list[Part]:
        """The parts of a variable that hold some of the wanted rows.

        Raises:
            DataLossError: the parts of the variable do not hold all its rows.
        """
        place = self._place(name)
        if not place.shape:
            return list(place.parts)
        total = place.shape[0]
        if sum(len(Rows(part.first, part.step, total)) for part in place.parts) != total:
            raise errors.DataLossError(f"{self.path} lacks rows of '{name}'{WAY_OUT}")
        if wanted is None:
            return list(place.parts)
        return [part for part in place.parts if not (part.first - wanted.first) % gcd(part.step, wanted.step)]

    def _take(
        self, values: dict[str, NDArray[Any]], name: str, part: Part, rows: Rows | None, stored: NDArray[Any]
    ) -> None:
        """Put the wanted rows of one part in their places."""
        shape = self._place(name).shape
        wanted = Rows(0, 1, shape[0]) if rows is None and shape else rows
        if wanted is None or (part.first, part.step) == (wanted.first, wanted.step):
            values[name] = stored
            return
        out = values.setdefault(name, np.empty((len(wanted), *shape[1:]), stored.dtype))
        if wanted.step == 1:
            out[part.first :: part.step] = stored
            return
        ids = np.arange(wanted.first, wanted.total, wanted.step)
        held = ids % part.step == part.first
        out[held] = stored[ids[held] // part.step]

    @contextmanager
    def _whole_file(self, file: str) -> Iterator[Path]:
        """A local path to a file whose bytes are right; the digest is computed once."""
        url = storage.join(self.path, file)
        if not storage.exists(url):
            raise errors.DataLossError(f"{url} is missing; the checkpoint is incomplete{WAY_OUT}")
        with storage.local_copy(url) as local:
            if file not in self._checked and sha256(local) != self.manifest.files.get(file):
                raise errors.DataLossError(
                    f"{url} is damaged: its bytes do not match the digest in {MANIFEST_FILE}{WAY_OUT}"
                )
            self._checked.add(file)
            yield local

    def _place(self, name: str) -> StoredVariable:
        if name not in self.manifest.variables:
            known = ", ".join(self.manifest.variables)
            raise errors.NotFoundError(f"there is no variable '{name}' in {self.path}; it has {known}")
        return self.manifest.variables[name]


class VariableReader(Protocol):
    """The variables of a checkpoint of any kind."""

    @property
    def path(self) -> str:
        """Where it is."""

    @property
    def global_step(self) -> int:
        """The step at which it was taken."""

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Name -> shape of every variable."""

    def get_variable_to_dtype_map(self) -> dict[str, str]:
        """Name -> dtype name of every variable."""

    def has_tensor(self, name: str) -> bool:
        """Whether there is a variable of this name."""

    def get_tensor(self, name: str) -> NDArray[Any]:
        """The value of a variable."""

    def get_tensors(self, names: list[str], rows: Mapping[str, Rows] | None = None) -> dict[str, NDArray[Any]]:
        """The values of several variables, of some only the wanted rows."""


def restore_variables(stored: Mapping[str, Variable], reader: VariableReader) -> None:
    """Give variables their stored values.

    Args:
        stored: name in the checkpoint -> variable.
        reader: of the checkpoint.

    Raises:
        NotFoundError: the checkpoint lacks a variable.
        InvalidArgumentError: a variable has another shape there.
    """
    rows = {name: variable.rows for name, variable in stored.items() if variable.rows is not None}
    shapes = reader.get_variable_to_shape_map()
    for name, variable in stored.items():
        if name in shapes:
            variable.check_shape(tuple(shapes[name]), reader.path)
    for name, value in reader.get_tensors(list(stored), rows).items():
        stored[name].fill(value)


def load_checkpoint(ckpt_dir_or_file: str) -> VariableReader:
    """Open a checkpoint.

    Args:
        ckpt_dir_or_file: a model_dir, of which the newest is taken, the folder of one checkpoint, or a prefix, folder
            or SavedModel of TensorFlow.

    Raises:
        NotFoundError: there is none.
        DataLossError: it is damaged.
    """
    path = str(ckpt_dir_or_file)
    newest = latest_checkpoint(path)
    if newest is not None:
        return CheckpointReader(newest)
    prefix = find_tensor_bundle(path)
    return CheckpointReader(path) if prefix is None else TensorBundleReader(prefix)


def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """The names and shapes in a checkpoint, sorted by name; see `load_checkpoint`."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def load_variable(ckpt_dir_or_file: str, name: str) -> NDArray[Any]:
    """The value of one variable of a checkpoint; see `load_checkpoint`. A trailing ':0' of the name is ignored."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
