"""The input functions of a run: values that can be sent to any process, and open the data where they are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from raydnn import storage
from raydnn.config.data import Data, Files
from raydnn.feature_column.parse_spec import FeatureSpec
from raydnn.inputs import Dataset, from_parquet, from_ray, from_tfrecord


@dataclass(frozen=True)
class RowsInput:
    """An input function of declared files; called, it gives a data set.

    Attributes:
        paths: of the files, or the name of a table.
        format: of the files.
        through_ray: whether Ray Data reads them.
        order: label, batch_size, num_epochs, shuffle, seed and drop_remainder of the data set.
        compression_type: of TFRecord files.
        spec: layout of the examples in TFRecord files.
        options: more arguments of Ray Data's reader.
    """

    paths: tuple[str, ...]
    format: str
    through_ray: bool
    order: Mapping[str, Any]
    compression_type: str = ""
    spec: Mapping[str, FeatureSpec] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Dataset:
        if self.through_ray:
            # By name: this package knows no Ray, and most runs read without it.
            sources = import_module("raydnn.distributed.sources")
            return from_ray(sources.read(self.format, self.paths, self.options), **self.order)
        if self.format == "parquet":
            return from_parquet(self.paths, **self.order)
        return from_tfrecord(self.paths, self.spec, compression_type=self.compression_type, **self.order)


def rows_input(data: Data, files: Files, spec: Mapping[str, FeatureSpec], trains: bool, label: str | None) -> RowsInput:
    """The input function of some files.

    Args:
        data: how to go through the rows.
        files: where they are.
        spec: layout of their examples, if they are TFRecord files.
        trains: whether they are trained on, and so shuffled and repeated as data says; else each row comes once.
        label: the column with the labels; None for prediction.
    """
    order: dict[str, Any] = {"label": label, "batch_size": files.batch_size or data.batch_size}
    if trains:
        order |= {
            "num_epochs": data.epochs,
            "shuffle": data.shuffle,
            "seed": data.seed,
            "drop_remainder": data.drop_remainder,
        }
    # Workers may have another working directory.
    paths = files.paths if files.kind == "iceberg" else tuple(map(storage.absolute, files.paths))
    through_ray = data.is_read_by_ray(files)
    layout = spec if files.kind == "tfrecord" else {}
    return RowsInput(paths, files.kind, through_ray, order, files.compression_type, layout, files.options)
