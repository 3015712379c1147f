"""Rows of a run with their predictions, as Parquet files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module

import pyarrow as pa
import pyarrow.parquet as pq

from raydnn import storage
from raydnn.config.rows import RowsInput
from raydnn.errors import ConfigError
from raydnn.estimator import Estimator
from raydnn.inputs.arrays import without_dictionaries
from raydnn.inputs.dataset import RayDatasetSource
from raydnn.inputs.fragments import Fragments

BATCH_ROWS = 16_384
"""Rows that are predicted at once, and of a row group of what one process writes."""


@dataclass(frozen=True, kw_only=True)
class PredictedFiles:
    """What to predict, and how.

    Attributes:
        rows: the input function of the rows.
        estimator: predicts.
        keys: which predictions; None is all.
        checkpoint: its path; None is the newest.
        batch_size: rows that are predicted at once.
        workers: how many Ray actors predict; None predicts in this process what Ray Data does not have to read.
        prefix: what the names of the added columns begin with.
    """

    rows: RowsInput
    estimator: Estimator
    keys: list[str] | None
    checkpoint: str | None
    batch_size: int
    workers: int | None
    prefix: str

    def write(self, out: str) -> int:
        """Write all rows into a new folder.

        Args:
            out: the folder; it appears when all is written.

        Returns:
            The number of rows.

        Raises:
            ConfigError: workers for files that Ray Data does not read.
            FileExistsError: the folder is there already.
            ValueError: there are no rows, or rows that do not fit the model.
        """
        with storage.filled_folder(storage.absolute(out)) as folder:
            if self.workers is None and not self.rows.through_ray:
                self._write_here(folder)
            else:
                self._write_with_ray(folder)
            num_rows = _count(folder)
            if not num_rows:
                raise ValueError(f"there are no rows to predict in {', '.join(self.rows.paths)}")
        return num_rows

    def _write_here(self, folder: str) -> None:
        tables = _tables(self.rows().fragments, self.batch_size)
        predicted = self.estimator.predict_tables(tables, self.keys, self.checkpoint, self.prefix)
        first = next(predicted, None)
        if first is None:
            return
        system, path = storage.filesystem(storage.join(folder, "part-00000.parquet"))
        with system.open(path, "wb") as file, pq.ParquetWriter(file, first.schema) as writer:
            writer.write_table(first)
            for table in predicted:
                writer.write_table(_as(first.schema, table))

    def _write_with_ray(self, folder: str) -> None:
        if self.rows.format == "tfrecord":
            raise ConfigError(
                "Ray Data does not read the TFRecord files of data.predict; leave out --workers and run.num_evaluators"
            )
        source = replace(self.rows, through_ray=True)().source
        assert isinstance(source, RayDatasetSource)
        predicted = self.estimator.predict_dataset(
            source.dataset, self.keys, self.checkpoint, self.batch_size, self.workers, prefix=self.prefix
        )
        # By name: this package knows no Ray.
        import_module("raydnn.distributed.prediction").write_parquet(predicted, folder)


def _tables(fragments: Fragments, size: int) -> Iterator[pa.Table]:
    """All rows in tables of some size at most; one fragment is in memory at a time."""
    for place, num_rows in enumerate(fragments.rows):
        table = pa.Table.from_batches([fragments.read(place, 0, num_rows, None)])
        for start in range(0, num_rows, size):
            yield without_dictionaries(table.slice(start, size))


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The table with the columns of the first one.

    Raises:
        ValueError: it has others, or of types that do not fit.
    """
    if table.schema == schema:
        return table
    differing = sorted(set(schema.names) ^ set(table.column_names))
    if differing:
        raise ValueError(f"the columns {', '.join(differing)} are not in all files of data.predict; predict them apart")
    return table.select(schema.names).cast(schema)


def _count(folder: str) -> int:
    total = 0
    for name in storage.list_folder(folder):
        system, path = storage.filesystem(storage.join(folder, name))
        with system.open(path, "rb") as file:
            total += pq.read_metadata(file).num_rows
    return total
