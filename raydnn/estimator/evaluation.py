"""Evaluating and predicting, in this process."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from raydnn import storage
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader, resolve_source, unit_map
from raydnn.estimator.warm_start import WarmStartSettings, open_variables, warm_start
from raydnn.feature_column.soundness import percent
from raydnn.inputs.batch import Batch
from raydnn.inputs.input_fn import Input
from raydnn.inputs.plan import Cursor
from raydnn.inputs.stream import InputStream, Reader, open_stream
from raydnn.model.metrics import HeadMetrics, Metrics, NamedMetrics
from raydnn.tracking.event_file import EventFileWriter
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.hooks.session_run_hook import GLOBAL_STEP, LOSS, SessionRunHook
from raydnn.train.loop import LoopSession, finish, normal_end, start
from raydnn.warn_once import warn_once

TELLING_ROWS = 100
"""That fewer rows are predicted to be of one class says little."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class InferenceJob:
    """A model to evaluate or to predict with, and its input; can be sent to another process if the input can.

    Attributes:
        model_fn, params, config: what the model is made of.
        mode: EVAL or PREDICT.
        source: the input, as `local_source` gives it.
        checkpoint: gives the values of its variables; None takes those of the warm start, or the initial ones.
        warm_start: of the estimator, or None.
        seed: of initial values.
    """

    model_fn: ModelFn
    params: Mapping[str, Any]
    config: RunConfig
    mode: str
    source: Input
    checkpoint: CheckpointReader | None
    warm_start: WarmStartSettings | None
    seed: int

    @property
    def model_dir(self) -> str:
        """Of the estimator."""
        return str(self.config.model_dir)

    def reader(self, device: str = "cpu") -> Reader:
        """How rows become batches of the model, on a device."""
        return make_reader(self.model_fn, self.mode, device=device)

    def model(self, device: str = "cpu") -> Model:
        """The model on a device, not built yet."""
        return Model(self.model_fn, self.params, self.config, self.mode, self.seed, device=device)

    def open(self, device: str = "cpu", cursor: Cursor | None = None) -> tuple[Model, InputStream]:
        """The model with its values, and its input.

        Args:
            device: where both go.
            cursor: where a data set begins; None is its start.

        Returns:
            The model and the opened stream, which the caller closes.
        """
        reader = self.reader(device)
        source = resolve_source(self.source, reader.preparer)
        stream = open_stream(source, reader, unit_map(self.config.input_engine, source), cursor=cursor)
        try:
            model = restored_model(self.model(device), stream.empty, self.checkpoint, self.warm_start)
        except BaseException:
            stream.close()
            raise
        return model, stream


def restored_model(
    model: Model, empty: Batch, checkpoint: CheckpointReader | None, warm_start_from: WarmStartSettings | None
) -> Model:
    """Build a model, and give it the values of a checkpoint, or else of a warm start.

    Args:
        model: not built yet.
        empty: a batch without rows.
        checkpoint, warm_start_from: where the values are; without either the model stays as it is initialised.

    Returns:
        The model.
    """
    model.build(empty, values_are_drawn=checkpoint is None)
    if checkpoint is not None:
        model.restore(checkpoint)
    elif warm_start_from is not None:
        warm_start(model, warm_start_from, open_variables(warm_start_from.ckpt_to_initialize_from))
    return model


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
            for batch in _until_stop(islice(stream.batches, steps), session):
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


def predict(
    model: Model, stream: InputStream, predict_keys: Any, yield_single_examples: bool, hooks: Sequence[SessionRunHook]
) -> Iterator[Any]:
    """The predictions of a model over its input.

    Args:
        model: in PREDICT mode.
        stream: its input; closed at the end.
        predict_keys: which keys to keep; None or empty keeps all.
        yield_single_examples: one item per row, else one per batch.
        hooks: called around each batch, before those of the model function.

    Raises:
        ValueError: no key remains, keys are given but predictions are no dict, or their rows differ in number.
    """
    predicted: list[Any] = []

    def step(batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        predicted.append(model.predict(batch, feeds))
        return model.fetch(fetches, predicted[-1])

    all_hooks = [*hooks, *model.prediction_hooks]
    session = LoopSession(model, step)
    try:
        with normal_end():
            start(session, all_hooks)
            for batch in _until_stop(stream.batches, session):
                session.run_step(batch, all_hooks)
                yield from _items(select_keys(predicted.pop(), predict_keys), yield_single_examples)
    finally:
        stream.close()
    finish(session, all_hooks)


def _until_stop(batches: Iterator[Batch], session: LoopSession) -> Iterator[Batch]:
    """Batches up to the first that would come after a stop."""
    while not session.should_stop():
        batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _items(predictions: Any, yield_single_examples: bool) -> Iterator[Any]:
    """What one batch of predictions yields."""
    if not yield_single_examples:
        yield predictions
    elif isinstance(predictions, dict):
        for row in range(_num_rows(predictions)):
            yield {key: value[row] for key, value in predictions.items()}
    else:
        yield from predictions


def select_keys(predictions: Any, predict_keys: Any) -> Any:
    """The predictions whose key is in `predict_keys`."""
    if not predict_keys:
        return predictions
    if not isinstance(predictions, dict):
        raise ValueError("predict_keys are given, but predictions are not a dict")
    kept = {key: value for key, value in predictions.items() if key in predict_keys}
    if not kept:
        raise ValueError(f"no prediction has a key in {predict_keys!r}; there are {', '.join(predictions)}")
    return kept


def _num_rows(predictions: Mapping[str, Any]) -> int:
    """The size of the first axis, which all must have."""
    rows = {key: len(value) for key, value in predictions.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"predictions have different numbers of rows: {rows}")
    return next(iter(rows.values()), 0)
