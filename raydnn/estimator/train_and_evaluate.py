"""Training with evaluations in between, and exports after them."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from raydnn import storage
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.estimator_spec import check_hooks
from raydnn.estimator.exporters import Exporter
from raydnn.train.hooks import CheckpointSaverListener, SessionRunHook
from raydnn.train.hooks.session_run_hook import Session

logger = logging.getLogger(__name__)

InputFn = Callable[..., Any]


@dataclass(frozen=True)
class TrainSpec:
    """How to train.

    Attributes:
        input_fn: as `Estimator.train` takes it.
        max_steps: global step at which to stop; None goes to the end of the input.
        hooks: of the training.
        saving_listeners: called around each save.

    Raises:
        TypeError: input_fn is not callable, or something that is no hook or no listener.
        ValueError: max_steps is not positive.
    """

    input_fn: InputFn
    max_steps: int | None = None
    hooks: Sequence[SessionRunHook] = ()
    saving_listeners: Sequence[CheckpointSaverListener] = ()

    def __post_init__(self) -> None:
        _check_input_fn(self.input_fn)
        if self.max_steps is not None and self.max_steps <= 0:
            raise ValueError(f"max_steps must be positive; got {self.max_steps}")
        object.__setattr__(self, "hooks", check_hooks(self.hooks, "hooks"))
        listeners = tuple(self.saving_listeners or ())
        for listener in listeners:
            if not isinstance(listener, CheckpointSaverListener):
                raise TypeError(f"saving_listeners must hold CheckpointSaverListener objects; got {listener!r}")
        object.__setattr__(self, "saving_listeners", listeners)


@dataclass(frozen=True)
class EvalSpec:
    """How to evaluate.

    Attributes:
        input_fn: as `Estimator.evaluate` takes it.
        steps: batches of an evaluation; None goes to the end of the input.
        name: of the evaluation, if there are several.
        hooks: of the evaluation.
        exporters: one or several, run after each evaluation.
        start_delay_secs: not used by local training.
        throttle_secs: seconds between the starts of two evaluations, at least.

    Raises:
        TypeError: input_fn is not callable, name is no str, or something that is no hook or no exporter.
        ValueError: steps not positive, a negative delay, or exporters without a name or with the same.
    """

    input_fn: InputFn
    steps: int | None = 100
    name: str | None = None
    hooks: Sequence[SessionRunHook] = ()
    exporters: Exporter | Iterable[Exporter] | None = ()
    start_delay_secs: float = 120
    throttle_secs: float = 600

    def __post_init__(self) -> None:
        _check_input_fn(self.input_fn)
        if self.steps is not None and self.steps <= 0:
            raise ValueError(f"steps must be positive; got {self.steps}")
        if self.name is not None and not isinstance(self.name, str):
            raise TypeError(f"name must be a str; got {self.name!r}")
        for what in ("start_delay_secs", "throttle_secs"):
            if getattr(self, what) < 0:
                raise ValueError(f"{what} must not be negative; got {getattr(self, what)}")
        object.__setattr__(self, "hooks", check_hooks(self.hooks, "hooks"))
        object.__setattr__(self, "exporters", _check_exporters(self.exporters))


def train_and_evaluate(
    estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec
) -> tuple[dict[str, Any] | None, list[bytes | None] | None]:
    """Train, evaluate after checkpoints and at the end, and export.

    The checkpoint of the start is not evaluated; the first one after it always is, later ones if throttle_secs have
    passed since the last evaluation began, and the last one if it was not yet.

    Args:
        estimator: which saves checkpoints.
        train_spec: how to train.
        eval_spec: how to evaluate and export.

    Returns:
        The metrics of the last evaluation and what its exporters returned; (None, None) if the model had reached
        max_steps already.

    Raises:
        TypeError: an argument of another type.
        ValueError: the estimator saves no checkpoints.
    """
    for value, kind in ((estimator, Estimator), (train_spec, TrainSpec), (eval_spec, EvalSpec)):
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__} is needed; got {value!r}")
    listener = _EvaluationListener(_Evaluator(estimator, eval_spec, train_spec.max_steps), eval_spec.throttle_secs)
    estimator.train(
        train_spec.input_fn,
        hooks=train_spec.hooks,
        max_steps=train_spec.max_steps,
        saving_listeners=[*train_spec.saving_listeners, listener],
    )
    return listener.result


@dataclass
class _Evaluator:
    """Evaluates the newest checkpoint and runs the exporters."""

    estimator: Estimator
    spec: EvalSpec
    max_steps: int | None
    _checkpoint: str | None = field(default=None, init=False)

    def evaluate(self) -> tuple[dict[str, Any], list[bytes | None]]:
        checkpoint = self.estimator.latest_checkpoint()
        if checkpoint is None or checkpoint == self._checkpoint:
            raise RuntimeError(f"there is no new checkpoint to evaluate in {self.estimator.model_dir}")
        self._checkpoint = checkpoint
        spec = self.spec
        metrics = self.estimator.evaluate(spec.input_fn, spec.steps, spec.hooks, checkpoint, spec.name)
        is_final = self.max_steps is not None and int(metrics["global_step"]) >= self.max_steps
        exports = []
        assert isinstance(spec.exporters, tuple)
        for exporter in spec.exporters:
            path = storage.join(self.estimator.model_dir, "export", exporter.name)
            exports.append(exporter.export(self.estimator, path, checkpoint, metrics, is_final))
        return metrics, exports


class _EvaluationListener(CheckpointSaverListener):
    """Evaluates after saves, as often as allowed."""

    def __init__(self, evaluator: _Evaluator, throttle_secs: float) -> None:
        self._evaluator = evaluator
        self._throttle_secs = throttle_secs
        self._is_first_save = True
        self._last_start: float | None = None
        self._evaluated_step: int | None = None
        self.result: tuple[dict[str, Any] | None, list[bytes | None] | None] = (None, None)

    def begin(self) -> None:
        self._is_first_save = True

    def after_save(self, session: Session, global_step_value: int) -> None:
        if self._is_first_save:
            # The state before training has been evaluated before, or is no model yet.
            self._is_first_save = False
            return
        is_due = self._last_start is None or time.monotonic() - self._last_start >= self._throttle_secs
        if is_due:
            self._evaluate(global_step_value)
        else:
            logger.info("No evaluation at step %d: throttle_secs have not passed", global_step_value)

    def end(self, session: Session, global_step_value: int) -> None:
        if global_step_value != self._evaluated_step:
            self._evaluate(global_step_value)

    def _evaluate(self, step: int) -> None:
        self._last_start = time.monotonic()
        self._evaluated_step = step
        self.result = self._evaluator.evaluate()


def _check_input_fn(input_fn: Any) -> None:
    if not callable(input_fn):
        raise TypeError(f"input_fn must be callable; got {input_fn!r}")


def _check_exporters(exporters: Any) -> tuple[Exporter, ...]:
    if exporters is None:
        return ()
    found = (exporters,) if isinstance(exporters, Exporter) else exporters
    if not isinstance(found, Iterable):
        raise TypeError(f"exporters must be an Exporter or several; got {exporters!r}")
    checked = tuple(found)
    names = []
    for exporter in checked:
        if not isinstance(exporter, Exporter):
            raise TypeError(f"exporters must hold Exporter objects; got {exporter!r}")
        if not isinstance(exporter.name, str) or not exporter.name:
            raise ValueError(f"an exporter must have a name; got {exporter.name!r}")
        names.append(exporter.name)
    if len(set(names)) != len(names):
        raise ValueError(f"exporters must have different names; got {names}")
    return checked
