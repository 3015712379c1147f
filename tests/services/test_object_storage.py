"""Data, model_dir and export on an object store, which only variables of the environment lead to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import outcome, run

import raydnn
from raydnn import config, storage
from raydnn.tracking.event_file import read_scalars

from .conftest import DATA, EVERY, MODEL_DIR, STEPS, KilledRun

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_killed_training_goes_on_with_the_next_row_and_ends_with_the_bits_of_an_undisturbed_one(
    killed_run: KilledRun, tmp_path: Path
) -> None:
    step = killed_run.killed_at
    assert EVERY < step < STEPS
    assert f"cut short at step {step}: epoch {step // 20 + 1}, batch {step % 20 + 1}." in killed_run.log
    assert (killed_run.outcome["status"], killed_run.outcome["global_step"]) == ("done", STEPS)
    folder = killed_run.run_file.parent
    given = {"run.model_dir": str(tmp_path), "data.train": str(folder / "train.parquet"), "data.eval": None}
    alone = config.load(str(killed_run.run_file), {**given, "exporters": []})
    expected = alone.estimator().train(alone.train_input())
    found = raydnn.train.load_checkpoint(MODEL_DIR)
    assert sorted(found.get_variable_to_shape_map()) == sorted(expected.get_variable_names())
    for name in expected.get_variable_names():
        np.testing.assert_array_equal(found.get_tensor(name), expected.get_variable_value(name), err_msg=name)
    leftovers = [name for name in storage.list_folder(MODEL_DIR) if ".tmp" in name or name.startswith("train")]
    assert leftovers == []


def test_the_export_loads_from_there_and_all_commands_take_its_paths(killed_run: KilledRun) -> None:
    run_file, out = str(killed_run.run_file), "s3://bucket/predicted"
    export = killed_run.outcome["exports"][-1]
    assert export.startswith(f"{MODEL_DIR}/export/newest/")
    with ThreadPoolExecutor() as pool:
        commands = [("evaluate", run_file), ("predict", run_file, "--out", out), ("inspect", MODEL_DIR)]
        evaluated, predicted, inspected = pool.map(lambda command: outcome(run(*command, "--json")), commands)
    assert evaluated["metrics"] == killed_run.outcome["metrics"]
    assert inspected["checkpoint"] == f"{MODEL_DIR}/model.ckpt-{STEPS}"
    assert predicted["rows"] == 45

    assert storage.list_folder("s3://bucket") == ["data", "mlflow", "predicted", "runs"]
    rows = pq.read_table(killed_run.run_file.parent / "new.parquet")
    with storage.local_copy(f"{out}/part-00000.parquet") as path:
        written = pq.read_table(path)
    assert written.select(rows.column_names) == rows
    loaded = raydnn.export.load(export).predict({name: rows[name].to_numpy() for name in ("age", "city")})
    np.testing.assert_allclose(loaded["probabilities"], written["probabilities"].to_pylist(), rtol=1e-6)


def test_curves_of_both_processes_are_in_event_files(killed_run: KilledRun) -> None:
    training = read_scalars(MODEL_DIR)
    steps = [step for step, values in training.items() if "loss" in values]
    assert steps[-1] > killed_run.killed_at
    evaluations = read_scalars(f"{MODEL_DIR}/eval")
    assert evaluations[STEPS]["auc"] == pytest.approx(killed_run.outcome["metrics"]["auc"])


def test_what_is_missing_is_told_by_its_url(s3: dict[str, str]) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no file {DATA}/none.parquet"):
        raydnn.inputs.from_parquet(f"{DATA}/none.parquet", label="clicked", batch_size=10)
