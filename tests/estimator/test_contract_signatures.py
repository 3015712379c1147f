"""The arguments of the public functions and classes: their names, order and defaults."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from raydnn import Estimator, train
from raydnn.estimator import VocabInfo, WarmStartSettings, experimental, inputs

REQUIRED = inspect.Parameter.empty
OF_INPUTS = {
    "x": REQUIRED,
    "y": None,
    "batch_size": 128,
    "num_epochs": 1,
    "shuffle": None,
    "queue_capacity": 1000,
    "num_threads": 1,
}
OF_STOPPING = {"eval_dir": None, "min_steps": 0, "run_every_secs": 60, "run_every_steps": None}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            Estimator,
            {"model_fn": REQUIRED, "model_dir": None, "config": None, "params": None, "warm_start_from": None},
        ),
        (
            Estimator.train,
            {
                "self": REQUIRED,
                "input_fn": REQUIRED,
                "hooks": None,
                "steps": None,
                "max_steps": None,
                "saving_listeners": None,
            },
        ),
        (
            Estimator.evaluate,
            {
                "self": REQUIRED,
                "input_fn": REQUIRED,
                "steps": None,
                "hooks": None,
                "checkpoint_path": None,
                "name": None,
            },
        ),
        (
            Estimator.predict,
            {
                "self": REQUIRED,
                "input_fn": REQUIRED,
                "predict_keys": None,
                "hooks": None,
                "checkpoint_path": None,
                "yield_single_examples": True,
            },
        ),
        (
            Estimator.export_saved_model,
            {
                "self": REQUIRED,
                "export_dir_base": REQUIRED,
                "serving_input_receiver_fn": REQUIRED,
                "assets_extra": None,
                "as_text": False,
                "checkpoint_path": None,
                "experimental_mode": "infer",
            },
        ),
        (
            VocabInfo,
            {
                "new_vocab": REQUIRED,
                "new_vocab_size": REQUIRED,
                "num_oov_buckets": REQUIRED,
                "old_vocab": REQUIRED,
                "old_vocab_size": -1,
                "backup_initializer": None,
                "axis": 0,
            },
        ),
        (
            train.LoggingTensorHook,
            {
                "tensors": REQUIRED,
                "every_n_iter": None,
                "every_n_secs": None,
                "at_end": False,
                "formatter": None,
            },
        ),
        (train.StopAtStepHook, {"num_steps": None, "last_step": None}),
        (
            train.CheckpointSaverHook,
            {
                "checkpoint_dir": REQUIRED,
                "save_secs": None,
                "save_steps": None,
                "saver": None,
                "checkpoint_basename": "model.ckpt",
                "scaffold": None,
                "listeners": None,
                "save_graph_def": True,
            },
        ),
        (
            train.StepCounterHook,
            {"every_n_steps": 100, "every_n_secs": None, "output_dir": None, "summary_writer": None},
        ),
        (
            train.ProfilerHook,
            {
                "save_steps": None,
                "save_secs": None,
                "output_dir": "",
                "show_dataflow": True,
                "show_memory": False,
            },
        ),
        (train.SecondOrStepTimer, {"every_secs": None, "every_steps": None}),
        (train.SessionRunArgs, {"fetches": REQUIRED, "feed_dict": None, "options": None}),
        (
            experimental.stop_if_higher_hook,
            {"estimator": REQUIRED, "metric_name": REQUIRED, "threshold": REQUIRED, **OF_STOPPING},
        ),
        (
            experimental.stop_if_lower_hook,
            {"estimator": REQUIRED, "metric_name": REQUIRED, "threshold": REQUIRED, **OF_STOPPING},
        ),
        (
            experimental.stop_if_no_increase_hook,
            {"estimator": REQUIRED, "metric_name": REQUIRED, "max_steps_without_increase": REQUIRED, **OF_STOPPING},
        ),
        (
            experimental.stop_if_no_decrease_hook,
            {"estimator": REQUIRED, "metric_name": REQUIRED, "max_steps_without_decrease": REQUIRED, **OF_STOPPING},
        ),
        (
            experimental.make_early_stopping_hook,
            {"estimator": REQUIRED, "should_stop_fn": REQUIRED, "run_every_secs": 60, "run_every_steps": None},
        ),
        (
            experimental.make_stop_at_checkpoint_step_hook,
            {"estimator": REQUIRED, "last_step": REQUIRED, "wait_after_file_check_secs": 30},
        ),
        (
            experimental.InMemoryEvaluatorHook,
            {
                "estimator": REQUIRED,
                "input_fn": REQUIRED,
                "steps": None,
                "hooks": None,
                "name": None,
                "every_n_iter": 100,
            },
        ),
        (inputs.numpy_input_fn, OF_INPUTS),
        (inputs.pandas_input_fn, {**OF_INPUTS, "target_column": "target"}),
    ],
)
def test_positional_arguments_are_tensorflows_with_their_defaults(
    function: Callable[..., Any], expected: dict[str, Any]
) -> None:
    parameters = inspect.signature(function).parameters.values()
    positional = {each.name: each.default for each in parameters if each.kind is not each.KEYWORD_ONLY}
    assert positional == expected
    assert list(positional) == list(expected)


def test_the_settings_of_a_warm_start_are_tensorflows() -> None:
    names = ["ckpt_to_initialize_from", "vars_to_warm_start", "var_name_to_vocab_info", "var_name_to_prev_var_name"]
    assert list(inspect.signature(WarmStartSettings).parameters) == names
    settings = WarmStartSettings("path")
    assert [getattr(settings, name) for name in names] == ["path", ".*", {}, {}]


@pytest.mark.parametrize("name", ["begin", "after_create_session", "before_run", "after_run", "end"])
def test_the_methods_of_a_hook_have_tensorflows_arguments(name: str) -> None:
    expected = {
        "begin": [],
        "after_create_session": ["session", "coord"],
        "before_run": ["run_context"],
        "after_run": ["run_context", "run_values"],
        "end": ["session"],
    }
    assert list(inspect.signature(getattr(train.SessionRunHook(), name)).parameters) == expected[name]


@pytest.mark.parametrize("name", ["begin", "before_save", "after_save", "end"])
def test_the_methods_of_a_listener_have_tensorflows_arguments(name: str) -> None:
    expected = [] if name == "begin" else ["session", "global_step_value"]
    assert list(inspect.signature(getattr(train.CheckpointSaverListener(), name)).parameters) == expected
