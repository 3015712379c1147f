"""Each declaration of a feature is the column that Python declares."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn import config
from raydnn import feature_column as fc
from raydnn.feature_column import column_to_json
from raydnn.feature_column.normalizers import Log1p, MinMax, Standardize
from raydnn.initializers import RandomNormal


def run_of(features: dict[str, Any], **sections: Any) -> config.Run:
    text = yaml.safe_dump(
        {
            "data": {"train": "a.parquet", "label": "label"},
            "features": features,
            "model": {"hidden_units": [4]},
            **sections,
        }
    )
    return config.loads(text)


def ages() -> Any:
    return fc.bucketized_column(fc.numeric_column("age"), [18, 25])


def hashed(key: str = "x") -> Any:
    return fc.categorical_column_with_hash_bucket(key, 10)


COLUMNS = [
    ("numeric", lambda: fc.numeric_column("x")),
    ({}, lambda: fc.numeric_column("x")),
    ({"column": "raw"}, lambda: fc.numeric_column("raw")),
    ({"shape": 3, "default": 1, "dtype": "int64"}, lambda: fc.numeric_column("x", 3, 1, "int64")),
    ({"shape": [2, 1], "default": [[1.5], [2]]}, lambda: fc.numeric_column("x", (2, 1), [[1.5], [2]])),
    ({"normalize": {"mean": 1, "std": "1e1"}}, lambda: fc.numeric_column("x", normalizer_fn=Standardize(1, 10))),
    ({"normalize": {"min": 1, "max": 3}}, lambda: fc.numeric_column("x", normalizer_fn=MinMax(1, 3))),
    ({"normalize": "log1p"}, lambda: fc.numeric_column("x", normalizer_fn=Log1p())),
    ({"buckets": [1, 2.5]}, lambda: fc.bucketized_column(fc.numeric_column("x"), [1, 2.5])),
    (
        {"buckets": [0.5], "shape": 2, "normalize": "log1p", "indicator": True},
        lambda: fc.indicator_column(fc.bucketized_column(fc.numeric_column("x", 2, normalizer_fn=Log1p()), [0.5])),
    ),
    ({"buckets": [1], "embed": 2}, lambda: fc.embedding_column(fc.bucketized_column(fc.numeric_column("x"), [1]), 2)),
    ({"hash": 10}, lambda: fc.indicator_column(hashed())),
    ({"hash": 10, "indicator": True, "column": "raw"}, lambda: fc.indicator_column(hashed("raw"))),
    (
        {"hash": 10, "dtype": "int64", "embed": 3},
        lambda: fc.embedding_column(fc.categorical_column_with_hash_bucket("x", 10, "int64"), 3),
    ),
    (
        {"hash": 10, "weights": "w", "weights_dtype": "int64"},
        lambda: fc.indicator_column(fc.weighted_categorical_column(hashed(), "w", "int64")),
    ),
    (
        {"hash": 10, "embed": {"dimension": 3, "combiner": "sqrtn", "max_norm": 1, "trainable": False}},
        lambda: fc.embedding_column(hashed(), 3, "sqrtn", max_norm=1.0, trainable=False),
    ),
    (
        {"hash": 10, "embed": {"dimension": 3, "use_safe_embedding_lookup": False}},
        lambda: fc.embedding_column(hashed(), 3, use_safe_embedding_lookup=False),
    ),
    (
        {"vocabulary": ["EWR", "no", "010"], "default": 1},
        lambda: fc.indicator_column(
            fc.categorical_column_with_vocabulary_list("x", ["EWR", "no", "010"], default_value=1)
        ),
    ),
    (
        {"vocabulary": [3, 1], "dtype": "int32", "num_oov_buckets": 2},
        lambda: fc.indicator_column(
            fc.categorical_column_with_vocabulary_list("x", [3, 1], "int32", num_oov_buckets=2)
        ),
    ),
    (
        {"vocabulary": "words.txt", "vocabulary_size": 7, "num_oov_buckets": 1},
        lambda: fc.indicator_column(fc.categorical_column_with_vocabulary_file("x", "words.txt", 7, 1)),
    ),
    (
        {"identity": 5, "default": 0, "embed": 2},
        lambda: fc.embedding_column(fc.categorical_column_with_identity("x", 5, 0), 2),
    ),
    (
        {"cross": ["a", "b"], "hash": 9, "hash_key": 3},
        lambda: fc.indicator_column(fc.crossed_column(["a", "b"], 9, 3)),
    ),
    (
        {"cross": ["a", "age", "word"], "hash": 9, "embed": 2},
        lambda: fc.embedding_column(fc.crossed_column(["a", ages(), "word"], 9), 2),
    ),
]


@pytest.mark.parametrize(("feature", "column"), COLUMNS, ids=[str(feature)[:60] for feature, _ in COLUMNS])
def test_a_feature_is_the_column_of_python(feature: Any, column: Any) -> None:
    others = {"age": {"buckets": [18, 25], "indicator": False}, "word": {"hash": 3, "indicator": False}}
    run = run_of({"x": feature, **others})
    (found,) = run.feature_columns()
    assert column_to_json(found) == column_to_json(column())
    assert config.loads(run.to_yaml()) == run


def test_what_gives_an_embedding_its_initial_values_is_taken_over() -> None:
    embed = {"dimension": 2, "initializer": {"name": "RandomNormal", "stddev": 0.5}}
    (column,) = run_of({"x": {"hash": 3, "embed": embed}}).feature_columns()
    assert column.initializer == RandomNormal(stddev=0.5)
    embed = {"dimension": 2, "ckpt_to_load_from": "old", "tensor_name_in_ckpt": "table"}
    (column,) = run_of({"x": {"hash": 3, "embed": embed}}).feature_columns()
    assert (column.ckpt_to_load_from, column.tensor_name_in_ckpt) == ("old", "table")


def test_a_cross_takes_crosses_and_renamed_columns() -> None:
    features = {
        "a": {"column": "raw", "hash": 3, "indicator": False},
        "ab": {"cross": ["a", "b"], "hash": 5, "indicator": False},
        "abc": {"cross": ["ab", "c"], "hash": 7},
    }
    (column,) = run_of(features).feature_columns()
    inner = fc.crossed_column(["raw", "b"], 5)
    assert column_to_json(column) == column_to_json(fc.indicator_column(fc.crossed_column([inner, "c"], 7)))


@pytest.mark.parametrize("function", ["shared_embedding_columns", "shared_embeddings"])
def test_features_share_an_embedding(function: str) -> None:
    features = {"a": {"hash": 10}, "b": {"hash": 10, "weights": "w"}, "x": "numeric"}
    shared = {"columns": ["a", "b"], "dimension": 4, "combiner": "sum", "function": function}
    numeric, *found = run_of(features, shared_embeddings=[shared]).feature_columns()
    pair = [hashed("a"), fc.weighted_categorical_column(hashed("b"), "w")]
    expected = getattr(fc, function)(pair, 4, "sum")
    assert numeric.name == "x"
    assert [column_to_json(column) for column in found] == [column_to_json(column) for column in expected]


def test_a_normalizer_of_ones_own_goes_by_its_name() -> None:
    halve = fc.register_normalizer("halve in test_features", lambda values: np.asarray(values) / 2)
    (column,) = run_of({"x": {"normalize": "halve in test_features"}}).feature_columns()
    assert column.normalizer_fn is halve


def test_a_vocabulary_file_is_read_for_its_size(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a\nb\nc\n")
    (column,) = run_of({"x": {"vocabulary": str(path)}}).feature_columns()
    assert column.categorical_column.vocabulary_size == 3


names = st.text("abcxyz_", min_size=1, max_size=6)
sizes = st.integers(1, 50)
dense = st.fixed_dictionaries(
    {}, optional={"shape": sizes, "normalize": st.sampled_from(["log1p", {"min": 0, "max": 2}])}
)
buckets = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4, unique=True).map(
    lambda each: {"buckets": sorted(each)}
)
words = st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True)
categorical = st.one_of(
    st.builds(dict, hash=sizes, dtype=st.sampled_from(["string", "int64"])),
    st.builds(dict, identity=sizes),
    st.builds(dict, vocabulary=words, num_oov_buckets=st.integers(0, 3)),
    buckets,
)
entered = st.one_of(
    st.just({}),
    st.just({"indicator": True}),
    st.builds(dict, embed=sizes),
    st.builds(dict, embed=st.builds(dict, dimension=sizes, combiner=st.sampled_from(["sum", "mean"]))),
)
feature = st.one_of(
    st.just("numeric"),
    dense,
    st.builds(lambda one, other: one | other, categorical, entered),
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(names, feature, min_size=1, max_size=4))
def test_any_valid_features_come_back_from_their_yaml(features: dict[str, Any]) -> None:
    run = run_of(features)
    again = config.loads(run.to_yaml())
    assert again == run
    found = [column_to_json(column) for column in again.feature_columns()]
    assert found == [column_to_json(column) for column in run.feature_columns()]
    assert len(found) == len(features)
