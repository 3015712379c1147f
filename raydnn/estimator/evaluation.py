"""Evaluating and predicting, in this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from raydnn import storage
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.streams import open_local_stream
from raydnn.estimator.warm_start import WarmStartSettings, open_variables, warm_start
from raydnn.inputs.batch import Batch
from raydnn.inputs.stream import InputStream
from raydnn.model.metrics import Metrics, NamedMetrics
from raydnn.tracking.event_file import EventFileWriter
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.hooks.session_run_hook import GLOBAL_STEP, LOSS, SessionRunHook
from raydnn.train.loop import LoopSession, finish, normal_end, start

InputFn = Callable[..., Any]


def open_model(
    model_fn: ModelFn,
    params: Mapping[str, Any],
    config: Any,
    mode: str,
    input_fn: InputFn,
    checkpoint: CheckpointReader | None,
    warm_start_from: WarmStartSettings | None,
    seed: int,
) -> tuple[Model, InputStream]:
    """A model with the values of a checkpoint, or else of a warm start, and its input.

    Returns:
        The model and the opened stream, which the caller closes.
    """
    stream = open_local_stream(model_fn, input_fn, mode, params, config)
    try:
        model = restored_model(Model(model_fn, params, config, mode, seed), stream.empty, checkpoint, warm_start_from)
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
    model.build(empty)
    if checkpoint is not None:
        model.restore(checkpoint)
    elif warm_start_from is not None:
        warm_start(model, warm_start_from, open_variables(warm_start_from.ckpt_to_initialize_from))
    return model


def evaluate(model: Model, stream: InputStream, steps: int | None, hooks: Sequence[SessionRunHook]) -> dict[str, Any]:
    """The metrics of a model over its input.

    Args:
        model: in EVAL mode.
        stream: its input; closed at the end.
        steps: how many batches at most; None is all.
        hooks: called around each batch, before those of the model function.

    Returns:
        Metrics by name, float32, among them `loss`, and `global_step`, int64.
    """
    losses: list[float] = []
    try:
        built = model.run(stream.empty)
        total = _metrics(built)
    except BaseException:
        stream.close()
        raise
    total.sums.clear()

    def step(batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        spec = model.run(batch, feeds)
        assert spec.loss is not None
        losses.append(float(spec.loss))
        total.merge(_metrics(spec))
        return {LOSS: np.float32(losses[-1])} | model.fetch(fetches - {LOSS}, spec.predictions)

    all_hooks = [*hooks, *built.evaluation_hooks]
    session = LoopSession(model, step)
    try:
        with normal_end():
            start(session, all_hooks)
            for batch in _until_stop(islice(stream.batches, steps), session):
                session.run_step(batch, all_hooks)
    finally:
        stream.close()
    finish(session, all_hooks)
    metrics = dict(total.result())
    metrics.setdefault("loss", np.float32(np.mean(losses) if losses else 0.0))
    return {**metrics, "global_step": np.int64(model.global_step)}


def _metrics(spec: EstimatorSpec) -> Metrics:
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
