"""What training leaves in model_dir, what it resumes from, and who hears of its checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import fake_classifier, fake_input_fn
from fake_model_fn import LINE_VARIABLES, LINE_X, line_fn, line_input_fn
from fake_training import RecordingHook, RecordingListener

import raydnn
from raydnn import RunConfig, errors
from raydnn.train import (
    AdamOptimizer,
    CheckpointSaverHook,
    SessionRunArgs,
    SessionRunHook,
    StopAtStepHook,
    save_checkpoint,
)


def line_estimator(model_dir: Path, **config: Any) -> raydnn.Estimator:
    return raydnn.Estimator(line_fn(), model_dir, RunConfig(tf_random_seed=1, **config))


def global_step(estimator: raydnn.Estimator) -> int:
    return int(estimator.get_variable_value("global_step"))  # type: ignore[arg-type]


class Steps(SessionRunHook):
    """Keeps the global step of the start, and after each step."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.steps = [session.global_step]

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.steps.append(run_context.session.global_step)


def test_model_dir_holds_the_checkpoints_the_state_file_the_ledger_and_one_event_file(tmp_path: Path) -> None:
    line_estimator(tmp_path, save_checkpoints_steps=3).train(line_input_fn(4))
    names = [path.name for path in tmp_path.iterdir()]
    assert len([name for name in names if name.startswith("events.out.tfevents.")]) == 1
    others = sorted(name for name in names if not name.startswith("events."))
    assert others == ["checkpoint", "ledger.json", "model.ckpt-0", "model.ckpt-3", "model.ckpt-4"]
    assert (tmp_path / "checkpoint").read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-4"',
        'all_model_checkpoint_paths: "model.ckpt-0"',
        'all_model_checkpoint_paths: "model.ckpt-3"',
        'all_model_checkpoint_paths: "model.ckpt-4"',
    ]


@pytest.mark.parametrize("keep_checkpoint_max", [0, None])
def test_without_a_limit_all_checkpoints_stay_and_the_newest_is_listed(
    tmp_path: Path, keep_checkpoint_max: int | None
) -> None:
    estimator = line_estimator(tmp_path, save_checkpoints_steps=1, keep_checkpoint_max=keep_checkpoint_max)
    estimator.train(line_input_fn(3))
    assert {path.name for path in tmp_path.glob("model.ckpt-*")} == {f"model.ckpt-{step}" for step in range(4)}
    assert (tmp_path / "checkpoint").read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-3"',
        'all_model_checkpoint_paths: "model.ckpt-3"',
    ]


def test_five_checkpoints_stay_unless_told_otherwise(tmp_path: Path) -> None:
    line_estimator(tmp_path, save_checkpoints_steps=1).train(line_input_fn(7))
    assert {path.name for path in tmp_path.glob("model.ckpt-*")} == {f"model.ckpt-{step}" for step in range(3, 8)}


def test_a_checkpoint_that_is_past_its_keep_time_stays_for_good(tmp_path: Path) -> None:
    config = {"save_checkpoints_steps": 1, "keep_checkpoint_max": 1, "keep_checkpoint_every_n_hours": 1e-9}
    line_estimator(tmp_path, **config).train(line_input_fn(3))
    assert len(list(tmp_path.glob("model.ckpt-*"))) == 4


@pytest.mark.parametrize("secs", [1e-9, 3600])
def test_seconds_between_checkpoints(tmp_path: Path, secs: float) -> None:
    listener = RecordingListener()
    estimator = line_estimator(tmp_path, save_checkpoints_secs=secs)
    estimator.train(line_input_fn(3), saving_listeners=[listener])
    saved = [int(entry.split()[1]) for entry in listener.log if ".after_save" in entry]
    assert saved == ([0, 1, 2, 3] if secs < 1 else [0, 3])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({"steps": 2}, [7, 8, 9]), ({"max_steps": 9}, [7, 8, 9]), ({"max_steps": 8}, [7, 8]), ({}, [7, 8, 9, 10, 11])],
)
def test_the_global_step_goes_on_by_one_from_the_checkpoint(
    tmp_path: Path, arguments: dict[str, int], expected: list[int]
) -> None:
    save_checkpoint(str(tmp_path), LINE_VARIABLES, 7)
    hook = Steps()
    estimator = line_estimator(tmp_path).train(line_input_fn(4), hooks=[hook], **arguments)
    assert hook.steps == expected
    assert global_step(estimator) == expected[-1]


