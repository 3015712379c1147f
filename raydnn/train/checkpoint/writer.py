"""Writing checkpoints: complete or absent."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save_file

from raydnn import errors, storage
from raydnn.model.variable import Variable
from raydnn.train.checkpoint.manifest import Manifest, Part, StoredVariable
from raydnn.train.checkpoint.state import MANIFEST_FILE, PREFIX, read_state, write_state

VARIABLES_FILE = "variables.safetensors"
GLOBAL_STEP = "global_step"
_PART_SUFFIX = ".safetensors"


def write_checkpoint(
    model_dir: str,
    variables: Mapping[str, NDArray[Any]],
    global_step: int,
    input_position: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    parts_folder: str | None = None,
    num_parts: int = 0,
) -> str:
    """Write the folder of a checkpoint; the state file is not touched.

    Args:
        model_dir: local or any fsspec URL.
        variables: TensorFlow name -> value, without global_step.
        global_step: of the checkpoint, which also names the folder.
        input_position: where the input goes on.
        config: settings of the run, for people.
        parts_folder: where replicas have put their parts of other variables with `write_part`; None is nowhere.
        num_parts: how many replicas have.

    Returns:
        The path of the checkpoint.

    Raises:
        DataLossError: a replica's part is not in the folder.
    """
    path = storage.join(model_dir, f"{PREFIX}{global_step}")
    arrays = {name: np.asarray(value, order="C") for name, value in variables.items()}
    arrays[GLOBAL_STEP] = np.asarray(global_step, np.int64)
    whole = Part(VARIABLES_FILE)
    places = {name: StoredVariable(array.shape, str(array.dtype), (whole,)) for name, array in arrays.items()}
    files: dict[str, str] = {}
    if parts_folder is not None:
        spread, files = _parts(parts_folder, num_parts)
        places |= spread
    parts = [storage.join(str(parts_folder), file) for file in files]
    with storage.new_folder(path, last=MANIFEST_FILE, parts=parts) as folder:
        save_file(arrays, folder / VARIABLES_FILE)
        files[VARIABLES_FILE] = sha256(folder / VARIABLES_FILE)
        sorted_places = dict(sorted(places.items()))
        manifest = Manifest(global_step, sorted_places, files, time.time(), input_position, config or {})
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    if parts_folder is not None:
        storage.remove_folder(parts_folder)
    return path


def write_part(parts_folder: str, rank: int, size: int, variables: Sequence[Variable]) -> None:
    """Write one replica's rows of the variables that are spread over replicas.

    Args:
        parts_folder: the same for all replicas, local or any fsspec URL.
        rank, size: of the replica.
        variables: with their rows.
    """
    name = _part_name(rank, size)
    arrays = {variable.name: np.asarray(variable.tensor.detach().cpu().numpy(), order="C") for variable in variables}
    described = {}
    for variable in variables:
        assert variable.rows is not None
        place = {"first": variable.rows.first, "step": variable.rows.step}
        described[variable.name] = {"shape": variable.shape, "dtype": str(arrays[variable.name].dtype), **place}
    with storage.new_file(storage.join(parts_folder, f"{name}{_PART_SUFFIX}")) as file:
        save_file(arrays, file)
        content = json.dumps({"sha256": sha256(file), "variables": described}).encode()
    # Last: what this file names is there.
    storage.write_bytes(storage.join(parts_folder, f"{name}.json"), content)


def _part_name(rank: int, size: int) -> str:
    return f"partition-{rank:05d}-of-{size:05d}"


def _parts(parts_folder: str, size: int) -> tuple[dict[str, StoredVariable], dict[str, str]]:
    """The places of the variables that replicas have written parts of, and the digests of their files.

    Raises:
        DataLossError: a replica's part is not there.
    """
    places: dict[str, StoredVariable] = {}
    files = {}
    for rank in range(size):
        name = _part_name(rank, size)
        description = storage.join(parts_folder, f"{name}.json")
        if not storage.exists(description):
            raise errors.DataLossError(
                f"{description} is missing: worker {rank} writes where the chief does not see it. Checkpoints need a "
                "folder that all nodes share, or a URL"
            )
        described = json.loads(storage.read_bytes(description))
        file = name + _PART_SUFFIX
        files[file] = described["sha256"]
        for variable, place in described["variables"].items():
            part = Part(file, place["first"], place["step"])
            others = places[variable].parts if variable in places else ()
            places[variable] = StoredVariable(tuple(place["shape"]), place["dtype"], (*others, part))
    return places, files


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


def _as_stored(value: ArrayLike) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
