"""The life cycle of hooks, how a loop ends, and what can be fetched."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import fake_classifier, fake_input_fn
from fake_training import CountingModel, RecordingHook, empty_batch, run_loop

from raydnn.errors import OutOfRangeError
from raydnn.inputs.batch import Batch
from raydnn.train import FeedFnHook, SessionRunArgs, SessionRunHook


class Calling(RecordingHook):
    """Does something in one of its methods, at a step."""

    def __init__(self, log: list[str], method: str, action: Any, at_step: int = 2) -> None:
        super().__init__(log, "acting")
        self.method, self.action, self.at_step = method, action, at_step

    def before_run(self, run_context: Any) -> None:
        super().before_run(run_context)
        if self.method == "before_run" and run_context.session.global_step == self.at_step - 1:
            self.action(run_context)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        super().after_run(run_context, run_values)
        if self.method == "after_run" and run_context.session.global_step == self.at_step:
            self.action(run_context)


def raising(error: BaseException) -> Any:
    def action(run_context: Any) -> None:
        raise error

    return action


def test_each_phase_calls_the_hooks_in_their_order() -> None:
    log: list[str] = []
    run_loop(CountingModel(), [RecordingHook(log, "a"), RecordingHook(log, "b")], steps=2)
    step = ["a.before_run", "b.before_run", "a.after_run", "b.after_run"]
    assert log == [
        "a.begin", "b.begin", "a.after_create_session", "b.after_create_session", *step, *step, "a.end", "b.end",
    ]  # fmt: skip


def test_a_requested_stop_ends_the_loop_after_all_hooks_of_the_step() -> None:
    log: list[str] = []
    model = CountingModel()
    stop = Calling(log, "after_run", lambda context: context.request_stop())
    run_loop(model, [stop, RecordingHook(log, "last")], steps=9)
    assert model.global_step == 2
    assert log[-4:] == ["acting.after_run", "last.after_run", "acting.end", "last.end"]


def test_the_coordinator_of_after_create_session_can_stop_before_the_first_step() -> None:
    class Stopping(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            assert not coord.should_stop()
            coord.request_stop()

    model, log = CountingModel(), RecordingHook()
    run_loop(model, [Stopping(), log])
    assert model.global_step == 0
    assert log.log == ["hook.begin", "hook.after_create_session", "hook.end"]


@pytest.mark.parametrize("method", ["before_run", "after_run"])
@pytest.mark.parametrize("error", [OutOfRangeError("end"), StopIteration()], ids=["OutOfRangeError", "StopIteration"])
def test_the_end_of_an_input_raised_by_a_hook_is_a_normal_end(method: str, error: Exception) -> None:
    log: list[str] = []
    run_loop(CountingModel(), [Calling(log, method, raising(error)), RecordingHook(log, "last")], steps=9)
    assert log[-2:] == ["acting.end", "last.end"]
    assert log.count("acting.before_run") == 2


@pytest.mark.parametrize("method", ["before_run", "after_run"])
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()], ids=["ValueError", "KeyboardInterrupt"])
def test_any_other_exception_passes_unchanged_and_skips_end(method: str, error: BaseException) -> None:
    log: list[str] = []
    with pytest.raises(type(error)) as caught:
        run_loop(CountingModel(), [RecordingHook(log, "first"), Calling(log, method, raising(error))], steps=9)
    assert caught.value is error
    assert not [entry for entry in log if entry.endswith(".end")]


@pytest.mark.parametrize("error", [None, OutOfRangeError("end")])
def test_the_end_of_the_batches_is_a_normal_end(error: Exception | None) -> None:
    def batches() -> Iterator[Batch]:
        yield empty_batch()
        if error is not None:
            raise error

    model, hook = CountingModel(), RecordingHook()
    run_loop(model, [hook], batches())
    assert model.global_step == 1
    assert hook.log[-1] == "hook.end"


def test_a_loop_without_a_step_warns(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run_loop(CountingModel(), [], steps=0)
    assert "without a single step" in caplog.text


def test_running_a_step_after_a_stop_is_refused() -> None:
    class Restless(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            run_context.session.request_stop()
            run_context.session.run_step(empty_batch(), [])

    with pytest.raises(RuntimeError, match="after a stop"):
        run_loop(CountingModel(), [Restless()])


@pytest.mark.parametrize(
    ("fetches", "expected"),
    [
        (None, None),
        ("loss", 1.0),
        ("global_step", 1),
        ("global_step:0", 1),
        (["loss", "global_step"], [1.0, 1]),
        (("loss", ["global_step"]), (1.0, [1])),
        ({"a": "loss", "b": {"c": ["global_step", "loss"]}}, {"a": 1.0, "b": {"c": [1, 1.0]}}),
        ([], []),
    ],
)
def test_results_have_the_structure_of_the_fetches(fetches: Any, expected: Any) -> None:
    class Model(CountingModel):
        def fetch(self, names: set[str]) -> dict[str, Any]:
            return super().fetch({name.removesuffix(":0") for name in names}) | {"global_step:0": self.global_step}

    hook = RecordingHook(fetches=fetches)
    run_loop(Model(), [hook], steps=1)
    assert hook.results == [expected]


@pytest.mark.parametrize(
    "name",
    ["dnn/logits/kernel", "dnn/logits/kernel:0", "dnn/logits/kernel/part_0:0", "dnn/logits/kernel/t_0/Adagrad"],
)
def test_variables_are_fetched_as_they_are_after_the_step(tmp_path: Path, name: str) -> None:
    hook = RecordingHook(fetches=[name, "global_step"])
    estimator = fake_classifier(tmp_path).train(fake_input_fn(2), hooks=[hook])
    stored = estimator.get_variable_value(name.removesuffix(":0").removesuffix("/part_0"))
    (first, first_step), (last, last_step) = hook.results
    assert (first_step, last_step) == (1, 2)
    np.testing.assert_array_equal(last, stored)
    assert not np.array_equal(first, last)


def test_loss_and_predictions_are_fetched_as_they_were_before_the_update(tmp_path: Path) -> None:
    features_only, batch = fake_input_fn(1), list(fake_input_fn(1)())
    estimator = fake_classifier(tmp_path).train(lambda: iter([]))
    before = np.array([row["logits"] for row in estimator.predict(features_only)])
    hook = RecordingHook(fetches={"predictions": ("logits", "class_ids"), "loss": "loss"})
    loss = estimator.evaluate(features_only)["loss"]
    estimator.train(lambda: iter(batch), hooks=[hook])
    (values,) = hook.results
    np.testing.assert_allclose(values["predictions"][0], before, rtol=1e-6)
    assert values["predictions"][1].dtype == np.int64
    assert values["loss"] == pytest.approx(loss, rel=1e-6)


def test_a_session_gives_variables_outside_of_steps(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Looking(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            seen.append(session.run({"step": "global_step", "bias": "dnn/logits/bias/part_0:0"}))

        def end(self, session: Any) -> None:
            seen.append(session.run({"step": "global_step", "bias": "dnn/logits/bias/part_0:0"}))

    estimator = fake_classifier(tmp_path).train(fake_input_fn(1), hooks=[Looking()])
    assert [values["step"] for values in seen] == [0, 1]
    assert seen[0]["bias"] == 0
    np.testing.assert_array_equal(seen[1]["bias"], estimator.get_variable_value("dnn/logits/bias"))


def test_an_unknown_fetch_is_an_error_that_names_it_and_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'dnn/logits/gamma'.*dnn/logits/kernel.*probabilities"):
        fake_classifier(tmp_path).train(fake_input_fn(1), hooks=[RecordingHook(fetches=["dnn/logits/gamma"])])


def test_a_fetch_that_is_no_name_is_refused() -> None:
    with pytest.raises(TypeError, match="must be names"):
        run_loop(CountingModel(), [RecordingHook(fetches=["loss", 3])])


def test_options_of_a_graph_are_refused() -> None:
    class WithOptions(SessionRunHook):
        def before_run(self, run_context: Any) -> SessionRunArgs:
            return SessionRunArgs("loss", options=object())

    with pytest.raises(ValueError, match="options"):
        run_loop(CountingModel(), [WithOptions()])


def test_two_hooks_may_not_feed_the_same_placeholder() -> None:
    with pytest.raises(RuntimeError, match="two hooks feed x"):
        run_loop(CountingModel(), [FeedFnHook(lambda: {"x": 1}), FeedFnHook(lambda: {"x": 2, "y": 3})])
