"""Dealing the batches of an evaluation out to several processes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from raydnn.estimator.evaluation import EvaluatedBatches, evaluate, evaluate_batches, merged, metrics_of
from raydnn.estimator.inference import InferenceJob
from raydnn.estimator.streams import resolve_source
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.plan import Cursor
from raydnn.inputs.stream import Reader, empty_batch
from raydnn.model.metrics import Metrics
from raydnn.train.hooks.session_run_hook import SessionRunHook

logger = logging.getLogger(__name__)


class CannotBeDealtError(Exception):
    """Why an evaluation stays in one process; nothing was evaluated yet."""


def evaluate_dealt(job: InferenceJob, steps: int | None, hooks: Sequence[SessionRunHook]) -> dict[str, Any]:
    """The metrics of a job, by as many processes as its config asks for where its input allows that, else by this one.

    Args:
        job: in EVAL mode.
        steps: how many batches at most; None is all.
        hooks: called around each batch, before those of the model function.

    Returns:
        See `evaluation.merged`.
    """
    wanted = job.config.num_evaluators or 1
    if wanted > 1:
        reader = job.reader()
        # A Ray Dataset is encoded once, for whoever evaluates.
        job = replace(job, source=resolve_source(job.source, reader.preparer))
        try:
            metrics, parts = _evaluate_elsewhere(job, reader, steps, hooks, wanted)
        except CannotBeDealtError as reason:
            logger.info("Evaluating in this process instead of %d others: %s", wanted, reason)
        else:
            return merged(metrics, parts, job.model_dir)
    model, stream = job.open()
    return evaluate(model, stream, steps, hooks, job.model_dir)


def num_batches(source: Dataset, steps: int | None) -> int | None:
    """How many batches an evaluation has; None is without end."""
    if not source.plan.batches_per_epoch:
        return 0
    in_data = source.num_batches
    return in_data if steps is None else steps if in_data is None else min(steps, in_data)


def spans(batches: int, parts: int) -> list[tuple[int, int]]:
    """The first batch of each part, and the one after its last; no part differs from another by more than one batch."""
    return [(part * batches // parts, (part + 1) * batches // parts) for part in range(parts)]


def evaluate_part(job: InferenceJob, first: int, stop: int, device: str = "cpu") -> EvaluatedBatches:
    """What the batches [first, stop) of a job give, counted through all epochs.

    Args:
        job: in EVAL mode, whose input is a data set that has these batches.
        first, stop: the batches; no rows of others are encoded, but those that are read together with theirs.
        device: where to evaluate.
    """
    assert isinstance(job.source, Dataset)
    plan = job.source.plan
    epoch, batch = divmod(first, plan.batches_per_epoch)
    model, stream = job.open(device, Cursor(epoch, batch, plan.fingerprint))
    return evaluate_batches(model, stream, stop - first, ())


def _evaluate_elsewhere(
    job: InferenceJob, reader: Reader, steps: int | None, hooks: Sequence[SessionRunHook], wanted: int
) -> tuple[Metrics, list[EvaluatedBatches]]:
    """Metrics without any batch, and what the parts gave.

    Raises:
        CannotBeDealtError: hooks, the input or the cluster keep it in this process.
    """
    if hooks:
        raise CannotBeDealtError("hooks are called around each batch in turn")
    if not isinstance(job.source, Dataset):
        raise CannotBeDealtError("the input_fn gave batches; a data set of raydnn.inputs can be dealt out")
    if job.source.windows is not None:
        raise CannotBeDealtError(
            "the Ray Dataset streams through one process; from_ray(streaming=False) can be dealt out"
        )
    batches = num_batches(job.source, steps)
    if batches is None:
        raise CannotBeDealtError("the data set has no end; give steps or num_epochs")
    if batches < 2:
        raise CannotBeDealtError(f"there is nothing to deal out, as the number of batches is {batches}")
    built = job.model().build(empty_batch(job.source, reader), values_are_drawn=False)
    if built.evaluation_hooks:
        raise CannotBeDealtError("hooks of the model function are called around each batch in turn")
    # By name: this package knows no Ray.
    distributed = import_module("raydnn.distributed.evaluation")
    parts: list[EvaluatedBatches] = distributed.evaluate_parts(job, batches, min(wanted, batches))
    return metrics_of(built), parts
