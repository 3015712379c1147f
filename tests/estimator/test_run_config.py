"""The settings of a run: defaults, what is refused, and changed copies."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from raydnn import MLflowSettings, RunConfig

TENSORFLOW_ARGUMENTS = {
    "model_dir": None,
    "tf_random_seed": None,
    "save_summary_steps": 100,
    "save_checkpoints_steps": None,
    "save_checkpoints_secs": 600,
    "session_config": None,
    "keep_checkpoint_max": 5,
    "keep_checkpoint_every_n_hours": 10000,
    "log_step_count_steps": 100,
    "train_distribute": None,
    "device_fn": None,
    "protocol": None,
    "eval_distribute": None,
    "experimental_distribute": None,
    "experimental_max_worker_delay_secs": None,
    "session_creation_timeout_secs": 7200,
    "checkpoint_save_graph_def": True,
}


def test_the_positional_arguments_are_tensorflows_with_their_defaults() -> None:
    parameters = inspect.signature(RunConfig).parameters.values()
    positional = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == list(TENSORFLOW_ARGUMENTS)
    config = RunConfig()
    assert {name: getattr(config, name) for name in TENSORFLOW_ARGUMENTS} == TENSORFLOW_ARGUMENTS


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("model_dir", ""),
        ("tf_random_seed", 1.5),
        ("tf_random_seed", "1"),
        ("save_summary_steps", -1),
        ("save_checkpoints_steps", -1),
        ("save_checkpoints_secs", -1),
        ("keep_checkpoint_max", -1),
        ("keep_checkpoint_every_n_hours", 0),
        ("keep_checkpoint_every_n_hours", -1),
        ("keep_checkpoint_every_n_hours", None),
        ("log_step_count_steps", 0),
        ("log_step_count_steps", -1),
        ("train_distribute", object()),
        ("eval_distribute", object()),
        ("experimental_distribute", object()),
        ("device_fn", "cpu"),
        ("device_fn", lambda: "cpu"),
        ("device_fn", lambda operation: "cpu"),
        ("device_fn", lambda op, more: "cpu"),
        ("protocol", "http"),
        ("experimental_max_worker_delay_secs", 1.5),
        ("session_creation_timeout_secs", 0),
        ("session_creation_timeout_secs", -1),
        ("num_workers", 0),
        ("num_workers", (0, 2)),
        ("num_workers", (3, 2)),
        ("num_workers", (1, 2, 3)),
        ("num_workers", (1, 2.0)),
        ("num_workers", [1, 2]),
        ("num_evaluators", 0),
        ("num_evaluators", 1.5),
        ("num_evaluators", (1, 2)),
        ("worker_timeout_secs", 0),
        ("worker_timeout_secs", -1),
        ("max_failures", -1),
        ("tracking", "tensorboard"),
        ("input_engine", "process"),
        ("compute_dtype", "float16"),
        ("compute_dtype", None),
        ("recover", 1),
        ("recover", None),
    ],
)
def test_a_bad_value_is_refused_by_name_here_and_in_replace(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=name):
        RunConfig(**{name: bad})
    with pytest.raises(ValueError, match=name):
        RunConfig().replace(**{name: bad})


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("tf_random_seed", 0),
        ("save_summary_steps", 0),
        ("save_summary_steps", None),
        ("save_checkpoints_steps", 0),
        ("save_checkpoints_secs", 0),
        ("keep_checkpoint_max", 0),
        ("keep_checkpoint_max", None),
        ("keep_checkpoint_every_n_hours", 0.5),
        ("log_step_count_steps", None),
        ("device_fn", lambda op: "cpu"),
        ("protocol", "grpc"),
        ("protocol", "grpc+verbs"),
        ("experimental_max_worker_delay_secs", 0),
        ("session_creation_timeout_secs", 1),
        ("checkpoint_save_graph_def", False),
        ("num_workers", 1),
        ("num_evaluators", 1),
        ("num_evaluators", None),
        ("worker_timeout_secs", 0.5),
        ("input_engine", "inline"),
        ("compute_dtype", "bfloat16"),
        ("recover", True),
    ],
)
def test_a_value_at_the_edge_is_taken(name: str, good: Any) -> None:
    assert getattr(RunConfig(**{name: good}), name) == good
    assert getattr(RunConfig().replace(**{name: good}), name) == good


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (None, 600)),
        ({"save_checkpoints_steps": 10}, (10, None)),
        ({"save_checkpoints_secs": 10}, (None, 10)),
        ({"save_checkpoints_steps": None}, (None, None)),
        ({"save_checkpoints_secs": None}, (None, None)),
        ({"save_checkpoints_steps": 10, "save_checkpoints_secs": None}, (10, None)),
        ({"save_checkpoints_steps": None, "save_checkpoints_secs": None}, (None, None)),
    ],
)
def test_one_frequency_given_clears_the_other_even_as_none(
    given: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    config = RunConfig(**given)
    assert (config.save_checkpoints_steps, config.save_checkpoints_secs) == expected
    copy = config.replace(tf_random_seed=1)
    assert (copy.save_checkpoints_steps, copy.save_checkpoints_secs) == expected


def test_both_frequencies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"save_checkpoints_steps \(1\) or save_checkpoints_secs \(2\)"):
        RunConfig(save_checkpoints_steps=1, save_checkpoints_secs=2)
    with pytest.raises(ValueError, match="not both"):
        RunConfig().replace(save_checkpoints_steps=1, save_checkpoints_secs=2)


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({"save_checkpoints_secs": 5}, {"save_checkpoints_steps": 10}, (10, None)),
        ({"save_checkpoints_steps": 5}, {"save_checkpoints_secs": 10}, (None, 10)),
        ({"save_checkpoints_steps": 5}, {"save_checkpoints_steps": None}, (None, None)),
        ({"save_checkpoints_steps": 5}, {"save_checkpoints_secs": None}, (5, None)),
    ],
)
def test_replacing_one_frequency_clears_the_other_unless_it_is_none(
    before: dict[str, int], change: dict[str, int | None], expected: tuple[int | None, int | None]
) -> None:
    config = RunConfig(**before).replace(**change)
    assert (config.save_checkpoints_steps, config.save_checkpoints_secs) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"save_checkpoints_steps": 1}, True),
        ({"save_checkpoints_steps": None}, False),
        ({"save_checkpoints_secs": 0}, False),
    ],
)
def test_zero_and_none_turn_checkpoints_off(given: dict[str, int | None], expected: bool) -> None:
    assert RunConfig(**given).saves_checkpoints is expected


@pytest.mark.parametrize("name", ["task_type", "task_id", "cluster_spec", "is_chief", "master", "typo"])
def test_replace_takes_the_names_of_the_constructor_alone(name: str) -> None:
    with pytest.raises(ValueError, match=f"no argument {name}; it has .*tf_random_seed"):
        RunConfig().replace(**{name: 1})


def test_replace_makes_a_deep_copy_and_leaves_the_original() -> None:
    config = RunConfig(resources_per_worker={"CPU": 1}, tf_random_seed=1)
    copy = config.replace(tf_random_seed=2)
    assert (config.tf_random_seed, copy.tf_random_seed) == (1, 2)
    assert copy.resources_per_worker == config.resources_per_worker
    assert copy.resources_per_worker is not config.resources_per_worker


@pytest.mark.parametrize(
    ("workers", "expected", "is_elastic"),
    [(None, None, False), (2, (2, 2), False), ((1, 3), (1, 3), True), ((2, 2), (2, 2), True)],
)
def test_the_number_of_workers_is_fixed_or_elastic(
    workers: int | tuple[int, int] | None, expected: tuple[int, int] | None, is_elastic: bool
) -> None:
    config = RunConfig(num_workers=workers, max_failures=1)
    assert (config.worker_range, config.is_elastic) == (expected, is_elastic)
    assert config.replace(tf_random_seed=1).num_workers == workers


@pytest.mark.parametrize(("name", "bad"), [("max_failures", 0), ("input_engine", "ray_data")])
def test_what_elastic_workers_cannot_do_without_is_named(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=rf"num_workers=\(1, 2\).*{name}|{name}.*num_workers=\(1, 2\)"):
        RunConfig(num_workers=(1, 2), **{"max_failures": 1, name: bad})


@pytest.mark.parametrize("name", ["model_dir", "tf_random_seed", "is_chief", "num_workers"])
def test_attributes_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(RunConfig(), name, None)


def test_a_path_becomes_text(tmp_path: Path) -> None:
    assert RunConfig(model_dir=tmp_path).model_dir == str(tmp_path)  # type: ignore[arg-type]


def test_tracking_by_name_has_the_default_settings() -> None:
    assert RunConfig(tracking="mlflow").tracking == MLflowSettings()
    settings = MLflowSettings(experiment="flights")
    assert RunConfig(tracking=settings).tracking is settings


def test_the_local_process_is_the_chief() -> None:
    assert RunConfig().is_chief


def test_the_settings_for_a_manifest_are_plain_values() -> None:
    values = RunConfig(recover=True, tracking="mlflow").to_json()
    assert values["recover"] is True
    assert isinstance(values["tracking"], str)
