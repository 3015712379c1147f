"""A model that counts, hooks that write down what they see, and a loop to run both in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raydnn.inputs.batch import Batch
from raydnn.train import CheckpointSaverListener, SessionRunArgs, SessionRunHook
from raydnn.train.hooks.session_run_hook import Summary
from raydnn.train.loop import train_loop
from raydnn.train.replicas import SingleReplica


class CountingModel:
    """Its loss at step n is `losses[n - 1]`, or n; its only variable `w` holds the step."""

    def __init__(self, losses: Sequence[float] | None = None, global_step: int = 0) -> None:
        self.losses = losses
        self.global_step = global_step

    def train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.global_step += 1
        loss = float(self.global_step) if self.losses is None else self.losses[self.global_step - 1]
        summary = Summary({"loss": loss}, {"w": np.array([loss], np.float32)})
        known = {"loss": np.float32(loss), "summary": summary, "rows": batch.global_rows}
        return known | self.fetch(fetches - set(known))

    def fetch(self, names: set[str]) -> dict[str, Any]:
        values = {"global_step": np.int64(self.global_step), **self.checkpoint_values()}
        return {name: values[name] for name in names}

    def spread_variables(self) -> list[Any]:
        return []

    def load(self, name: str, value: Any) -> None:
        raise KeyError(name)

    def checkpoint_values(self) -> dict[str, np.ndarray]:
        return {"w": np.array([self.global_step], np.float32)}


class RecordingHook(SessionRunHook):
    """Writes every call into a log that hooks may share, and keeps what it fetched."""

    def __init__(self, log: list[str] | None = None, name: str = "hook", fetches: Any = None) -> None:
        self.log = [] if log is None else log
        self.name = name
        self.fetches = fetches
        self.results: list[Any] = []

    def begin(self) -> None:
        self.log.append(f"{self.name}.begin")

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.log.append(f"{self.name}.after_create_session")

    def before_run(self, run_context: Any) -> SessionRunArgs | None:
        self.log.append(f"{self.name}.before_run")
        return None if self.fetches is None else SessionRunArgs(self.fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.log.append(f"{self.name}.after_run")
        self.results.append(run_values.results)

    def end(self, session: Any) -> None:
        self.log.append(f"{self.name}.end")


class RecordingListener(CheckpointSaverListener):
    """Writes every call with its step into a log; `after_save` returns True at the step `stop_at`."""

    def __init__(self, log: list[str] | None = None, name: str = "listener", stop_at: int | None = None) -> None:
        self.log = [] if log is None else log
        self.name = name
        self.stop_at = stop_at

    def begin(self) -> None:
        self.log.append(f"{self.name}.begin")

    def before_save(self, session: Any, global_step_value: int) -> None:
        self.log.append(f"{self.name}.before_save {global_step_value}")

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        self.log.append(f"{self.name}.after_save {global_step_value}")
        return global_step_value == self.stop_at

    def end(self, session: Any, global_step_value: int) -> None:
        self.log.append(f"{self.name}.end {global_step_value}")


def empty_batch() -> Batch:
    return Batch({}, None, 0, 0, pa.record_batch({"x": pa.array([], pa.int64())}))


def run_loop(model: CountingModel, hooks: Sequence[SessionRunHook], steps: int | Iterable[Batch] = 5) -> None:
    """Train on so many batches, or on the given ones."""
    batches = [empty_batch()] * steps if isinstance(steps, int) else steps
    train_loop(model, iter(batches), empty_batch(), hooks, SingleReplica())
