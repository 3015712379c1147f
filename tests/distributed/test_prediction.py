"""Predicting Ray Datasets with a pool of actors, against predicting in this process."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import ray.cloudpickle
import ray.data
from custom_models import twin_model_fn
from fake_data import LABEL, fake_classifier, fake_input_fn, fake_table

import raydnn
from raydnn.distributed.prediction import write_parquet
from raydnn.feature_column import categorical_column_with_identity, embedding_column

# Actors cannot import test modules by name.
for name in (__name__, "custom_models", "fake_data"):
    ray.cloudpickle.register_pickle_by_value(sys.modules[name])

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

ROWS = 1003


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=1)
    estimator = fake_classifier(tmp_path_factory.mktemp("model"), config, label_vocabulary=["no", "yes"], n_classes=2)
    assert isinstance(estimator, raydnn.DNNClassifier)
    estimator.train(lambda: raydnn.inputs.from_arrow(text_label(fake_table(64)), label=LABEL))
    return estimator


def text_label(table: pa.Table) -> pa.Table:
    names = pa.array(["yes" if label else "no" for label in table.column(LABEL).to_pylist()])
    return table.set_column(table.schema.get_field_index(LABEL), LABEL, names)


def in_blocks(table: pa.Table, rows: int) -> ray.data.Dataset:
    return ray.data.from_arrow([table.slice(start, rows) for start in range(0, table.num_rows, rows)])


def table_of(dataset: ray.data.Dataset) -> pa.Table:
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()))


def predicted_here(estimator: raydnn.Estimator, table: pa.Table) -> dict[str, np.ndarray]:
    rows = list(estimator.predict(lambda: raydnn.inputs.from_arrow(table)))
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def assert_predicted(found: pa.Table, expected: dict[str, np.ndarray], prefix: str = "") -> None:
    for key, values in expected.items():
        column = np.array(found.column(prefix + key).to_pylist()).reshape(values.shape)
        if values.dtype.kind == "f":
            np.testing.assert_allclose(column, values, rtol=1e-5, atol=1e-7, err_msg=key)
        else:
            np.testing.assert_array_equal(column, values.astype(column.dtype), err_msg=key)


def test_every_row_of_files_comes_once_with_the_predictions_of_predict(
    classifier: raydnn.DNNClassifier, tmp_path: Path
) -> None:
    table = text_label(fake_table(ROWS)).append_column("row", pa.array(range(ROWS)))
    pq.write_table(table, tmp_path / "rows.parquet")
    files = ray.data.read_parquet(str(tmp_path)).repartition(6)
    found = table_of(classifier.predict_dataset(files, batch_size=128, concurrency=1)).sort_by("row")
    assert found.column_names == [*table.column_names, *predicted_here(classifier, table.slice(0, 1))]
    assert found.select(table.column_names).to_pylist() == table.to_pylist()
    assert_predicted(found, predicted_here(classifier, table))
    assert found.schema.field("classes").type == pa.string()
    assert found.schema.field("class_ids").type == pa.int64()
    assert found.schema.field("probabilities").type == pa.list_(pa.float32(), 2)
    assert set(found.column("classes").to_pylist()) == {"no", "yes"}


def test_rows_without_labels_keep_their_order_on_request_and_get_the_wanted_keys(
    classifier: raydnn.DNNClassifier,
) -> None:
    table = fake_table(ROWS).drop_columns([LABEL])
    dataset = in_blocks(table, 50)
    planned = classifier.predict_dataset(
        dataset, ["logistic"], batch_size=40, concurrency=2, keep_order=True, prefix="predicted_"
    )
    assert not dataset.context.execution_options.preserve_order
    found = table_of(planned)
    assert found.select(table.column_names).to_pylist() == table.to_pylist()
    assert found.column_names == [*table.column_names, "predicted_logistic"]
    expected = predicted_here(classifier, table)
    assert_predicted(found, {"logistic": expected["logistic"]}, "predicted_")


def test_a_model_function_of_ones_own_predicts_with_the_checkpoint_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Actors do not share the working directory.
    monkeypatch.chdir(tmp_path)
    estimator = raydnn.Estimator(twin_model_fn, "model", params={"hidden_units": [4]})
    estimator.train(fake_input_fn())
    table = fake_table(200).drop_columns([LABEL])
    planned = estimator.predict_dataset(in_blocks(table, 50), keep_order=True)
    expected = predicted_here(estimator, table)
    estimator.train(fake_input_fn())
    found = table_of(planned)
    assert found.column_names == [*table.column_names, "logistic"]
    assert_predicted(found, expected)


def test_an_error_keeps_its_type_and_names_the_column(tmp_path: Path) -> None:
    columns = [embedding_column(categorical_column_with_identity("place", 5), 2)]
    estimator = raydnn.DNNClassifier([2], columns, tmp_path)
    rows = pa.table({"place": [0] * 99 + [7]})
    planned = estimator.predict_dataset(in_blocks(rows, 20), concurrency=1)
    with pytest.raises(raydnn.errors.InvalidArgumentError, match="column 'place_embedding': id 7"):
        planned.materialize()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"concurrency": 4}, "has 4 CPUs, but 4 actors that predict need one each, and reading needs one"),
        ({"concurrency": 0}, "concurrency must be 1 or more; got 0"),
        ({"batch_size": 0}, "batch_size must be 1 or more; got 0"),
        ({"checkpoint_path": "missing"}, "checkpoint_path: missing is not a checkpoint"),
        ({"dataset": raydnn.inputs.from_numpy({"x": [1]})}, "must be a ray.data.Dataset; got Dataset"),
    ],
)
def test_arguments_are_checked_by_the_call(
    classifier: raydnn.DNNClassifier, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier.predict_dataset(**{"dataset": ray.data.range(10), **arguments})


def test_a_gpu_is_asked_for_only_where_there_is_one(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path, raydnn.RunConfig(use_gpu=True))
    with pytest.raises(ValueError, match=r"has 0 GPUs, but with RunConfig\(use_gpu=True\) 1 actors"):
        estimator.predict_dataset(ray.data.range(10))


def test_predictions_become_parquet_files_without_a_word(
    classifier: raydnn.DNNClassifier, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    planned = classifier.predict_dataset(in_blocks(fake_table(90), 30), ["class_ids"], concurrency=1)
    write_parquet(planned, str(tmp_path / "out"))
    written = pq.read_table(tmp_path / "out")
    assert written.num_rows == 90
    assert written.column_names == [*fake_table(1).column_names, "class_ids"]
    assert "Dataset" not in capfd.readouterr().err
