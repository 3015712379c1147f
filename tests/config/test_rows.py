"""The input functions of a run give the rows of its files."""

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from fake_examples import example, write_records

import raydnn
from raydnn import config
from raydnn.inputs.dataset import RayDatasetSource

TABLE = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "c": ["a", "b", "a", "c"], "y": [0, 1, 0, 1]})


def run_of(folder: Path, **data: Any) -> config.Run:
    text = f"""
data: {{train: {folder}/rows.parquet, label: y, batch_size: 2, epochs: 3, shuffle: true, seed: 5}}
features: {{x: numeric, c: {{hash: 10, embed: 2}}}}
model: {{hidden_units: [4]}}
run: {{model_dir: {folder}/model, tf_random_seed: 1}}
eval: {{max_steps: 3}}
"""
    return config.loads(text, {f"data.{key}": value for key, value in data.items()})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    pacsv.write_csv(TABLE, tmp_path / "rows.csv")
    return tmp_path


def test_parquet_is_read_by_raydnn_as_data_says(folder: Path) -> None:
    run = run_of(folder, eval={"path": f"{folder}/rows.parquet", "batch_size": 3}, predict=f"{folder}/rows.parquet")
    trained = pickle.loads(pickle.dumps(run.train_input()))()
    assert pa.Table.from_batches([trained.fragments.read(0, 0, 4, None)]).to_pylist() == TABLE.to_pylist()
    found = (trained.label, trained.batch_size, trained.num_epochs, trained.shuffle, trained.seed)
    assert found == ("y", 2, 3, True, 5)
    evaluated = run.eval_input()()
    assert (evaluated.label, evaluated.batch_size, evaluated.num_epochs, evaluated.shuffle) == ("y", 3, 1, False)
    assert run.predict_input()().label is None


def test_a_declared_run_trains_evaluates_exports_and_predicts(folder: Path) -> None:
    run = run_of(folder, eval=f"{folder}/rows.parquet", predict=[f"{folder}/rows.parquet"])
    run = config.loads(run.to_yaml(), {"exporters": [{"kind": "final", "name": "last"}]})
    estimator = run.estimator()
    metrics, exports = raydnn.estimator.train_and_evaluate(estimator, run.train_spec(), run.eval_spec())
    assert metrics["global_step"] == 3
    assert len(list(estimator.predict(run.predict_input()))) == 4
    assert len(raydnn.export.load(exports[0].decode()).predict(TABLE.drop(["y"]))["logits"]) == 4


def test_tfrecord_files_are_parsed_by_the_columns_label_and_weight(tmp_path: Path) -> None:
    records = [example({"x": x, "c": "a", "y": 1, "w": 0.5}) for x in (1.0, 2.0)]
    path = write_records(tmp_path / "rows.tfrecord", records)
    dataset = run_of(tmp_path, train=path, weight="w").train_input()()
    rows = pa.Table.from_batches([dataset.fragments.read(0, 0, 2, None)]).to_pylist()
    assert sorted(rows[0]) == ["c", "w", "x", "y"]
    assert [row["x"] for row in rows] in ([1.0, 2.0], [[1.0], [2.0]])


@pytest.mark.usefixtures("ray_four_cpus")
@pytest.mark.filterwarnings("default")  # Ray warns of what it does itself
def test_csv_and_with_engine_ray_parquet_are_read_by_ray_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = run_of(Path(), train="rows.csv", eval={"path": "rows.csv", "options": {"include_paths": True}})
    train_input, eval_input = run.train_input(), run.eval_input()
    monkeypatch.chdir("/")  # as a worker may stand elsewhere
    dataset = pickle.loads(pickle.dumps(train_input))()
    assert (dataset.label, dataset.batch_size, dataset.num_epochs, dataset.shuffle) == ("y", 2, 3, True)
    assert isinstance(dataset.source, RayDatasetSource)
    assert dataset.source.dataset.take_all() == TABLE.to_pylist()
    evaluated = eval_input()
    assert [row["path"] for row in evaluated.source.dataset.take(1)] == [str(folder / "rows.csv")]
    through_ray = run_of(folder, engine="ray").train_input()()
    assert through_ray.source.dataset.take_all() == TABLE.to_pylist()


def test_a_file_that_is_not_there_is_named_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="rows.parquet"):
        run_of(tmp_path).train_input()()
