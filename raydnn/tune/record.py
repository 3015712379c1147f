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
from raydnn.tune.result import Status, TrialResult
from raydnn.tune.space import Configuration
from raydnn.tune.sweep import Sweep

TRIALS_FILE = "trials.jsonl"
SWEEP_FILE = "sweep.json"
_MAY_CHANGE = ("budget", "trials", "name", "storage")


class SweepRecord:
    """What has happened to the trials of a sweep; kept in its folder.

    Args:
        sweep: whose folder.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._file = Path(sweep.folder, TRIALS_FILE)
        self._began: dict[int, float] = {}
        self.trials: dict[int, TrialResult] = {}
        self.draws: dict[int, dict[str, Any]] = {}

    def begin(self, resume: bool) -> None:
        """Begin the record, or go on with that of an earlier driver.

        Args:
            resume: whether a record may be there.

        Raises:
            ConfigError: a record is there and must not be, or is that of another sweep.
        """
        folder = self._sweep.folder
        declared = json.dumps(self._declared(), indent=1).encode()
        url = storage.join(folder, SWEEP_FILE)
        if storage.exists(url):
            if not resume:
                raise ConfigError(
                    f"the sweep {folder} has begun already; go on with it by --resume, choose another name, or remove "
                    "the folder"
                )
            self._check_same(json.loads(storage.read_bytes(url)))
        storage.write_bytes(url, declared)
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

    def end(self, number: int, status: Status, error: str | None = None) -> None:
        """A trial has ended."""
        self._add({"event": "end", "number": number, "status": status, "error": error})

    def _add(self, event: dict[str, Any]) -> None:
        event = {**event, "time": time.time()}
        line = json.dumps(event)
        with storage.writing(str(self._file)), self._file.open("a") as file:
            file.write(f"{line}\n")
        self._apply(json.loads(line))

    def _apply(self, event: dict[str, Any]) -> None:
        number, now = event["number"], event["time"]
        if event["event"] == "start":
            trial = self.trials.setdefault(number, TrialResult(number, {}, self._sweep.model_dir(number)))
            trial.configuration, trial.is_default = event["configuration"], event["is_default"]
            self.draws[number] = event["draws"]
            trial.status, trial.error = "running", None
        else:
            trial = self.trials[number]
            trial.seconds += now - self._began.get(number, now)
            if event["event"] == "report":
                # A trial that goes on from a checkpoint evaluates steps again that it had come to before.
                step = event["report"]["global_step"]
                trial.reports = [each for each in trial.reports if each["global_step"] < step] + [event["report"]]
            else:
                trial.status, trial.error = event["status"], event["error"]
        self._began[number] = now

    def _events(self) -> Iterator[dict[str, Any]]:
        if not self._file.exists():
            return
        content = self._file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            # The driver was killed while it wrote the last line.
            storage.write_bytes(str(self._file), whole)
        yield from map(json.loads, whole.splitlines())

    def _declared(self) -> dict[str, Any]:
        return {"sweep": self._sweep.source, "run": self._sweep.template.values}

    def _check_same(self, before: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(self._declared()))
        keys = sorted({*before["sweep"], *now["sweep"]}.difference(_MAY_CHANGE))
        changed = [key for key in keys if before["sweep"].get(key) != now["sweep"].get(key)]
        changed += ["run (its file)"] if before["run"] != now["run"] else []
        if changed:
            raise ConfigError(
                f"the sweep {self._sweep.folder} had another {', '.join(changed)} when it began; put that back to go "
                "on with it, or choose another name"
            )
