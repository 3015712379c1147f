"""The record file: always whole, and one winner."""

import json
import os
import uuid
from pathlib import Path

import pytest

from raydnn.tracking import run_record
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


def test_first_claim_stands_on_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_record, "SETTLE_SECS", 0.0)
    model_dir = f"memory://{uuid.uuid4().hex}"
    assert read_record(model_dir) is None
    assert claim_record(model_dir, OLD) == OLD
    assert claim_record(model_dir, NEW) == OLD
    replace_record(model_dir, NEW)
    assert read_record(model_dir) == NEW


def test_of_two_claims_at_once_on_an_object_store_the_last_one_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    model_dir = f"memory://{uuid.uuid4().hex}"
    # What another process does while this one waits.
    monkeypatch.setattr(run_record.time, "sleep", lambda _: replace_record(model_dir, NEW))
    assert claim_record(model_dir, OLD) == NEW


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"run_id": "x"}'])
def test_unreadable_record_counts_as_none_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "mlflow_run.json").write_text(text)
    assert read_record(tmp_path) is None
    assert "mlflow_run.json" in caplog.text
    assert claim_record(tmp_path, NEW) == NEW
    assert read_record(tmp_path) == NEW
