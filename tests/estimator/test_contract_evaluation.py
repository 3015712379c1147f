"""What an evaluation reads, returns and writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model_fn import LINE_VARIABLES, LINE_X, line_fn, line_input_fn
from fake_training import RecordingHook

import raydnn
from raydnn import RunConfig, errors
from raydnn.tracking.event_file import read_scalars
from raydnn.train import SessionRunArgs, SessionRunHook, save_checkpoint

# Of y = 5 x - 1 against 3 x + 1.
LOSS = float(((2 * LINE_X - 2) ** 2).sum())


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    save_checkpoint(str(tmp_path / "model"), LINE_VARIABLES, 7)
    return tmp_path / "model"


def shifted_batches() -> Any:
    """Three batches with three different losses, the last one of a single row."""
    batches = [({"x": LINE_X}, 3 * LINE_X + 1 + shift) for shift in (0.0, 1.0)]
    return iter([*batches, ({"x": LINE_X[:1]}, LINE_X[:1])])


class Losses(SessionRunHook):
    """Keeps the loss of each batch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def before_run(self, run_context: Any) -> SessionRunArgs:
        return SessionRunArgs({"loss": "loss", "step": "global_step", "y": "y"})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.values.append(float(run_values.results["loss"]))
        assert run_values.results["step"] == 7
        assert len(run_values.results["y"]) in (1, 4)


def test_the_result_holds_the_loss_and_the_global_step_as_numbers(model_dir: Path) -> None:
    metrics = raydnn.Estimator(line_fn(), model_dir).evaluate(line_input_fn(2))
    assert metrics == {"loss": pytest.approx(LOSS), "global_step": 7}
    assert metrics["global_step"].dtype == np.int64
    assert metrics["loss"].dtype == np.float32


def test_every_batch_counts_alike_in_the_loss(model_dir: Path) -> None:
    hook = Losses()
    metrics = raydnn.Estimator(line_fn(), model_dir).evaluate(shifted_batches, hooks=[hook])
    assert len(set(hook.values)) == 3
    assert metrics["loss"] == pytest.approx(np.mean(hook.values))


@pytest.mark.parametrize(("steps", "expected"), [(1, 1), (3, 3), (4, 3), (None, 3)])
def test_steps_or_the_end_of_the_input_whichever_comes_first(model_dir: Path, steps: int | None, expected: int) -> None:
    hook = Losses()
    raydnn.Estimator(line_fn(), model_dir).evaluate(shifted_batches, steps=steps, hooks=[hook])
    assert len(hook.values) == expected


def test_a_hook_can_stop_an_evaluation_after_its_batch(model_dir: Path) -> None:
    class Stopping(RecordingHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            super().after_run(run_context, run_values)
            run_context.request_stop()

    first, last = Stopping(), RecordingHook()
    metrics = raydnn.Estimator(line_fn(), model_dir).evaluate(shifted_batches, hooks=[first, last])
    assert metrics["loss"] == pytest.approx(LOSS)
    assert last.log == [
        "hook.begin", "hook.after_create_session", "hook.before_run", "hook.after_run", "hook.end",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [errors.OutOfRangeError("end"), StopIteration()])
def test_an_end_that_a_hook_raises_is_a_normal_end(model_dir: Path, error: Exception) -> None:
    class Ending(RecordingHook):
        def before_run(self, run_context: Any) -> None:
            if self.results:
                raise error

    hook = Ending()
    metrics = raydnn.Estimator(line_fn(), model_dir).evaluate(shifted_batches, hooks=[hook])
    assert metrics["loss"] == pytest.approx(LOSS)
    assert hook.log[-1] == "hook.end"


def test_any_other_exception_of_a_hook_passes_and_nothing_is_written(model_dir: Path) -> None:
    class Failing(RecordingHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            raise ZeroDivisionError

    hook = Failing()
    with pytest.raises(ZeroDivisionError):
        raydnn.Estimator(line_fn(), model_dir).evaluate(shifted_batches, hooks=[hook])
    assert "hook.end" not in hook.log
    assert not (model_dir / "eval").exists()


def test_without_a_checkpoint_a_warm_start_is_applied_at_step_0(model_dir: Path, tmp_path: Path) -> None:
    estimator = raydnn.Estimator(line_fn(), tmp_path / "new", warm_start_from=str(model_dir))
    assert estimator.evaluate(line_input_fn(1)) == {"loss": pytest.approx(LOSS), "global_step": 0}


@pytest.mark.parametrize("is_given", [True, False])
def test_with_a_checkpoint_a_warm_start_is_not_applied(model_dir: Path, tmp_path: Path, is_given: bool) -> None:
    other = {name: np.zeros_like(value) for name, value in LINE_VARIABLES.items()}
    save_checkpoint(str(tmp_path / "earlier"), other, 99)
    place, path = (tmp_path / "new", f"{model_dir}/model.ckpt-7") if is_given else (model_dir, None)
    estimator = raydnn.Estimator(line_fn(), place, warm_start_from=str(tmp_path / "earlier"))
    metrics = estimator.evaluate(line_input_fn(1), checkpoint_path=path)
    assert metrics == {"loss": pytest.approx(LOSS), "global_step": 7}


def test_a_given_checkpoint_comes_before_the_latest(model_dir: Path) -> None:
    save_checkpoint(str(model_dir), {name: 0 * value for name, value in LINE_VARIABLES.items()}, 9)
    estimator = raydnn.Estimator(line_fn(), model_dir)
    assert estimator.evaluate(line_input_fn(1))["global_step"] == 9
    metrics = estimator.evaluate(line_input_fn(1), checkpoint_path=f"{model_dir}/model.ckpt-7")
    assert metrics == {"loss": pytest.approx(LOSS), "global_step": 7}


class TestEventFile:
    def text(self, folder: Path) -> bytes:
        (path,) = folder.glob("events.out.tfevents.*")
        return path.read_bytes()

    def test_it_holds_every_metric_but_the_global_step_at_that_step(self, model_dir: Path) -> None:
        metrics = raydnn.Estimator(line_fn(), model_dir).evaluate(line_input_fn(1), name="mine")
        assert read_scalars(model_dir / "eval_mine") == {7: {"loss": float(metrics["loss"])}}

    def test_it_names_a_checkpoint_that_was_given(self, model_dir: Path) -> None:
        path = f"{model_dir}/model.ckpt-7"
        save_checkpoint(str(model_dir), LINE_VARIABLES, 9)
        raydnn.Estimator(line_fn(), model_dir).evaluate(line_input_fn(1), checkpoint_path=path)
        assert path.encode() in self.text(model_dir / "eval")

    def test_it_names_none_where_there_was_none(self, tmp_path: Path) -> None:
        raydnn.Estimator(line_fn(), tmp_path, RunConfig(tf_random_seed=1)).evaluate(line_input_fn(1))
        assert list(read_scalars(tmp_path / "eval")) == [0]
        assert b"checkpoint_path" not in self.text(tmp_path / "eval")
