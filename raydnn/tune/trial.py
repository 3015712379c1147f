"""One trial: a run with the values of a configuration, whose evaluations are reported to Ray Tune.

A trial's state is its model_dir alone. However often it is started, by Ray Tune after a failure or by another driver,
it goes on from its newest checkpoint until its last step.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import torch
from ray import tune

from raydnn import storage
from raydnn.config import Run
from raydnn.distributed.cluster import root_cause
from raydnn.errors import FailedPreconditionError
from raydnn.estimator import Estimator, EvalSpec, Exporter, TrainSpec, train_and_evaluate
from raydnn.estimator.train_call import hand_over
from raydnn.train import stop_on_signals
from raydnn.train.checkpoint import training_lock
from raydnn.train.checkpoint.manifest import Manifest
from raydnn.train.checkpoint.state import MANIFEST_FILE, read_state, write_state
from raydnn.tune.settings import Pbt
from raydnn.tune.shared_rows import SharedRows
from raydnn.tune.sweep import Sweep

EVALUATIONS_FILE = "evaluations.jsonl"
ERROR_FILE = "error.txt"
REPORT = "report"
"""Key under which a result of Ray Tune holds a report as it was sent."""
IS_LAST = "is_last"
"""Key of a report: whether the trial has come to its last step."""
LOOK_SECS = 0.5
LOCK_SECS = 30.0
"""How long a trial waits for the process that it ran in before."""
THREAD_SECS = "60"
"""How long Ray Tune waits for a trial that it has stopped before it gives its process to another one."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialTask:
    """What all trials of a sweep share; called by Ray Tune in the process of a trial.

    Attributes:
        sweep: whose trial.
        working_directory: that relative paths are relative to.
        log_level: of raydnn's loggers.
        shared: encoded rows for the trials that can use them, or None.
    """

    sweep: Sweep
    working_directory: str
    log_level: int
    shared: SharedRows | None = None

    def __call__(self, config: dict[str, Any]) -> None:
        """Run the trial that the name which Ray Tune knows it by tells, to its last step or until it is stopped."""
        start = time.monotonic()
        os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = THREAD_SECS
        # Another machine may lack the folder.
        with suppress(OSError):
            os.chdir(self.working_directory)
        logging.getLogger("raydnn").setLevel(self.log_level)
        model_dir = self.sweep.model_dir(int(tune.get_context().get_trial_name()))
        storage.remove_file(storage.join(model_dir, ERROR_FILE))
        try:
            self._run(model_dir, config["trial"]["values"], start)
        except Exception as error:
            # Ray Tune has a traceback of its own; this says what went wrong.
            cause = root_cause(error)
            text = f"{type(cause).__name__}: {' '.join(str(cause).split())}"
            storage.write_bytes(storage.join(model_dir, ERROR_FILE), text.encode())
            raise

    def _run(self, model_dir: str, values: Mapping[str, Any], start: float) -> None:
        trials = self.sweep.settings.trials
        if trials.workers is None:
            torch.set_num_threads(max(1, int(trials.cpus)))
        _take_over(model_dir)
        run = self.sweep.trial_template().run({**values, "run.model_dir": model_dir})
        estimator, train_spec, eval_spec = run.estimator(), self._train_spec(run), self._eval_spec(run)
        report = _Report(run.data.batch_size, start, isinstance(self.sweep.settings.scheduler_settings, Pbt))
        if trials.workers is None:
            train_and_evaluate(estimator, train_spec, replace(eval_spec, exporters=[_Told(report.send)]))
        else:
            _train_with_workers(estimator, train_spec, eval_spec, report)
        report.end(estimator, eval_spec)

    def _train_spec(self, run: Run) -> TrainSpec:
        """How a run is trained, up to the global step at which the trial ends."""
        limits = [self.sweep.steps_of(run), run.train_input()().num_batches]
        known = [limit for limit in limits if limit is not None]
        spec = replace(run.train_spec(), max_steps=min(known) if known else None)
        return spec if self.shared is None else replace(spec, input_fn=self.shared.train_input(run))

    def _eval_spec(self, run: Run) -> EvalSpec:
        spec = run.eval_spec()
        return spec if self.shared is None else replace(spec, input_fn=self.shared.eval_input(run))


