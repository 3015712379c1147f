"""A run from its YAML: overrides, environment, the objects it gives, and its documentation."""

import importlib
import json
import re
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import raydnn
from raydnn import config
from raydnn.errors import ConfigError
from raydnn.estimator import BestExporter, EvalSpec, FinalExporter, RunConfig, WarmStartSettings
from raydnn.feature_column import column_to_json
from raydnn.train.learning_rate import made_schedule

ROOT = Path(__file__).parent.parent.parent
SMALL = """\
data: {train: a.parquet, label: y}
features: {x: numeric, c: {hash: 10, embed: 2}}
model: {hidden_units: [4]}
"""


def documented() -> str:
    page = (ROOT / "docs" / "run_yaml.md").read_text()
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]


@pytest.mark.parametrize("text", [SMALL, documented()], ids=["small", "documented"])
def test_a_run_comes_back_from_its_own_yaml(text: str) -> None:
    run = config.loads(text)
    assert config.loads(run.to_yaml()) == run


def test_overrides_take_the_place_of_values_and_open_short_forms() -> None:
    texts = [
        "model.dropout=0.1",
        "model.optimizer.learning_rate=1e-3",
        "features.c.embed.combiner=sum",
        "data.train.batch_size=7",
        "run.num_workers=[1, 3]",
        "run.max_failures=1",
        "features.z={buckets: [1, 2]}",
    ]
    run = config.loads(SMALL.replace("[4]", "[4], optimizer: Adam"), config.parse_overrides(texts))
    arguments = run.model.arguments()
    assert arguments["dropout"] == 0.1
    assert type(arguments["optimizer"]) is raydnn.train.AdamOptimizer
    assert arguments["optimizer"].learning_rate == 0.001
    assert run.feature_columns()[1].combiner == "sum"
    assert run.feature_columns()[2].boundaries == (1, 2)
    assert run.train_input().order["batch_size"] == 7
    assert run.run_config().num_workers == (1, 3)
    assert config.loads(run.to_yaml()) == run


def test_an_override_of_an_item_names_its_place() -> None:
    run = config.loads(SMALL + "exporters: [{kind: latest, name: a}]\n", {"exporters.0.name": "b"})
    assert run.exporters[0].name == "b"


def test_environment_variables_are_put_in_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDNN_TEST_PASSWORD", "hunter2")
    monkeypatch.setenv("RAYDNN_TEST_WORKERS", "2")
    text = SMALL + (
        "run:\n  num_workers: ${RAYDNN_TEST_WORKERS}\n"
        "  tracking: {tracking_uri: 'postgresql://me:${RAYDNN_TEST_PASSWORD}@host/db'}\n"
    )
    run = config.loads(text)
    assert run.run_config().tracking.tracking_uri == "postgresql://me:hunter2@host/db"
    assert run.run_config().num_workers == 2
    assert "hunter2" not in run.to_yaml()
    assert config.loads(run.to_yaml()) == run
    plain = config.loads(text, {"run.tracking": "mlflow"})
    assert "tracking: mlflow" in plain.to_yaml()
    opened = config.loads(SMALL.replace("a.parquet", '"${RAYDNN_TEST_WORKERS}.csv"'), {"data.train.batch_size": 3})
    assert opened.train_input().paths == (str(Path("2.csv").absolute()),)
    assert "path: ${RAYDNN_TEST_WORKERS}.csv" in opened.to_yaml()


def test_only_true_and_false_are_truth_values_and_dates_are_text() -> None:
    text = SMALL.replace("c: {hash: 10", "c: {vocabulary: [yes, off, 2013-01-01, 12:30, 1e3, 007]")
    column = config.loads(text).feature_columns()[1].categorical_column
    assert column.vocabulary_list == ("yes", "off", "2013-01-01", "12:30", "1e3", "007")


def test_a_section_may_be_taken_over_with_a_merge_key() -> None:
    text = SMALL.replace(
        "features: {x: numeric,", "features:\n  x: &n {default: 0}\n  z: {<<: *n, shape: 2}\n "
    ).replace("  c: {hash: 10, embed: 2}}", "  c: {hash: 10, embed: 2}")
    run = config.loads(text)
    assert run.feature_columns()[1].default_value == (0, 0)
    assert config.loads(run.to_yaml()) == run


def test_every_argument_that_can_be_written_has_its_key() -> None:
    run, model, evaluation = (config.Run.model_fields[name].annotation for name in ("run", "model", "eval"))
    arguments = {field.name for field in fields(RunConfig) if field.init}
    unwritable = {"session_config", "train_distribute", "device_fn", "eval_distribute", "experimental_distribute"}
    assert set(run.model_fields) == arguments - unwritable
    elsewhere = {"feature_columns", "model_dir", "weight_column", "config", "input_layer_partitioner"}
    assert set(model.model_fields) == {*signature(raydnn.DNNClassifier).parameters} - elsewhere | {"partitioner"}
    in_eval = {field.name for field in fields(EvalSpec)} - {"input_fn", "hooks", "exporters"}
    assert set(evaluation.model_fields) == in_eval | {"max_steps"}


def test_what_is_not_given_is_left_to_python() -> None:
    run = config.loads(SMALL)
    assert run.run_config() == RunConfig()
    assert run.model.arguments() == {"hidden_units": [4]}
    with pytest.raises(ConfigError, match="data.eval is not given"):
        run.eval_spec()
    with pytest.raises(ConfigError, match="data.predict is not given"):
        run.predict_input()


