"""When checkpoints are saved, and who is told."""

from pathlib import Path
from typing import Any

import pytest
from fake_training import CountingModel, RecordingHook, RecordingListener, run_loop

from raydnn.train import CheckpointSaverHook, latest_checkpoint


def saved_steps(log: list[str], name: str = "listener") -> list[int]:
    return [int(entry.split()[1]) for entry in log if entry.startswith(f"{name}.after_save")]


@pytest.mark.parametrize(
    ("every", "start", "steps", "expected"),
    [
        (3, 0, 10, [0, 3, 6, 9, 10]),
        (3, 0, 9, [0, 3, 6, 9]),
        (100, 0, 10, [0, 10]),
        (3, 4, 4, [4, 7, 8]),
        (3, 4, 0, [4]),
    ],
)
def test_the_start_every_nth_step_and_the_end_are_saved(
    tmp_path: Path, every: int, start: int, steps: int, expected: list[int]
) -> None:
    listener = RecordingListener()
    hook = CheckpointSaverHook(str(tmp_path), save_steps=every, listeners=[listener])
    run_loop(CountingModel(global_step=start), [hook], steps)
    assert saved_steps(listener.log) == expected
    assert latest_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-{expected[-1]}"


def test_seconds_decide_too(tmp_path: Path) -> None:
    rare, often = RecordingListener(), RecordingListener()
    run_loop(CountingModel(), [CheckpointSaverHook(str(tmp_path / "a"), save_secs=3600, listeners=[rare])])
    run_loop(CountingModel(), [CheckpointSaverHook(str(tmp_path / "b"), save_secs=1e-9, listeners=[often])])
    assert saved_steps(rare.log) == [0, 5]
    assert saved_steps(often.log) == [0, 1, 2, 3, 4, 5]


def test_all_listeners_hear_of_a_save_before_it_and_then_all_after_it(tmp_path: Path) -> None:
    log: list[str] = []
    listeners = [RecordingListener(log, "a"), RecordingListener(log, "b")]
    hook = CheckpointSaverHook(str(tmp_path), save_steps=2, listeners=listeners)
    run_loop(CountingModel(), [hook, RecordingHook(log, "user")], steps=3)
    assert log == [
        "a.begin", "b.begin", "user.begin",
        "a.before_save 0", "b.before_save 0", "a.after_save 0", "b.after_save 0", "user.after_create_session",
        "user.before_run", "user.after_run",
        "user.before_run", "a.before_save 2", "b.before_save 2", "a.after_save 2", "b.after_save 2", "user.after_run",
        "user.before_run", "user.after_run",
        "a.before_save 3", "b.before_save 3", "a.after_save 3", "b.after_save 3", "a.end 3", "b.end 3", "user.end",
    ]  # fmt: skip


def test_the_checkpoint_exists_after_the_save_and_not_before(tmp_path: Path) -> None:
    seen: list[tuple[str, str | None]] = []

    class Looking(RecordingListener):
        def before_save(self, session: Any, global_step_value: int) -> None:
            seen.append(("before", latest_checkpoint(str(tmp_path))))

        def after_save(self, session: Any, global_step_value: int) -> None:
            seen.append(("after", latest_checkpoint(str(tmp_path))))

    run_loop(CountingModel(), [CheckpointSaverHook(str(tmp_path), save_steps=9, listeners=[Looking()])], steps=1)
    first, last = f"{tmp_path}/model.ckpt-0", f"{tmp_path}/model.ckpt-1"
    assert seen == [("before", None), ("after", first), ("before", first), ("after", last)]


@pytest.mark.parametrize(("stop_at", "expected"), [(2, 2), (0, 5), (5, 5)])
def test_a_listener_can_stop_training_but_not_at_the_first_or_last_save(
    tmp_path: Path, stop_at: int, expected: int
) -> None:
    model = CountingModel()
    hook = CheckpointSaverHook(str(tmp_path), save_steps=2, listeners=[RecordingListener(stop_at=stop_at)])
    run_loop(model, [hook], steps=5)
    assert model.global_step == expected


def test_a_listener_is_registered_once(tmp_path: Path) -> None:
    listener = RecordingListener()
    hook = CheckpointSaverHook(str(tmp_path), save_steps=9, listeners=[listener])
    hook.add_listeners([listener])
    run_loop(CountingModel(), [hook], steps=0)
    assert listener.log == ["listener.begin", "listener.before_save 0", "listener.after_save 0", "listener.end 0"]


@pytest.mark.parametrize("arguments", [{}, {"save_steps": 1, "save_secs": 1.0}])
def test_exactly_one_period_is_needed(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        CheckpointSaverHook(str(tmp_path), **arguments)


def test_a_checkpoint_is_saved_beside_the_usual_times_when_it_is_asked_for(tmp_path: Path) -> None:
    wishes = [False, True, False]
    saver = CheckpointSaverHook(str(tmp_path), save_steps=100)
    saver.save_when(lambda: bool(wishes) and wishes.pop(0))
    run_loop(CountingModel(), [saver], steps=5)
    assert sorted(path.name for path in tmp_path.glob("model.ckpt-*")) == [
        "model.ckpt-0",
        "model.ckpt-2",
        "model.ckpt-5",
    ]
