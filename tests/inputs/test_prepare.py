"""What is done to rows before they become tensors."""

import pyarrow as pa
import pytest
from fake_data import LABEL, fake_columns, fake_features, fake_table

from raydnn.feature_column.encoder import Encoder, example_weight_column, input_layer_columns
from raydnn.feature_column.label import LabelEncoder
from raydnn.inputs.arrays import features_to_arrow
from raydnn.inputs.dataset import LABEL_COLUMN
from raydnn.inputs.prepare import EncodingPreparer, RawPreparer
from raydnn.model.batch import EncodedBatch


@pytest.fixture
def preparer() -> EncodingPreparer:
    label = LabelEncoder("binary", 2)
    return EncodingPreparer(Encoder(input_layer_columns(fake_columns()), label, example_weight_column("weight")))


def raw_rows(num_rows: int) -> tuple[pa.RecordBatch, pa.Array]:
    rows = fake_table(num_rows).to_batches()[0]
    return rows.append_column("weight", pa.array([1.0] * num_rows)), rows.column(LABEL)


def test_the_features_that_are_needed_are_those_of_the_columns_and_the_weight(preparer: EncodingPreparer) -> None:
    assert preparer.feature_keys == ("age", "city", "size", "tags", "weight")


def test_encoding_gives_as_many_rows_and_a_tensor_for_each_part(preparer: EncodingPreparer) -> None:
    batch = EncodedBatch.from_arrow(preparer.prepare(*raw_rows(9)))
    assert batch.num_rows == 9
    assert batch.dense is not None
    assert batch.labels is not None
    assert batch.weights is not None
    assert len(batch.ids) == 2


def test_a_batch_without_rows_is_laid_out_like_one_with_rows(preparer: EncodingPreparer) -> None:
    empty, full = preparer.empty(), preparer.prepare(*raw_rows(3))
    assert empty.num_rows == 0
    assert empty.schema.names == full.schema.names
    for name in ("dense", "label", "weight"):
        assert empty.schema.field(name).type == full.schema.field(name).type


def test_rows_of_a_dict_and_of_a_table_are_encoded_alike(preparer: EncodingPreparer) -> None:
    rows, labels = raw_rows(9)
    from_dict = features_to_arrow({**fake_features(9), "weight": [1.0] * 9})
    assert preparer.prepare(from_dict, labels).to_pydict() == preparer.prepare(rows, labels).to_pydict()


def test_raw_rows_stay_as_they_are_with_the_labels_beside_them() -> None:
    rows = pa.record_batch({"x": [1, 2]})
    preparer = RawPreparer()
    assert preparer.prepare(rows, None) is rows
    assert preparer.prepare(rows, pa.array([0, 1])).to_pydict() == {"x": [1, 2], LABEL_COLUMN: [0, 1]}
    assert (preparer.feature_keys, preparer.empty()) == (None, None)
