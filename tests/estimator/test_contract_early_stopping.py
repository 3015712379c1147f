"""When early stopping asks, what it reads, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from fake_model_fn import LINE_VARIABLES, line_fn, line_input_fn

import raydnn
from raydnn import RunConfig
from raydnn.estimator import experimental
from raydnn.tracking.event_file import EventFileWriter, read_scalars
from raydnn.train import save_checkpoint

EVERY_STEP: dict[str, Any] = {"run_every_secs": None, "run_every_steps": 1}
MAKERS = {
    "stop_if_higher_hook": ("auc", 0.8),
    "stop_if_lower_hook": ("auc", 0.3),
    "stop_if_no_increase_hook": ("auc", 10),
    "stop_if_no_decrease_hook": ("auc", 10),
}
EVERY_MAKER = pytest.mark.parametrize("maker", list(MAKERS))


def line_estimator(model_dir: Path, **config: Any) -> raydnn.Estimator:
    return raydnn.Estimator(line_fn(), model_dir, RunConfig(tf_random_seed=1, **config))


def make(maker: str, estimator: Any, **arguments: Any) -> Any:
    return getattr(experimental, maker)(estimator, *MAKERS[maker], **arguments)


def write_evaluations(folder: Path, values: dict[int, float]) -> None:
    with EventFileWriter(folder) as writer:
        for step, value in values.items():
            writer.add_scalar("auc", value, step)


def steps_trained(estimator: raydnn.Estimator, hook: Any) -> int:
    estimator.train(line_input_fn(5), hooks=[hook])
    return int(estimator.get_variable_value("global_step"))  # type: ignore[arg-type]


@EVERY_MAKER
def test_a_folder_that_is_missing_holds_no_evaluations(tmp_path: Path, maker: str) -> None:
    estimator = line_estimator(tmp_path / "model")
    hook = make(maker, estimator, eval_dir=str(tmp_path / "missing"), **EVERY_STEP)
    assert steps_trained(estimator, hook) == 5
    assert not (tmp_path / "missing").exists()


@EVERY_MAKER
def test_what_is_no_estimator_is_refused(maker: str) -> None:
    with pytest.raises(TypeError, match="must be an Estimator"):
        make(maker, "estimator")


@EVERY_MAKER
def test_seconds_and_steps_at_once_are_refused(tmp_path: Path, maker: str) -> None:
    with pytest.raises(ValueError, match="run_every_secs=None"):
        make(maker, line_estimator(tmp_path), run_every_steps=10)


@pytest.mark.parametrize(
    ("maker", "values", "min_steps", "stops"),
    [
        ("stop_if_higher_hook", {10: 0.9}, 10, True),
        ("stop_if_higher_hook", {10: 0.9}, 11, False),
        ("stop_if_higher_hook", {10: 0.9, 20: 0.1}, 0, True),
        ("stop_if_higher_hook", {10: 0.75}, 0, False),
        ("stop_if_lower_hook", {10: 0.2}, 10, True),
        ("stop_if_lower_hook", {10: 0.2}, 11, False),
        ("stop_if_no_increase_hook", {10: 0.5, 20: 0.5}, 0, True),
        ("stop_if_no_increase_hook", {10: 0.5, 19: 0.5}, 0, False),
        # The best evaluation lies before min_steps and does not count.
        ("stop_if_no_increase_hook", {10: 0.9, 20: 0.5, 29: 0.4}, 11, False),
        ("stop_if_no_increase_hook", {10: 0.9, 20: 0.5, 29: 0.4}, 10, True),
        # Once it stood still for too long, a later rise does not matter.
        ("stop_if_no_increase_hook", {10: 0.5, 20: 0.4, 30: 0.6}, 0, True),
        ("stop_if_no_decrease_hook", {10: 0.5, 20: 0.6}, 0, True),
        ("stop_if_no_decrease_hook", {10: 0.5, 20: 0.4, 29: 0.5}, 0, False),
    ],
)
def test_evaluations_from_min_steps_on_decide(
    tmp_path: Path, maker: str, values: dict[int, float], min_steps: int, stops: bool
) -> None:
    estimator = line_estimator(tmp_path)
    write_evaluations(tmp_path / "eval", values)
    assert steps_trained(estimator, make(maker, estimator, min_steps=min_steps, **EVERY_STEP)) == (1 if stops else 5)


def test_the_files_of_several_runs_are_read_as_one(tmp_path: Path) -> None:
    estimator = line_estimator(tmp_path)
    write_evaluations(tmp_path / "eval", {20: 0.4})
    write_evaluations(tmp_path / "eval", {10: 0.5})
    assert steps_trained(estimator, make("stop_if_no_increase_hook", estimator, **EVERY_STEP)) == 1


def test_a_file_counts_up_to_where_it_is_damaged(tmp_path: Path) -> None:
    estimator = line_estimator(tmp_path)
    write_evaluations(tmp_path / "eval", {10: 0.5, 20: 0.9})
    (path,) = (tmp_path / "eval").iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert list(read_scalars(tmp_path / "eval")) == [10]
    assert steps_trained(estimator, make("stop_if_higher_hook", estimator, **EVERY_STEP)) == 5


@EVERY_MAKER
def test_a_metric_that_is_missing_is_a_key_error(tmp_path: Path, maker: str) -> None:
    estimator = line_estimator(tmp_path)
    write_evaluations(tmp_path / "eval", {10: 0.5})
    hook = getattr(experimental, maker)(estimator, "recall", MAKERS[maker][1], **EVERY_STEP)
    with pytest.raises(KeyError, match="recall"):
        estimator.train(line_input_fn(5), hooks=[hook])


@pytest.mark.parametrize(("every", "asked_at"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (9, [1])])
def test_the_function_is_asked_at_the_first_step_and_every_nth(tmp_path: Path, every: int, asked_at: list[int]) -> None:
    estimator, steps = line_estimator(tmp_path, save_checkpoints_steps=1), []

    def should_stop() -> bool:
        # The saver comes first, so that the newest checkpoint is that of this step.
        steps.append(int(estimator.get_variable_value("global_step")))  # type: ignore[arg-type]
        return False

    hook = experimental.make_early_stopping_hook(estimator, should_stop, run_every_secs=None, run_every_steps=every)
    assert steps_trained(estimator, hook) == 5
    assert steps == asked_at


def test_the_step_at_which_the_function_says_so_is_the_last(tmp_path: Path) -> None:
    estimator, answers = line_estimator(tmp_path), iter([False, False, True])
    hook = experimental.make_early_stopping_hook(estimator, lambda: next(answers), **EVERY_STEP)
    assert steps_trained(estimator, hook) == 3


@pytest.mark.parametrize(("last_step", "expected"), [(9, 9), (7, 8)])
def test_the_chief_stops_at_the_step_of_a_checkpoint(tmp_path: Path, last_step: int, expected: int) -> None:
    save_checkpoint(str(tmp_path), LINE_VARIABLES, 7)
    estimator = line_estimator(tmp_path)
    hook = experimental.make_stop_at_checkpoint_step_hook(estimator, last_step)
    assert steps_trained(estimator, hook) == expected


class TestInMemoryEvaluator:
    def test_it_evaluates_the_start_every_nth_iteration_and_the_end_once_each(self, tmp_path: Path) -> None:
        save_checkpoint(str(tmp_path), LINE_VARIABLES, 7)
        estimator = line_estimator(tmp_path)
        hook = experimental.InMemoryEvaluatorHook(estimator, line_input_fn(1), every_n_iter=2)
        estimator.train(line_input_fn(4), hooks=[hook])
        assert sorted(read_scalars(tmp_path / "eval")) == [7, 9, 11]

    def test_it_evaluates_the_live_weights(self, tmp_path: Path) -> None:
        estimator = line_estimator(tmp_path)
        hook = experimental.InMemoryEvaluatorHook(estimator, line_input_fn(2), steps=1, name="live", every_n_iter=100)
        estimator.train(line_input_fn(3), hooks=[hook])
        expected = float(estimator.evaluate(line_input_fn(1))["loss"])
        assert read_scalars(tmp_path / "eval_live")[3] == {"loss": pytest.approx(expected)}

    def test_what_is_no_estimator_is_refused(self) -> None:
        with pytest.raises(TypeError, match="must be an Estimator"):
            experimental.InMemoryEvaluatorHook("estimator", line_input_fn(1))  # type: ignore[arg-type]

    def test_a_negative_number_of_iterations_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="every_n_iter must be positive"):
            experimental.InMemoryEvaluatorHook(line_estimator(tmp_path), line_input_fn(1), every_n_iter=-1)
