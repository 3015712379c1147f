"""Evaluating in this process."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from raydnn import storage
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.inference import until_stop
from raydnn.estimator.model import Model
from raydnn.feature_column.soundness import percent
from raydnn.inputs.batch import Batch
from raydnn.inputs.stream import InputStream
from raydnn.model.metrics import HeadMetrics, Metrics, NamedMetrics
from raydnn.tracking.event_file import EventFileWriter
from raydnn.train.hooks.session_run_hook import GLOBAL_STEP, LOSS, SessionRunHook
from raydnn.train.loop import LoopSession, finish, normal_end, start
from raydnn.warn_once import warn_once

TELLING_ROWS = 100
"""That fewer rows are predicted to be of one class says little."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class EvaluatedBatches:
    """What consecutive batches gave.

    Attributes:
        losses: of the batches, in their order.
        sums: of the metrics of all of them; see `Metrics`.
        global_step: of the model.
    """

    losses: list[float]
    sums: dict[str, Tensor]
    global_step: int


def evaluate(
    model: Model, stream: InputStream, steps: int | None, hooks: Sequence[SessionRunHook], model_dir: str
) -> dict[str, Any]:
    """The metrics of a model over its input, in this process.

    Args:
        model: in EVAL mode.
        stream: its input; closed at the end.
        steps: how many batches at most; None is all.
        hooks: called around each batch, before those of the model function.
        model_dir: of the model.

    Returns:
        As of `merged`.
    """
    try:
        built = model.run(stream.empty)
        metrics = metrics_of(built)
    except BaseException:
        stream.close()
        raise
    return merged(metrics, [evaluate_batches(model, stream, steps, [*hooks, *built.evaluation_hooks])], model_dir)


def evaluate_batches(
    model: Model, stream: InputStream, steps: int | None, hooks: Sequence[SessionRunHook]
) -> EvaluatedBatches:
    """What the batches of a stream give.

    Args:
        model: in EVAL mode.
        stream: its input; closed at the end.
        steps: how many batches at most; None is all.
        hooks: called around each batch.
    """
    losses: list[float] = []
    total = NamedMetrics({})

    def step(batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        spec = model.run(batch, feeds)
        assert spec.loss is not None
        losses.append(float(spec.loss))
        total.merge(metrics_of(spec))
        return {LOSS: np.float32(losses[-1])} | model.fetch(fetches - {LOSS}, spec.predictions)

    session = LoopSession(model, step)
    try:
        with normal_end():
            start(session, hooks)
            for batch in until_stop(islice(stream.batches, steps), session):
                session.run_step(batch, hooks)
    finally:
        stream.close()
    finish(session, hooks)
    return EvaluatedBatches(losses, total.sums, model.global_step)


def merged(metrics: Metrics, parts: Sequence[EvaluatedBatches], model_dir: str) -> dict[str, Any]:
    """The result of an evaluation; warns once where a trained classifier predicts the same class for all rows.

    Args:
        metrics: of any batch; knows how metrics are made of sums.
        parts: what all batches gave, in their order; one at least.
        model_dir: of the model.

    Returns:
        Metrics by name, float32, among them `loss`, and `global_step`, int64.
    """
    metrics.sums.clear()
    for part in parts:
        metrics.add_sums(part.sums)
    losses = [loss for part in parts for loss in part.losses]
    values = dict(metrics.result())
    values.setdefault("loss", np.float32(np.mean(losses) if losses else 0.0))
    if isinstance(metrics, HeadMetrics) and parts[0].global_step > 0:
        _warn_of_one_class(metrics, float(values["accuracy"]), parts[0].global_step, model_dir)
    return {**values, "global_step": np.int64(parts[0].global_step)}


def _warn_of_one_class(metrics: HeadMetrics, accuracy: float, global_step: int, model_dir: str) -> None:
    rows, only = metrics.num_rows(), metrics.only_class()
    # Where all rows are of that class nothing is wrong with the predictions.
    if only is not None and rows >= TELLING_ROWS and accuracy < 1:
        text = (
            f"The model predicts class {only} for all {rows:,} rows of an evaluation at step {global_step}, of which "
            f"{percent(1 - accuracy)} are of another class. Train for more steps; if that does not help, see whether "
            "the label is the right column, take another learning rate, scale numeric columns, and give rows of rare "
            "classes more weight with weight_column"
        )
        warn_once(logger, model_dir, "one class", text)


def metrics_of(spec: EstimatorSpec) -> Metrics:
    """The metrics of one batch.

    Raises:
        ValueError: a metric has a name that evaluation itself uses.
    """
    if isinstance(spec.eval_metric_ops, Metrics):
        return spec.eval_metric_ops
    named = spec.eval_metric_ops or {}
    reserved = sorted({LOSS, GLOBAL_STEP} & set(named))
    if reserved:
        raise ValueError(f"eval_metric_ops: {', '.join(reserved)} is written by evaluation itself; choose another name")
    return NamedMetrics(named)


def write_eval_summary(folder: str, metrics: Mapping[str, Any], checkpoint: str | None) -> None:
    """Write the metrics of an evaluation into an event file, as TensorBoard reads them."""
    if storage.is_local(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    step = int(metrics["global_step"])
    with EventFileWriter(folder) as writer:
        for name, value in metrics.items():
            if isinstance(value, np.ndarray):
                writer.add_array(name, value, step)
            elif name != GLOBAL_STEP:
                writer.add_scalar(name, float(value), step)
        if checkpoint is not None:
            writer.add_text("checkpoint_path", checkpoint, step)
