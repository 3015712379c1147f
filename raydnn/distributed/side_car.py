"""Evaluating checkpoints beside the workers that save them."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import ray
from ray.exceptions import RayError, RayTaskError

from raydnn import errors
from raydnn.distributed.cluster import cpus_wanted, ensure_ray, has_spare_cpu, own_errors
from raydnn.distributed.reports import POLL_SECS, DriverReports, reports_from_workers
from raydnn.estimator.continuous_eval import Result, evaluate_continuously
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.specs import EvalSpec

RESTARTS = 3

logger = logging.getLogger(__name__)

Outcome = Result | tuple[None, None]


@contextmanager
def evaluations(estimator: Estimator, eval_spec: EvalSpec, max_steps: int | None) -> Iterator[Callable[[], Outcome]]:
    """While the block trains, a process of the cluster evaluates the newest checkpoints and exports.

    If that process dies, a warning says so and another takes its place, three times at most. What else goes wrong there
    does not disturb training: it is logged at once, and raised by the function that is yielded. That process evaluates
    all batches itself, whatever `RunConfig(num_evaluators=...)` says: others would take CPUs that training may need.

    Args:
        estimator: whose model_dir the workers train in.
        eval_spec: how to evaluate and export.
        max_steps: of the training, or None.

    Yields:
        A function to call when training has ended: it waits until the last checkpoint has been evaluated, and returns
        the metrics of the last evaluation and what its exporters returned. Without that call, evaluation is broken off
        where the block ends.
    """
    ensure_ray()
    config = estimator.config
    # An elastic training may need every CPU of the nodes that are left: Ray Train counts on all that they have.
    # Whether training streams a Ray Dataset shows only when its input_fn is called.
    has_cpu = not config.is_elastic and has_spare_cpu(*cpus_wanted(config, is_streamed=True))
    if not has_cpu:
        logger.info("No CPU is left beside the workers: what evaluates checkpoints shares theirs")
    with reports_from_workers(None) as reports, ThreadPoolExecutor(1, "raydnn-side-car") as pool:
        side_car = _SideCar(estimator.with_one_evaluator(), eval_spec, max_steps, reports, int(has_cpu))
        outcome = pool.submit(side_car.run)

        def last_evaluation() -> Outcome:
            reports.announce_end()
            return outcome.result()

        try:
            yield last_evaluation
        finally:
            side_car.abandoned.set()


class _SideCar:
    """The driver's end: starts the process, and starts it again if it dies."""

    def __init__(
        self, estimator: Estimator, spec: EvalSpec, max_steps: int | None, reports: DriverReports, num_cpus: int
    ) -> None:
        # In the object store before training begins: what cannot be sent is refused now.
        self._task = ray.put((estimator, spec, max_steps))
        self._first_look = time.monotonic() + spec.start_delay_secs
        self._reports = reports
        self._num_cpus = num_cpus
        self.abandoned = threading.Event()

    def run(self) -> Outcome:
        try:
            with own_errors():
                return self._run_restarted()
        except Exception as error:
            logger.error("Evaluation failed, which is raised after training: %s: %s", type(error).__name__, error)
            raise

    def _run_restarted(self) -> Outcome:
        deaths = 0
        while True:
            try:
                return self._run_once()
            except RayTaskError:
                raise
            except RayError as error:
                if self.abandoned.is_set():
                    return None, None
                deaths += 1
                cause = " ".join(str(error).split())
                if deaths > RESTARTS:
                    raise errors.AbortedError(
                        f"the process that evaluates checkpoints died {deaths} times; if it lacks memory, evaluate "
                        f"smaller batches: {cause}"
                    ) from error
                logger.warning(
                    "The process that evaluates checkpoints died and is started again (%d of %d times): %s",
                    deaths,
                    RESTARTS,
                    cause,
                )

    def _run_once(self) -> Outcome:
        # Within a trial of Ray Tune it would have to do with what the trial has reserved for its driver.
        actor = _Evaluator.options(num_cpus=self._num_cpus, scheduling_strategy="DEFAULT").remote()  # type: ignore[attr-defined]
        try:
            outcome = actor.evaluate.remote(
                self._task,
                max(0.0, self._first_look - time.monotonic()),
                os.getcwd(),
                self._reports,
                logging.getLogger("raydnn").getEffectiveLevel(),
            )
            while not self.abandoned.is_set():
                if ray.wait([outcome], timeout=POLL_SECS)[0]:
                    found: Outcome = ray.get(outcome)
                    return found
            return None, None
        finally:
            ray.kill(actor)


@ray.remote
class _Evaluator:
    """The process that evaluates."""

    def evaluate(
        self,
        task: tuple[Estimator, EvalSpec, int | None],
        start_delay_secs: float,
        folder: str,
        reports: DriverReports,
        log_level: int,
    ) -> Outcome:
        estimator, spec, max_steps = task
        # Relative paths, of model_dir or in an input_fn, are the driver's; another machine may lack the folder.
        with suppress(OSError):
            os.chdir(folder)
        with reports.logs_sent(log_level):
            spec = replace(spec, start_delay_secs=start_delay_secs)
            return evaluate_continuously(estimator, spec, max_steps, reports.is_end_announced)
