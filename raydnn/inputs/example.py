"""Parsing serialized tf.Example messages, without TensorFlow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from raydnn import errors
from raydnn.feature_column.parse_spec import FeatureSpec, FixedLenFeature
from raydnn.feature_column.raw_features import SPARSE_MARK

_KINDS = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}
_ARROW_TYPES = {"string": pa.binary(), "float32": pa.float32(), "int64": pa.int64()}


def parse_examples(serialized: Iterable[bytes], spec: Mapping[str, FeatureSpec]) -> pa.RecordBatch:
    """The features of serialized examples.

    Args:
        serialized: one tf.Example a row.
        spec: name -> layout; its dtypes are string, float32 and int64.

    Returns:
        One column per name: FixedLenFeature dense, VarLenFeature sparse, a missing one as an empty row.

    Raises:
        ValueError: a dtype that an example cannot hold.
        InvalidArgumentError: an example does not fit the spec.
        DataLossError: a record is no example.
    """
    columns = {name: _Column(name, layout) for name, layout in spec.items()}
    example_class = _example_class()
    rows = 0
    for rows, record in enumerate(serialized, start=1):
        try:
            features = example_class.FromString(record).features.feature
        except DecodeError as error:
            raise errors.DataLossError(f"record {rows - 1} is not a tf.Example: {error}") from error
        for name, column in columns.items():
            # Not `get`: looking a name up in a protobuf map adds it.
            column.add(features[name] if name in features else None, rows - 1)  # noqa: SIM401
    return pa.RecordBatch.from_arrays(
        [column.array(rows) for column in columns.values()],
        schema=pa.schema([column.arrow_field() for column in columns.values()]),
    )


@dataclass
class _Column:
    """Collects one feature of all rows."""

    name: str
    layout: FeatureSpec
    values: list[Any] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.layout.dtype not in _KINDS:
            raise ValueError(
                f"feature '{self.name}' is declared with dtype {self.layout.dtype}; a tf.Example holds "
                f"{', '.join(_KINDS)} only"
            )

    def add(self, feature: Any, row: int) -> None:
        kind = None if feature is None else feature.WhichOneof("kind")
        wanted = _KINDS[self.layout.dtype]
        if kind is not None and kind != wanted:
            raise errors.InvalidArgumentError(
                f"feature '{self.name}' of example {row} is a {kind}; its spec says {self.layout.dtype}, a {wanted}"
            )
        found = [] if kind is None else getattr(feature, wanted).value
        if isinstance(self.layout, FixedLenFeature):
            found = self._fixed(found, kind is None, row)
        self.values.extend(found)
        self.lengths.append(len(found))

    def _fixed(self, found: Any, is_absent: bool, row: int) -> Any:
        assert isinstance(self.layout, FixedLenFeature)
        size = prod(self.layout.shape)
        if is_absent and self.layout.default_value is not None:
            default = np.asarray(self.layout.default_value, dtype=object).ravel().tolist()
            return default * size if len(default) == 1 else default
        if is_absent:
            raise errors.InvalidArgumentError(
                f"feature '{self.name}' is missing in example {row}; write it, or declare a default_value"
            )
        if len(found) != size:
            raise errors.InvalidArgumentError(
                f"feature '{self.name}' has {len(found)} values in example {row}; "
                f"shape {self.layout.shape} needs {size}"
            )
        return found

    def array(self, rows: int) -> pa.Array:
        values = [value.encode() if isinstance(value, str) else value for value in self.values]
        array = pa.array(values, _ARROW_TYPES[self.layout.dtype])
        if not isinstance(self.layout, FixedLenFeature):
            offsets = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
            return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), array)
        for size in reversed(self.layout.shape):
            array = pa.FixedSizeListArray.from_arrays(array, size)
        return array

    def arrow_field(self) -> pa.Field:
        value_type = _ARROW_TYPES[self.layout.dtype]
        if not isinstance(self.layout, FixedLenFeature):
            return pa.field(self.name, pa.large_list(value_type), metadata=SPARSE_MARK)
        for size in reversed(self.layout.shape):
            value_type = pa.list_(value_type, size)
        return pa.field(self.name, value_type)


@cache
def _example_class() -> Any:
    """The message class of tf.Example, described here rather than taken from TensorFlow."""
    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="raydnn/example.proto", package="raydnn", syntax="proto3")
    for list_name, value_type in (
        ("BytesList", field_types.TYPE_BYTES),
        ("FloatList", field_types.TYPE_FLOAT),
        ("Int64List", field_types.TYPE_INT64),
    ):
        message = file.message_type.add(name=list_name)
        message.field.add(name="value", number=1, type=value_type, label=field_types.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        feature.field.add(
            name=f"{kind.removesuffix('List').lower()}_list",
            number=number,
            type=field_types.TYPE_MESSAGE,
            type_name=f".raydnn.{kind}",
            label=field_types.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, type=field_types.TYPE_STRING, label=field_types.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=field_types.TYPE_MESSAGE,
        type_name=".raydnn.Feature",
        label=field_types.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=field_types.TYPE_MESSAGE,
        type_name=".raydnn.Features.FeatureEntry",
        label=field_types.LABEL_REPEATED,
    )
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features",
        number=1,
        type=field_types.TYPE_MESSAGE,
        type_name=".raydnn.Features",
        label=field_types.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("raydnn.Example"))
