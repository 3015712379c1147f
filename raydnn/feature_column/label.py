"""Labels: from what the input function returns to the class ids or targets of a head."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn import errors
from raydnn.feature_column.dtypes import arrow_dtype_name, is_integer, is_list


@dataclass(frozen=True)
class LabelEncoder:
    """Turns a label column into numbers and checks their range.

    Attributes:
        kind: 'binary' gives float32 targets in [0, 1], 'multiclass' int64 class ids.
        n_classes: number of classes; labels lie in [0, n_classes - 1].
        vocabulary: class names, whose place is the class id; None where labels are numbers.
    """

    kind: Literal["binary", "multiclass"]
    n_classes: int
    vocabulary: tuple[str, ...] | None = None

    @cached_property
    def _words(self) -> pa.Array:
        if len(set(self.vocabulary or ())) != len(self.vocabulary or ()):
            raise errors.FailedPreconditionError(f"label_vocabulary holds duplicates: {self.vocabulary}")
        return pa.array(self.vocabulary, pa.string())

    def encode(self, labels: pa.Array | None, num_rows: int) -> NDArray[Any]:
        """The targets of a batch.

        Args:
            labels: [rows] or a fixed-size list of one value a row.
            num_rows: how many rows the features have.

        Returns:
            float32 [rows] (binary) or int64 [rows] (multiclass).

        Raises:
            ValueError: labels are missing, sparse, of a wrong shape or dtype.
            TypeError: a binary vocabulary with labels that are not strings.
            InvalidArgumentError: a label outside the classes, an unknown string, or a wrong number of rows.
        """
        flat = self._flat(labels, num_rows)
        if not len(flat):
            return np.empty(0, self._dtype)
        dtype = arrow_dtype_name(flat.type)
        if flat.null_count:
            row = int(np.argmax(flat.is_null().to_numpy(zero_copy_only=False)))
            raise errors.InvalidArgumentError(
                f"label is missing in {flat.null_count} of {num_rows} rows, the first in row {row}; "
                "drop such rows in the input_fn"
            )
        if self.vocabulary is not None:
            return self._look_up(flat, dtype)
        if self.kind == "multiclass" and not is_integer(dtype):
            raise ValueError(
                f"labels must be integers for {self.n_classes} classes; got {dtype}. Cast them, or give the class "
                "names as label_vocabulary"
            )
        if dtype == "string":
            raise errors.UnimplementedError(
                f"labels are strings, for example {flat[0].as_py() if len(flat) else ''!r}; "
                "give the class names as label_vocabulary"
            )
        values = flat.to_numpy(zero_copy_only=False)
        self._check_range(values, flat)
        return values.astype(self._dtype)

    @property
    def _dtype(self) -> Any:
        return np.float32 if self.kind == "binary" else np.int64

    def _flat(self, labels: pa.Array | None, num_rows: int) -> pa.Array:
        if labels is None:
            raise ValueError(
                "labels are missing: training and evaluation need an input_fn that returns (features, labels), or a "
                "dataset with label=..."
            )
        if is_list(labels.type):
            raise ValueError("labels must be dense, [rows] or [rows, 1]; got a sparse or ragged column")
        while pa.types.is_fixed_size_list(labels.type):
            if labels.type.list_size != 1:
                raise ValueError(
                    f"labels must have the shape [rows] or [rows, 1]; the last dimension is {labels.type.list_size}"
                )
            labels = labels.flatten()
        if len(labels) != num_rows:
            raise errors.InvalidArgumentError(f"labels have {len(labels)} rows, features have {num_rows}")
        return labels.dictionary_decode() if pa.types.is_dictionary(labels.type) else labels

    def _look_up(self, flat: pa.Array, dtype: str) -> NDArray[Any]:
        if dtype != "string":
            error = TypeError if self.kind == "binary" else ValueError
            raise error(f"labels must be strings because label_vocabulary is given; got {dtype}")
        places = pc.index_in(flat.cast(pa.string()), value_set=self._words)
        if places.null_count:
            row = int(np.argmax(places.is_null().to_numpy(zero_copy_only=False)))
            raise errors.InvalidArgumentError(
                f"label {flat[row].as_py()!r} in row {row} is not in label_vocabulary {list(self._words.to_pylist())}; "
                "add it there, or drop such rows in the input_fn"
            )
        ids = places.to_numpy()
        self._check_range(ids, flat)
        return ids.astype(self._dtype)

    def _check_range(self, values: NDArray[Any], flat: pa.Array) -> None:
        """Written so that NaN, which compares false with everything, is refused too."""
        inside = (values >= 0) & (values <= self.n_classes - 1)
        if not inside.all():
            row = int(np.argmin(inside))
            raise errors.InvalidArgumentError(
                f"label {flat[row].as_py()!r} in row {row} is out of range: labels must be >= 0 and "
                f"<= n_classes - 1 = {self.n_classes - 1}; mend the labels, or set n_classes"
            )
