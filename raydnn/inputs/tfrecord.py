"""TFRecord files: records one after the other, each with checksums of its length and its bytes.

uint64 length | uint32 masked CRC-32C of the length | bytes | uint32 masked CRC-32C of the bytes
"""

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import IO, Any

import google_crc32c
import pyarrow as pa

from raydnn import errors, storage
from raydnn.feature_column.parse_spec import FeatureSpec
from raydnn.inputs.example import parse_examples
from raydnn.inputs.fragments import digest, find_files

BLOCK_RECORDS = 16_384
COMPRESSIONS = ("", "GZIP", "ZLIB")

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


@dataclass(frozen=True)
class RecordBlock:
    """Consecutive records of one file.

    Attributes:
        path: of the file.
        offset: of the first record in the uncompressed bytes.
        rows: number of records.
    """

    path: str
    offset: int
    rows: int


@dataclass(frozen=True, eq=False)
class TFRecordFragments:
    """Examples in TFRecord files, in the order of the sorted paths."""

    blocks: tuple[RecordBlock, ...]
    spec: Mapping[str, FeatureSpec]
    compression_type: str
    fingerprint: str
    is_prepared = False
    is_stored = True

    @classmethod
    def open(
        cls, paths: str | Sequence[str], spec: Mapping[str, FeatureSpec], compression_type: str
    ) -> "TFRecordFragments":
        """Find the records of the files, by their lengths alone.

        Raises:
            FileNotFoundError: a path is not there.
            ValueError: an unknown compression.
            DataLossError: a file is truncated, or a length is damaged.
        """
        if compression_type not in COMPRESSIONS:
            raise ValueError(f"compression_type must be one of {COMPRESSIONS}; got {compression_type!r}")
        blocks: list[RecordBlock] = []
        marks: list[str] = []
        for path in find_files(paths, ".tfrecord"):
            system, inner = storage.filesystem(path)
            marks += [path, str(system.info(inner)["size"])]
            blocks += _blocks(path, compression_type)
        return cls(tuple(blocks), dict(spec), compression_type, digest(["tfrecord", *marks]))

    @property
    def rows(self) -> tuple[int, ...]:
        return tuple(block.rows for block in self.blocks)

    def read(self, fragment: int, start: int, stop: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        block = self.blocks[fragment]
        spec = {name: layout for name, layout in self.spec.items() if columns is None or name in columns}
        with _open(block.path, self.compression_type) as file:
            file.seek(block.offset)
            return parse_examples(islice(_records(file, block.path), start, stop), spec)


def read_records(path: str, compression_type: str = "") -> Iterator[bytes]:
    """The records of a TFRecord file, with both checksums checked.

    Raises:
        DataLossError: the file is damaged or truncated.
    """
    with _open(path, compression_type) as file:
        yield from _records(file, path)


def masked_crc32c(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, rotated and shifted."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _blocks(path: str, compression_type: str) -> list[RecordBlock]:
    blocks: list[RecordBlock] = []
    with _open(path, compression_type) as file:
        start, rows, offset = 0, 0, 0
        while (length := _next_length(file, path, offset)) is not None:
            offset += _HEADER.size + length + _FOOTER.size
            rows += 1
            file.seek(offset - 1)
            if not file.read(1):
                raise errors.DataLossError(f"{path} is truncated in its record at byte {offset}")
            if rows == BLOCK_RECORDS:
                blocks.append(RecordBlock(path, start, rows))
                start, rows = offset, 0
    return [*blocks, RecordBlock(path, start, rows)] if rows else blocks


def _records(file: IO[bytes], path: str) -> Iterator[bytes]:
    offset = file.tell()
    while (length := _next_length(file, path, offset)) is not None:
        data = file.read(length)
        footer = file.read(_FOOTER.size)
        if len(data) < length or len(footer) < _FOOTER.size:
            raise errors.DataLossError(f"{path} is truncated in the record at byte {offset}")
        if _FOOTER.unpack(footer)[0] != masked_crc32c(data):
            raise errors.DataLossError(f"{path} is damaged: the record at byte {offset} does not match its checksum")
        offset += _HEADER.size + length + _FOOTER.size
        yield data


def _next_length(file: IO[bytes], path: str, offset: int) -> int | None:
    """The length of the record that begins here, None at the end of the file."""
    header = file.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise errors.DataLossError(f"{path} is truncated in the record at byte {offset}")
    length, checksum = _HEADER.unpack(header)
    if checksum != masked_crc32c(header[:8]):
        raise errors.DataLossError(
            f"{path} is damaged, or no TFRecord file: the length at byte {offset} does not match its checksum"
        )
    return int(length)


@contextmanager
def _open(path: str, compression_type: str) -> Iterator[Any]:
    """The uncompressed bytes of a file.

    Raises:
        DataLossError: they cannot be unpacked.
    """
    system, inner = storage.filesystem(path)
    with system.open(inner, "rb") as file:
        try:
            if compression_type == "GZIP":
                with gzip.open(file) as unpacked:
                    yield unpacked
            elif compression_type == "ZLIB":
                yield BytesIO(zlib.decompress(file.read()))
            else:
                yield file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise errors.DataLossError(
                f"{path} is damaged, or not compressed as {compression_type}: {error}"
            ) from error
