"""What a cluster changes in a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from checked_runs import run_of

from raydnn import config
from raydnn.errors import ConfigError
from raydnn.k8s.job import MOUNT
from raydnn.k8s.run_in_cluster import MAX_FAILURES, MLFLOW_URI, in_cluster, job_of_run


def changed(**sections: Any) -> config.Run:
    return in_cluster(run_of(sections.pop("features", None), **sections), "clicks")[0]


def test_relative_paths_lie_on_the_shared_storage() -> None:
    run = changed(
        data={"train": ["a.parquet", "./b/../c.parquet"], "eval": {"path": "e.parquet", "batch_size": 4}},
        model={"warm_start_from": "old/model"},
        run={"model_dir": "runs/model", "storage": "runs/ray"},
    )
    assert run.data.train == [f"{MOUNT}/a.parquet", f"{MOUNT}/c.parquet"]
    files = run.data.files("eval")
    assert files is not None
    assert (files.path, files.batch_size) == (f"{MOUNT}/e.parquet", 4)
    assert run.model.warm_start_from == f"{MOUNT}/old/model"
    assert (run.run_config().model_dir, run.run_config().storage) == (f"{MOUNT}/runs/model", f"{MOUNT}/runs/ray")
    assert job_of_run(run, "clicks").is_stored


def test_urls_iceberg_tables_and_paths_of_the_storage_stay() -> None:
    given = {"train": "s3://bucket/a.parquet", "eval": {"path": "db.rows", "format": "iceberg"}}
    run = changed(data=given, run={"model_dir": "gs://bucket/model"})
    assert (run.data.train, run.run_config().model_dir) == ("s3://bucket/a.parquet", "gs://bucket/model")
    files = run.data.files("eval")
    assert files is not None
    assert files.path == "db.rows"
    assert not job_of_run(run, "clicks").is_stored
    assert changed(data={"train": f"{MOUNT}/a.parquet"}).data.train == f"{MOUNT}/a.parquet"


@pytest.mark.parametrize(
    ("key", "path"),
    [("data.train", "/home/me/a.parquet"), ("run.model_dir", "../model"), ("data.eval", f"{MOUNT}/../a.parquet")],
)
def test_paths_of_one_machine_are_refused(key: str, path: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError, match=f"{key}: the pods of a cluster do not have {path}; give a URL, or a path"):
        changed(**{section: {name: path}})


def test_a_vocabulary_in_a_file_must_be_on_the_storage_or_have_its_size(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    feature = {"vocabulary": str(words), "embed": 2}
    with pytest.raises(ConfigError, match=r"features\.x\.vocabulary: the pods of a cluster do not have"):
        changed(features={"x": feature})
    feature = {"vocabulary": "words.txt", "vocabulary_size": 2, "embed": 2}
    assert changed(features={"x": feature}).features["x"].vocabulary == f"{MOUNT}/words.txt"


def test_what_is_not_said_is_as_a_cluster_needs_it() -> None:
    settings = changed(run={"progress": True}).run_config()
    assert (settings.num_workers, settings.max_failures, settings.progress) == (1, MAX_FAILURES, False)
    assert settings.model_dir == f"{MOUNT}/runs/clicks/model"


def test_what_is_said_stays() -> None:
    settings = changed(run={"num_workers": 4, "max_failures": 0, "model_dir": "m"}).run_config()
    assert (settings.num_workers, settings.max_failures) == (4, 0)


@pytest.mark.parametrize("tracking", ["mlflow", {"experiment": "clicks"}])
def test_a_tracked_run_finds_the_server_of_its_cluster(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, text = in_cluster(run_of(run={"tracking": tracking}), "clicks")
    assert run.run_config().tracking.tracking_uri == MLFLOW_URI  # type: ignore[union-attr]
    written = yaml.safe_load(text)["run"]["tracking"]
    assert written["tracking_uri"] == "${MLFLOW_TRACKING_URI}"
    assert written.get("experiment") == (tracking["experiment"] if isinstance(tracking, dict) else None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:80")
    assert config.loads(text).run_config().tracking.tracking_uri == "http://there:80"  # type: ignore[union-attr]


def test_what_environment_variables_gave_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "s3://mine")
    text = in_cluster(run_of(data={"train": "${BUCKET}/a.parquet"}), "clicks")[1]
    assert "${BUCKET}/a.parquet" in text
    assert "s3://mine" not in text
