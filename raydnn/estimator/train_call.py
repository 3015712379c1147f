"""The call of `Estimator.train` in progress, noted in model_dir until its normal end.

A program that was killed, or ended by an exception, and is run again makes the same call once more. The note tells that
call from a new one: it goes on in the input where the checkpoint stands, instead of at the beginning. A program that
catches the exception and calls again means a new call, as in TensorFlow.
"""

import json
import logging
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from raydnn import storage
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.input_fn import Input
from raydnn.inputs.plan import Cursor

CALL_FILE = "train_call.json"
_TOKEN = uuid.uuid4().hex

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainCall:
    """One call, however often it was cut short or its workers were restarted.

    Attributes:
        start_step: global step at which it began.
        steps, max_steps: its arguments.
        tf_random_seed: of the config, or None.
        seed: of initial values, dropout and shuffles; drawn where tf_random_seed is None.
    """

    start_step: int
    steps: int | None
    max_steps: int | None
    tf_random_seed: int | None
    seed: int

    @property
    def last_step(self) -> int | None:
        """Global step at which to stop, if there is a limit."""
        return self.max_steps if self.steps is None else self.start_step + self.steps

    def cursor(self, source: Input | None, step: int, position: dict[str, Any] | None) -> Cursor | None:
        """Where the input goes on: after the rows that this very call has trained on. None is the start.

        The rule is the same whether the workers were restarted within the call or the call is made again.

        Args:
            source: the input.
            step: global step of the checkpoint that training goes on from.
            position: of the input in that checkpoint.
        """
        if step <= self.start_step or position is None or not isinstance(source, Dataset):
            return None
        cursor = Cursor.from_json(position)
        data, order = source.rows.fingerprint, source.with_seed(self.seed).order.fingerprint
        return cursor if (position["data"], cursor.fingerprint) == (data, order) else None


def call_to_make(
    new: TrainCall, cut_short: TrainCall, source: Input | None, position: dict[str, Any] | None
) -> TrainCall:
    """The call that was cut short if the new one is the same made again, else the new one.

    Args:
        new: begins at the checkpoint that training goes on from.
        cut_short: the earlier call.
        source: the input; None where only the workers know theirs.
        position: of the input in that checkpoint.
    """
    step = new.start_step
    arguments = [(call.steps, call.max_steps, call.tf_random_seed) for call in (new, cut_short)]
    is_in_midst = step > cut_short.start_step and isinstance(source, Dataset)
    if arguments[0] != arguments[1]:
        reason = "it had other steps, max_steps or tf_random_seed"
    elif step < cut_short.start_step:
        reason = f"it began at step {cut_short.start_step}, and the model stands at step {step}"
    elif is_in_midst and cut_short.cursor(source, step, position) is None:
        reason = "its input was another"
    else:
        return cut_short
    logger.info("Not going on with the call of train that was cut short: %s. The input begins anew", reason)
    return new


@contextmanager
def noted(model_dir: str, call: TrainCall) -> Iterator[None]:
    """Keep a note of a call until the block comes to its normal end, with its last checkpoint saved.

    Args:
        model_dir: local or any fsspec URL.
        call: made by the block.
    """
    url = storage.join(model_dir, CALL_FILE)
    storage.remove_leftovers(model_dir, re.escape(CALL_FILE))
    storage.write_bytes(url, json.dumps({**asdict(call), "program": _this_program()}, indent=1).encode())
    yield
    storage.remove_file(url)


def read_call(model_dir: str) -> TrainCall | None:
    """The call of an earlier program that was cut short, or None."""
    url = storage.join(model_dir, CALL_FILE)
    try:
        values = json.loads(storage.read_bytes(url))
        if values["program"] == _this_program():
            return None
        return TrainCall(**{field.name: values[field.name] for field in fields(TrainCall)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged (%s): the input begins anew", url, error)
        return None


def hand_over(model_dir: str) -> None:
    """Let the next call go on with one that was cut short in this very process, as if another program had made it.

    Args:
        model_dir: where the call is noted; nothing happens without a note.
    """
    url = storage.join(model_dir, CALL_FILE)
    if storage.exists(url):
        storage.write_bytes(url, json.dumps({**json.loads(storage.read_bytes(url)), "program": ""}, indent=1).encode())


def tell_where_input_goes_on(model_dir: str, call: TrainCall, step: int, cursor: Cursor | None) -> None:
    """Say that a call goes on after it was cut short, and with which rows; the chief calls this.

    Args:
        model_dir: where the call is noted.
        call: the call; nothing is said where it begins.
        step: global step of the checkpoint that training goes on from.
        cursor: where the input goes on.
    """
    if step <= call.start_step:
        return
    going_on = f"Going on with the call of train that was cut short at step {step}"
    if cursor is None:
        logger.warning(
            "%s. Rows that it has used may be used again: the input begins anew, as only a data set of raydnn.inputs "
            "that all workers share can be gone on with",
            going_on,
        )
    else:
        logger.warning(
            "%s: epoch %d, batch %d. Remove %s to begin the input anew",
            going_on,
            cursor.epoch + 1,
            cursor.batch + 1,
            storage.join(model_dir, CALL_FILE),
        )


def _this_program() -> str:
    """Tells this process from all others; a forked child is another one."""
    return f"{_TOKEN}-{os.getpid()}"
