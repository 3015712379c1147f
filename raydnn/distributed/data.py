"""A user's Ray Dataset as rows that can be read."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle
import ray.data
from pyarrow.fs import FileSelector, FileType

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.distributed.pipelines import bound, encoding_pipeline, quiet
from raydnn.distributed.streaming import RayWindows
from raydnn.inputs.arrays import table_to_batch
from raydnn.inputs.dataset import Dataset, RayDatasetSource
from raydnn.inputs.fragments import digest
from raydnn.inputs.prepare import Preparer

# Of the object store: beside the rows there must be room for what the pipeline and others keep there.
STREAMED_FROM = 0.3
STREAM_SHARE = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RayBlocks:
    """Encoded blocks in the object store, as fragments."""

    refs: tuple[Any, ...]
    rows: tuple[int, ...]
    fingerprint: str
    is_prepared = True
    is_stored = False

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        block: pa.Table = ray.get(self.refs[fragment])
        return table_to_batch(block.slice(start, stop - start))


def open_dataset(dataset: Dataset, preparer: Preparer) -> Dataset:
    """A Ray Dataset as rows that can be read: encoded now and kept, or encoded as they stream.

    Args:
        dataset: whose source is a Ray Dataset.
        preparer: encodes blocks of rows.

    Returns:
        The data set with encoded blocks as fragments, or with windows of rows.

    Raises:
        ValueError: the label column is missing, or rows do not fit the columns.
    """
    assert isinstance(dataset.source, RayDatasetSource)
    ensure_ray()
    with own_errors(), quiet():
        encoded, names = encoding_pipeline(dataset, preparer)
        if is_streamed(dataset.source):
            bound(encoded, STREAM_SHARE * ray.cluster_resources().get("object_store_memory", 0.0))
            return replace(dataset, source=RayWindows(encoded, digest(["ray stream", *names])))
        refs = encoded.materialize().to_arrow_refs()
        rows = ray.get([_num_rows.remote(ref) for ref in refs])
    blocks = RayBlocks(tuple(refs), tuple(rows), digest(["ray", *map(str, rows), *names]))
    return replace(dataset, source=blocks)


def is_streamed(source: RayDatasetSource) -> bool:
    """Whether to encode a Ray Dataset as it streams, instead of keeping its encoded rows in the object store.

    Args:
        source: tells what the user has chosen; without a choice the size decides.
    """
    if source.streaming is not None:
        return source.streaming
    size = known_bytes(source.dataset)
    store = ray.cluster_resources().get("object_store_memory", 0.0)
    is_large = size is not None and size >= STREAMED_FROM * store
    logger.info(
        "A Ray Dataset of %s, beside an object store of %.1f MB, is %s; from_ray(streaming=...) chooses otherwise",
        "unknown size" if size is None else f"{size / 1e6:.1f} MB",
        store / 1e6,
        "encoded anew in each epoch as it streams" if is_large else "encoded once and kept there",
    )
    return is_large


def known_bytes(dataset: ray.data.Dataset) -> int | None:
    """The size of a Ray Dataset as far as it is known without executing it, else that of what it reads; or None.

    Of files it is their size on disk, which is the least that their rows can be expected to take.
    """
    # `Dataset.size_bytes` would execute what it does not know.
    return _known_bytes(dataset._logical_plan.dag)


def _known_bytes(operator: Any) -> int | None:
    size: int | None = operator.infer_metadata().size_bytes
    if size is not None:
        return size
    if getattr(operator, "limit", None) is not None:
        return None
    if operator.name == "ListFiles":
        return _bytes_of_files(operator)
    sizes = [_known_bytes(other) for other in operator.input_dependencies]
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def _bytes_of_files(operator: Any) -> int | None:
    system = operator.filesystem
    if system is None:
        return None
    found = list(system.get_file_info(list(operator.paths)))
    for folder in [info.path for info in found if info.type == FileType.Directory]:
        found += system.get_file_info(FileSelector(folder, recursive=True))
    return sum(info.size or 0 for info in found)


@ray.remote(num_cpus=0)
def _num_rows(block: pa.Table) -> int:
    return block.num_rows
