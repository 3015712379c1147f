"""Serialized tf.Examples and TFRecord files, written byte by byte."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c

from raydnn.inputs.example import _example_class


def example(features: Mapping[str, Any]) -> bytes:
    """A serialized example: strings and bytes, floats, ints, or lists of them; None is a feature of no kind."""
    message = _example_class()()
    for name, value in features.items():
        feature = message.features.feature[name]
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        if values and isinstance(values[0], str | bytes):
            feature.bytes_list.value.extend([each.encode() if isinstance(each, str) else each for each in values])
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        elif values:
            feature.int64_list.value.extend(values)
        elif isinstance(value, list | tuple):
            feature.int64_list.SetInParent()
    return bytes(message.SerializeToString())


def masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """One record of a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + struct.pack("<I", masked(length)) + record + struct.pack("<I", masked(record))


def write_records(path: Path, records: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(map(framed, records)))
    return str(path)
