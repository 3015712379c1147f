"""The checkpoints of one model_dir: saving, and which of them to keep."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from raydnn import errors, storage
from raydnn.train.checkpoint.manifest import Manifest
from raydnn.train.checkpoint.state import MANIFEST_FILE, PREFIX, read_state, write_state
from raydnn.train.checkpoint.writer import write_checkpoint

logger = logging.getLogger(__name__)


class CheckpointStore:
    """Saves checkpoints and removes old ones.

    Args:
        model_dir: local or any fsspec URL.
        keep_max: how many to keep; 0 or None removes none, and then the state file names only the newest.
        keep_every_n_hours: of the ones to be removed, one every so many hours is kept for good.
        config: settings of the run, noted in each manifest.
    """

    def __init__(
        self,
        model_dir: str,
        keep_max: int | None = 5,
        keep_every_n_hours: float = 10000.0,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.model_dir = model_dir
        self._keep_max = keep_max or 0
        self._keep_seconds = keep_every_n_hours * 3600.0
        self._next_keep_time = time.time() + self._keep_seconds
        self._config = config or {}

    def has_newest(self, global_step: int) -> bool:
        """Whether the state file names this step as the newest: then training was restored from it."""
        name = f"{PREFIX}{global_step}"
        manifest = storage.join(self.model_dir, name, MANIFEST_FILE)
        return read_state(self.model_dir)[-1:] == [name] and storage.exists(manifest)

    def parts_folder(self, global_step: int) -> str:
        """A new folder for the parts of a checkpoint that replicas write; see `save`."""
        return storage.temporary_name(storage.join(self.model_dir, f"{PREFIX}{global_step}"))

    def save(
        self,
        variables: Mapping[str, NDArray[Any]],
        global_step: int,
        input_position: dict[str, Any] | None,
        parts_folder: str | None = None,
        num_parts: int = 0,
    ) -> str:
        """Save a checkpoint, name it in the state file, then remove what is too old.

        A step that the state file already names as the newest stays as it is.

        Args:
            variables: name -> value of those that are whole here.
            global_step: of the checkpoint.
            input_position: where the input goes on.
            parts_folder: where replicas have written their parts of the other variables; None is nowhere.
            num_parts: how many replicas have.

        Returns:
            The path of the checkpoint.
        """
        name = f"{PREFIX}{global_step}"
        retained = read_state(self.model_dir)
        path = storage.join(self.model_dir, name)
        if self.has_newest(global_step):
            return path
        write_checkpoint(self.model_dir, variables, global_step, input_position, self._config, parts_folder, num_parts)
        retained = [kept for kept in retained if kept != name] + [name]
        # The state file forgets a checkpoint before its files go, so that it never names one that is gone.
        removed = retained[: -self._keep_max] if self._keep_max else []
        write_state(self.model_dir, retained[-self._keep_max :] if self._keep_max else [name])
        for old in removed:
            self._remove(old)
        logger.info("Saved checkpoint for step %d into %s", global_step, path)
        return path

    def _remove(self, name: str) -> None:
        path = storage.join(self.model_dir, name)
        manifest = storage.join(path, MANIFEST_FILE)
        if storage.exists(manifest):
            try:
                saved_at = Manifest.from_json(storage.read_bytes(manifest), manifest).saved_at
            except (errors.DataLossError, errors.FailedPreconditionError):
                saved_at = 0.0  # one that cannot be read is not worth keeping, nor worth stopping for
            if saved_at > self._next_keep_time:
                self._next_keep_time += self._keep_seconds
                return
        storage.discard_folder(path, last=MANIFEST_FILE)