def test_the_model_takes_all_that_python_does(tmp_path: Path) -> None:
    text = SMALL.replace(
        "model: {hidden_units: [4]}",
        """
model:
  hidden_units: [8, 4]
  n_classes: 3
  label_vocabulary: [a, b, no]
  activation_fn: null
  loss_reduction: weighted_mean
  partitioner: {max_shards: 2, min_slice_size: 16}
  warm_start_from:
    ckpt_to_initialize_from: old
    vars_to_warm_start: [kernel, bias]
    var_name_to_vocab_info: {t: {new_vocab: n, new_vocab_size: 2, num_oov_buckets: 0, old_vocab: o}}
  optimizer:
    name: Ftrl
    l1_regularization_strength: 1e-2
    learning_rate: {schedule: piecewise_constant, boundaries: [10], values: [0.1, 0.01]}
""",
    )
    run = config.loads(text, {"run.model_dir": str(tmp_path)})
    arguments = run.model.arguments()
    assert (arguments["n_classes"], arguments["activation_fn"]) == (3, None)
    assert arguments["input_layer_partitioner"]((100, 4)) == [2, 1]
    vocabulary = raydnn.estimator.VocabInfo("n", 2, 0, "o")
    assert arguments["warm_start_from"] == WarmStartSettings("old", ["kernel", "bias"], {"t": vocabulary})
    optimizer = arguments["optimizer"]
    expected = raydnn.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01)
    assert vars(optimizer) | {"learning_rate": 0.1} == vars(expected)
    schedule = made_schedule(optimizer.learning_rate)
    assert [schedule.at(step) for step in (10, 11)] == [0.1, 0.01]
    assert run.estimator().model_dir == str(tmp_path)
    assert config.loads(run.to_yaml()) == config.loads(run.to_yaml())


@pytest.mark.parametrize(
    ("partitioner", "slices"), [("{num_shards: 3}", [3, 1]), ("{max_shard_bytes: 160, max_shards: 4}", [4, 1])]
)
def test_each_partitioner_is_told_by_its_keys(partitioner: str, slices: list[int]) -> None:
    run = config.loads(SMALL.replace("[4]", f"[4], partitioner: {partitioner}"))
    assert run.model.arguments()["input_layer_partitioner"]((100, 4)) == slices


def test_a_named_optimizer_learns_at_the_same_rate_in_both_forms() -> None:
    for name in ("Adagrad", "Adam", "Ftrl", "RMSProp", "SGD"):
        made = config.loads(SMALL.replace("[4]", f"[4], optimizer: {{name: {name}}}")).model.arguments()["optimizer"]
        named = raydnn.train.optimizers.resolve_optimizer(name)
        assert type(made) is type(named)
        assert vars(made) == vars(named)


def test_evaluation_and_exporters_become_specs() -> None:
    text = SMALL.replace("label: y", "label: y, eval: b.csv") + (
        "eval: {steps: 5, name: late, throttle_secs: 0, max_steps: 40}\n"
        "exporters: [{kind: best, exports_to_keep: 2}, {kind: final, name: last, receiver: parsing}]\n"
    )
    run = config.loads(text)
    spec = run.eval_spec()
    assert (spec.steps, spec.name, spec.throttle_secs, spec.start_delay_secs) == (5, "late", 0, 120)
    assert [type(exporter) for exporter in spec.exporters] == [BestExporter, FinalExporter]
    assert [exporter.name for exporter in spec.exporters] == ["best_exporter", "last"]
    receivers = [exporter._serving_input_receiver_fn() for exporter in spec.exporters]
    assert [sorted(receiver.receiver_tensors) for receiver in receivers] == [["c", "x"], ["examples"]]
    assert run.train_spec().max_steps == 40


def test_the_flights_are_the_same_in_yaml_and_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples"), *sys.path])
    flights = importlib.import_module("flights")
    run = config.load(ROOT / "examples" / "flights.yaml")

    def sorted_json(columns: Any) -> list[Any]:
        return [column_to_json(column) for column in sorted(columns, key=lambda column: column.name)]

    assert sorted_json(run.feature_columns()) == sorted_json(flights.feature_columns())
    classifier = flights.make_classifier(Path("runs/flights/model"), 2, seed=7)
    assert run.run_config() == classifier.config
    assert run.model.arguments() == {"hidden_units": [64, 32], "optimizer": "Adagrad"}
    order = {"label": "late", "batch_size": 512, "num_epochs": 2, "shuffle": True, "seed": 7, "drop_remainder": False}
    assert run.train_input().order == order
    assert run.train_input().through_ray


def test_the_committed_schema_is_that_of_the_run() -> None:
    committed = json.loads((ROOT / "docs" / "run.schema.json").read_text())
    assert committed == config.Run.model_json_schema(), "write it anew as the docstring of raydnn.config.run says"


@pytest.mark.parametrize("text", [documented(), (ROOT / "examples" / "flights.yaml").read_text()])
def test_an_editor_takes_a_good_run_and_marks_a_bad_one(text: str) -> None:
    schema = jsonschema.Draft202012Validator(config.Run.model_json_schema())
    schema.check_schema(schema.schema)
    values = yaml.safe_load(text)
    assert list(schema.iter_errors(values)) == []
    (wrong,) = schema.iter_errors(values | {"eval": {"max_steps": 0}})
    assert list(wrong.path) == ["eval", "max_steps"]


def test_every_key_of_the_schema_but_those_of_formulas_is_described() -> None:
    definitions = config.Run.model_json_schema()["$defs"]
    for name, definition in definitions.items():
        assert definition.get("description"), name
        if name.endswith("_decay") or name == "cosine_decay_restarts" or name in raydnn.initializers.__all__:
            continue  # the description is a formula, which names them all
        missing = [key for key, value in definition["properties"].items() if not value.get("description")]
        assert missing == [], name
