"""Raw rows as the features and labels of a model function of the user's own."""

import copy
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
import torch

from raydnn.feature_column.encoder import Encoder
from raydnn.feature_column.raw_features import flatten
from raydnn.inputs.arrays import features_to_arrow
from raydnn.inputs.dataset import LABEL_COLUMN
from raydnn.model.batch import AheadWork, EncodedBatch


class FeatureBatch(dict[str, Any]):
    """Features by name: numbers of a fixed shape as torch tensors [rows, ...], all else as Arrow arrays.

    That else is text, ragged features, and numbers with nulls among them.

    Args:
        rows: the raw features.
        maker: of this batch and the next ones; learns which encoders the model function uses.
    """

    def __init__(self, rows: pa.RecordBatch, maker: "FeatureBatchMaker") -> None:
        super().__init__({name: _tensor(rows.column(name), maker.device) for name in rows.schema.names})
        self._rows = rows
        self._maker = maker
        self._original = {name: (value, _version(value)) for name, value in self.items()}
        self._encoded = {id(encoder): self._encode(encoder) for encoder in maker.encoders}

    def copy(self) -> "FeatureBatch":
        """A copy that may be changed as a dict without changing this one."""
        return copy.copy(self)

    def encode(self, encoder: Encoder) -> EncodedBatch | None:
        """The batch encoded, from the rows it was made of; None if features that are read were changed since."""
        for key in encoder.feature_keys:
            value, version = self._original.get(key, (None, 0))
            if self.get(key) is not value or _version(value) != version:
                return None
        if id(encoder) not in self._encoded:
            # From now on this is done where batches are made ahead, and not in the training step.
            if all(known is not encoder for known in self._maker.encoders):
                self._maker.encoders.append(encoder)
                self._maker.ahead[id(encoder)] = AheadWork()
            self._encoded[id(encoder)] = self._encode(encoder)
        return self._encoded[id(encoder)]

    def _encode(self, encoder: Encoder) -> EncodedBatch:
        ahead = self._maker.ahead[id(encoder)]
        return EncodedBatch.from_arrow(encoder.encode(self._rows), self._maker.device, ahead)


class FeatureBatchMaker:
    """Makes features and labels from raw rows; see `raydnn.inputs.batch.ToTensors`.

    Args:
        device: where tensors go.

    Attributes:
        encoders: those that the model function has used so far.
        ahead: work with the batches of each.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.encoders: list[Encoder] = []
        self.ahead: dict[int, AheadWork] = {}

    def __call__(self, rows: pa.RecordBatch, sizes: Sequence[int]) -> list[tuple[FeatureBatch, Any]]:
        ends = accumulate(sizes)
        return [self._batch(rows.slice(end - size, size)) for size, end in zip(sizes, ends, strict=True)]

    def _batch(self, rows: pa.RecordBatch) -> tuple[FeatureBatch, Any]:
        labels = None
        if LABEL_COLUMN in rows.schema.names:
            labels = _tensor(rows.column(LABEL_COLUMN), self.device)
            rows = rows.drop_columns([LABEL_COLUMN])
        return FeatureBatch(rows, self), labels


def encoded_features(features: Mapping[str, Any], encoder: Encoder, device: torch.device) -> EncodedBatch:
    """Features encoded, be they a `FeatureBatch` or arrays of the caller's own.

    Raises:
        ValueError, InvalidArgumentError: see `Encoder.encode`.
    """
    batch = features.encode(encoder) if isinstance(features, FeatureBatch) else None
    if batch is None:
        rows = features_to_arrow(features, encoder.feature_keys)
        batch = EncodedBatch.from_arrow(encoder.encode(rows), device)
    return batch


def _version(value: Any) -> int:
    """Counts the changes of a tensor in place; an Arrow array cannot change."""
    return value._version if isinstance(value, torch.Tensor) and not value.is_inference() else 0


def _tensor(array: pa.Array, device: str) -> Any:
    if pa.types.is_struct(array.type):
        return {field.name: _tensor(array.field(field.name), device) for field in array.type}
    if array.null_count or not _is_numeric(array.type):
        return array
    flat = flatten(array)
    if not flat.is_dense or flat.values.null_count:
        return array
    shape, inner = [len(array)], array.type
    while pa.types.is_fixed_size_list(inner):
        shape.append(inner.list_size)
        inner = inner.value_type
    return torch.from_numpy(flat.values.to_numpy(zero_copy_only=False).copy()).view(shape).to(device)


def _is_numeric(kind: pa.DataType) -> bool:
    """Whether values, or those of fixed-size lists, are numbers or bools."""
    while pa.types.is_fixed_size_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
