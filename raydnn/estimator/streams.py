"""From a model function and an input_fn to the stream of batches that a mode needs."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, cast

from raydnn.estimator.mode_keys import ModeKeys
from raydnn.inputs.batch import ToTensors
from raydnn.inputs.dataset import Dataset, RayDatasetSource
from raydnn.inputs.input_fn import GivenBatches, Input, InputContext, call_input_fn
from raydnn.inputs.prepare import EncodingPreparer, Preparer, RawPreparer
from raydnn.inputs.stream import Reader, UnitMap, local_engine
from raydnn.model.batch import AheadWork, EncodedBatch
from raydnn.train.feature_batch import FeatureBatchMaker

logger = logging.getLogger(__name__)

CPUS_FOR_TASKS = 2.0


def make_reader(model_fn: Any, mode: str, rank: int = 0, num_ranks: int = 1, device: str = "cpu") -> Reader:
    """How raw rows become batches of a model function.

    Args:
        model_fn: if it has a method `encoder(mode)`, its features are encoded batches; else raw tensors.
        mode: a value of `ModeKeys`.
        rank, num_ranks: the replica.
        device: where the tensors go.
    """
    encoder_of: Callable[[str], Any] | None = getattr(model_fn, "encoder", None)
    if encoder_of is None:
        preparer: Preparer = RawPreparer()
        to_tensors: ToTensors = FeatureBatchMaker(device)
    else:
        preparer = EncodingPreparer(encoder_of(mode))
        to_tensors = partial(_encoded_tensors, device=device, ahead=AheadWork())
    return Reader(preparer, to_tensors, rank, num_ranks)


def resolve_source(source: Input, preparer: Preparer) -> Input:
    """A source whose rows can be read here: those of a Ray Dataset are encoded by Ray Data, now or as they stream.

    Args:
        source: what the input_fn returned.
        preparer: encodes the rows.
    """
    if isinstance(source, Dataset) and isinstance(source.source, RayDatasetSource):
        module = import_module("raydnn.distributed.data")
        return cast("Dataset", module.open_dataset(source, preparer))
    return source


def unit_map(engine: str, source: Input, is_in_worker: bool = False) -> UnitMap:
    """The engine that loads units ahead.

    Args:
        engine: of the config.
        source: the input.
        is_in_worker: whether this process is a Ray worker; a local run starts no Ray unasked.
    """
    is_stored = isinstance(source, Dataset) and source.rows.is_stored
    if engine == "auto" and is_in_worker and is_stored:
        tasks = import_module("raydnn.distributed.tasks")
        engine = "ray_tasks" if tasks.free_cpus() >= CPUS_FOR_TASKS else "thread"
    if engine == "ray_tasks":
        return cast("UnitMap", import_module("raydnn.distributed.tasks").map_in_ray_tasks)
    if engine == "ray_data":
        return cast("UnitMap", import_module("raydnn.distributed.units").map_in_ray_data)
    return local_engine(engine)


def local_source(input_fn: Callable[..., Any], mode: str, params: Mapping[str, Any], config: Any) -> Input:
    """The whole input of evaluate or predict."""
    source = call_input_fn(input_fn, mode, params, config, InputContext())
    if isinstance(source, Dataset):
        source = replace(source.with_seed(config.tf_random_seed or 0), reads_label=mode != ModeKeys.PREDICT)
    if mode == ModeKeys.PREDICT and isinstance(source, GivenBatches) and source.is_endless:
        logger.warning(
            "The input_fn of predict returned one batch of arrays, as in TensorFlow: it is predicted again and again. "
            "Return a data set of raydnn.inputs or a list of batches to stop at its end"
        )
    return source


def _encoded_tensors(rows: Any, sizes: Sequence[int], device: str, ahead: AheadWork) -> list[tuple[EncodedBatch, None]]:
    return [(batch, None) for batch in EncodedBatch.of_each(rows, sizes, device, ahead)]
