"""`raydnn import-tf`."""

from pathlib import Path

from commands import outcome, run_in_a_fork

import raydnn


def test_a_checkpoint_of_tensorflow_is_copied(tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "goldens" / "tf_checkpoints" / "adam_batch_norm"
    result = run_in_a_fork("import-tf", source, tmp_path, "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert outcome(result)["checkpoint"] == f"{tmp_path}/model.ckpt-6"
    assert raydnn.train.load_variable(str(tmp_path), "global_step") == 6


def test_something_else_is_refused(tmp_path: Path) -> None:
    result = run_in_a_fork("import-tf", tmp_path, tmp_path / "model", folder=tmp_path)
    assert result.returncode == 1
    assert "neither a TensorFlow checkpoint" in result.stderr
