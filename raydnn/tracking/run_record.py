"""The file in a model_dir that says which MLflow run belongs to it."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = ["RunRecord", "RunStatus", "claim_record", "read_record", "replace_record"]

RunStatus = Literal["FINISHED", "FAILED"]

_logger = logging.getLogger(__name__)
_FILE_NAME = "mlflow_run.json"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The address of an MLflow run."""

    run_id: str

    experiment_id: str

    tracking_uri: str | None
    """None: the store inside the model_dir, so that the folder can be moved."""


def read_record(model_dir: Path) -> RunRecord | None:
    """Reads the record of a model_dir.

    Returns:
        The record, or None if there is none or if it cannot be understood (then with a warning).
    """
    path = model_dir / _FILE_NAME
    try:
        return RunRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        _logger.warning("%s is not a record of an MLflow run and is ignored: %s", path, error)
        return None


def replace_record(model_dir: Path, record: RunRecord) -> None:
    """Writes the record, in place of an older one; a reader sees the old or the new, never a part."""
    with _temporary_file(model_dir, record) as temporary:
        os.replace(temporary, model_dir / _FILE_NAME)


def claim_record(model_dir: Path, record: RunRecord) -> RunRecord:
    """Writes the record unless another process was first.

    Returns:
        The record that stands: `record`, or the other process's.
    """
    path = model_dir / _FILE_NAME
    with _temporary_file(model_dir, record) as temporary:
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


@contextmanager
def _temporary_file(model_dir: Path, record: RunRecord) -> Iterator[Path]:
    model_dir.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{_FILE_NAME}.", dir=model_dir)
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)
