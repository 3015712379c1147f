"""What `train_and_evaluate` is to do."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from raydnn.estimator.estimator_spec import check_hooks, check_listeners
from raydnn.estimator.exporters import Exporter
from raydnn.train.hooks import CheckpointSaverListener, SessionRunHook

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
        object.__setattr__(self, "saving_listeners", check_listeners(self.saving_listeners))


@dataclass(frozen=True)
class EvalSpec:
    """How to evaluate.

    Attributes:
        input_fn: as `Estimator.evaluate` takes it.
        steps: batches of an evaluation; None goes to the end of the input.
        name: of the evaluation, if there are several.
        hooks: of the evaluation.
        exporters: one or several, run after each evaluation.
        start_delay_secs: seconds before the first evaluation of a process that only evaluates.
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
