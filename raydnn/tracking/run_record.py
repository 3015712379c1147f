"""The file in a model_dir that says which MLflow run belongs to it."""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from raydnn import storage

__all__ = ["RunRecord", "RunStatus", "claim_record", "read_record", "replace_record"]

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

# How long to wait for others that claim the same record on an object store.
SETTLE_SECS = 0.2

_logger = logging.getLogger(__name__)
_FILE_NAME = "mlflow_run.json"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The address of an MLflow run."""

    run_id: str

    experiment_id: str

    tracking_uri: str | None
    """None: the store inside the model_dir, so that the folder can be moved."""


def read_record(model_dir: str | Path) -> RunRecord | None:
    """Reads the record of a model_dir, local or any fsspec URL.

    Returns:
        The record, or None if there is none or if it cannot be understood (then with a warning).
    """
    url = storage.join(str(model_dir), _FILE_NAME)
    try:
        return RunRecord(**json.loads(storage.read_bytes(url)))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        _logger.warning("%s is not a record of an MLflow run and is ignored: %s", url, error)
        return None


def replace_record(model_dir: str | Path, record: RunRecord) -> None:
    """Writes the record, in place of an older one; a reader sees the old or the new, never a part."""
    storage.write_bytes(storage.join(str(model_dir), _FILE_NAME), _content(record))


def claim_record(model_dir: str | Path, record: RunRecord) -> RunRecord:
    """Writes the record unless another process was first.

    Returns:
        The record that stands: `record`, or the other process's.
    """
    if not storage.is_local(str(model_dir)):
        return _claim_on_object_store(str(model_dir), record)
    folder = Path(storage.filesystem(str(model_dir))[1])
    path = folder / _FILE_NAME
    with _temporary_file(folder, record) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            standing = read_record(model_dir)
            if standing is not None:
                return standing
            os.replace(temporary, path)
        except OSError:
            # Some mounted file systems have no hard links; the race is then the lesser evil.
            os.replace(temporary, path)
    return record


def _claim_on_object_store(model_dir: str, record: RunRecord) -> RunRecord:
    """Where a file cannot be created exclusively, of two processes at once the last one to write stands."""
    standing = read_record(model_dir)
    if standing is None:
        replace_record(model_dir, record)
        time.sleep(SETTLE_SECS)
        standing = read_record(model_dir)
    return standing or record


def _content(record: RunRecord) -> bytes:
    return (json.dumps(asdict(record), indent=2) + "\n").encode()


@contextmanager
def _temporary_file(folder: Path, record: RunRecord) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{_FILE_NAME}.", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_content(record))
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)
