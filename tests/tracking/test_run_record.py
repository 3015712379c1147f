"""The record file: always whole, and one winner."""

import json
import os
from pathlib import Path

import pytest

from raydnn.tracking.run_record import RunRecord, claim_record, read_record, replace_record

OLD = RunRecord(run_id="old", experiment_id="1", tracking_uri=None)
NEW = RunRecord(run_id="new", experiment_id="2", tracking_uri="http://server:5000")


def test_record_comes_back_as_written(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    replace_record(tmp_path, NEW)
    assert read_record(tmp_path) == NEW
    assert json.loads((tmp_path / "mlflow_run.json").read_text()) == {
        "run_id": "new",
        "experiment_id": "2",
        "tracking_uri": "http://server:5000",
    }


def test_failure_before_the_rename_leaves_the_old_record_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_record(tmp_path, OLD)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_record(tmp_path, NEW)
    assert read_record(tmp_path) == OLD
    assert os.listdir(tmp_path) == ["mlflow_run.json"]


def test_first_claim_stands(tmp_path: Path) -> None:
    assert claim_record(tmp_path / "new_dir", OLD) == OLD
    assert claim_record(tmp_path / "new_dir", NEW) == OLD
    assert os.listdir(tmp_path / "new_dir") == ["mlflow_run.json"]


def test_claim_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", fail)
    assert claim_record(tmp_path, NEW) == NEW
    assert read_record(tmp_path) == NEW


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"run_id": "x"}'])
def test_unreadable_record_counts_as_none_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "mlflow_run.json").write_text(text)
    assert read_record(tmp_path) is None
    assert "mlflow_run.json" in caplog.text
    assert claim_record(tmp_path, NEW) == NEW
    assert read_record(tmp_path) == NEW
