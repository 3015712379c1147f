"""Writing checkpoints: complete or absent."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save_file

from raydnn import storage
from raydnn.train.checkpoint.manifest import Manifest, StoredVariable
from raydnn.train.checkpoint.state import MANIFEST_FILE, PREFIX, read_state, write_state

VARIABLES_FILE = "variables.safetensors"
GLOBAL_STEP = "global_step"


def write_checkpoint(
    model_dir: str,
    variables: Mapping[str, NDArray[Any]],
    global_step: int,
    input_position: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> str:
    """Write the folder of a checkpoint; the state file is not touched.

    Args:
        model_dir: local or any fsspec URL.
        variables: TensorFlow name -> value, without global_step.
        global_step: of the checkpoint, which also names the folder.
        input_position: where the input goes on.
        config: settings of the run, for people.

    Returns:
        The path of the checkpoint.
    """
    path = storage.join(model_dir, f"{PREFIX}{global_step}")
    arrays = {name: np.asarray(value, order="C") for name, value in variables.items()}
    arrays[GLOBAL_STEP] = np.asarray(global_step, np.int64)
    with storage.new_folder(path, last=MANIFEST_FILE) as folder:
        save_file(arrays, folder / VARIABLES_FILE)
        places = {name: _place(array) for name, array in sorted(arrays.items())}
        files = {VARIABLES_FILE: sha256(folder / VARIABLES_FILE)}
        manifest = Manifest(global_step, places, files, time.time(), input_position, config or {})
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return path


def save_checkpoint(model_dir: str, variables: Mapping[str, ArrayLike], global_step: int) -> str:
    """Put given numbers into a model: write a checkpoint that the next train, evaluate or predict starts from.

    Args:
        model_dir: of the estimator, local or any fsspec URL.
        variables: TensorFlow name -> value in TensorFlow's layout. Optimizer slots may be left out and then start
            fresh; floats are stored as float32.
        global_step: of the checkpoint.

    Returns:
        The path of the checkpoint.

    Raises:
        ValueError: global_step is negative, or differs from a `global_step` among the variables.
    """
    arrays = {name: _as_stored(value) for name, value in variables.items()}
    given = arrays.pop(GLOBAL_STEP, None)
    if global_step < 0 or (given is not None and int(given) != global_step):
        raise ValueError(f"global_step is {global_step}; the variables say {given}")
    path = write_checkpoint(str(model_dir), arrays, int(global_step))
    name_newest(str(model_dir), path)
    return path


def name_newest(model_dir: str, path: str) -> None:
    """Make a checkpoint the newest one in the state file."""
    name = path.rsplit("/", 1)[-1]
    write_state(model_dir, [kept for kept in read_state(model_dir) if kept != name] + [name])


def sha256(path: Path) -> str:
    """The digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(array: NDArray[Any]) -> StoredVariable:
    rows = None if array.ndim == 0 else (0, len(array))
    return StoredVariable(VARIABLES_FILE, array.shape, str(array.dtype), rows)


def _as_stored(value: ArrayLike) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
