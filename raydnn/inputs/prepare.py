"""What is done to rows before they become tensors, in whatever process or thread reads them."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from raydnn.feature_column.encoder import Encoder
from raydnn.inputs.dataset import LABEL_COLUMN


class Preparer(Protocol):
    """Turns raw rows into the rows that a batch is cut from."""

    @property
    def feature_keys(self) -> tuple[str, ...] | None:
        """The raw features that are needed; None is all."""

    def prepare(self, features: pa.RecordBatch, labels: pa.Array | None) -> pa.RecordBatch:
        """Prepared rows, as many as there are raw ones."""

    def empty(self) -> pa.RecordBatch | None:
        """No rows, in the layout of prepared ones; None if that shows only in the data."""


@dataclass(frozen=True)
class EncodingPreparer:
    """Encodes rows for a model with declared columns."""

    encoder: Encoder

    @property
    def feature_keys(self) -> tuple[str, ...]:
        return self.encoder.feature_keys

    def prepare(self, features: pa.RecordBatch, labels: pa.Array | None) -> pa.RecordBatch:
        return self.encoder.encode(features, labels)

    def empty(self) -> pa.RecordBatch:
        # Without rows the dtypes do not matter, and every column takes Arrow's null type.
        features = {key: pa.nulls(0) for key in self.encoder.feature_keys}
        label = self.encoder.label
        is_text = label is not None and label.vocabulary is not None
        labels = None if label is None else pa.array([], pa.string() if is_text else pa.int64())
        return self.prepare(pa.RecordBatch.from_pydict(features), labels)


@dataclass(frozen=True)
class RawPreparer:
    """Leaves rows as they are, with the labels in a column of their own, for a model function of the user's own."""

    feature_keys: None = None

    def prepare(self, features: pa.RecordBatch, labels: pa.Array | None) -> pa.RecordBatch:
        return features if labels is None else features.append_column(LABEL_COLUMN, labels)

    def empty(self) -> None:
        return None
