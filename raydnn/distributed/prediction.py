"""Predicting the rows of a Ray Dataset with a pool of actors."""

import pyarrow as pa
import ray
import ray.cloudpickle
import ray.data
from ray.data.dataset import MaterializedDataset
from ray.exceptions import UserCodeException

from raydnn import storage
from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.distributed.pipelines import quiet, quiet_copy
from raydnn.distributed.shared_storage import check_shared
from raydnn.estimator.prediction import TablePredictor
from raydnn.train.checkpoint import CheckpointReader


def predict_dataset(
    dataset: ray.data.Dataset,
    predictor: TablePredictor,
    batch_size: int,
    concurrency: int | None,
    keep_order: bool,
) -> ray.data.Dataset:
    """Plan the prediction of a Ray Dataset; see `Estimator.predict_dataset`.

    Args:
        dataset: the rows.
        predictor: adds predictions to a table of them.
        batch_size: rows in such a table.
        concurrency: how many actors; None lets Ray Data start as many as are of use and free CPUs allow.
        keep_order: whether the rows stay in their order.

    Raises:
        ValueError: no Ray Dataset, a bad number, or more actors than the cluster has room for.
    """
    if not isinstance(dataset, ray.data.Dataset):
        raise ValueError(f"dataset must be a ray.data.Dataset; got {dataset!r}. `predict` takes an input_fn")
    for name, value in (("batch_size", batch_size), ("concurrency", concurrency)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}")
    ensure_ray()
    checkpoint = predictor.checkpoint
    if checkpoint is not None and storage.is_local(checkpoint.path):
        # Actors run elsewhere: paths must not depend on the working directory.
        predictor.checkpoint = CheckpointReader(storage.absolute(checkpoint.path))
    use_gpu = predictor.config.use_gpu
    predicted = dataset.map_batches(
        _PredictingActor,
        # As bytes: Ray Data looks an actor's object up by the values of these arguments.
        fn_constructor_args=(ray.cloudpickle.dumps(predictor),),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=_actor_pool(dataset, concurrency, use_gpu),
        num_gpus=1 if use_gpu else None,
        udf_modifying_row_count=False,
    )
    # With a context of its own: that of the given data set stays as it is.
    predicted = ray.data.Dataset.copy(predicted, _deep_copy=True)
    predicted.context.raise_original_map_exception = True
    if keep_order:
        predicted.context.execution_options.preserve_order = True
    return predicted


def write_parquet(dataset: ray.data.Dataset, folder: str) -> None:
    """Run a pipeline and write its rows as Parquet files.

    Args:
        dataset: the pipeline.
        folder: where to; local or any fsspec URL.

    Raises:
        ValueError: a local folder that other nodes do not see, or whatever the pipeline raises.
    """
    system, path = storage.filesystem(folder)
    is_local = storage.is_local(folder)
    if is_local:
        check_shared(path, "the output")
    with own_errors(), quiet():
        quiet_copy(dataset).write_parquet(path, filesystem=None if is_local else system)


class _PredictingActor:
    """Has one model, and predicts table by table."""

    def __init__(self, predictor: bytes) -> None:
        self._predictor: TablePredictor = ray.cloudpickle.loads(predictor)

    def __call__(self, table: pa.Table) -> pa.Table:
        # The model is made here and not above: Ray would not pass on the type of an error in a constructor.
        try:
            return self._predictor(table)
        except Exception as error:
            raise _as_of_user_code(error).with_traceback(error.__traceback__) from None


def _as_of_user_code(error: Exception) -> Exception:
    """An error that keeps its type and is of user code too: Ray Data asks to report all others as its own faults."""
    kind = type(error)
    try:
        return type(kind.__name__, (UserCodeException, kind), {"__module__": kind.__module__})(*error.args)
    except TypeError:  # of a class that cannot be derived from, or is made from other arguments
        return error


def _actor_pool(dataset: ray.data.Dataset, concurrency: int | None, use_gpu: bool) -> ray.data.ActorPoolStrategy:
    """A pool of actors with a CPU each, beside which there is room for the tasks that read.

    Raises:
        ValueError: the cluster is too small: Ray would wait without a word.
    """
    # What is in the object store already needs no tasks.
    for_reading = 0 if isinstance(dataset, MaterializedDataset) else 1
    size = concurrency or _free_places(for_reading, use_gpu)
    resources = ray.cluster_resources()
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if size + for_reading > cpus:
        raise ValueError(
            f"the cluster has {cpus:g} CPUs, but {size} actors that predict need one each"
            f"{', and reading needs one' if for_reading else ''}; lower concurrency or add CPUs"
        )
    if use_gpu and size > gpus:
        raise ValueError(
            f"the cluster has {gpus:g} GPUs, but with RunConfig(use_gpu=True) {size} actors that predict need one "
            "each; lower concurrency or add GPUs"
        )
    return ray.data.ActorPoolStrategy(min_size=concurrency or 1, max_size=size)


def _free_places(for_reading: int, use_gpu: bool) -> int:
    free = ray.available_resources()
    places = free.get("CPU", 0.0) - for_reading
    return max(1, int(min(places, free.get("GPU", 0.0)) if use_gpu else places))
