"""One batch of raw Arrow columns, as the feature columns read it: each converted once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn.feature_column.columns import CategoricalColumn, Ids
from raydnn.feature_column.dtypes import arrow_dtype_name, is_integer, is_list

SPARSE_MARK = {b"raydnn": b"sparse"}
"""Arrow field metadata that tells a SparseTensor from a list of lists."""


@dataclass(frozen=True, eq=False)
class FlatValues:
    """The values of one raw feature laid end to end.

    Attributes:
        values: a plain or dictionary Arrow array [num_values].
        offsets: int64 [rows + 1], where each row begins; None means one value in each row.
        is_dense: whether every row has the same number of values by its type. In a dense feature the ignore
            value ('' or -1) means missing; in a sparse one nothing is filtered.
    """

    values: pa.Array
    offsets: NDArray[np.int64] | None
    is_dense: bool


class RawFeatures:
    """The raw features of a batch.

    Args:
        batch: one Arrow column per feature. Plain columns and fixed-size lists are dense, lists are sparse.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._ids: dict[int, Ids] = {}
        self._flat: dict[str, FlatValues] = {}

    @property
    def num_rows(self) -> int:
        return int(self._batch.num_rows)

    def array(self, key: str) -> pa.Array:
        """The Arrow column of a feature.

        Raises:
            ValueError: there is no such feature.
        """
        index = self._batch.schema.get_field_index(key)
        if index < 0:
            raise missing_feature(key, self._batch.schema.names)
        return self._batch.column(index)

    def dtype(self, key: str) -> str:
        """The dtype name of a feature's values.

        Raises:
            ValueError: there is no such feature, or no column can read its type.
        """
        array = self.array(key)
        try:
            return arrow_dtype_name(array.type)
        except ValueError as error:
            raise ValueError(f"feature '{key}' holds {array.type}, which no column reads; cast it ({error})") from error

    def is_sparse_tensor(self, key: str) -> bool:
        """Whether the feature was given as a SparseTensor."""
        return bool(self._batch.schema.field(key).metadata == SPARSE_MARK)

    def flat(self, key: str) -> FlatValues:
        """The values of a feature laid end to end, with the rows' offsets."""
        if key not in self._flat:
            self._flat[key] = flatten(self.array(key))
        return self._flat[key]

    def ids(self, column: CategoricalColumn) -> Ids:
        """The ids of a categorical column, computed once however many columns wrap it."""
        # Keyed by identity: hashing a column by value would hash its whole vocabulary for each batch.
        if id(column) not in self._ids:
            self._ids[id(column)] = column.encode(self)
        return self._ids[id(column)]


def missing_feature(key: str, names: Iterable[str]) -> ValueError:
    """The error of a feature that the input does not have.

    Args:
        key: of the feature.
        names: what the input has.
    """
    found = ", ".join(sorted(names)) or "nothing"
    return ValueError(
        f"Feature '{key}' is not in features dictionary: the input has {found}. Return it from the "
        "input_fn under this name, or change the key of the column"
    )


def flatten(array: pa.Array) -> FlatValues:
    """Lay the values of an Arrow column end to end.

    Args:
        array: plain, dictionary, list or (nested) fixed-size list.

    Returns:
        The values with the rows' offsets. A null list is an empty row.
    """
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if is_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        offsets = np.zeros(len(array) + 1, np.int64)
        np.cumsum(lengths.to_numpy(zero_copy_only=False), out=offsets[1:])
        return FlatValues(array.flatten(), offsets, is_dense=False)
    rows, width = len(array), 1
    while pa.types.is_fixed_size_list(array.type):
        if array.null_count:
            raise ValueError("a fixed-size list has null rows: fill them, or give a list without the size")
        width *= array.type.list_size
        array = array.flatten()
    offsets_or_none = None if width == 1 else np.arange(0, rows * width + 1, width, dtype=np.int64)
    return FlatValues(array, offsets_or_none, is_dense=True)


def map_to_ids(values: pa.Array, to_ids: Callable[[pa.Array], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Map values to ids; of a dictionary array only the dictionary is mapped.

    Args:
        values: plain or dictionary Arrow array [n].
        to_ids: gives an id for each value of a plain array without dictionary; what it gives for nulls is
            not used.

    Returns:
        int64 [n]; -1 for a null.
    """
    if pa.types.is_dictionary(values.type):
        of_words = map_to_ids(values.dictionary, to_ids)
        indices = values.indices
        if not indices.null_count:
            return of_words[indices.to_numpy()] if len(of_words) else np.empty(0, np.int64)
        with_missing = np.append(of_words, -1)
        filled = pc.fill_null(indices.cast(pa.int64()), len(of_words))
        return with_missing[filled.to_numpy()]
    ids = to_ids(values)
    if values.null_count:
        ids = np.where(values.is_null().to_numpy(zero_copy_only=False), -1, ids)
    return ids


def missing_in_dense(values: pa.Array) -> NDArray[np.bool_]:
    """Where a dense categorical feature holds its ignore value, '' for strings and -1 for integers.

    Returns:
        bool [n].
    """
    if pa.types.is_dictionary(values.type):
        of_words = np.append(missing_in_dense(values.dictionary), True)
        indices = pc.fill_null(values.indices.cast(pa.int64()), len(of_words) - 1)
        return of_words[indices.to_numpy()]
    if pa.types.is_null(values.type):
        return np.ones(len(values), np.bool_)
    if pa.types.is_unsigned_integer(values.type):
        return values.is_null().to_numpy(zero_copy_only=False)
    if is_integer(arrow_dtype_name(values.type)):
        found = pc.equal(values.cast(pa.int64()), -1)
    else:
        found = pc.equal(pc.binary_length(values), 0)
    return pc.fill_null(found, True).to_numpy(zero_copy_only=False)
