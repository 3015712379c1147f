"""Fingerprints, hash buckets and cross folds against TensorFlow's values and against FarmHash itself."""

import itertools
import json
from pathlib import Path
from typing import Any

import farmhash
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raydnn.feature_column.fingerprint import (
    fingerprint64,
    fingerprint64_arrow,
    fingerprint_cat64,
    to_hash_bucket,
)

GOLDENS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "goldens" / "hashing.json").read_text(encoding="utf-8")
)
DEFAULT_HASH_KEY = 0xDECAFCAFFE
TEXTS = ["a", "", "zwölf", "middle-sized text", "x" * 40, "y" * 64, "z" * 65, "w" * 300]


def farm(values: list[Any]) -> list[int]:
    return [farmhash.fingerprint64(value) for value in values]


# --- TensorFlow's values


def test_strings_hash_as_in_tensorflow() -> None:
    cases = GOLDENS["strings"]
    result = fingerprint64([case["string"] for case in cases])
    assert result.dtype == np.uint64
    assert result.shape == (len(cases),)
    assert result.tolist() == [case["fingerprint64"] for case in cases]


def test_integers_hash_as_in_tensorflow() -> None:
    cases = GOLDENS["ints"]
    integers = [case["int"] for case in cases]
    expected = [case["fingerprint64"] for case in cases]
    assert fingerprint64(integers).tolist() == expected
    assert fingerprint64(np.array(integers)).tolist() == expected
    assert fingerprint64(pa.array(integers)).tolist() == expected


@pytest.mark.parametrize(("section", "key"), [("strings", "string"), ("ints", "int")])
def test_buckets_are_those_of_tensorflow(section: str, key: str) -> None:
    cases = GOLDENS[section]
    array = pa.array([case[key] for case in cases])
    for num_buckets in cases[0]["buckets"]:
        result = to_hash_bucket(array, int(num_buckets))
        assert result.dtype == np.int64
        assert result.tolist() == [case["buckets"][num_buckets] for case in cases]


@pytest.mark.parametrize("case", GOLDENS["crosses"])
def test_crosses_are_those_of_tensorflow(case: dict[str, Any]) -> None:
    columns = [
        fingerprint64(key["values"]) if key["dtype"] == "string" else np.array(key["values"], dtype=np.int64)
        for key in case["keys"]
    ]
    combinations = list(itertools.product(*[column.astype(np.uint64) for column in columns]))
    crossed = np.full(len(combinations), case["hash_key"] or DEFAULT_HASH_KEY, dtype=np.uint64)
    for position in range(len(columns)):
        right = np.array([combination[position] for combination in combinations], dtype=np.uint64)
        crossed = fingerprint_cat64(crossed, right)
    modulus = case["hash_bucket_size"] or 2**63 - 1
    assert (crossed % np.uint64(modulus)).tolist() == case["output"]


# --- FarmHash itself


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=90) | st.binary(max_size=400), max_size=30))
def test_any_byte_strings_hash_as_in_farmhash(values: list[bytes]) -> None:
    assert fingerprint64(values).tolist() == farm(values)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=100), max_size=30))
def test_any_texts_hash_as_their_utf8_bytes(values: list[str]) -> None:
    assert fingerprint64(values).tolist() == farm([value.encode() for value in values])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30) | st.lists(st.integers(0, 2**64 - 1), max_size=30))
@example([2**63, 2**64 - 1])
def test_any_64_bit_integers_hash_as_their_decimal_text(values: list[int]) -> None:
    assert fingerprint64(values).tolist() == farm([str(value) for value in values])


def test_every_length_up_to_400_hashes_as_in_farmhash() -> None:
    random = np.random.default_rng(1)
    values = [random.bytes(length) for length in range(401)]
    assert fingerprint64(values).tolist() == farm(values)
    for value in values:
        # Alone in its buffer, each string also ends where the memory ends.
        assert fingerprint64([value]).tolist() == farm([value])


def test_more_strings_than_fit_one_internal_chunk_hash_as_in_farmhash() -> None:
    random = np.random.default_rng(2)
    values = [random.bytes(length) for length in random.integers(0, 200, 30_000)]
    assert fingerprint64(values).tolist() == farm(values)
    long_only = [random.bytes(length) for length in random.integers(65, 400, 20_000)]
    assert fingerprint64(long_only).tolist() == farm(long_only)


