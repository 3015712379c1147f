"""Paths that a run gives, and its YAML for other folders."""

from pathlib import Path

import pytest

from raydnn import config

RUN = """\
data:
  train: [a.parquet, /data/b.parquet, "${RAYDNN_TEST_FOLDER}/c.parquet"]
  eval: {path: data/eval, format: parquet}
  predict: s3://bucket/new.parquet
  label: y
features:
  x: numeric
  a.b: {column: c, vocabulary: words.txt, vocabulary_size: 3, embed: 2}
model: {hidden_units: [4], warm_start_from: earlier/model}
run: {model_dir: "${RAYDNN_TEST_MODEL}", storage: /mnt/shared}
"""


def test_relative_paths_become_absolute_and_variables_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDNN_TEST_FOLDER", "../data")
    monkeypatch.setenv("RAYDNN_TEST_MODEL", "/models/x")
    monkeypatch.chdir(tmp_path)
    text = config.loads(RUN).to_yaml(has_absolute_paths=True)
    assert (text.count("${RAYDNN_TEST_FOLDER}"), text.count("${RAYDNN_TEST_MODEL}")) == (1, 1)
    monkeypatch.chdir("/")
    found = config.loads(text)
    assert found.data.train == [f"{tmp_path}/a.parquet", "/data/b.parquet", f"{tmp_path}/../data/c.parquet"]
    assert found.data.files("eval").path == f"{tmp_path}/data/eval"
    assert found.data.predict == "s3://bucket/new.parquet"
    assert found.features["a.b"].vocabulary == f"{tmp_path}/words.txt"
    assert found.model.warm_start_from == f"{tmp_path}/earlier/model"
    assert (found.run_config().model_dir, found.run_config().storage) == ("/models/x", "/mnt/shared")
    assert found.to_yaml(has_absolute_paths=True) == text


def test_the_name_of_a_table_is_no_path() -> None:
    data = "train: {path: db.clicks, format: iceberg}, label: y"
    run = config.loads(f"data: {{{data}}}\nfeatures: {{x: numeric}}\nmodel: {{hidden_units: [4]}}\n")
    assert run.to_yaml(has_absolute_paths=True) == run.to_yaml()
