"""Arrow types that few people meet, and names that collide."""

import numpy as np
import pyarrow as pa
import pytest

import raydnn
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    embedding_column,
    numeric_column,
)
from raydnn.feature_column.columns import ValueColumn
from raydnn.feature_column.raw_features import RawFeatures


def features(array: pa.Array) -> RawFeatures:
    return RawFeatures(pa.RecordBatch.from_pydict({"x": array}))


def dense(column: ValueColumn, array: pa.Array) -> list[float]:
    return column.encode_dense(features(array)).ravel().tolist()


def test_a_fractional_default_value_is_not_cut_in_integer_data():
    assert dense(numeric_column("x", default_value=0.5), pa.array([1, None])) == [1.0, 0.5]


def test_a_default_value_other_than_one_survives_in_boolean_data():
    assert dense(numeric_column("x", default_value=2), pa.array([True, None])) == [1.0, 2.0]


def test_a_column_without_any_value_takes_the_default():
    assert dense(numeric_column("x", default_value=3.0), pa.nulls(2)) == [3.0, 3.0]


def test_string_views_are_strings():
    column = categorical_column_with_hash_bucket("x", 1000)
    plain, view = (column.encode(features(pa.array(["a", "b"], kind))) for kind in (pa.string(), pa.string_view()))
    np.testing.assert_array_equal(view.values, plain.values)


@pytest.mark.parametrize("column", [numeric_column("x"), categorical_column_with_hash_bucket("x", 5)])
def test_a_type_that_no_column_reads_is_refused_with_the_name_of_the_feature(column):
    times = pa.array([0], pa.timestamp("s"))
    encode = column.encode_dense if isinstance(column, ValueColumn) else column.encode
    with pytest.raises(ValueError, match=r"feature 'x' holds timestamp\[s\], which no column reads; cast it"):
        encode(features(times))


def test_columns_whose_tables_would_have_one_name_are_refused(tmp_path):
    columns = [embedding_column(categorical_column_with_identity(key, 3), 2) for key in ("a b", "a_b")]
    estimator = raydnn.DNNClassifier([2], columns, model_dir=tmp_path)
    with pytest.raises(ValueError, match="tables of the same name .*a_b_embedding"):
        estimator.train(lambda: ({"a b": np.array([1]), "a_b": np.array([2])}, np.array([1])), steps=1)
