"""Which checkpoint a model goes on from, and falling back from damaged ones."""

import logging
import re

from raydnn import errors, storage
from raydnn.train.checkpoint.manifest import WAY_OUT
from raydnn.train.checkpoint.reader import CheckpointReader
from raydnn.train.checkpoint.state import MANIFEST_FILE, PREFIX, STATE_FILE, latest_checkpoint, read_state, write_state

logger = logging.getLogger(__name__)


def open_newest(
    model_dir: str, recover: bool = False, opened: CheckpointReader | None = None, report: bool = True
) -> CheckpointReader | None:
    """Open the checkpoint that a model goes on from.

    The choice depends on what is stored alone, so that all workers choose alike.

    Args:
        model_dir: local or any fsspec URL.
        recover: False takes the newest checkpoint and checks a file when its variables are read. True checks all files
            and goes back in the state file to the newest checkpoint that is whole.
        opened: what an earlier call returned; if that is still the one, it is returned again and not checked twice.
        report: whether to warn of damaged checkpoints that were passed over.

    Returns:
        A reader, or None if there is no checkpoint.

    Raises:
        DataLossError: the newest manifest is damaged; with `recover`, a state file names no checkpoint that is whole.
        FailedPreconditionError: a checkpoint of another format, which is not damaged and not passed over.
    """
    if not recover:
        newest = latest_checkpoint(model_dir)
        return None if newest is None else _open(newest, opened)
    names = read_state(model_dir)
    damage = []
    for name in reversed(names):
        try:
            reader = _open(storage.join(model_dir, name), opened)
            reader.check()
        except (errors.DataLossError, errors.NotFoundError) as error:
            damage.append(str(error).removesuffix(WAY_OUT))
            continue
        if damage and report:
            newest_step = names[-1].removeprefix(PREFIX)
            lost = max(int(newest_step) - reader.global_step, 0) if newest_step.isdecimal() else "unknown"
            logger.warning("%s. Using %s instead; steps lost: %s", "; ".join(damage), reader.path, lost)
        return reader
    state = storage.join(model_dir, STATE_FILE)
    if not storage.exists(state):
        return None
    # Never from scratch unasked: that would overwrite what may still be repaired.
    reasons = "; ".join(damage) or f"{state} names none"
    raise errors.DataLossError(
        f"no checkpoint in {model_dir} is whole: {reasons}. Remove {state} to start from scratch"
    )


def tidy_up(model_dir: str, restored: CheckpointReader | None) -> None:
    """Make a model_dir consistent before training writes into it; the chief calls this.

    The state file ends with the checkpoint that training goes on from: damaged newer ones are not listed any more, and
    their folders stay until their steps are saved again. What killed processes left half written or half removed goes.

    Args:
        model_dir: local or any fsspec URL.
        restored: what `open_newest` returned.
    """
    names = read_state(model_dir)
    paths = [storage.join(model_dir, name) for name in names]
    if restored is not None and restored.path in paths[:-1]:
        write_state(model_dir, names[: paths.index(restored.path) + 1])
    storage.remove_leftovers(model_dir, re.escape(STATE_FILE))
    storage.remove_leftovers(model_dir, rf"{re.escape(PREFIX)}\d+", last=MANIFEST_FILE)


def _open(path: str, opened: CheckpointReader | None) -> CheckpointReader:
    return opened if opened is not None and opened.path == path else CheckpointReader(path)
