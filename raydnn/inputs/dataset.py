"""Data sets that an input_fn may return: rows with a known order, which any number of workers can share."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raydnn.inputs.arrays import features_to_arrow, labels_to_arrow
from raydnn.inputs.fragments import Fragments, ParquetFragments, TableFragments
from raydnn.inputs.plan import Plan
from raydnn.inputs.tfrecord import TFRecordFragments
from raydnn.inputs.windows import WindowPlan, Windows

if TYPE_CHECKING:
    import pandas
    import ray.data

    from raydnn.feature_column.parse_spec import FeatureSpec

LABEL_COLUMN = "__label__"
"""The column that holds labels which were given apart from the features."""


@dataclass(frozen=True)
class RayDatasetSource:
    """A Ray Dataset that still has to be turned into fragments or windows.

    Attributes:
        dataset: the rows.
        streaming: see `from_ray`.
    """

    dataset: "ray.data.Dataset"
    streaming: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows and how to go through them; made by one of the `from_*` functions.

    Attributes:
        source: where the rows come from.
        label: the column with the labels, or None.
        batch_size: rows in a global batch.
        num_epochs: how often to go through the rows; None is without end.
        shuffle: whether each epoch has an order of its own.
        seed: of those orders; None takes the run's.
        drop_remainder: whether an epoch's short last batch is left out.
        reads_label: False for prediction, where the label column may be missing and is no feature either.
    """

    source: Fragments | Windows | RayDatasetSource
    label: str | None = None
    batch_size: int = 128
    num_epochs: int | None = 1
    shuffle: bool = False
    seed: int | None = None
    drop_remainder: bool = False
    reads_label: bool = True

    def columns_to_read(self, feature_keys: Sequence[str] | None) -> list[str] | None:
        """The columns that the features and the label take; None is all."""
        if feature_keys is None:
            return None
        has_more = self.label is not None and self.reads_label and self.label not in feature_keys
        return [*feature_keys, *([self.label] if has_more and self.label is not None else [])]

    def split(self, rows: pa.RecordBatch, feature_keys: Sequence[str] | None) -> tuple[pa.RecordBatch, pa.Array | None]:
        """Features and labels of raw rows.

        Args:
            rows: as they were read.
            feature_keys: the features that are wanted; None is all columns but the label.

        Raises:
            ValueError: the label column is missing.
        """
        if self.label is None:
            return rows, None
        labels = None
        if self.reads_label:
            check_label(self.label, rows.schema.names)
            labels = rows.column(self.label)
        if feature_keys is None and self.label in rows.schema.names:
            rows = rows.drop_columns([self.label])
        return rows, labels

    @property
    def rows(self) -> Fragments | Windows:
        """The rows, to be read.

        Raises:
            TypeError: they are those of a Ray Dataset that was not opened yet.
        """
        if isinstance(self.source, RayDatasetSource):
            raise TypeError("this Ray Dataset must be opened before its rows can be read")
        return self.source

    @property
    def fragments(self) -> Fragments:
        """The pieces to read, of a data set that is not streamed."""
        assert not isinstance(self.rows, Windows)
        return self.rows

    @property
    def windows(self) -> Windows | None:
        """The rows of a data set that is streamed, else None."""
        return self.source if isinstance(self.source, Windows) else None

    @cached_property
    def plan(self) -> Plan:
        """The order of the rows of a data set that is not streamed."""
        rows, seed = self.fragments.rows, self.seed or 0
        return Plan(rows, self.batch_size, self.shuffle, seed, self.drop_remainder)

    @property
    def window_plan(self) -> WindowPlan:
        """The order of the rows of a data set that is streamed."""
        return WindowPlan(self.batch_size, self.shuffle, self.seed or 0, self.drop_remainder)

    @property
    def order(self) -> Plan | WindowPlan:
        """The order of the rows."""
        return self.plan if self.windows is None else self.window_plan

    def with_seed(self, seed: int) -> "Dataset":
        """The data set with a seed where it has none."""
        return self if self.seed is not None else replace(self, seed=seed)

    def check_has_batches(self) -> None:
        """Refuse a data set that is known to train nothing; whether a streamed one does shows when it is read.

        Raises:
            ValueError: it has no rows, or too few for one batch with drop_remainder.
        """
        if self.order.batches_per_epoch == 0:
            raise self.no_batch(self.plan.num_rows)

    def no_batch(self, num_rows: int) -> ValueError:
        """The error to raise where training finds no batch in so many rows."""
        if not num_rows:
            return ValueError("the data set of the input_fn has no rows: check its files and filters")
        return ValueError(
            f"the data set of the input_fn has {num_rows} rows, fewer than its batch_size {self.batch_size}, and "
            "drop_remainder leaves them out"
        )

    @property
    def num_batches(self) -> int | None:
        """Global batches in all epochs; None without end, and where that is not known."""
        if self.num_epochs is None or isinstance(self.source, RayDatasetSource):
            return None
        of_epoch = self.order.batches_per_epoch
        return None if of_epoch is None else self.num_epochs * of_epoch


def _dataset(
    source: Fragments | RayDatasetSource,
    label: str | None,
    batch_size: int,
    num_epochs: int | None,
    shuffle: bool,
    seed: int | None,
    drop_remainder: bool,
) -> Dataset:
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
    if num_epochs is not None and num_epochs < 1:
        raise ValueError(f"num_epochs must be 1 or more, or None for no end; got {num_epochs}")
    return Dataset(
        source=source,
        label=label,
        batch_size=operator.index(batch_size),
        num_epochs=num_epochs if num_epochs is None else operator.index(num_epochs),
        shuffle=shuffle,
        seed=seed if seed is None else operator.index(seed),
        drop_remainder=drop_remainder,
    )


