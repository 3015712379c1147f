"""Reading TensorFlow's own checkpoints, and the variables of a SavedModel, without TensorFlow.

Such a checkpoint (a "tensor bundle") has no folder of its own, only a prefix that its files share:

    PREFIX.index                  a sorted table: variable name -> dtype, shape, and where its bytes lie
    PREFIX.data-0000I-of-0000N    the bytes of the variables, one after the other, little endian

The index is a LevelDB table:

    block | ... | footer: handle of an unused block, handle of the index block, padding, 8 bytes of mark
    handle: varint offset, varint size
    block: entries | uint32 restart offsets | uint32 their number, then 1 byte compression (0 none, 1 snappy) and
        a uint32 masked CRC-32C of all that
    entry: varint bytes shared with the key before, varint other bytes of the key, varint bytes of the value, these
        other bytes, the value

The entries of the index block hold the handles of the blocks with the variables. There the key "" holds a
BundleHeaderProto and every variable name a BundleEntryProto with a checksum of the variable's bytes. The entry of a
partitioned variable only lists its slices; each slice has an entry under a key that encodes name, starts and lengths.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import IO, Any

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from raydnn import errors, storage
from raydnn.inputs.tfrecord import masked_crc32c
from raydnn.model.rows import Rows
from raydnn.train.checkpoint.state import read_state

INDEX_SUFFIX = ".index"
SAVED_MODEL_PREFIX = ("variables", "variables")

_MARK = struct.pack("<Q", 0xDB4775248B80FB57)
_FOOTER_SIZE = 48
_BLOCK_TRAILER = struct.Struct("<BI")
_UINT32 = struct.Struct("<I")
_NO_COMPRESSION, _SNAPPY = 0, 1
_MAX_VARINT_BYTES = 10

_HEADER_KEY = b""
_SLICE_MARK = b"\x00"
_WHOLE_AXIS = (0, -1)

_BFLOAT16 = 14
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    _BFLOAT16: "float32",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_UNREADABLE_DTYPES = {7: "string", 20: "resource", 21: "variant"}


def find_tensor_bundle(path: str) -> str | None:
    """The prefix of the TensorFlow checkpoint that a path means.

    Args:
        path: a prefix, a folder whose state file `checkpoint` names one, or the folder of a SavedModel; local or any
            fsspec URL.

    Returns:
        The prefix, or None if the path is none of these.
    """
    candidates = [path, storage.join(path, *SAVED_MODEL_PREFIX)]
    if names := read_state(path):
        newest = names[-1]
        candidates.insert(1, newest if _is_absolute(newest) else storage.join(path, newest))
    return next((prefix for prefix in candidates if storage.exists(prefix + INDEX_SUFFIX)), None)


class TensorBundleReader:
    """The variables of one TensorFlow checkpoint; their values are read when asked for.

    A slot of a partition is stored under the shape of the whole variable, with the rows of the partition alone. Such
    a name stands for these rows here, in shape and value.

    Args:
        prefix: of the checkpoint's files, local or any fsspec URL; see `find_tensor_bundle`.

    Raises:
        NotFoundError: there is no such checkpoint.
        DataLossError: its index is damaged, or is no index.
        FailedPreconditionError: a big-endian machine wrote it.
    """

    def __init__(self, prefix: str) -> None:
        self.path = prefix
        index = prefix + INDEX_SUFFIX
        try:
            table = read_table(index)
        except FileNotFoundError as error:
            raise errors.NotFoundError(f"{prefix} is not a TensorFlow checkpoint: there is no {index}") from error
        if _HEADER_KEY not in table:
            raise errors.DataLossError(f"{index} is not a TensorFlow checkpoint: it is a table without a header")
        try:
            header = _message_class("BundleHeaderProto").FromString(table.pop(_HEADER_KEY))
            variables = _variables(table)
        except (DecodeError, ValueError) as error:
            raise errors.DataLossError(f"{index} is damaged: {error}") from error
        if header.endianness:
            raise errors.FailedPreconditionError(
                f"{prefix} was written on a big-endian machine; save it again on a little-endian one"
            )
        self._shard_count = int(header.num_shards)
        self._variables = variables

    @cached_property
    def global_step(self) -> int:
        """The step at which it was taken, 0 if it does not say."""
        return int(self.get_tensor("global_step")) if self.has_tensor("global_step") else 0

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Name -> shape of every variable, as `get_tensor` gives it."""
        return {name: list(variable.shape) for name, variable in self._variables.items()}

    def get_variable_to_dtype_map(self) -> dict[str, str]:
        """Name -> dtype name of every variable, as `get_tensor` gives it (a bfloat16 as float32)."""
        return {name: variable.dtype for name, variable in self._variables.items()}

    def has_tensor(self, name: str) -> bool:
        """Whether there is a variable of this name."""
        return name in self._variables

    def get_tensor(self, name: str) -> NDArray[Any]:
        """The value of a variable.

        Raises:
            NotFoundError: there is no such variable.
            DataLossError: the stored bytes are damaged or missing.
            UnimplementedError: its dtype is not numeric.
        """
        return self.get_tensors([name])[name]

    def get_tensors(self, names: list[str], rows: Mapping[str, Rows] | None = None) -> dict[str, NDArray[Any]]:
        """The values of several variables, of some only the wanted rows; each file is opened once."""
        variables = {name: self._readable(name) for name in names}
        in_file_order = sorted(variables, key=lambda name: variables[name].place)
        with ExitStack() as stack:
            shards = _Shards(self.path, self._shard_count, stack)
            values = {name: _value(name, variables[name], shards) for name in in_file_order}
        wanted = rows or {}
        return {name: values[name][wanted[name].places] if name in wanted else values[name] for name in names}

    def _readable(self, name: str) -> "_Variable":
        if name not in self._variables:
            known = ", ".join(self._variables)
            raise errors.NotFoundError(f"there is no variable '{name}' in {self.path}; it has {known}")
        variable = self._variables[name]
        if variable.dtype_number not in _DTYPES:
            raise errors.UnimplementedError(
                f"'{name}' of {self.path} has dtype {variable.dtype}; only numbers and bools can be read"
            )
        return variable


