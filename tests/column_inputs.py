"""What a column gives for raw features: its ids, or the numbers that enter the network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from raydnn.feature_column.columns import CategoricalColumn, Ids
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.feature_column.raw_features import RawFeatures
from raydnn.inputs.arrays import features_to_arrow
from raydnn.model.batch import EncodedBatch
from raydnn.model.settings import NetworkSettings


def raw(features: Mapping[str, Any]) -> RawFeatures:
    """Features as an input_fn gives them: arrays are dense, lists of lists are sparse."""
    return RawFeatures(features_to_arrow(features))


def ids_of(column: CategoricalColumn, features: Mapping[str, Any]) -> list[list[int]]:
    """The ids of each row, with -1 for what is missing or unknown."""
    given = raw(features)
    return by_row(column.encode(given), given.num_rows)


def by_row(ids: Ids, num_rows: int) -> list[list[int]]:
    offsets = np.arange(num_rows + 1) if ids.offsets is None else ids.offsets
    return [ids.values[offsets[row] : offsets[row + 1]].tolist() for row in range(num_rows)]


def network_input(columns: Sequence[Any], features: Mapping[str, Any]) -> list[list[float]]:
    """What the first hidden layer reads, for each row."""
    encoder = Encoder(input_layer_columns(columns)).load()
    layer = NetworkSettings(()).build(encoder, logits_dimension=1, seed=1).input_layer
    with torch.no_grad():
        found: list[list[float]] = layer(EncodedBatch.from_arrow(encoder.encode(features_to_arrow(features)))).tolist()
    return found


def row_number_initializer(shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
    """A table whose row n holds n + 1 everywhere."""
    return np.broadcast_to(np.arange(1, shape[0] + 1, dtype=np.float32)[:, None], shape).copy()
