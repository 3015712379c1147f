"""The record of a sweep: a line for everything that happens to a trial, so that another driver can go on.

Trials have numbers, and a trial that goes on keeps its number, its configuration and its model_dir. What was recorded
is all that a resumed sweep knows, whatever Ray Tune has kept.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raydnn import storage
from raydnn.errors import ConfigError
from raydnn.tune.loader import declared_sweep
from raydnn.tune.result import Status, SweepResult, TrialResult
from raydnn.tune.space import Configuration
from raydnn.tune.sweep import Sweep

TRIALS_FILE = "trials.jsonl"
SWEEP_FILE = "sweep.json"
_MAY_CHANGE = ("budget", "trials", "name", "storage", "tracking", "registered_model", "then_train")


class SweepRecord:
    """What has happened to the trials of a sweep; kept in its folder.

    Args:
        sweep: whose folder.

    Attributes:
        sweep: the same.
        trials: number -> trial.
        draws: number -> what was drawn.
        updated: when anything has happened last, in unix seconds; 0 before that.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._file = Path(sweep.folder, TRIALS_FILE)
        self._began: dict[int, float] = {}
        self.trials: dict[int, TrialResult] = {}
        self.draws: dict[int, dict[str, Any]] = {}
        self.updated = 0.0

    @classmethod
    def read(cls, folder: str) -> "SweepRecord":
        """The record in a folder as it stands, which a driver may be writing; nothing is changed.

        Raises:
            FileNotFoundError: no sweep has begun there.
            ConfigError: the sweep cannot be understood.
        """
        record = cls(declared_sweep(json.loads(storage.read_bytes(storage.join(folder, SWEEP_FILE))), folder))
        for event in record._events():
            record._apply(event)
        return record

    @property
    def result(self) -> SweepResult:
        """The trials as they stand."""
        trials = [self.trials[number] for number in sorted(self.trials)]
        return SweepResult(trials, self.sweep.objectives, self.sweep.folder)

    def begin(self, resume: bool) -> None:
        """Begin the record, or go on with that of an earlier driver.

        Args:
            resume: whether a record may be there.

        Raises:
            ConfigError: a record is there and must not be, or is that of another sweep.
        """
        folder = self.sweep.folder
        declared = json.dumps(self.sweep.source, indent=1).encode()
        url = storage.join(folder, SWEEP_FILE)
        if storage.exists(url):
            if not resume:
                raise ConfigError(
                    f"the sweep {folder} has begun already; go on with it by --resume, choose another name, or remove "
                    "the folder"
                )
            self._check_same(json.loads(storage.read_bytes(url)))
        storage.write_bytes(url, declared)
        self._remove_part_of_a_line()
        for event in self._events():
            self._apply(event)
        for trial in self.trials.values():
            # Its driver has died: nothing runs any more.
            trial.status = "waiting" if trial.status == "running" else trial.status

    def start(self, number: int, configuration: Configuration, draws: Mapping[str, Any], is_default: bool) -> None:
        """A trial begins, goes on, or gets another configuration."""
        self._add(
            {
                "event": "start",
                "number": number,
                "configuration": configuration,
                "draws": dict(draws),
                "is_default": is_default,
            }
        )

    def report(self, number: int, report: Mapping[str, Any]) -> None:
        """A trial was evaluated."""
        self._add({"event": "report", "number": number, "report": dict(report)})

    def end(self, number: int, status: Status, error: str | None = None, reason: str | None = None) -> None:
        """A trial has ended; what `error` and `reason` are see `TrialResult`."""
        self._add({"event": "end", "number": number, "status": status, "error": error, "reason": reason})

    def _add(self, event: dict[str, Any]) -> None:
        event = {**event, "time": time.time()}
        line = json.dumps(event)
        with storage.writing(str(self._file)), self._file.open("a") as file:
            file.write(f"{line}\n")
        self._apply(json.loads(line))

    def _apply(self, event: dict[str, Any]) -> None:
        number, now = event["number"], event["time"]
        if event["event"] == "start":
            trial = self.trials.setdefault(number, TrialResult(number, {}, self.sweep.model_dir(number)))
            trial.configuration, trial.is_default = event["configuration"], event["is_default"]
            self.draws[number] = event["draws"]
            trial.status, trial.error, trial.reason = "running", None, None
        else:
            trial = self.trials[number]
            trial.seconds += now - self._began.get(number, now)
            if event["event"] == "report":
                # A trial that goes on from a checkpoint evaluates steps again that it had come to before.
                step = event["report"]["global_step"]
                trial.reports = [each for each in trial.reports if each["global_step"] < step] + [event["report"]]
            else:
                trial.status, trial.error, trial.reason = event["status"], event["error"], event["reason"]
        self._began[number] = self.updated = now

    def _events(self) -> Iterator[dict[str, Any]]:
        content = self._file.read_bytes() if self._file.exists() else b""
        yield from map(json.loads, _whole_lines(content).splitlines())

    def _remove_part_of_a_line(self) -> None:
        """The driver may have been killed while it wrote the last line."""
        content = self._file.read_bytes() if self._file.exists() else b""
        if content != _whole_lines(content):
            storage.write_bytes(str(self._file), _whole_lines(content))

    def _check_same(self, before: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(self.sweep.source))
        keys = sorted({*before["sweep"], *now["sweep"]}.difference(_MAY_CHANGE))
        changed = [key for key in keys if before["sweep"].get(key) != now["sweep"].get(key)]
        changed += ["run (its file)"] if before["run"] != now["run"] else []
        if changed:
            raise ConfigError(
                f"the sweep {self.sweep.folder} had another {', '.join(changed)} when it began; put that back to go "
                "on with it, or choose another name"
            )


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
