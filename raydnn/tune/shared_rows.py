"""Rows of a sweep that are encoded once, and read by all trials from the object store.

What encoded rows hold depends on the files, on the numbers and categories that enter the network, on labels and
weights; not on the sizes of learned vectors, batches, or the order of rows. Trials for which all that is as in the base
run share its rows, which are the same bits in the same fragments as those that they would read from the files, so that
neither batches nor the positions in checkpoints change. The others read for themselves.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray

from raydnn.config import Run
from raydnn.distributed.cluster import own_errors
from raydnn.distributed.data import STREAMED_FROM, RayBlocks
from raydnn.feature_column.encoder import Encoder, example_weight_column, input_layer_columns
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.prepare import EncodingPreparer
from raydnn.inputs.stream import UnitLoader
from raydnn.model.heads import classification_head
from raydnn.tune.sweep import Sweep, reads_by_ray

InputFn = Callable[[], Dataset]

ROWS_HERE = 1 << 21
"""So many rows are encoded in this process, sooner than others would have started."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SharedRows:
    """The encoded rows of a run.

    Attributes:
        train: to train on.
        eval: to evaluate on.
        encoder: that has encoded them.
    """

    train: RayBlocks
    eval: RayBlocks
    encoder: Encoder

    def train_input(self, run: Run) -> InputFn:
        """The input function of a trial to train with."""
        return self._input(run, run.train_input(), self.train)

    def eval_input(self, run: Run) -> InputFn:
        """The input function of a trial to evaluate with."""
        return self._input(run, run.eval_input(), self.eval)

    def _input(self, run: Run, own: InputFn, blocks: RayBlocks) -> InputFn:
        is_same = _layout(encoder_of(run)) == _layout(self.encoder)
        return SharedInput(own, blocks) if is_same else own


@dataclass(frozen=True, eq=False)
class SharedInput:
    """An input function that gives encoded rows, if they are those of its own files.

    Attributes:
        own: opens the files.
        blocks: the encoded rows.
    """

    own: InputFn
    blocks: RayBlocks

    def __call__(self) -> Dataset:
        dataset = self.own()
        fragments = dataset.fragments
        is_same = (fragments.fingerprint, fragments.rows) == (self.blocks.fingerprint, self.blocks.rows)
        return replace(dataset, source=self.blocks) if is_same else dataset


def share_rows(sweep: Sweep) -> SharedRows | None:
    """Encode the rows of a sweep's base run into the object store, if they fit.

    Args:
        sweep: whose trials have not begun, so that its CPUs are free.

    Returns:
        None where Ray Data reads, where the rows are too many for the object store, and where they cannot be encoded:
        whatever is wrong with them, trials tell it.
    """
    run = sweep.trial_template().run({})
    if reads_by_ray(run):
        return None
    start = time.monotonic()
    try:
        encoder = encoder_of(run)
        room = STREAMED_FROM * ray.cluster_resources().get("object_store_memory", 0.0)
        parts = []
        for input_fn in (run.train_input(), run.eval_input()):
            blocks, size = _encoded(input_fn(), encoder, room)
            if blocks is None:
                return None
            room -= size
            parts.append(blocks)
    except Exception as error:
        logger.info("Each trial reads its rows itself: %s: %s", type(error).__name__, " ".join(str(error).split()))
        return None
    train, of_eval = parts
    num_rows, seconds = sum(train.rows) + sum(of_eval.rows), time.monotonic() - start
    logger.info("Trials share %s rows, which were encoded in %.1f s", f"{num_rows:,}", seconds)
    return SharedRows(train, of_eval, encoder)


def encoder_of(run: Run) -> Encoder:
    """What encodes rows to train on and to evaluate on."""
    head = classification_head(run.model.n_classes, run.model.label_vocabulary, run.model.loss_reduction)
    columns = input_layer_columns(run.feature_columns())
    return Encoder(columns, head.label_encoder, example_weight_column(run.data.weight)).load()


def _encoded(dataset: Dataset, encoder: Encoder, room: float) -> tuple[RayBlocks | None, int]:
    """Encoded rows and their bytes; None if they take more bytes than there is room for."""
    rows = dataset.fragments.rows
    loader = UnitLoader(dataset, EncodingPreparer(encoder), dataset.plan.epoch(0))
    put = _put_from_here if sum(rows) <= ROWS_HERE else _put_from_tasks
    # The largest one first, which tells how much all will take.
    order = sorted(range(len(rows)), key=lambda fragment: -rows[fragment])
    refs: dict[int, Any] = {}
    size = 0
    for some in (order[:1], order[1:]):
        for fragment, (ref, num_bytes) in zip(some, put(loader, [(each, rows[each]) for each in some]), strict=True):
            refs[fragment] = ref
            size += num_bytes
        known = sum(rows[fragment] for fragment in refs)
        if known and size / known * sum(rows) > room:
            logger.info("Each trial reads its rows itself: encoded, they would take too much of the object store")
            return None, 0
    fingerprint = dataset.fragments.fingerprint
    return RayBlocks(tuple(refs[fragment] for fragment in range(len(rows))), rows, fingerprint), size


def _put_from_here(loader: UnitLoader, fragments: Sequence[tuple[int, int]]) -> list[tuple[Any, int]]:
    """Where the encoded rows of fragments, given by place and rows, are in the object store, and their bytes."""
    tables = (_table(loader, *fragment) for fragment in fragments)
    return [(ray.put(table), table.nbytes) for table in tables]


def _put_from_tasks(loader: UnitLoader, fragments: Sequence[tuple[int, int]]) -> list[tuple[Any, int]]:
    """As `_put_from_here`, with all CPUs of the cluster."""
    sent, encode = ray.put(loader), ray.remote(num_cpus=1, num_returns=2, scheduling_strategy="SPREAD")(_table_and_size)
    made: list[Any] = [encode.remote(sent, *fragment) for fragment in fragments]
    with own_errors():
        sizes = ray.get([size for _, size in made])
    return [(ref, size) for (ref, _), size in zip(made, sizes, strict=True)]


def _table(loader: UnitLoader, fragment: int, num_rows: int) -> pa.Table:
    return pa.Table.from_batches([loader.read(fragment, 0, num_rows)])


def _table_and_size(loader: UnitLoader, fragment: int, num_rows: int) -> tuple[pa.Table, int]:
    table = _table(loader, fragment, num_rows)
    return table, table.nbytes


def _layout(encoder: Encoder) -> tuple[Any, ...]:
    """All that encoded rows depend on."""
    return encoder.value_columns, encoder.categorical_columns, encoder.label, encoder.weight
