"""The profile of declared files: small local ones are read here, all others by Ray Data."""

import os
from collections.abc import Iterator, Mapping
from importlib import import_module

import pyarrow as pa
import pyarrow.csv
from pydantic import ValidationError

from raydnn import storage
from raydnn.config.data import Data, Files
from raydnn.config.profile import Profile, merge, profile_rows
from raydnn.config.rows import RowsInput, rows_input
from raydnn.errors import ConfigError
from raydnn.inputs.fragments import Fragments, ParquetFragments, find_files
from raydnn.inputs.tfrecord import TFRecordFragments

LOCAL_BYTES = 512 << 20
"""Local files of fewer bytes than this, together, are read in this process: sooner than Ray starts its own."""
BATCH_ROWS = 1 << 18
"""Rows that are read at a time."""

_NO_LABEL = "-"


def profile_input(source: RowsInput, watched: Mapping[str, pa.Array] | None = None) -> Profile:
    """The profile of the rows of an input function.

    Args:
        source: whose files are read once.
        watched: see `profile_rows`.

    Raises:
        ConfigError: files are not there, cannot be read, or have no rows.
    """
    try:
        profile = _profile(source, watched or {})
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{', '.join(source.paths)} cannot be read as {source.format}: {error}") from error
    if not profile.rows:
        raise ConfigError(f"{', '.join(source.paths)} has no rows")
    return profile


def read_here(source: RowsInput) -> Iterator[pa.RecordBatch] | None:
    """The rows of an input function in their order, with all columns; None where Ray Data has to read them.

    Raises:
        FileNotFoundError: a path is not there.
    """
    if source.format == "tfrecord":
        return _read(TFRecordFragments.open(source.paths, source.spec, source.compression_type))
    if not source.options and source.format in ("csv", "parquet"):
        files = find_files(source.paths, f".{source.format}")
        if all(storage.is_local(file) for file in files) and sum(map(os.path.getsize, files)) < LOCAL_BYTES:
            return _read_csv(files) if source.format == "csv" else _read(ParquetFragments.open(files))
    return None


def _profile(source: RowsInput, watched: Mapping[str, pa.Array]) -> Profile:
    rows = read_here(source)
    if rows is not None:
        return merge(profile_rows(batch, watched) for batch in rows)
    # By name: this package knows no Ray.
    distributed = import_module("raydnn.distributed.profile")
    profile: Profile = distributed.profile_files(source.format, source.paths, source.options, watched)
    return profile


def _read(fragments: Fragments) -> Iterator[pa.RecordBatch]:
    for fragment, rows in enumerate(fragments.rows):
        for start in range(0, rows, BATCH_ROWS):
            yield fragments.read(fragment, start, min(start + BATCH_ROWS, rows), None)


def _read_csv(files: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of CSV files, with the types that Ray Data finds in them: those of the first block of each file."""
    for file in files:
        with pyarrow.csv.open_csv(file) as reader:
            yield from reader


def input_of(path: str, file_format: str | None = None) -> RowsInput:
    """The input function of files that no run declares yet.

    Args:
        path: of Parquet or CSV files, or of a Delta table, any fsspec URL; or the name of an Iceberg table.
        file_format: of the files; None tells it from the suffix of the path.

    Raises:
        ConfigError: the format cannot be told from the path, is not known, or does not tell its columns.
    """
    try:
        files = Files.model_validate({"path": path} | ({} if file_format is None else {"format": file_format}))
        data = Data(train=files, label=_NO_LABEL)
    except ValidationError as error:
        raise ConfigError("; ".join(line["ctx"]["message"] for line in error.errors())) from error
    if files.kind == "tfrecord":
        raise ConfigError(f"{path}: TFRecord files do not tell their columns; give Parquet or CSV, or write the YAML")
    return rows_input(data, files, {}, trains=False, label=None)