class _Report:
    """Reports the evaluations of a trial, in its own process.

    Args:
        batch_size: rows of a step.
        start: of this life of the trial, by the monotonic clock.
        shares: whether other trials may go on with the checkpoints.
    """

    def __init__(self, batch_size: int, start: float, shares: bool) -> None:
        self._batch_size = batch_size
        self._start = start
        self._shares = shares
        self._last: dict[str, Any] | None = None

    def send(self, metrics: Mapping[str, Any], checkpoint: str | None, is_last: bool) -> None:
        """Report an evaluation; a trial that is stopped meanwhile ends here, by SystemExit.

        Args:
            metrics: of the evaluation.
            checkpoint: path of the evaluated one, if it is there.
            is_last: whether the trial has come to its last step.
        """
        step = int(metrics["global_step"])
        if self._last is not None and self._last["global_step"] == step and self._last[IS_LAST] == is_last:
            return
        self._last = {
            **{name: float(value) for name, value in metrics.items()},
            "global_step": step,
            "rows": step * self._batch_size,
            "seconds": time.monotonic() - self._start,
            IS_LAST: is_last,
        }
        shared = None
        if self._shares and checkpoint is not None:
            shared = tune.Checkpoint.from_directory(checkpoint)
        # Ray Tune adds keys of its own to those that schedulers look at.
        tune.report({**self._last, REPORT: self._last}, checkpoint=shared)

    def end(self, estimator: Estimator, spec: EvalSpec) -> None:
        """The trial has come to its end, whether that could be told beforehand or not."""
        if self._last is None:
            # It had come to its last step before, and was not evaluated there.
            self.send(estimator.evaluate(spec.input_fn, spec.steps, name=spec.name), None, is_last=True)
        elif not self._last[IS_LAST]:
            self.send(self._last, None, is_last=True)


class _Told(Exporter):
    """Tells of evaluations where they are made; exports nothing.

    Args:
        tell: takes what `_Report.send` takes.
    """

    def __init__(self, tell: Callable[[Mapping[str, Any], str, bool], None]) -> None:
        self._tell = tell

    @property
    def name(self) -> str:
        return "tune"

    def export(
        self,
        estimator: Estimator,
        export_path: str,
        checkpoint_path: str,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> None:
        self._tell(eval_result, checkpoint_path, is_the_final_export)


def _write(file: Path, metrics: Mapping[str, Any], checkpoint: str, is_last: bool) -> None:
    """Append an evaluation to a file, from the process that evaluates beside workers."""
    values = {name: float(value) for name, value in metrics.items()}
    with file.open("a") as opened:
        opened.write(f"{json.dumps({'metrics': values, IS_LAST: is_last})}\n")


def _train_with_workers(estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec, report: _Report) -> None:
    """Train in another thread, as Ray Tune ends a trial by an exception in the one that reports."""
    file = Path(estimator.model_dir, EVALUATIONS_FILE)
    specs = train_spec, replace(eval_spec, exporters=[_Told(partial(_write, file))])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    seen = file.stat().st_size
    with stop_on_signals() as stop, ThreadPoolExecutor(1, "raydnn-trial") as pool:
        training: Future[Any] = pool.submit(train_and_evaluate, estimator, *specs)
        try:
            is_over = False
            while not is_over:
                is_over = not wait([training], timeout=LOOK_SECS).not_done
                for size, evaluation in _new_lines(file, seen):
                    seen = size
                    report.send(evaluation["metrics"], None, evaluation[IS_LAST])
        except BaseException:
            stop.make()
            raise
        training.result()


def _new_lines(file: Path, seen: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The whole lines of a file after so many bytes, each with the bytes up to its end."""
    with file.open("rb") as opened:
        opened.seek(seen)
        for line in opened:
            if not line.endswith(b"\n"):
                return
            seen += len(line)
            yield seen, json.loads(line)


def _take_over(model_dir: str) -> None:
    """Make model_dir ready to go on in: the process that the trial ran in before has left it, and if the trial takes
    over the weights of another one, they are those in it.
    """
    storage.check_writable(model_dir)
    deadline = time.monotonic() + LOCK_SECS
    while True:
        try:
            with training_lock(model_dir):
                # In a process that runs one trial after another, going on is no new call.
                hand_over(model_dir)
                checkpoint = tune.get_checkpoint()
                if checkpoint is not None:
                    with checkpoint.as_directory() as folder:
                        adopt(model_dir, Path(folder))
                return
        except FailedPreconditionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECS)


def adopt(model_dir: str, folder: Path) -> None:
    """Put a checkpoint of another model in the place of all that a model has; one of its own is left alone.

    Args:
        model_dir: local; of the model.
        folder: the checkpoint.
    """
    manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes(), str(folder))
    if manifest.config.get("model_dir") == model_dir:
        return
    name = f"model.ckpt-{manifest.global_step}"
    old = read_state(model_dir)
    with storage.new_folder(storage.join(model_dir, name), last=MANIFEST_FILE) as new:
        copytree(folder, new, dirs_exist_ok=True)
    write_state(model_dir, [name])
    for other in old:
        if other != name:
            storage.discard_folder(storage.join(model_dir, other), last=MANIFEST_FILE)
    logger.info("Going on with the weights of another trial at step %d: %s", manifest.global_step, folder)
