"""What is wrong with a YAML is said with its file, line, key and way out."""

from pathlib import Path

import pytest
import yaml

from raydnn import config
from raydnn.errors import ConfigError

BASE = """\
data:
  train: a.parquet
  label: y
features:
  x: numeric
  c: {hash: 10, embed: 2}
model:
  hidden_units: [4]
  optimizer: {name: Adagrad, learning_rate: 0.1}
run:
  max_failures: 1
"""
BROKEN = yaml.safe_load((Path(__file__).parent / "broken_runs.yaml").read_text())


@pytest.mark.parametrize("case", BROKEN, ids=[case["by"].strip()[:40] for case in BROKEN])
def test_a_broken_run_is_told_with_line_key_and_way_out(case: dict[str, str]) -> None:
    assert case["replace"] in BASE
    with pytest.raises(ConfigError) as refused:
        config.loads(BASE.replace(case["replace"], case["by"], 1), name="run.yaml")
    assert str(refused.value) == "\n".join(f"run.yaml:{line}" for line in case["says"].split("\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "<text>:1: is empty; give data, features, shared_embeddings, model, run, eval, exporters"),
        ("- 1", "<text>:1: must be a mapping; got [1]"),
        ("a: b: c", "<text>:1: is no YAML: mapping values are not allowed here"),
        ("x: \x00", "<text>:1: is no YAML: unacceptable character #x0000: special characters are not allowed"),
        (
            "a: 1\n---\nb: 2",
            "<text>:2: is no YAML: expected a single document in the stream: but found another document",
        ),
        (
            "a: !!python/name:os.system 1",
            "<text>:1: is no YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.loads(text)
    assert str(refused.value) == message


def test_everything_that_is_wrong_is_told_in_the_order_of_the_lines_and_overrides_last(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    broken = BASE.replace("hash: 10", "hash: 0").replace("max_failures: 1", "max_failure: 1").replace("[4]", "[none]")
    path.write_text(broken)
    with pytest.raises(ConfigError) as refused:
        config.load(path, {"model.dropout": 2, "modle.n_classes": 3, "eval.steps": "ten"})
    assert str(refused.value).replace(str(path), "run.yaml").split("\n") == [
        "run.yaml:6: features.c.hash: must be 1 or more; got 0",
        "run.yaml:8: model.hidden_units[0]: must be a whole number; got 'none'",
        "run.yaml:11: run.max_failure: there is no such key; did you mean 'max_failures'?",
        "override: model.dropout: must be below 1; got 2",
        "override: eval.steps: must be a whole number; got 'ten'",
        "override: modle: there is no such key; did you mean 'model'?",
    ]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "override: : an override must be keys joined by '.', such as model.dropout"),
        ("data.batch_size.x", "override: data.batch_size.x: data.batch_size is 3 and has no keys below it"),
        ("exporters.4.name", "override: exporters[4].name: there is no item 4 in a list of 1"),
    ],
)
def test_an_override_of_what_cannot_be_there_is_refused(key: str, message: str) -> None:
    text = BASE + "exporters: [{kind: best}]\n"
    with pytest.raises(ConfigError) as refused:
        config.loads(text.replace("label: y", "label: y\n  batch_size: 3"), {key: 1})
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["model.dropout", "model.dropout=[1"])
def test_an_override_that_is_no_key_and_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="model.dropout"):
        config.parse_overrides([text])


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.yaml"):
        config.load(tmp_path / "nothing.yaml")
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="run.yaml: is no UTF-8 text"):
        config.load(tmp_path / "run.yaml")