def test_weights_slots_and_step_go_on_from_the_checkpoint(tmp_path: Path) -> None:
    class StartValues(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            self.values = {name: value.copy() for name, value in session.checkpoint_values().items()}
            self.values["global_step"] = session.global_step

    estimator = fake_classifier(tmp_path, optimizer=AdamOptimizer(0.1), batch_norm=True).train(fake_input_fn(2))
    stored = {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}
    assert any("/Adam" in name for name in stored)
    hook = StartValues()
    estimator.train(fake_input_fn(1), hooks=[hook])
    assert set(hook.values) == set(stored)
    for name, value in stored.items():
        np.testing.assert_array_equal(hook.values[name], value, err_msg=name)


@pytest.mark.parametrize("action", ["evaluate", "predict"])
def test_evaluation_and_prediction_need_all_variables_in_their_shapes(tmp_path: Path, action: str) -> None:
    def run(hidden_units: list[int]) -> None:
        estimator = fake_classifier(tmp_path, hidden_units=hidden_units)
        list(getattr(estimator, action)(fake_input_fn(1)))

    fake_classifier(tmp_path, hidden_units=[4]).train(fake_input_fn(1))
    run([4])
    with pytest.raises(errors.NotFoundError, match="dnn/hiddenlayer_1/"):
        run([4, 4])
    with pytest.raises(errors.InvalidArgumentError, match="dnn/hiddenlayer_0/"):
        run([5])


def test_variables_that_the_model_does_not_have_are_passed_over(tmp_path: Path) -> None:
    save_checkpoint(str(tmp_path), {**LINE_VARIABLES, "other": np.zeros(3, np.float32)}, 1)
    estimator = line_estimator(tmp_path)
    assert [row["y"] for row in estimator.predict(line_input_fn(1))] == (5 * LINE_X - 1).tolist()


def test_reached_max_steps_do_not_even_build_the_model(tmp_path: Path) -> None:
    def never(features: Any, labels: Any, mode: str) -> Any:
        raise AssertionError("the model function was called")

    save_checkpoint(str(tmp_path), LINE_VARIABLES, 7)
    hook, listener = RecordingHook(), RecordingListener()
    estimator = raydnn.Estimator(never, tmp_path)
    assert estimator.train(line_input_fn(1), [hook], max_steps=7, saving_listeners=[listener]) is estimator
    assert hook.log == listener.log == []


def test_an_input_without_batches_runs_no_step_but_all_else(tmp_path: Path) -> None:
    log: list[str] = []
    hook, listener = RecordingHook(log), RecordingListener(log)
    fake_classifier(tmp_path).train(lambda: iter([]), hooks=[hook], saving_listeners=[listener])
    assert log == [
        "listener.begin", "hook.begin", "listener.before_save 0", "listener.after_save 0", "hook.after_create_session",
        "listener.end 0", "hook.end",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [errors.OutOfRangeError("end"), StopIteration()])
def test_an_end_that_a_hook_raises_is_followed_by_a_final_checkpoint(tmp_path: Path, error: Exception) -> None:
    class Ending(SessionRunHook):
        def before_run(self, run_context: Any) -> None:
            if run_context.session.global_step == 2:
                raise error

    estimator = line_estimator(tmp_path, save_checkpoints_steps=100).train(line_input_fn(5), hooks=[Ending()])
    assert global_step(estimator) == 2


def test_an_exception_in_the_input_leaves_no_final_checkpoint(tmp_path: Path) -> None:
    def failing() -> Any:
        yield from line_input_fn(3)()
        raise ZeroDivisionError

    estimator, hook = line_estimator(tmp_path, save_checkpoints_steps=2), RecordingHook()
    with pytest.raises(ZeroDivisionError):
        estimator.train(failing, hooks=[hook])
    assert global_step(estimator) == 2
    assert "hook.end" not in hook.log


def test_a_step_hook_of_the_users_stops_earlier_than_the_steps_asked_for(tmp_path: Path) -> None:
    estimator = line_estimator(tmp_path).train(line_input_fn(9), hooks=[StopAtStepHook(num_steps=2)], steps=5)
    assert global_step(estimator) == 2


def test_a_context_tells_what_the_loop_itself_runs(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Looking(SessionRunHook):
        def before_run(self, run_context: Any) -> SessionRunArgs:
            seen.append(run_context)
            return SessionRunArgs("loss")

        def after_run(self, run_context: Any, run_values: Any) -> None:
            seen.append(run_context)

    line_estimator(tmp_path).train(line_input_fn(1), hooks=[Looking()])
    before, after = seen
    assert before is after
    assert isinstance(before.original_args, SessionRunArgs)
    assert before.original_args.feed_dict is None
    assert before.session.global_step == 1
    assert not before.stop_requested


class TestSavingListeners:
    @pytest.mark.parametrize(("stop_at", "expected"), [(0, 5), (2, 2), (5, 5)])
    def test_they_can_stop_training_but_not_with_the_first_or_last_save(
        self, tmp_path: Path, stop_at: int, expected: int
    ) -> None:
        estimator = line_estimator(tmp_path, save_checkpoints_steps=2)
        estimator.train(line_input_fn(5), saving_listeners=[RecordingListener(stop_at=stop_at)])
        assert global_step(estimator) == expected

    def test_one_that_stops_training_hears_of_no_second_save_of_its_step(self, tmp_path: Path) -> None:
        listener = RecordingListener(stop_at=2)
        line_estimator(tmp_path, save_checkpoints_steps=2).train(line_input_fn(5), saving_listeners=[listener])
        assert listener.log == [
            "listener.begin",
            "listener.before_save 0", "listener.after_save 0",
            "listener.before_save 2", "listener.after_save 2",
            "listener.end 2",
        ]  # fmt: skip

    def test_one_that_is_registered_already_is_not_added_again(self, tmp_path: Path) -> None:
        listener = RecordingListener()
        hook = CheckpointSaverHook(str(tmp_path), save_steps=100, listeners=[listener])
        for _ in range(2):
            line_estimator(tmp_path).train(line_input_fn(1), hooks=[hook], saving_listeners=[listener])
        assert [entry for entry in listener.log if "after_save" in entry] == [
            f"listener.after_save {step}" for step in (0, 1, 1, 2)
        ]

    def test_they_begin_before_the_users_hooks_and_end_before_them(self, tmp_path: Path) -> None:
        log: list[str] = []
        line_estimator(tmp_path).train(
            line_input_fn(1), hooks=[RecordingHook(log, "user")], saving_listeners=[RecordingListener(log)]
        )
        assert log.index("listener.begin") < log.index("user.begin")
        assert log.index("listener.end 1") < log.index("user.end")

    def test_an_exception_keeps_them_from_ending(self, tmp_path: Path) -> None:
        class Failing(SessionRunHook):
            def after_run(self, run_context: Any, run_values: Any) -> None:
                raise ZeroDivisionError

        listener = RecordingListener()
        with pytest.raises(ZeroDivisionError):
            line_estimator(tmp_path).train(line_input_fn(2), hooks=[Failing()], saving_listeners=[listener])
        assert listener.log == ["listener.begin", "listener.before_save 0", "listener.after_save 0"]
