"""Asking training to stop, by signals and by hand."""

import signal
import threading

import pytest
from fake_training import CountingModel, RecordingHook, run_loop

from raydnn.train import SessionRunHook, stop_on_signals
from raydnn.train.stopping import StopOnRequestHook, is_stop_requested, listen_again, requesting_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_makes_a_request_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as request:
        assert not is_stop_requested()
        signal.raise_signal(number)
        assert is_stop_requested()
        assert request.signal is requesting_signal() is number
        with pytest.raises(KeyboardInterrupt, match=f"second signal, {number.name}"):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
    assert not is_stop_requested()
    assert requesting_signal() is None


def test_a_request_by_hand_tells_no_signal() -> None:
    with stop_on_signals() as request:
        threading.Thread(target=request.make).start()
        while not is_stop_requested():
            pass
        assert requesting_signal() is None


def test_a_request_in_a_block_within_a_block_ends_with_it() -> None:
    with stop_on_signals() as outer:
        with stop_on_signals() as inner:
            inner.make()
            assert is_stop_requested()
        assert not is_stop_requested()
        signal.raise_signal(signal.SIGINT)
        assert outer.is_made


def test_signals_are_taken_back_from_a_library_that_took_them() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert not listen_again()
    assert signal.getsignal(signal.SIGTERM) is before
    with stop_on_signals() as request:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert listen_again()
        signal.raise_signal(signal.SIGTERM)
        assert request.signal is signal.SIGTERM


def test_outside_of_the_main_thread_signals_keep_their_meaning() -> None:
    found, before = [], signal.getsignal(signal.SIGINT)

    def work() -> None:
        with stop_on_signals() as request:
            request.make()
            found.append((is_stop_requested(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(True, before)]


class _SignalAt(SessionRunHook):
    """Sends a signal in the middle of a step."""

    def __init__(self, model: CountingModel, step: int) -> None:
        self.model, self.step = model, step

    def before_run(self, run_context: object) -> None:
        if self.model.global_step + 1 == self.step:
            signal.raise_signal(signal.SIGINT)


def test_training_ends_the_step_in_which_the_request_comes() -> None:
    model, last = CountingModel(), RecordingHook()
    with stop_on_signals():
        run_loop(model, [StopOnRequestHook(is_stop_requested), _SignalAt(model, 3), last], steps=20)
    assert model.global_step == 3
    assert last.log[-2:] == ["hook.after_run", "hook.end"]


def test_no_step_is_made_after_an_earlier_request() -> None:
    model = CountingModel()
    with stop_on_signals() as request:
        request.make()
        run_loop(model, [StopOnRequestHook(is_stop_requested)], steps=20)
    assert model.global_step == 0
