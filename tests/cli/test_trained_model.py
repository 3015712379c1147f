"""What the other commands do with a trained model: evaluate, predict, export, inspect."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import outcome, run, run_in_a_fork, write_run

import raydnn


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose model was trained."""
    folder = tmp_path_factory.mktemp("trained")
    write_run(folder)
    assert run_in_a_fork("train", "run.yaml", folder=folder).returncode == 0
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_evaluate_gives_the_metrics_of_a_checkpoint(folder: Path) -> None:
    found = outcome(run_in_a_fork("evaluate", "run.yaml", "--name", "june", "--json", folder=folder))
    assert found["metrics"]["global_step"] == 40
    assert list((folder / "model" / "eval_june").iterdir())
    arguments = ["evaluate", "run.yaml", "--checkpoint", "model/model.ckpt-0", "--json"]
    assert outcome(run_in_a_fork(*arguments, folder=folder))["metrics"]["global_step"] == 0
    assert "accuracy" in run_in_a_fork("evaluate", "run.yaml", folder=folder).stdout


def test_predict_writes_the_rows_with_the_predictions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("predict", "run.yaml", "--out", "out", "--keys", "probabilities,class_ids", "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    assert outcome(result)["rows"] == 45
    rows, given = pq.read_table(folder / "out"), pq.read_table(folder / "new.parquet")
    assert rows.column_names == ["id", "age", "city", "probabilities", "class_ids"]
    assert rows.select(given.column_names).equals(given)
    monkeypatch.chdir(folder)
    configured = raydnn.config.load("run.yaml")
    expected = [row["probabilities"] for row in configured.estimator().predict(configured.predict_input())]
    np.testing.assert_allclose(np.stack(rows["probabilities"].to_pylist()), expected, rtol=1e-6)


def test_predict_leaves_nothing_half_written(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    broken = pa.table({"id": [1], "age": pa.array([1.0], pa.float32()), "town": ["cairo"]})
    (folder / "many").mkdir()
    pq.write_table(pq.read_table(folder / "new.parquet"), folder / "many" / "a.parquet")
    pq.write_table(broken, folder / "many" / "b.parquet")
    arguments = ["predict", "run.yaml", "--out", "out", "--set", "data.predict={path: many, format: parquet}"]
    result = run_in_a_fork(*arguments, folder=folder)
    assert result.returncode == 1
    assert "city" in result.stderr
    assert {path.name for path in folder.iterdir()} - before == {"many", "stderr", "stdout"} - before


def test_predict_refuses_a_folder_that_is_there_and_data_without_rows(folder: Path) -> None:
    (folder / "out").mkdir()
    result = run_in_a_fork("predict", "run.yaml", "--out", "out", folder=folder)
    assert result.returncode == 1
    assert "is there already; remove it, or choose another folder" in result.stderr
    pq.write_table(pq.read_table(folder / "new.parquet").slice(0, 0), folder / "new.parquet")
    result = run_in_a_fork("predict", "run.yaml", "--out", "other", folder=folder)
    assert result.returncode == 1
    assert f"there are no rows to predict in {folder}/new.parquet" in result.stderr
    assert not (folder / "other").exists()


def test_a_prefix_tells_predictions_from_columns(folder: Path) -> None:
    rows = pq.read_table(folder / "new.parquet")
    pq.write_table(rows.append_column("logits", rows["age"]), folder / "new.parquet")
    arguments = ["predict", "run.yaml", "--out", "out", "--keys", "logits"]
    result = run_in_a_fork(*arguments, folder=folder)
    assert result.returncode == 1
    assert "already have columns with the names of predictions: logits" in result.stderr
    assert run_in_a_fork(*arguments, "--prefix", "my_", folder=folder).returncode == 0
    assert pq.read_table(folder / "out").column_names[-2:] == ["logits", "my_logits"]


def test_export_writes_a_model_that_can_be_loaded(folder: Path) -> None:
    result = run_in_a_fork("export", "run.yaml", "--out", "exports", "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    rows = pq.read_table(folder / "new.parquet")
    exported = raydnn.export.load(folder / outcome(result)["export"])
    assert exported.predict(rows.select(["age", "city"]))["probabilities"].shape == (45, 2)
    parsing = run_in_a_fork("export", "run.yaml", "--out", "parsing", "--receiver", "parsing", folder=folder)
    assert (folder / parsing.stdout.strip()).is_dir()


def test_report_writes_one_file_into_the_model_dir(folder: Path, tmp_path: Path) -> None:
    # From elsewhere, and with the model where it was not when it was trained.
    shutil.move(folder / "model", folder / "moved")
    result = run("report", folder / "moved", "--json", folder=tmp_path / "..")
    assert result.returncode == 0, result.stderr
    found = outcome(result)
    assert (found["report"], found["mlflow_run"]) == (f"{folder}/moved/report.html", None)
    assert (found["rows"], found["scored"]) == (20, "data.eval")
    assert {"auc", "average_loss", "accuracy"} <= set(found["metrics"])
    assert (len(found["sections"]), "roc" in found["charts"]) == (14, True)
    assert Path(found["report"]).read_text().startswith("<!doctype html>")


def test_report_shows_what_is_asked_for(folder: Path) -> None:
    arguments = ["report", "run.yaml", "--out", "out.html", "--slices", "id, city", "--rows", "10"]
    arguments += ["--checkpoint", "model/model.ckpt-0"]
    result = run_in_a_fork(*arguments, folder=folder)
    assert result.returncode == 0, result.stderr
    assert "10 rows of data.eval" in result.stdout
    assert "report  out.html" in result.stdout
    html = (folder / "out.html").read_text()
    assert "By id" in html
    assert "By city" in html
    assert not (folder / "model" / "report.html").exists()


def test_report_refuses_a_folder_without_a_run_and_columns_that_are_not_there(folder: Path) -> None:
    (folder / "model" / "run.yaml").unlink()
    result = run_in_a_fork("report", "model", folder=folder)
    assert result.returncode == 2
    assert "error: model holds no run.yaml, which raydnn train writes; give the run file instead" in result.stderr
    result = run_in_a_fork("report", "run.yaml", "--slices", "town", "--json", folder=folder)
    assert result.returncode == 1
    assert "the data has no column 'town'" in outcome(result)["error"]["message"]
    assert not (folder / "model" / "report.html").exists()


def test_inspect_tells_all_of_a_model(trained: Path) -> None:
    result = run_in_a_fork("inspect", "model", "--json", folder=trained)
    found = outcome(result)
    variables = {each["name"]: each for each in found["variables"]}
    kernel = variables["dnn/hiddenlayer_0/kernel"]
    assert kernel == {"name": "dnn/hiddenlayer_0/kernel", "shape": [5, 4], "dtype": "float32", "bytes": 80, "parts": 1}
    assert found["total_bytes"] == sum(each["bytes"] for each in variables.values())
    assert found["checkpoints"] == ["model/model.ckpt-0", "model/model.ckpt-40"]
    assert found["input_position"] == {"epoch": 1, "batch": 20}
    assert [(epoch["epoch"], epoch["read"], epoch["rows"], epoch["workers"]) for epoch in found["ledger"]] == [
        (0, 200, 200, [200]),
        (1, 200, 200, [200]),
    ]
    text = run_in_a_fork("inspect", "model", folder=trained).stdout
    for part in (
        "5 x 4",
        f"│ {found['total_bytes']}",
        "at step 40",
        "21 to 40",
        "The input goes on at epoch 2, batch 21.",
    ):
        assert part in text


def test_inspect_without_a_checkpoint_says_so_and_fails(tmp_path: Path) -> None:
    result = run_in_a_fork("inspect", tmp_path, "--json", folder=tmp_path)
    assert result.returncode == 1
    assert "not a checkpoint" in outcome(result)["error"]["message"]
