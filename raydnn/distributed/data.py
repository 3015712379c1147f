"""Ray Data in the input path: encoding a user's Ray Dataset, and loading units ahead."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray
import ray.data

from raydnn.distributed.cluster import ensure_ray, own_errors
from raydnn.inputs.arrays import concat_batches, table_to_batch
from raydnn.inputs.dataset import Dataset, RayDatasetSource, check_label
from raydnn.inputs.fragments import digest
from raydnn.inputs.plan import Unit
from raydnn.inputs.prepare import Preparer


@dataclass(frozen=True, eq=False)
class RayBlocks:
    """Encoded blocks in the object store, as fragments."""

    refs: tuple[Any, ...]
    rows: tuple[int, ...]
    fingerprint: str
    is_prepared = True

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        block: pa.Table = ray.get(self.refs[fragment])
        return table_to_batch(block.slice(start, stop - start))


def encode_dataset(dataset: Dataset, preparer: Preparer, with_label: bool = True) -> Dataset:
    """Encode the rows of a Ray Dataset with Ray Data, in their order.

    The encoded rows stay in the object store, which spills them to disk where they do not fit: an epoch costs no
    second reading or encoding, and their number is known beforehand.

    Args:
        dataset: whose source is a Ray Dataset.
        preparer: encodes blocks of rows.
        with_label: whether the label column is read.

    Returns:
        The data set with the encoded blocks as fragments.

    Raises:
        ValueError: the label column is missing, or rows do not fit the columns.
    """
    assert isinstance(dataset.source, RayDatasetSource)
    ensure_ray()
    source: ray.data.Dataset = dataset.source.dataset
    label = dataset.label if with_label else None
    with own_errors(), _data_context():
        schema = source.schema()
        names = [] if schema is None else list(schema.names)
        if schema is not None:
            check_label(label, names)
        keys = preparer.feature_keys
        if keys is not None and names:
            wanted = [name for name in names if name in keys or name == label]
            source = source.select_columns(wanted)
        encoded = source.map_batches(
            _Encode(preparer, label), batch_format="pyarrow", batch_size=None, zero_copy_batch=True
        ).materialize()
        refs, rows = [], []
        for bundle in encoded.iter_internal_ref_bundles():
            for block_ref, metadata in bundle.blocks:
                refs.append(block_ref)
                rows.append(int(metadata.num_rows))
    blocks = RayBlocks(tuple(refs), tuple(rows), digest(["ray", *map(str, rows), *names]))
    return replace(dataset, source=blocks)


@dataclass(frozen=True)
class _Encode:
    """Encodes one block."""

    preparer: Preparer
    label: str | None

    def __call__(self, block: pa.Table) -> pa.Table:
        rows = table_to_batch(block)
        labels = rows.column(self.label) if self.label is not None else None
        return pa.Table.from_batches([self.preparer.prepare(rows, labels)])


def map_in_ray_data(load: Callable[[Unit], pa.RecordBatch], units: Iterable[Unit]) -> Iterator[pa.RecordBatch]:
    """Load units ahead with Ray Data, in their order.

    Args:
        load: can be sent to another process.
        units: of a plan.
    """
    planned = list(units)
    if not planned:
        return
    ensure_ray()
    with own_errors(), _data_context():
        places = ray.data.from_items(list(range(len(planned))), override_num_blocks=len(planned))
        loaded = places.map_batches(_LoadUnits(load, planned), batch_format="numpy", batch_size=1)
        rows: list[pa.RecordBatch] = []
        held = 0
        remaining = iter(planned)
        unit = next(remaining)
        # Ray Data may merge and split blocks: what it gives is cut again at the units' known sizes.
        for block in loaded.iter_batches(batch_format="pyarrow", batch_size=None):
            rows.append(table_to_batch(block))
            held += rows[-1].num_rows
            while unit is not None and held >= unit.num_rows:
                whole = concat_batches(rows)
                yield whole.slice(0, unit.num_rows)
                rows, held = [whole.slice(unit.num_rows)], held - unit.num_rows
                unit = next(remaining, None)  # type: ignore[assignment]


@dataclass(frozen=True)
class _LoadUnits:
    """Loads the units whose places a block holds."""

    load: Callable[[Unit], pa.RecordBatch]
    units: Sequence[Unit]

    def __call__(self, places: dict[str, Any]) -> pa.Table:
        return pa.Table.from_batches([self.load(self.units[int(place)]) for place in places["item"]])


@contextmanager
def _data_context() -> Iterator[None]:
    """Ray Data in input order and without its own progress bars, for our pipelines only."""
    context = ray.data.DataContext.get_current()
    before = (context.execution_options.preserve_order, context.enable_progress_bars)
    context.execution_options.preserve_order, context.enable_progress_bars = True, False
    try:
        yield
    finally:
        context.execution_options.preserve_order, context.enable_progress_bars = before
