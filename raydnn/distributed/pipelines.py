"""Pipelines of Ray Data that encode rows, and running them without Ray Data's displays."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import ray.data
from ray.data import ExecutionResources

from raydnn.inputs.arrays import table_to_batch
from raydnn.inputs.dataset import Dataset, RayDatasetSource, check_label
from raydnn.inputs.fragments import TableFragments
from raydnn.inputs.prepare import Preparer

BLOCKS_IN_FLIGHT = 8
LEAST_BLOCK_BYTES = 2**20


def encoding_pipeline(dataset: Dataset, preparer: Preparer) -> tuple[ray.data.Dataset, list[str]]:
    """Plan the encoding of a Ray Dataset, block by block and in their order.

    Args:
        dataset: whose source is a Ray Dataset.
        preparer: encodes blocks of rows.

    Returns:
        The encoded rows, with a context of their own, and the names of the columns before.

    Raises:
        ValueError: the label column is missing.
    """
    assert isinstance(dataset.source, RayDatasetSource)
    source: ray.data.Dataset = dataset.source.dataset
    schema = source.schema()
    names = [] if schema is None else list(schema.names)
    if schema is not None and dataset.reads_label:
        check_label(dataset.label, names)
    wanted = dataset.columns_to_read(preparer.feature_keys)
    if wanted is not None and names:
        source = source.select_columns([name for name in names if name in wanted])
    # A task needs to know of the label, not of the rows.
    encode = _Encode(preparer, replace(dataset, source=TableFragments(pa.table({}))))
    encoded = source.map_batches(encode, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)
    encoded = quiet_copy(encoded)
    context = encoded.context
    context.execution_options.preserve_order = True
    context.raise_original_map_exception = True
    # Those who take the rows may rest for any time.
    context.execution_no_progress_timeout_s = -1
    return encoded, names


def quiet_copy(dataset: ray.data.Dataset) -> ray.data.Dataset:
    """The same data set without Ray Data's displays, and with a context of its own: that of the given one stays."""
    dataset = ray.data.Dataset.copy(dataset, _deep_copy=True)
    dataset.context.enable_progress_bars = dataset.context.print_on_execution_start = False
    return dataset


def bound(encoded: ray.data.Dataset, num_bytes: float) -> None:
    """Let a pipeline that streams keep no more than so many bytes in the object store.

    Its blocks are made small enough to flow within that: one block may not hold up all others.

    Args:
        encoded: has a context of its own.
        num_bytes: of the object store.
    """
    context = encoded.context
    options = context.execution_options
    options.resource_limits = options.resource_limits.min(ExecutionResources.for_limits(object_store_memory=num_bytes))
    block_bytes = max(int(num_bytes / BLOCKS_IN_FLIGHT), LEAST_BLOCK_BYTES)
    context.target_max_block_size = min(context.target_max_block_size or block_bytes, block_bytes)


@dataclass(frozen=True)
class _Encode:
    """Encodes one block."""

    preparer: Preparer
    dataset: Dataset

    def __call__(self, block: pa.Table) -> pa.Table:
        features, labels = self.dataset.split(table_to_batch(block), self.preparer.feature_keys)
        return pa.Table.from_batches([self.preparer.prepare(features, labels)])


class _Quiet:
    """Keeps loggers silent as long as anyone asks for it, in whatever thread."""

    def __init__(self, names: list[str]) -> None:
        self._loggers = [logging.getLogger(name) for name in names]
        self._levels: list[int] = []
        self._num_asking = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            if not self._num_asking:
                self._levels = [logger.level for logger in self._loggers]
                for logger in self._loggers:
                    logger.setLevel(logging.CRITICAL)
            self._num_asking += 1

    def end(self) -> None:
        with self._lock:
            self._num_asking -= 1
            if not self._num_asking:
                for logger, level in zip(self._loggers, self._levels, strict=True):
                    logger.setLevel(level)


# What Ray Data tells of each run, and of errors that we raise ourselves.
_DISPLAYS = _Quiet(
    [
        "ray.data._internal.execution.streaming_executor",
        "ray.data._internal.execution.streaming_executor_state",
        "ray.data._internal.progress",
        "ray.data.dataset",
        "ray.data.exceptions",
    ]
)


@contextmanager
def quiet() -> Iterator[None]:
    """While the block runs, Ray Data does not log what it does; blocks may overlap."""
    _DISPLAYS.begin()
    try:
        yield
    finally:
        _DISPLAYS.end()
