"""Evaluating a model that trains elsewhere: each newest checkpoint, until the last."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from raydnn import storage
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.specs import EvalSpec

LOOK_SECS = 0.5
WARNING_SECS = 600

logger = logging.getLogger(__name__)

Result = tuple[dict[str, Any], list[bytes | None]]


@dataclass
class Evaluator:
    """Evaluates the newest checkpoint and runs the exporters.

    Attributes:
        estimator: whose checkpoints.
        spec: how.
        max_steps: global step whose evaluation is the final one, or None.
    """

    estimator: Estimator
    spec: EvalSpec
    max_steps: int | None
    _checkpoint: str | None = field(default=None, init=False)

    def new_checkpoint(self) -> str | None:
        """The latest checkpoint, unless there is none or it was evaluated already."""
        latest = self.estimator.latest_checkpoint()
        return None if latest == self._checkpoint else latest

    def evaluate(self, checkpoint: str) -> Result:
        """The metrics of a checkpoint, and what each exporter returned."""
        self._checkpoint = checkpoint
        spec = self.spec
        metrics = self.estimator.evaluate(spec.input_fn, spec.steps, spec.hooks, checkpoint, spec.name)
        exports = []
        assert isinstance(spec.exporters, tuple)
        for exporter in spec.exporters:
            path = storage.join(self.estimator.model_dir, "export", exporter.name)
            exports.append(exporter.export(self.estimator, path, checkpoint, metrics, self.is_final(metrics)))
        return metrics, exports

    def is_final(self, metrics: dict[str, Any]) -> bool:
        """Whether these are the metrics of a model that has reached max_steps."""
        return self.max_steps is not None and int(metrics["global_step"]) >= self.max_steps


def evaluate_continuously(
    estimator: Estimator,
    eval_spec: EvalSpec,
    max_steps: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result | tuple[None, None]:
    """Wait for checkpoints, evaluate the newest one each time, and export.

    The first look is after start_delay_secs; between the starts of two evaluations are throttle_secs, at least.

    Args:
        estimator: whose model_dir another process trains in.
        eval_spec: how to evaluate and export.
        max_steps: ends after the evaluation of a checkpoint of this global step; None never ends by itself.
        should_stop: asked often; once it says True, the newest checkpoint, if it was not yet, is the last evaluated.

    Returns:
        The metrics of the last evaluation and what its exporters returned; (None, None) without any.
    """
    evaluator = Evaluator(estimator, eval_spec, max_steps)
    result: Result | tuple[None, None] = (None, None)
    warned: float | None = None
    logger.info("The first evaluation is in %g seconds", eval_spec.start_delay_secs)
    _wait_until(time.monotonic() + eval_spec.start_delay_secs, should_stop)
    while True:
        # Asked before looking: what was saved before the stop is seen.
        is_last = should_stop()
        start = time.monotonic()
        checkpoint = evaluator.new_checkpoint()
        if checkpoint is not None:
            try:
                result = metrics, _ = evaluator.evaluate(checkpoint)
            except Exception as error:
                if storage.exists(checkpoint):
                    raise
                # It was old when training removed it: there is a newer one.
                logger.warning("%s was removed while it was evaluated (%s)", checkpoint, error)
                continue
            if evaluator.is_final(metrics):
                logger.info("Global step %d has reached max_steps: no more evaluations", metrics["global_step"])
                return result
        elif not is_last and (warned is None or start - warned >= WARNING_SECS):
            warned = start
            _warn(estimator, eval_spec, is_first=result[0] is None)
        if is_last:
            return result
        least = LOOK_SECS if checkpoint is None else 0.0
        _wait_until(start + max(eval_spec.throttle_secs, least), should_stop)


def _warn(estimator: Estimator, spec: EvalSpec, is_first: bool) -> None:
    hint = "" if spec.throttle_secs else "; throttle_secs is 0: a larger one spares the file system many looks"
    what = "no checkpoint yet" if is_first else "no new checkpoint"
    logger.warning("There is %s in %s to evaluate%s", what, estimator.model_dir, hint)


def _wait_until(end: float, should_stop: Callable[[], bool]) -> None:
    while (remaining := end - time.monotonic()) > 0 and not should_stop():
        time.sleep(min(LOOK_SECS, remaining))
