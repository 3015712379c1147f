"""One batch of a stream, as a model gets it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raydnn.inputs.plan import Cursor

ToTensors = Callable[[pa.RecordBatch, Sequence[int]], Sequence[tuple[Any, Any]]]
"""From the prepared rows of neighbouring batches, and how many each has, to what a model function gets of each.

That is features and labels.
"""


@dataclass(frozen=True, eq=False)
class Batch:
    """The rows of one global batch that fall to one replica.

    Attributes:
        features: what the model function gets as features.
        labels: what it gets as labels, or None.
        num_rows: of this replica; may be 0.
        global_rows: of all replicas, as far as this one knows.
        rows: the prepared rows that the tensors were made of.
        first_row: place of the first row within the global batch.
        cursor: where the input goes on after this batch, or None if the input cannot be continued.
    """

    features: Any
    labels: Any
    num_rows: int
    global_rows: int
    rows: pa.RecordBatch
    first_row: int = 0
    cursor: Cursor | None = None