# --- Arrow layouts


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_every_string_type_gives_the_same_fingerprints_also_when_sliced(arrow_type: Any) -> None:
    array = pa.array(TEXTS).cast(arrow_type)
    expected = farm([text.encode() for text in TEXTS])
    assert fingerprint64(array).tolist() == expected
    for start, length in itertools.product(range(len(TEXTS) + 1), range(len(TEXTS))):
        assert fingerprint64(array.slice(start, length)).tolist() == expected[start : start + length]


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_every_integer_type_hashes_as_its_decimal_text_also_when_sliced(name: str) -> None:
    limits = np.iinfo(name)
    values = [limits.min, 0, 7, limits.max]
    expected = farm([str(value) for value in values])
    assert fingerprint64(pa.array(values, type=getattr(pa, name)())).tolist() == expected
    assert fingerprint64(pa.array(values, type=getattr(pa, name)()).slice(1)).tolist() == expected[1:]
    assert fingerprint64(np.array(values, dtype=name)).tolist() == expected
    assert fingerprint64(np.array(values, dtype=np.dtype(name).newbyteorder(">"))).tolist() == expected


@pytest.mark.parametrize("index_type", [pa.int8(), pa.uint8(), pa.int32(), pa.uint64()])
@pytest.mark.parametrize("dictionary", [TEXTS[:3], [10, -20, 30]])
def test_dictionary_arrays_hash_like_their_values_also_when_sliced(index_type: Any, dictionary: list[Any]) -> None:
    indices = pa.array([2, 0, 1, 1, 2, 0], type=index_type)
    array = pa.DictionaryArray.from_arrays(indices, pa.array(dictionary))
    expected = farm([str(dictionary[index]) for index in indices.to_pylist()])
    assert fingerprint64(array).tolist() == expected
    assert fingerprint64(array.slice(2, 3)).tolist() == expected[2:5]
    assert fingerprint64(array.slice(1, 1)).tolist() == expected[1:2]
    assert to_hash_bucket(array.slice(2), 97).tolist() == [value % 97 for value in expected[2:]]


def test_a_dictionary_that_is_itself_a_slice_hashes_its_own_values() -> None:
    dictionary = pa.array(["no", "a", "b", "no"]).slice(1, 2)
    array = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), dictionary)
    assert fingerprint64(array).tolist() == farm(["b", "a", "b"])


def test_chunked_arrays_hash_chunk_after_chunk() -> None:
    array = pa.chunked_array([TEXTS[:3], [], TEXTS[3:]])
    assert fingerprint64(array).tolist() == farm(TEXTS)
    encoded = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c"]).dictionary_encode()])
    assert fingerprint64(encoded).tolist() == farm(["a", "b", "c"])


@pytest.mark.parametrize(
    "values",
    [
        [],
        (),
        np.array([], dtype=object),
        pa.array([], type=pa.string()),
        pa.chunked_array([], type=pa.int64()),
    ],
)
def test_no_values_give_no_fingerprints(values: Any) -> None:
    result = fingerprint64(values)
    assert result.dtype == np.uint64
    assert result.shape == (0,)


@pytest.mark.parametrize(
    "values",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array([text.encode() for text in TEXTS]),
        [np.str_(text) for text in TEXTS],
    ],
)
def test_tuples_and_numpy_arrays_of_text_hash_like_lists(values: Any) -> None:
    assert fingerprint64(values).tolist() == farm(TEXTS)


def test_an_array_without_any_data_hashes_as_empty_strings() -> None:
    offsets = pa.py_buffer(np.zeros(3, dtype=np.int32))
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"")])
    assert fingerprint64(array).tolist() == farm(["", ""])
    assert fingerprint64(pa.array(["", ""])).tolist() == farm(["", ""])


# --- nulls


@pytest.mark.parametrize(
    ("values", "position"),
    [
        (["a", None, "b"], 1),
        ([None, 3], 0),
        ([None], 0),
        (np.array([b"a", b"b", None], dtype=object), 2),
        (pa.array(["x", "a", None]).slice(1), 1),
        (pa.array(["a", None, "a"]).dictionary_encode(), 1),
        (pa.DictionaryArray.from_arrays(pa.array([0, 0, 1]), pa.array(["a", None])), 2),
        (pa.chunked_array([["a", "b"], ["c", None]]), 3),
    ],
)
def test_nulls_are_refused_with_their_position_and_the_way_out(values: Any, position: int) -> None:
    with pytest.raises(ValueError, match=rf"null at position {position}: fill nulls .* or drop them"):
        fingerprint64(values)


