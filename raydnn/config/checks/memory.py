"""How much memory a run needs, against what the machine has."""

from collections.abc import Iterator
from dataclasses import dataclass

from raydnn.config.checks.finding import Finding
from raydnn.config.profile import Profile
from raydnn.config.run import Run
from raydnn.feature_column.columns import CategoricalColumn, CategoricalWrapper, DenseColumn, ValueColumn
from raydnn.feature_column.embedding import EmbeddingColumn, SharedEmbeddingColumn
from raydnn.inputs.windows import WINDOW_ROWS
from raydnn.model.partitioners import min_max_variable_partitioner
from raydnn.train.optimizers.resolve import resolve_optimizer

PROCESS_BYTES = 300 << 20
"""Of a process with torch, before it does anything."""
WINDOWS = 3
"""Windows of rows in memory: one that is read, one that waits, one that batches are cut from."""
CLOSE = 0.8
"""A need of a larger share of the memory is worth a warning."""

_FLOAT = 4
_ID = 4
_OFFSET = 8


@dataclass(frozen=True)
class Need:
    """Bytes that one worker needs.

    Attributes:
        tables: embedding tables and dense weights, with their slots and what an update takes beside them.
        activations: of its part of a batch, with their gradients.
        windows: encoded rows that wait.
        weights: of all embedding tables and dense weights in whole, without slots: what evaluation holds of them.
        workers: how many workers there are.
    """

    tables: int
    activations: int
    windows: int
    weights: int
    workers: int

    @property
    def of_worker(self) -> int:
        """All of one worker, the process itself included."""
        return PROCESS_BYTES + self.tables + self.activations + self.windows


def needed_memory(run: Run, profile: Profile) -> Need:
    """An estimate of what each worker needs: within a factor of two, as libraries take room of their own.

    Args:
        run: what is trained.
        profile: of the rows, for their number and the lengths of their lists.
    """
    columns = run.feature_columns()
    config, arguments = run.run_config(), run.model.arguments()
    workers = config.worker_range[0] if config.worker_range else 1
    optimizer = resolve_optimizer(arguments.get("optimizer", "Adagrad"))
    # Weights, their slots, and where all rows are updated, temporaries of that size.
    copies = 1 + len(optimizer.slot_values) + (not optimizer.rows_only)
    partitioner = arguments.get("input_layer_partitioner") or min_max_variable_partitioner(
        max(config.num_ps_replicas or 0, 1), min_slice_size=64 << 20
    )
    tables = whole = 0
    for rows, dimension in _tables(columns).values():
        is_spread = workers > 1 and partitioner((rows, dimension), "float32")[0] > 1
        tables += -(-rows // (workers if is_spread else 1)) * dimension
        whole += rows * dimension
    widths = [sum(column.width for column in columns), *run.model.hidden_units]
    logits = 1 if run.model.n_classes == 2 else run.model.n_classes
    dense = sum((size + 1) * after for size, after in zip(widths, [*widths[1:], logits], strict=True))
    rows_of_batch = -(-run.data.batch_size // workers)
    return Need(
        tables=_FLOAT * (tables * copies + dense * (copies + 1)),
        activations=2 * _FLOAT * rows_of_batch * (sum(widths) + logits),
        windows=WINDOWS * min(WINDOW_ROWS, profile.rows) * _encoded_row_bytes(columns, profile),
        weights=_FLOAT * (whole + dense),
        workers=workers,
    )


def enough_memory(run: Run, profile: Profile, memory: int) -> Iterator[Finding]:
    """What the workers need, against the memory of this machine in bytes."""
    need = needed_memory(run, profile)
    together = need.workers * need.of_worker
    text = (
        f"{'the process needs' if need.workers == 1 else f'each of {need.workers} workers needs'} "
        f"{_size(need.of_worker)} (tables with slots {_size(need.tables)}, activations {_size(need.activations)}, "
        f"rows {_size(need.windows)}); this machine has {_size(memory)}"
    )
    if need.of_worker > memory:
        way_out = "; make tables smaller (hash, embed), or spread them over more workers with run.num_ps_replicas"
        yield Finding("error", ("run",), text + way_out)
    elif together > CLOSE * memory:
        yield Finding("warning", ("run",), text + "; lower run.num_workers, or let workers run on other machines too")
    else:
        yield Finding("info", ("run",), text)


def _tables(columns: list[DenseColumn]) -> dict[str, tuple[int, int]]:
    """Name -> rows and dimension of each embedding table, those that are shared once."""
    return {
        column.shared_embedding_collection_name if isinstance(column, SharedEmbeddingColumn) else column.name: (
            column.categorical_column.num_buckets,
            column.dimension,
        )
        for column in columns
        if isinstance(column, EmbeddingColumn)
    }


def _encoded_row_bytes(columns: list[DenseColumn], profile: Profile) -> int:
    size = 2.0 * _FLOAT  # label and weight
    seen: set[CategoricalColumn] = set()
    for column in columns:
        if isinstance(column, CategoricalWrapper) and column.categorical_column not in seen:
            seen.add(column.categorical_column)
            lists = [profile.columns[key] for key in column.feature_keys if key in profile.columns]
            lengths = [each.lengths.mean for each in lists if each.is_list]
            size += _ID * sum(lengths) + _OFFSET if lengths else _ID
        elif isinstance(column, ValueColumn):
            size += _FLOAT * column.width
    return round(size)


def _size(num_bytes: int) -> str:
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:.{0 if num_bytes >= 1e7 else 1}f} MB"
    return f"{num_bytes / 1e9:.1f} GB"
