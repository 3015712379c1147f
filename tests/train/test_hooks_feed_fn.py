"""Feeding placeholders from a function."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fake_training import CountingModel, RecordingHook, run_loop

from raydnn import errors
from raydnn.inputs.batch import Batch
from raydnn.train import FeedFnHook, SessionRunArgs, SessionRunHook


class FedModel(CountingModel):
    """Keeps what it was fed at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.feeds: list[dict[str, Any]] = []

    def train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.feeds.append(dict(feeds))
        return super().train(batch, fetches, feeds)


def numbers() -> Iterator[int]:
    yield from (1, 2, 3)


def test_the_function_is_asked_once_a_step() -> None:
    model, values = FedModel(), numbers()
    run_loop(model, [FeedFnHook(lambda: {"rate": next(values), "other": "x"})], steps=3)
    assert model.feeds == [{"rate": rate, "other": "x"} for rate in (1, 2, 3)]
    assert next(values, None) is None


def test_hooks_feed_together_what_each_has() -> None:
    model, recorder = FedModel(), RecordingHook(fetches="loss")
    run_loop(model, [FeedFnHook(lambda: {"a": 1}), recorder, FeedFnHook(dict), FeedFnHook(lambda: {"b": 2})], steps=2)
    assert model.feeds == [{"a": 1, "b": 2}] * 2
    assert recorder.results == [1.0, 2.0]


def test_two_hooks_cannot_feed_one_placeholder() -> None:
    model = FedModel()
    with pytest.raises(RuntimeError, match="two hooks feed a, c"):
        run_loop(model, [FeedFnHook(lambda: {"a": 1, "b": 1, "c": 1}), FeedFnHook(lambda: {"c": 1, "a": 1})])
    assert model.feeds == []


@pytest.mark.parametrize("error", [StopIteration, errors.OutOfRangeError])
def test_the_end_of_what_the_function_has_ends_training_normally(error: type[Exception]) -> None:
    model, recorder, values = FedModel(), RecordingHook(), numbers()

    def feed() -> dict[str, Any]:
        value = next(values, None)
        if value is None:
            raise error("no more")
        return {"rate": value}

    run_loop(model, [FeedFnHook(feed), recorder], steps=9)
    assert model.global_step == 3
    assert recorder.log[-1] == "hook.end"


def test_another_error_of_the_function_is_passed_on() -> None:
    def feed() -> dict[str, Any]:
        raise KeyError("rate")

    with pytest.raises(KeyError, match="rate"):
        run_loop(FedModel(), [FeedFnHook(feed)])


def test_a_step_is_fed_nothing_unless_a_hook_says_so() -> None:
    class NoFeed(SessionRunHook):
        def before_run(self, run_context: Any) -> SessionRunArgs:
            return SessionRunArgs(None, feed_dict=None)

    model = FedModel()
    run_loop(model, [NoFeed(), SessionRunHook()], steps=1)
    assert model.feeds == [{}]
