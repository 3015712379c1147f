"""Where rows come from: pieces of known size that can be read in any order."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from raydnn import storage
from raydnn.inputs.arrays import table_to_batch

TABLE_FRAGMENT_ROWS = 65_536


class Fragments(Protocol):
    """A data set in pieces.

    Attributes:
        rows: number of rows of each fragment.
        fingerprint: changes when the data does, as far as that can be seen without reading it all.
        is_prepared: whether the rows were encoded already.
        is_stored: whether they are read from files, which other processes can do as well.
    """

    @property
    def rows(self) -> tuple[int, ...]: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def is_prepared(self) -> bool: ...

    @property
    def is_stored(self) -> bool: ...

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        """Rows [start, stop) of a fragment.

        Args:
            columns: which to read; names that are not there are left out. None reads all.
        """


@dataclass(frozen=True)
class TableFragments:
    """An Arrow table in memory."""

    table: pa.Table
    is_prepared = False
    is_stored = False

    @property
    def rows(self) -> tuple[int, ...]:
        total, size = self.table.num_rows, TABLE_FRAGMENT_ROWS
        return tuple(min(size, total - start) for start in range(0, total, size))

    @property
    def fingerprint(self) -> str:
        return digest(["table", str(self.table.schema), str(self.table.num_rows)])

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        table = self.table.slice(fragment * TABLE_FRAGMENT_ROWS + start, stop - start)
        return table_to_batch(table if columns is None else table.select(_present(table.schema, columns)))


@dataclass(frozen=True)
class RowGroup:
    """One row group of a Parquet file.

    Attributes:
        path: of the file.
        place: within the file.
        rows: number of rows.
        strings: the columns of strings.
    """

    path: str
    place: int
    rows: int
    strings: tuple[str, ...]


@dataclass(frozen=True)
class ParquetFragments:
    """The row groups of Parquet files, in the order of the sorted paths.

    String columns are read with the file's own dictionaries, so that only the dictionary is hashed or looked up.
    """

    row_groups: tuple[RowGroup, ...]
    fingerprint: str
    is_prepared = False
    is_stored = True

    @classmethod
    def open(cls, paths: str | Sequence[str]) -> "ParquetFragments":
        """Read the footers.

        Args:
            paths: of files or of folders with `*.parquet` files, local or any fsspec URL.

        Raises:
            FileNotFoundError: a path is not there, or a folder has no Parquet file.
        """
        groups, marks = [], []
        for path in find_files(paths, ".parquet"):
            system, inner = storage.filesystem(path)
            info = system.info(inner)
            marks += [path, str(info["size"]), str(info.get("mtime") or info.get("ETag") or "")]
            with _open(path) as file:
                strings = tuple(field.name for field in file.schema_arrow if pa.types.is_string(field.type))
                sizes = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
            groups += [RowGroup(path, place, size, strings) for place, size in enumerate(sizes)]
        return cls(tuple(groups), digest(["parquet", *marks]))

    @property
    def rows(self) -> tuple[int, ...]:
        return tuple(group.rows for group in self.row_groups)

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        group = self.row_groups[fragment]
        with _open(group.path, group.strings) as file:
            wanted = None if columns is None else _present(file.schema_arrow, columns)
            table = file.read_row_group(group.place, columns=wanted, use_threads=False)
        return table_to_batch(table.slice(start, stop - start))


def digest(parts: Sequence[str]) -> str:
    """A short digest of texts."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def find_files(paths: str | Sequence[str], suffix: str) -> list[str]:
    """The files of some paths, sorted; a folder stands for the files in it whose names contain the suffix.

    Raises:
        FileNotFoundError: a path is not there, or a folder has no such file.
    """
    found: list[str] = []
    for path in [paths] if isinstance(paths, str) or not isinstance(paths, Sequence) else paths:
        system, inner = storage.filesystem(str(path))
        # Workers may have another working directory.
        path = inner if storage.is_local(str(path)) else str(path)
        if system.isdir(inner):
            names = [name for name in storage.list_folder(path) if suffix in name and not name.startswith((".", "_"))]
            if not names:
                raise FileNotFoundError(f"the folder {path} holds no *{suffix} file")
            found += [storage.join(path, name) for name in names]
        elif system.exists(inner):
            found.append(path)
        else:
            raise FileNotFoundError(f"there is no file {path}")
    return sorted(found)


@contextmanager
def _open(path: str, read_dictionary: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    system, inner = storage.filesystem(path)
    with ExitStack() as stack:
        source: Any = inner if storage.is_local(path) else stack.enter_context(system.open(inner, "rb"))
        yield stack.enter_context(pq.ParquetFile(source, read_dictionary=list(read_dictionary)))


def _present(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    return [name for name in columns if schema.get_field_index(name) >= 0]