def test_an_unused_null_in_the_dictionary_is_no_null() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 2, 0]), pa.array(["a", None, "b"]))
    assert fingerprint64(array).tolist() == farm(["a", "b", "a"])


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["skipped", "a", None, "b", None]).slice(1),
        pa.array(["skipped", "a", None, "b", None]).dictionary_encode().slice(1),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "b"])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "b", "c", "d"])),
        pa.array(["a", None, "b", None], type=pa.large_binary()),
    ],
)
def test_null_rows_fingerprint_to_0_and_have_bucket_minus_1_between_encoders(array: Any) -> None:
    a, b = farm(["a", "b"])
    assert fingerprint64_arrow(array).tolist() == [a, 0, b, 0]
    assert to_hash_bucket(array, 1000).tolist() == [a % 1000, -1, b % 1000, -1]


def test_null_integers_have_bucket_minus_1() -> None:
    seven = farm(["7"])[0]
    assert to_hash_bucket(pa.array([7, None]), 1000).tolist() == [seven % 1000, -1]
    assert to_hash_bucket(pa.nulls(2), 1000).tolist() == [-1, -1]


def test_a_dictionary_of_128_values_with_8_bit_indices_keeps_its_nulls() -> None:
    values = [f"v{number}" for number in range(128)]
    indices = pa.array([*range(128), None], type=pa.int8())
    array = pa.DictionaryArray.from_arrays(indices, pa.array(values))
    assert to_hash_bucket(array, 1000).tolist() == [value % 1000 for value in farm(values)] + [-1]


# --- refusals


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1.0, 2.0], "float"),
        ([1, 2.5], "mixed float and int"),
        (["a", 1], "mixed int and str"),
        (["a", b"a"], "mixed bytes and str"),
        ([True, 1], "mixed bool and int"),
        ([True], "bool"),
        (np.array([1.0]), "float64"),
        (np.array([True]), "bool"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.array(["a", np.nan], dtype=object), "mixed float and str"),
        (pa.array([1.0]), "double"),
        (pa.array([True]), "bool"),
        (pa.array([[1]]), "list<"),
        (pa.array([1.5]).dictionary_encode(), "double"),
        (pa.chunked_array([], type=pa.float32()), "float"),
    ],
)
def test_other_and_mixed_types_are_refused_naming_the_dtype_and_the_way_out(values: Any, found: str) -> None:
    with pytest.raises(TypeError, match=rf"dtype {found}.*Cast them to strings"):
        fingerprint64(values)


@pytest.mark.parametrize("values", ["text", b"bytes", 5, {"a"}, None])
def test_what_is_no_sequence_of_values_is_refused(values: Any) -> None:
    with pytest.raises(TypeError, match=f"cannot fingerprint a {type(values).__name__}: pass a list"):
        fingerprint64(values)


def test_numpy_arrays_of_two_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one-dimensional.*\(1, 2\)"):
        fingerprint64(np.array([[1, 2]]))


@pytest.mark.parametrize("values", [[2**64], [2**63, -1]])
def test_integers_that_share_no_64_bit_type_are_refused(values: list[int]) -> None:
    with pytest.raises(ValueError, match="neither int64 nor uint64"):
        fingerprint64(values)


@pytest.mark.parametrize("num_buckets", [0, -1, 2**63])
def test_bucket_counts_out_of_range_are_refused(num_buckets: int) -> None:
    with pytest.raises(ValueError, match=f"got {num_buckets}"):
        to_hash_bucket(pa.array(["a"]), num_buckets)


# --- folding


@pytest.mark.filterwarnings("error")
def test_folding_broadcasts_a_key_and_takes_signed_integers_as_twos_complement() -> None:
    right = np.array([5, -5, 2**62], dtype=np.int64)
    key = np.array(DEFAULT_HASH_KEY)
    result = fingerprint_cat64(key, right)
    assert result.dtype == np.uint64
    assert result.tolist() == fingerprint_cat64(np.full(3, DEFAULT_HASH_KEY), right.view(np.uint64)).tolist()
    assert fingerprint_cat64(key, right[1]).tolist() == result[1]


def test_folding_refuses_floats() -> None:
    with pytest.raises(TypeError, match="dtype float64"):
        fingerprint_cat64(np.array([1.0]), np.array([1]))
