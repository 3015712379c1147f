"""What a model function returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydnn.estimator.mode_keys import ModeKeys
from raydnn.export.outputs import ExportOutput, checked_outputs
from raydnn.model.metrics import Metric, Metrics
from raydnn.train.hooks.checkpoint_saver import CheckpointSaverListener
from raydnn.train.hooks.session_run_hook import SessionRunHook
from raydnn.train.optimizers import TrainOp
from raydnn.train.scaffold import Scaffold


@dataclass(frozen=True, eq=False)
class EstimatorSpec:
    """The parts of a model for one batch.

    Attributes:
        mode: a value of `ModeKeys`.
        predictions: tensor, or dict of tensors and NumPy arrays; required in PREDICT.
        loss: scalar; required in TRAIN and EVAL. With several workers each gives its share, and shares add up: the
            functions of `raydnn.losses` do so.
        train_op: what `optimizer.minimize(loss)` returned; required in TRAIN.
        eval_metric_ops: name -> metric of this batch, as the functions of `raydnn.metrics` give it; merged over all
            batches.
        export_outputs: signature -> ExportOutput; None exports the predictions as 'serving_default'. PREDICT only.
        training_chief_hooks, training_hooks: more hooks of training, the first for the chief alone.
        scaffold: what to do before the first step.
        evaluation_hooks, prediction_hooks: more hooks.
        example_weight: sum of the weights of the rows; if given, `average_loss` is written beside `loss`.

    Raises:
        ValueError: a required part is missing, or the loss is not one number.
        TypeError: a part has a wrong type.
    """

    mode: str
    predictions: Tensor | Mapping[str, Any] | None = None
    loss: Tensor | None = None
    train_op: TrainOp | None = None
    eval_metric_ops: Mapping[str, Metric] | Metrics | None = None
    export_outputs: Mapping[str, ExportOutput] | None = None
    training_chief_hooks: Sequence[SessionRunHook] = ()
    training_hooks: Sequence[SessionRunHook] = ()
    scaffold: Scaffold | None = None
    evaluation_hooks: Sequence[SessionRunHook] = ()
    prediction_hooks: Sequence[SessionRunHook] = ()
    example_weight: Tensor | None = None

    def __post_init__(self) -> None:
        self._check_loss()
        if self.mode == ModeKeys.TRAIN:
            if self.train_op is None:
                raise ValueError("train_op is missing; return what optimizer.minimize(loss) gave")
            if not isinstance(self.train_op, TrainOp):
                raise TypeError(f"train_op must be what optimizer.minimize(loss) gave; got {self.train_op!r}")
        self._check_predictions()
        self._check_metrics()
        if self.mode == ModeKeys.PREDICT and self.export_outputs is not None:
            object.__setattr__(self, "export_outputs", checked_outputs(self.export_outputs, self.predictions))
        if self.scaffold is not None and not isinstance(self.scaffold, Scaffold):
            raise TypeError(f"scaffold must be a Scaffold; got {self.scaffold!r}")
        for name in ("training_chief_hooks", "training_hooks", "evaluation_hooks", "prediction_hooks"):
            hooks = getattr(self, name)
            if hooks != ():
                object.__setattr__(self, name, check_hooks(hooks, name))

    def _replace(self, **changes: Any) -> "EstimatorSpec":
        """A copy with other parts.

        Raises:
            ValueError: another mode.
        """
        if changes.get("mode", self.mode) != self.mode:
            raise ValueError(f"mode of an EstimatorSpec cannot be changed, from {self.mode!r} to {changes['mode']!r}")
        return replace(self, **changes)

    def _asdict(self) -> dict[str, Any]:
        """The parts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _check_loss(self) -> None:
        if self.loss is None:
            if self.mode in (ModeKeys.TRAIN, ModeKeys.EVAL):
                raise ValueError(f"loss is missing, which mode {self.mode!r} requires")
            return
        if not isinstance(self.loss, Tensor):
            raise TypeError(f"loss must be a tensor; got {self.loss!r}")
        if self.loss.numel() != 1:
            raise ValueError(f"loss must be one number; got shape {tuple(self.loss.shape)}")
        object.__setattr__(self, "loss", self.loss.reshape(()))

    def _check_metrics(self) -> None:
        if self.eval_metric_ops is None or isinstance(self.eval_metric_ops, Metrics):
            return
        if not isinstance(self.eval_metric_ops, Mapping):
            raise TypeError(f"eval_metric_ops must be a dict of name -> metric; got {self.eval_metric_ops!r}")
        for name, metric in self.eval_metric_ops.items():
            if not isinstance(metric, Metric):
                raise TypeError(
                    f"eval_metric_ops['{name}'] must be what a function of raydnn.metrics gave; got {metric!r}"
                )

    def _check_predictions(self) -> None:
        if self.predictions is None:
            if self.mode == ModeKeys.PREDICT:
                raise ValueError("predictions are missing, which mode 'infer' requires")
            return
        is_lazy = isinstance(self.predictions, Mapping) and not isinstance(self.predictions, dict)
        if is_lazy:
            return
        values = self.predictions.values() if isinstance(self.predictions, Mapping) else [self.predictions]
        for value in values:
            if not isinstance(value, torch.Tensor | np.ndarray):
                raise TypeError(f"predictions must be a tensor or a dict of tensors; got {value!r}")


def check_hooks(hooks: Any, name: str) -> tuple[SessionRunHook, ...]:
    """A tuple of hooks.

    Raises:
        TypeError: one is not a SessionRunHook.
    """
    checked = tuple(hooks or ())
    for hook in checked:
        if not isinstance(hook, SessionRunHook):
            raise TypeError(f"{name} must hold SessionRunHook objects; got {hook!r}")
    return checked


def check_listeners(listeners: Any) -> tuple[CheckpointSaverListener, ...]:
    """A tuple of listeners.

    Raises:
        TypeError: one is not a CheckpointSaverListener.
    """
    checked = tuple(listeners or ())
    for listener in checked:
        if not isinstance(listener, CheckpointSaverListener):
            raise TypeError(f"saving_listeners must hold CheckpointSaverListener objects; got {listener!r}")
    return checked
