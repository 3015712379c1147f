"""The `checkpoint` file of a model_dir: which checkpoints are complete, in TensorFlow's text form."""

import re
from collections.abc import Sequence

from raydnn import storage

STATE_FILE = "checkpoint"
MANIFEST_FILE = "manifest.json"
PREFIX = "model.ckpt-"

_LINE = re.compile(r'^\s*(model_checkpoint_path|all_model_checkpoint_paths):\s*"(.*)"\s*$')


def read_state(model_dir: str) -> list[str]:
    """The names of the retained checkpoints, oldest first; none without a state file."""
    url = storage.join(model_dir, STATE_FILE)
    if not storage.exists(url):
        return []
    newest, retained = None, []
    for line in storage.read_bytes(url).decode().splitlines():
        if match := _LINE.match(line):
            if match[1] == "model_checkpoint_path":
                newest = match[2]
            else:
                retained.append(match[2])
    if newest is not None:
        retained = [name for name in retained if name != newest] + [newest]
    return retained


def write_state(model_dir: str, names: Sequence[str]) -> None:
    """Replace the state file.

    Args:
        model_dir: where the checkpoints lie.
        names: of the retained checkpoints relative to model_dir, oldest first, at least one.
    """
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    storage.write_bytes(storage.join(model_dir, STATE_FILE), ("\n".join(lines) + "\n").encode())


def latest_checkpoint(checkpoint_dir: str) -> str | None:
    """The newest complete checkpoint of a folder.

    Args:
        checkpoint_dir: a model_dir, local or any fsspec URL.

    Returns:
        Its path, or None if there is no state file or the checkpoint it names is gone.
    """
    names = read_state(str(checkpoint_dir))
    if not names:
        return None
    path = storage.join(str(checkpoint_dir), names[-1])
    return path if storage.exists(storage.join(path, MANIFEST_FILE)) else None
