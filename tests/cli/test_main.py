"""The command, run as a person runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from fake_data import LABEL, fake_classifier, fake_table

import raydnn


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from raydnn.cli.main import app; app()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_version_is_printed():
    result = run("--version")
    assert (result.returncode, result.stdout.strip()) == (0, raydnn.__version__)


def test_inspect_lists_the_variables_of_a_checkpoint(tmp_path: Path):
    raydnn.train.save_checkpoint(str(tmp_path), {"dnn/logits/kernel": np.zeros((3, 1))}, 7)
    result = run("inspect", str(tmp_path))
    assert result.returncode == 0
    assert "dnn/logits/kernel" in result.stdout
    assert "3 x 1" in result.stdout
    assert "step 7" in result.stdout.replace("\n", " ")


def test_inspect_tells_where_the_input_goes_on(tmp_path: Path):
    classifier = fake_classifier(tmp_path)
    data = raydnn.inputs.from_arrow(fake_table(), label=LABEL, batch_size=8)
    classifier.train(lambda: data, steps=3)
    assert "The input goes on at epoch 1, batch 4." in run("inspect", str(tmp_path)).stdout


def test_inspect_without_a_checkpoint_says_so_and_fails(tmp_path: Path):
    result = run("inspect", str(tmp_path))
    assert result.returncode == 1
    assert "not a checkpoint" in result.stderr


def test_import_tf_copies_a_checkpoint_of_tensorflow(tmp_path: Path):
    source = Path(__file__).parent.parent / "goldens" / "tf_checkpoints" / "adam_batch_norm"
    result = run("import-tf", str(source), str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"{tmp_path}/model.ckpt-6"
    assert raydnn.train.load_variable(str(tmp_path), "global_step") == 6


def test_import_tf_of_something_else_says_so_and_fails(tmp_path: Path):
    result = run("import-tf", str(tmp_path), str(tmp_path / "model"))
    assert result.returncode == 1
    assert "neither a TensorFlow checkpoint" in result.stderr