def from_arrow(
    table: pa.Table | pa.RecordBatch,
    *,
    label: str | None = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Dataset:
    """Rows of an Arrow table.

    Args:
        table: one column per feature, and the label's.
        label: name of the label column; None for prediction.
        batch_size: rows in a global batch, which all workers share.
        num_epochs: how often to go through the rows; None is without end.
        shuffle: whether each epoch has an order of its own.
        seed: of those orders; None takes the run's `tf_random_seed`.
        drop_remainder: whether an epoch's short last batch is left out.

    Raises:
        ValueError: the label column is missing, or a bad batch_size or num_epochs.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    check_label(label, table.schema.names)
    return _dataset(TableFragments(table), label, batch_size, num_epochs, shuffle, seed, drop_remainder)


def from_numpy(
    features: Mapping[str, Any],
    labels: Any = None,
    *,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Dataset:
    """Rows of arrays in memory.

    Args:
        features: name -> [rows] or [rows, ...] array, ragged lists, or SparseTensor.
        labels: [rows] or [rows, 1] array; None for prediction.
        batch_size, num_epochs, shuffle, seed, drop_remainder: see `from_arrow`.

    Raises:
        ValueError: arrays of different lengths, or a bad batch_size or num_epochs.
    """
    table = pa.Table.from_batches([features_to_arrow(features)])
    label = None
    if labels is not None:
        column = labels_to_arrow(labels)
        if len(column) != table.num_rows:
            raise ValueError(f"labels have {len(column)} rows, features have {table.num_rows}")
        table = table.append_column(LABEL_COLUMN, column)
        label = LABEL_COLUMN
    return _dataset(TableFragments(table), label, batch_size, num_epochs, shuffle, seed, drop_remainder)


def from_pandas(
    frame: "pandas.DataFrame",
    *,
    label: str | None = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Dataset:
    """Rows of a pandas DataFrame; its index is not a feature. The arguments are those of `from_arrow`."""
    return from_arrow(
        pa.Table.from_batches([features_to_arrow({str(name): frame[name] for name in frame.columns})]),
        label=label,
        batch_size=batch_size,
        num_epochs=num_epochs,
        shuffle=shuffle,
        seed=seed,
        drop_remainder=drop_remainder,
    )


def from_parquet(
    paths: str | PathLike[str] | Sequence[str],
    *,
    label: str | None = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Dataset:
    """Rows of Parquet files, read row group by row group.

    Args:
        paths: files, or folders with `*.parquet` files, local or any fsspec URL. Row groups of 32 to 128 thousand
            rows read best.
        label, batch_size, num_epochs, shuffle, seed, drop_remainder: see `from_arrow`.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: a bad batch_size or num_epochs.
    """
    source = ParquetFragments.open(paths if isinstance(paths, Sequence) else str(paths))
    return _dataset(source, label, batch_size, num_epochs, shuffle, seed, drop_remainder)


def from_tfrecord(
    paths: str | PathLike[str] | Sequence[str],
    spec: "Mapping[str, FeatureSpec]",
    *,
    label: str | None = None,
    compression_type: str = "",
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Dataset:
    """Rows of TFRecord files with a serialized tf.Example in each record; checksums are checked.

    Args:
        paths: files, or folders with `*.tfrecord*` files, local or any fsspec URL.
        spec: name -> FixedLenFeature or VarLenFeature, the label's included; `make_parse_example_spec` and
            `classifier_parse_example_spec` give it.
        compression_type: '', 'GZIP' or 'ZLIB'; compressed files are unpacked from their start for each part.
        label, batch_size, num_epochs, shuffle, seed, drop_remainder: see `from_arrow`.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: a label that the spec lacks, or a bad compression_type, batch_size or num_epochs.
        DataLossError: a file is damaged.
    """
    check_label(label, list(spec))
    files = paths if isinstance(paths, Sequence) else str(paths)
    source = TFRecordFragments.open(files, spec, compression_type)
    return _dataset(source, label, batch_size, num_epochs, shuffle, seed, drop_remainder)


def from_ray(
    dataset: "ray.data.Dataset",
    *,
    label: str | None = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
    streaming: bool | None = None,
) -> Dataset:
    """Rows of a Ray Dataset, encoded by Ray Data: once, and kept in the object store, or anew in each epoch.

    A streamed data set may be of any size: no more than a few windows of 65,536 rows wait for the workers. It is
    executed again in each epoch, and when training goes on after an interruption, which then leaves out the rows that
    were used; so it must give the same rows in the same order each time. `shuffle` mixes the rows of a window only, not
    those of distant places. Beside the workers at least one CPU must be free for it. Kept rows cost one execution, are
    mixed from eight places, and may take as much as object store and disk hold.

    Args:
        dataset: one column per feature, and the label's.
        label, batch_size, num_epochs, shuffle, seed, drop_remainder: see `from_arrow`.
        streaming: True streams in every epoch; False keeps the encoded rows; None streams what is known to have at
            least 30 % of the size of the cluster's object store, without executing it.

    Raises:
        ValueError: a bad batch_size or num_epochs.
    """
    return _dataset(RayDatasetSource(dataset, streaming), label, batch_size, num_epochs, shuffle, seed, drop_remainder)


def check_label(label: str | None, names: Sequence[str]) -> None:
    """Refuse a label column that is not there.

    Raises:
        ValueError: it is not.
    """
    if label is not None and label not in names:
        raise ValueError(f"there is no label column '{label}'; the data has {', '.join(names)}")