def read_table(url: str) -> dict[bytes, bytes]:
    """The entries of a LevelDB table, in the order of their keys.

    Raises:
        FileNotFoundError: there is no such file.
        DataLossError: the file is damaged, or is no table.
    """
    content = storage.read_bytes(url)
    if len(content) < _FOOTER_SIZE or not content.endswith(_MARK):
        raise errors.DataLossError(
            f"{url} is not a TensorFlow checkpoint, or is truncated: it does not end with the mark of a table"
        )
    footer = content[-_FOOTER_SIZE:]
    try:
        _, _, position = _handle(footer, 0)
        index = _block(content, *_handle(footer, position)[:2])
        return {
            key: value
            for _, handle in _block_entries(index)
            for key, value in _block_entries(_block(content, *_handle(handle, 0)[:2]))
        }
    except ValueError as error:
        raise errors.DataLossError(f"{url} is damaged: {error}") from error


@dataclass(frozen=True)
class _Piece:
    """A variable, or a slice of it, as it lies in a data file.

    Attributes:
        start: of the slice in the variable, one number an axis.
        shape: of the slice.
        dtype_number: TensorFlow's number of the dtype.
        shard: number of the data file.
        offset: of the first byte.
        size: in bytes.
        checksum: masked CRC-32C of the bytes.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    dtype_number: int
    shard: int
    offset: int
    size: int
    checksum: int


@dataclass(frozen=True)
class _Variable:
    """A variable, or the part of it that is stored, as pieces that do not overlap."""

    dtype_number: int
    pieces: tuple[_Piece, ...]

    @property
    def dtype(self) -> str:
        number = self.dtype_number
        return _DTYPES.get(number) or _UNREADABLE_DTYPES.get(number) or f"number {number} of TensorFlow"

    @cached_property
    def start(self) -> tuple[int, ...]:
        return tuple(min(starts) for starts in zip(*(piece.start for piece in self.pieces), strict=True))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        stops = [[first + size for first, size in zip(piece.start, piece.shape, strict=True)] for piece in self.pieces]
        return tuple(max(ends) - first for first, *ends in zip(self.start, *stops, strict=True))

    @property
    def place(self) -> tuple[int, int]:
        return self.pieces[0].shard, self.pieces[0].offset


class _Shards:
    """The data files of a checkpoint, each opened when it is first read.

    Args:
        prefix: of the files.
        count: number of the files.
        stack: closes them.
    """

    def __init__(self, prefix: str, count: int, stack: ExitStack) -> None:
        self._prefix = prefix
        self._count = count
        self._stack = stack
        self._files: dict[int, IO[bytes]] = {}

    def read(self, name: str, piece: _Piece) -> bytes:
        """The bytes of a piece of a variable, checked."""
        file = self._open(piece.shard)
        file.seek(piece.offset)
        data = file.read(piece.size)
        url = self._url(piece.shard)
        if len(data) < piece.size:
            raise errors.DataLossError(f"{url} is truncated: it ends within the bytes of '{name}'")
        if masked_crc32c(data) != piece.checksum:
            raise errors.DataLossError(f"{url} is damaged: the bytes of '{name}' do not match their checksum")
        return data

    def _open(self, shard: int) -> IO[bytes]:
        if shard not in self._files:
            url = self._url(shard)
            system, path = storage.filesystem(url)
            try:
                self._files[shard] = self._stack.enter_context(system.open(path, "rb"))
            except FileNotFoundError as error:
                raise errors.DataLossError(f"{url} is missing; the checkpoint is incomplete") from error
        return self._files[shard]

    def _url(self, shard: int) -> str:
        return f"{self._prefix}.data-{shard:05d}-of-{self._count:05d}"


def _value(name: str, variable: _Variable, shards: _Shards) -> NDArray[Any]:
    if sum(prod(piece.shape) for piece in variable.pieces) != prod(variable.shape):
        raise errors.DataLossError(f"the stored slices of '{name}' leave gaps; the checkpoint is incomplete")
    value = np.empty(variable.shape, variable.dtype)
    for piece in variable.pieces:
        axes = zip(piece.start, piece.shape, variable.start, strict=True)
        region = tuple(slice(first - origin, first - origin + size) for first, size, origin in axes)
        value[region] = _decode(name, piece, shards.read(name, piece))
    return value


def _decode(name: str, piece: _Piece, data: bytes) -> NDArray[Any]:
    is_bfloat16 = piece.dtype_number == _BFLOAT16
    stored = np.dtype("uint16" if is_bfloat16 else _DTYPES[piece.dtype_number]).newbyteorder("<")
    if prod(piece.shape) * stored.itemsize != piece.size:
        raise errors.DataLossError(f"'{name}' has {piece.size} bytes, which do not fill its shape {list(piece.shape)}")
    values = np.frombuffer(data, stored).reshape(piece.shape)
    # A bfloat16 is the upper half of a float32.
    return (values.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else values


def _variables(table: Mapping[bytes, bytes]) -> dict[str, _Variable]:
    """The variables that the entries of an index describe.

    Raises:
        DecodeError: an entry is no BundleEntryProto.
        ValueError: an entry does not make sense.
    """
    entry_class = _message_class("BundleEntryProto")
    entries = {key: entry_class.FromString(value) for key, value in table.items()}
    return {
        key.decode(): _Variable(int(entry.dtype), _pieces(key, entry, entries))
        for key, entry in entries.items()
        if not key.startswith(_SLICE_MARK)
    }


def _pieces(name: bytes, entry: Any, entries: Mapping[bytes, Any]) -> tuple[_Piece, ...]:
    shape = [int(dim.size) for dim in entry.shape.dim]
    if not entry.slices:
        return (_piece(entry, [(0, size) for size in shape]),)
    pieces = []
    for stored_slice in entry.slices:
        extents = [
            (int(extent.start), int(extent.length)) if extent.HasField("length") else _WHOLE_AXIS
            for extent in stored_slice.extent
        ]
        key = _slice_key(name, extents)
        if key not in entries:
            raise ValueError(f"it has no entry for the slice {extents} of '{name.decode()}'")
        pieces.append(
            _piece(
                entries[key],
                [(0, size) if extent == _WHOLE_AXIS else extent for extent, size in zip(extents, shape, strict=True)],
            )
        )
    return tuple(pieces)


def _piece(entry: Any, extents: Sequence[tuple[int, int]]) -> _Piece:
    return _Piece(
        start=tuple(start for start, _ in extents),
        shape=tuple(length for _, length in extents),
        dtype_number=int(entry.dtype),
        shard=int(entry.shard_id),
        offset=int(entry.offset),
        size=int(entry.size),
        checksum=int(entry.crc32c),
    )


def _slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice, in TensorFlow's OrderedCode: encoded keys sort as what they encode."""
    # OrderedCode escapes 0xff too, which no UTF-8 text contains.
    escaped = name.replace(b"\x00", b"\x00\xff")
    rank = len(extents).to_bytes((len(extents).bit_length() + 7) // 8, "big")
    numbers = b"".join(_ordered(number) for extent in extents for number in extent)
    return _SLICE_MARK + escaped + b"\x00\x01" + bytes([len(rank)]) + rank + numbers


def _ordered(number: int) -> bytes:
    """A signed number as n bytes: n ones, a zero, and the number in the other bits; all inverted if it is negative."""
    magnitude = ~number if number < 0 else number
    size = magnitude.bit_length() // 7 + 1
    encoded = (((1 << size) - 1) << (7 * size) | magnitude).to_bytes(size, "big")
    return bytes(byte ^ 0xFF for byte in encoded) if number < 0 else encoded


def _block(content: bytes, offset: int, size: int) -> bytes:
    """The entries and restarts of a block, uncompressed.

    Raises:
        ValueError: the block is damaged.
    """
    end = offset + size
    if end + _BLOCK_TRAILER.size > len(content) - _FOOTER_SIZE:
        raise ValueError(f"its block at byte {offset} runs past its end")
    compression, checksum = _BLOCK_TRAILER.unpack_from(content, end)
    if masked_crc32c(content[offset : end + 1]) != checksum:
        raise ValueError(f"its block at byte {offset} does not match its checksum")
    if compression == _NO_COMPRESSION:
        return content[offset:end]
    if compression == _SNAPPY:
        return _unsnappy(content[offset:end])
    raise ValueError(f"its block at byte {offset} has an unknown compression ({compression})")


def _unsnappy(data: bytes) -> bytes:
    size, _ = _varint(data, 0)
    try:
        return bytes(pa.decompress(data, decompressed_size=size, codec="snappy", asbytes=True))
    except (pa.ArrowException, OSError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block.

    Raises:
        ValueError: an entry runs past the end.
    """
    if len(block) < _UINT32.size:
        raise ValueError("a block is too short")
    (restarts,) = _UINT32.unpack_from(block, len(block) - _UINT32.size)
    end = len(block) - _UINT32.size * (restarts + 1)
    if end < 0:
        raise ValueError("a block has more restarts than bytes")
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        size, position = _varint(block, position)
        value_at = position + unshared
        if shared > len(key) or value_at + size > end:
            raise ValueError("an entry of a block runs past its end")
        key = key[:shared] + block[position:value_at]
        position = value_at + size
        yield key, block[value_at:position]


def _handle(data: bytes, position: int) -> tuple[int, int, int]:
    """Offset and size of a block, and the position behind them."""
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return offset, size, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and the position behind it."""
    number = 0
    for index, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise ValueError("a number runs past its end")


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or "://" in path


@cache
def _message_class(name: str) -> Any:
    """A message class of the index, described here rather than taken from TensorFlow."""
    field_types = descriptor_pb2.FieldDescriptorProto
    # proto2 tells an absent length from 0; the bytes are those of proto3. Enums are described as the numbers they are.
    file = descriptor_pb2.FileDescriptorProto(name="raydnn/tensor_bundle.proto", package="raydnn", syntax="proto2")
    numbers = {
        "BundleHeaderProto": {"num_shards": (1, field_types.TYPE_INT32), "endianness": (2, field_types.TYPE_INT32)},
        "Dim": {"size": (1, field_types.TYPE_INT64)},
        "Extent": {"start": (1, field_types.TYPE_INT64), "length": (2, field_types.TYPE_INT64)},
        "TensorShapeProto": {},
        "TensorSliceProto": {},
        "BundleEntryProto": {
            "dtype": (1, field_types.TYPE_INT32),
            "shard_id": (3, field_types.TYPE_INT32),
            "offset": (4, field_types.TYPE_INT64),
            "size": (5, field_types.TYPE_INT64),
            "crc32c": (6, field_types.TYPE_FIXED32),
        },
    }
    messages = {message: file.message_type.add(name=message) for message in numbers}
    for message, fields in numbers.items():
        for field, (number, kind) in fields.items():
            messages[message].field.add(name=field, number=number, type=kind, label=field_types.LABEL_OPTIONAL)
    for message, field, number, member, label in (
        ("TensorShapeProto", "dim", 2, "Dim", field_types.LABEL_REPEATED),
        ("TensorSliceProto", "extent", 1, "Extent", field_types.LABEL_REPEATED),
        ("BundleEntryProto", "shape", 2, "TensorShapeProto", field_types.LABEL_OPTIONAL),
        ("BundleEntryProto", "slices", 7, "TensorSliceProto", field_types.LABEL_REPEATED),
    ):
        messages[message].field.add(
            name=field, number=number, type=field_types.TYPE_MESSAGE, type_name=f".raydnn.{member}", label=label
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"raydnn.{name}"))
