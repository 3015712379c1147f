"""`raydnn split`: rows held out for evaluation."""

from pathlib import Path

import pyarrow.parquet as pq
from commands import outcome, run_in_a_fork, write_run


def test_split_writes_both_parts_and_says_how_to_go_on(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("split", "train.parquet", "--out", "parts", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = [pq.read_metadata(tmp_path / "parts" / f"{name}.parquet").num_rows for name in ("train", "eval")]
    assert sum(rows) == 200
    assert f"{rows[0]} rows to train on     parts/train.parquet" in result.stdout
    assert "next: raydnn init parts/train.parquet --eval parts/eval.parquet" in result.stdout
    again = run_in_a_fork("split", "train.parquet", "--out", "other", "--share", "0.5", "--json", folder=tmp_path)
    found = outcome(again)
    assert 70 < found["eval_rows"] < 130
    assert found["train"] == "other/train.parquet"


def test_split_refuses_what_is_there_and_a_share_that_is_none(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "parts").mkdir()
    result = run_in_a_fork("split", "train.parquet", "--out", "parts", "--json", folder=tmp_path)
    assert result.returncode == 1
    assert "is there already" in outcome(result)["error"]["message"]
    assert run_in_a_fork("split", "train.parquet", "--out", "x", "--share", "1.5", folder=tmp_path).returncode == 2
