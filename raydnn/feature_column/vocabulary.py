"""Vocabulary columns: ids by place in a list of words, given in code or in a file."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raydnn import errors, storage
from raydnn.feature_column.categorical import (
    KeyedCategoricalColumn,
    check_categorical_dtype,
    is_missing,
    read_values,
    to_ids,
)
from raydnn.feature_column.columns import Ids, check_key, check_whole
from raydnn.feature_column.fingerprint import to_hash_bucket
from raydnn.feature_column.parse_spec import FeatureSpec, VarLenFeature
from raydnn.feature_column.raw_features import RawFeatures


class _VocabularyColumn(KeyedCategoricalColumn):
    """What both kinds of vocabulary share."""

    dtype: str
    default_value: int
    num_oov_buckets: int

    @property
    def parse_example_spec(self) -> dict[str, FeatureSpec]:
        return {self.key: VarLenFeature(self.dtype)}

    @property
    def may_exceed_buckets(self) -> bool:
        return self.default_value >= self.num_buckets

    @property
    @abstractmethod
    def words(self) -> pa.Array:
        """The vocabulary, string or int64."""

    def load(self) -> None:
        assert self.words is not None

    def encode(self, features: RawFeatures) -> Ids:
        flat = read_values(features, self.key, self.dtype, self.name)
        return to_ids(flat, lambda values: look_up(values, self.words, self.default_value, self.num_oov_buckets))

    def unknown(self, features: RawFeatures) -> NDArray[np.bool_] | None:
        has_no_id = features.ids(self).values < 0
        return has_no_id & ~is_missing(features.flat(self.key)) if has_no_id.any() else None


@dataclass(frozen=True)
class VocabularyListCategoricalColumn(_VocabularyColumn):
    """Ids by place in a list; made by `categorical_column_with_vocabulary_list`, which documents the attributes."""

    key: str
    vocabulary_list: tuple[str, ...] | tuple[int, ...]
    dtype: str
    default_value: int
    num_oov_buckets: int

    @property
    def num_buckets(self) -> int:
        return len(self.vocabulary_list) + self.num_oov_buckets

    @cached_property
    def words(self) -> pa.Array:
        return pa.array(self.vocabulary_list, pa.string() if self.dtype == "string" else pa.int64())


@dataclass(frozen=True)
class VocabularyFileCategoricalColumn(_VocabularyColumn):
    """Ids by line in a file; made by `categorical_column_with_vocabulary_file`, which documents the attributes."""

    key: str
    vocabulary_file: str
    vocabulary_size: int
    num_oov_buckets: int
    default_value: int
    dtype: str

    @property
    def num_buckets(self) -> int:
        return self.vocabulary_size + self.num_oov_buckets

    @cached_property
    def words(self) -> pa.Array:
        return _read_words(self.vocabulary_file, self.vocabulary_size, self.dtype, self.key)


def categorical_column_with_vocabulary_list(
    key: str,
    vocabulary_list: Sequence[str] | Sequence[int],
    dtype: Any = None,
    default_value: int = -1,
    num_oov_buckets: int = 0,
) -> VocabularyListCategoricalColumn:
    """A column whose ids are places in a list of words.

    Args:
        key: name of the feature, and of the column.
        vocabulary_list: different strings, or different integers; the id is the place.
        dtype: 'string' or an integer type; None takes the vocabulary's.
        default_value: the id of an unknown value; -1 leaves it out.
        num_oov_buckets: if positive, an unknown value gets the id
            len(vocabulary_list) + Fingerprint64(value) mod num_oov_buckets instead.

    Raises:
        ValueError: a bad key, an empty vocabulary, duplicates, values that are neither all strings nor all
            integers, a dtype of the other kind, or both default_value and num_oov_buckets.
        TypeError: default_value or num_oov_buckets is no whole number.
    """
    check_key(key)
    if vocabulary_list is None or len(vocabulary_list) < 1:
        raise ValueError(f"column '{key}': vocabulary_list must not be empty")
    words: list[Any] = [word.decode() if isinstance(word, bytes) else word for word in vocabulary_list]
    if all(isinstance(word, str) for word in words):
        kind, default_dtype = "string", "string"
    elif all(isinstance(word, int | np.integer) and not isinstance(word, bool) for word in words):
        kind, default_dtype = "integer", "int64"
        words = [int(word) for word in words]
    else:
        raise ValueError(f"column '{key}': vocabulary_list must hold strings or integers; got {words[:5]!r} ...")
    if len(set(words)) != len(words):
        raise ValueError(f"column '{key}': vocabulary_list holds {_repeated(words)!r} more than once")
    checked_dtype = default_dtype if dtype is None else check_categorical_dtype(dtype, key)
    if (checked_dtype == "string") != (kind == "string"):
        raise ValueError(f"column '{key}': dtype {checked_dtype} and a vocabulary of {kind}s do not go together")
    default = check_whole(default_value, f"column '{key}': default_value")
    oov_buckets = _check_oov(key, default_value, num_oov_buckets, no_default=-1)
    return VocabularyListCategoricalColumn(key, tuple(words), checked_dtype, default, oov_buckets)


def categorical_column_with_vocabulary_file(
    key: str,
    vocabulary_file: str | PathLike[str],
    vocabulary_size: int | None = None,
    num_oov_buckets: int = 0,
    default_value: int | None = None,
    dtype: Any = "string",
) -> VocabularyFileCategoricalColumn:
    """A column whose ids are line numbers, from 0, in a text file with one word a line.

    Line ends are LF or CR LF; all other spaces count. With an explicit size the file is first read when a model is
    built.

    Args:
        key: name of the feature, and of the column.
        vocabulary_file: local path or any fsspec URL.
        vocabulary_size: how many first lines count; None takes all, and then the file must exist now.
        num_oov_buckets: as in `categorical_column_with_vocabulary_list`.
        default_value: the id of an unknown value; None is -1, which leaves it out.
        dtype: 'string' or an integer type.

    Raises:
        ValueError: a bad key, no file name, a missing file, a size below 1, a bad dtype, or both default_value and
            num_oov_buckets.
        TypeError: vocabulary_size, default_value or num_oov_buckets is no whole number.
    """
    check_key(key)
    if not vocabulary_file:
        raise ValueError(f"column '{key}': vocabulary_file must be given")
    path = fspath(vocabulary_file)
    checked_dtype = check_categorical_dtype(dtype, key)
    oov_buckets = _check_oov(key, default_value, num_oov_buckets, no_default=None)
    if vocabulary_size is None:
        if not storage.exists(path):
            raise ValueError(f"column '{key}': vocabulary_file {path} does not exist")
        vocabulary_size = len(read_lines(path))
    vocabulary_size = check_whole(vocabulary_size, f"column '{key}': vocabulary_size")
    if vocabulary_size < 1:
        raise ValueError(f"column '{key}': vocabulary_size must be 1 or more; got {vocabulary_size}")
    default = -1 if default_value is None else check_whole(default_value, f"column '{key}': default_value")
    return VocabularyFileCategoricalColumn(key, path, vocabulary_size, oov_buckets, default, checked_dtype)


def look_up(values: pa.Array, words: pa.Array, default_value: int, num_oov_buckets: int) -> NDArray[np.int64]:
    """The places of values in a vocabulary.

    Args:
        values: plain Arrow array [n] of strings or integers.
        words: the vocabulary, Arrow array of string or int64.
        default_value: id of an unknown value where there are no oov buckets.
        num_oov_buckets: how many ids behind the vocabulary unknown values are hashed to.

    Returns:
        int64 [n].
    """
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        words = words.cast(values.type)  # bytes that are no text must be unknown words, not errors
    elif values.type != words.type:
        values = values.cast(words.type)
    places = pc.index_in(values, value_set=words)
    if not places.null_count:
        return places.to_numpy().astype(np.int64)
    ids: NDArray[np.int64] = pc.fill_null(places, -1).to_numpy().astype(np.int64)
    unknown = ids < 0
    if num_oov_buckets:
        ids[unknown] = len(words) + to_hash_bucket(values.filter(pa.array(unknown)), num_oov_buckets)
    else:
        ids[unknown] = default_value
    return ids


def _check_oov(key: str, default_value: int | None, num_oov_buckets: int, no_default: int | None) -> int:
    """The number of oov buckets."""
    oov_buckets = check_whole(num_oov_buckets, f"column '{key}': num_oov_buckets")
    if oov_buckets < 0:
        raise ValueError(f"column '{key}': num_oov_buckets must be 0 or more; got {num_oov_buckets}")
    if num_oov_buckets and default_value != no_default:
        raise ValueError(
            f"column '{key}': give default_value ({default_value}) or num_oov_buckets ({num_oov_buckets}), not both"
        )
    return oov_buckets


def read_lines(path: str) -> list[str]:
    """The lines of a text file without their ends; an unterminated last line counts."""
    try:
        lines = storage.read_bytes(path).decode().split("\n")
    except UnicodeDecodeError as error:
        raise errors.InvalidArgumentError(f"{path} is no UTF-8 text: {error}") from error
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _read_words(path: str, size: int, dtype: str, key: str) -> pa.Array:
    where = f"column '{key}': vocabulary_file {path}"
    if not storage.exists(path):
        raise errors.NotFoundError(f"{where} does not exist")
    words: list[Any] = read_lines(path)
    if len(words) < size:
        raise errors.InvalidArgumentError(f"{where} has {len(words)} lines, fewer than vocabulary_size {size}")
    words = words[:size]
    if "" in words:
        raise errors.InvalidArgumentError(f"{where} has an empty line, line {words.index('') + 1}")
    if dtype != "string":
        words = _as_int64(words, where, dtype)
    if len(set(words)) != len(words):
        raise errors.FailedPreconditionError(f"{where} holds {_repeated(words)!r} more than once")
    return pa.array(words, pa.string() if dtype == "string" else pa.int64())


def _as_int64(words: list[str], where: str, dtype: str) -> list[int]:
    try:
        return pa.array([int(word) for word in words], pa.int64()).to_pylist()
    except (ValueError, OverflowError) as error:
        raise errors.InvalidArgumentError(f"{where} is declared with dtype {dtype}, but {error}") from error


def _repeated(words: Sequence[Any]) -> Any:
    """The first word that was there before, None if all differ."""
    seen: set[Any] = set()
    for word in words:
        if word in seen:
            return word
        seen.add(word)
    return None
