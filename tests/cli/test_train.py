"""`raydnn train`: from a file to a model, and what signals do to it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import COMMAND, outcome, run, run_in_a_fork, write_run

import raydnn
from raydnn.train import CheckpointReader, latest_checkpoint, load_checkpoint
from raydnn.train.checkpoint import training_lock

_ENDLESS = ["data.epochs=null", "data.eval=null", "exporters=[]", "run.save_checkpoints_steps=97"]
ENDLESS = [argument for setting in _ENDLESS for argument in ("--set", setting)]

SCRIPT = """
import raydnn
from raydnn import feature_column as fc

classifier = raydnn.DNNClassifier(
    [4],
    [
        fc.numeric_column("age", normalizer_fn=fc.normalizers.Standardize(49, 18)),
        fc.embedding_column(fc.categorical_column_with_hash_bucket("city", 32), 4),
    ],
    dropout=0.2,
    config=raydnn.RunConfig("written", tf_random_seed=7),
)
classifier.train(
    lambda: raydnn.inputs.from_parquet(
        "train.parquet", label="clicked", batch_size=10, num_epochs=2, shuffle=True, seed=3
    )
)
"""


def stopped(folder: Path, number: signal.Signals, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train, and send a signal as soon as there is a checkpoint of a later step."""
    with subprocess.Popen(
        [*COMMAND, "train", "run.yaml", "--json", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while (latest_checkpoint(str(folder / "model")) or "-0").endswith("-0") and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def position(folder: Path) -> tuple[int, int, int]:
    """Step, epoch and batch of the newest checkpoint."""
    checkpoint = load_checkpoint(str(folder / "model"))
    assert isinstance(checkpoint, CheckpointReader)
    found = checkpoint.manifest.input_position
    assert found is not None
    return checkpoint.global_step, found["epoch"], found["batch"]


def test_a_run_is_trained_evaluated_and_exported(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run("train", "run.yaml", "--json", "--set", "model.dropout=0.1", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    found = outcome(result)
    assert (found["command"], found["status"], found["global_step"]) == ("train", "done", 40)
    assert found["metrics"]["global_step"] == 40
    assert found["checkpoints"][-1] == "model/model.ckpt-40"
    assert [(each["first_step"], each["last_step"], each["rows"], each["dropped"]) for each in found["ledger"]] == [
        (1, 20, 200, {}),
        (21, 40, 200, {}),
    ]
    assert [each["call_start_step"] for each in found["ledger"]] == [0, 0]
    (export,) = found["exports"]
    assert (tmp_path / export).is_dir()


def test_a_run_that_has_nothing_to_do_has_read_no_rows(tmp_path: Path) -> None:
    write_run(tmp_path)
    limited = ["train", "run.yaml", "--json", "--set", "eval.max_steps=25"]
    assert [each["rows"] for each in outcome(run_in_a_fork(*limited, folder=tmp_path))["ledger"]] == [200, 50]
    assert outcome(run_in_a_fork(*limited, folder=tmp_path))["ledger"] == []


def test_the_run_is_kept_beside_its_model_with_its_overrides(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert run_in_a_fork("train", "run.yaml", "--set", "data.batch_size=40", folder=tmp_path).returncode == 0
    kept = raydnn.config.load(tmp_path / "model" / "run.yaml")
    assert (kept.data.batch_size, kept.run_config().model_dir) == (40, str(tmp_path / "model"))


def test_a_training_that_is_refused_leaves_the_kept_run_as_it_is(tmp_path: Path) -> None:
    write_run(tmp_path)
    kept = tmp_path / "model" / "run.yaml"
    with training_lock(str(tmp_path / "model")):
        kept.write_text("of the one that trains")
        result = run_in_a_fork("train", "run.yaml", folder=tmp_path)
    assert result.returncode == 1
    assert "train.lock is held by process" in result.stderr
    assert kept.read_text() == "of the one that trains"


def test_people_see_the_metrics_and_where_everything_is(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("train", "run.yaml", folder=tmp_path)
    assert result.returncode == 0
    for text in ("accuracy", "checkpoint   model/model.ckpt-40", "export       model/export/newest/", "--logdir model"):
        assert text in result.stdout


def test_a_python_script_that_says_the_same_learns_the_same_bits(tmp_path: Path) -> None:
    write_run(tmp_path)
    arguments = ["--set", "data.shuffle=true", "--set", "data.seed=3", "--set", "model.dropout=0.2"]
    assert run_in_a_fork("train", "run.yaml", *arguments, folder=tmp_path).returncode == 0
    declared = load_checkpoint(str(tmp_path / "model"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, timeout=120)
    written = load_checkpoint(str(tmp_path / "written"))
    assert declared.global_step == written.global_step == 40
    names = declared.get_variable_to_shape_map()
    assert names == written.get_variable_to_shape_map()
    for name in names:
        np.testing.assert_array_equal(declared.get_tensor(name), written.get_tensor(name), err_msg=name)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_a_signal_the_same_command_goes_on_with_the_next_row(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write_run(tmp_path)
    arguments = [*ENDLESS, "--set", "eval.max_steps=3000"]
    result = stopped(tmp_path, number, *arguments)
    assert result.returncode == code, result.stderr
    found = outcome(result)
    assert (found["status"], found["signal"]) == ("stopped", number.name)
    assert "Run the same program again to go on" in result.stderr
    step, epoch, batch = position(tmp_path)
    assert found["global_step"] == step == 20 * epoch + batch
    assert 0 < step < 3000
    assert f" {step} steps took" in result.stderr, "no step is lost"
    again = run_in_a_fork("train", "run.yaml", *arguments, folder=tmp_path)
    assert again.returncode == 0
    assert f"cut short at step {step}: epoch {epoch + 1}, batch {batch + 1}." in again.stderr
    assert position(tmp_path) == (3000, 149, 20)


@pytest.mark.slow
def test_sigterm_stops_ray_workers_with_a_checkpoint(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = stopped(tmp_path, signal.SIGTERM, *ENDLESS, "--set", "run.num_workers=2")
    assert result.returncode == 143, result.stderr
    found = outcome(result)
    step, epoch, batch = position(tmp_path)
    assert (found["status"], found["signal"], found["global_step"]) == ("stopped", "SIGTERM", step)
    assert step == 20 * epoch + batch > 0
    assert f" {step} steps took" in result.stderr, "no step is lost"


def test_columns_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write_run(tmp_path)
    pq.write_table(pq.read_table(tmp_path / "train.parquet").drop_columns(["city"]), tmp_path / "train.parquet")
    result = run_in_a_fork("train", "run.yaml", folder=tmp_path)
    assert result.returncode == 1
    assert "city" in result.stderr
    assert "Traceback" not in result.stderr
