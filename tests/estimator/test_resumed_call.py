"""A call of train that is cut short and made again goes on in its input where the checkpoint stands."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import resumed_calls
from fake_data import fake_classifier, fake_input_fn
from resumed_calls import (
    BATCH,
    BATCHES,
    BEFORE,
    CALLS,
    FIRST_STEPS,
    MAX_KILLS,
    ROWS,
    STEPS,
    assert_each_epoch_uses_each_row_once,
    assert_same_bits,
    assert_the_ledger_has_each_row_once,
    data_set,
    estimator,
    ledger,
)

import raydnn
from raydnn import storage
from raydnn.estimator import train_call
from raydnn.estimator.train_call import TrainCall, call_to_make
from raydnn.inputs.input_fn import GivenBatches
from raydnn.inputs.plan import Cursor
from raydnn.train import SessionRunHook
from raydnn.train.ledger import NOT_REACHED, read_ledger, sums_of_epochs

GOING_ON = "Going on with the call of train that was cut short at step "
NOT_GOING_ON = "Not going on with the call of train that was cut short: "


@pytest.fixture(autouse=True)
def each_call_is_made_by_a_program_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    monkeypatch.setattr(train_call, "_this_program", lambda: str(next(numbers)))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program with the killed calls has left at its end."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, resumed_calls.__file__, str(folder)], check=True)
    return folder


class TestKilledAtRandom:
    @pytest.mark.parametrize("name", CALLS)
    def test_weights_and_rows_are_those_of_an_undisturbed_run(self, killed: Path, tmp_path: Path, name: str) -> None:
        assert 1 < int((killed / f"{name}.kills").read_text()) <= MAX_KILLS
        seed = json.loads((killed / f"{name}.json").read_text())["seed"]
        BEFORE[name](tmp_path / name)
        undisturbed = CALLS[name](tmp_path / name, seed)
        resumed = estimator(killed / name)
        assert_same_bits(resumed, undisturbed)
        # A step that was lost and made again has used the same rows again.
        again = ledger(killed / name)
        assert len(again) > len(dict(again))
        assert list(dict(again).items()) == ledger(tmp_path / name)
        assert all(rows == dict(again)[step] for step, rows in again)

    def test_each_epoch_uses_each_row_once(self, killed: Path) -> None:
        assert_each_epoch_uses_each_row_once(killed / "epochs")
        assert_the_ledger_has_each_row_once(killed / "epochs")
        survived = dict(ledger(killed / "epochs"))
        assert survived[1] != survived[BATCHES + 1]

    def test_steps_count_from_where_the_killed_call_began(self, killed: Path) -> None:
        assert estimator(killed / "steps").get_variable_value("global_step") == FIRST_STEPS + STEPS
        first, second, third = sums_of_epochs(read_ledger(str(killed / "steps")))
        assert (first.call_start_step, first.rows) == (0, FIRST_STEPS * BATCH)
        assert (second.call_start_step, second.epoch, second.rows, second.dropped) == (FIRST_STEPS, 0, ROWS, {})
        third_rows = (STEPS - BATCHES) * BATCH
        assert (third.call_start_step, third.epoch, third.rows) == (FIRST_STEPS, 1, third_rows)
        assert [entry.dropped for entry in (first, third)] == [
            {NOT_REACHED: ROWS - FIRST_STEPS * BATCH},
            {NOT_REACHED: ROWS - third_rows},
        ]

    @pytest.mark.parametrize("name", CALLS)
    def test_the_end_leaves_neither_lock_nor_note(self, killed: Path, name: str) -> None:
        stay = ("checkpoint", "ledger.json", "model.ckpt-", "events.")
        assert not [left for left in storage.list_folder(str(killed / name)) if not left.startswith(stay)]


class FailAt(SessionRunHook):
    """Raises before the step after a given one."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_run(self, run_context: Any) -> None:
        if run_context.session.global_step == self.step:
            raise ZeroDivisionError


def rows_of(model_dir: Path) -> list[list[int]]:
    """The rows of each step that was begun, in the order of their beginnings."""
    return [rows for _, rows in ledger(model_dir)]


def in_order(start: int, stop: int) -> list[list[int]]:
    """The batches from one to another of a data set that is not shuffled."""
    return [list(range(ROWS))[place * BATCH : (place + 1) * BATCH] for place in range(start, stop)]


def plain(num_epochs: int | None = 1, **settings: Any) -> Callable[[], raydnn.inputs.Dataset]:
    return lambda: data_set(num_epochs, **{"shuffle": False, **settings})


def cut_short(model_dir: Path, step: int = 7, seed: int | None = 1, **arguments: Any) -> raydnn.Estimator:
    """Train with checkpoints at 0, 3 and 6; then the ledger begins anew."""
    made = estimator(model_dir, seed)
    with pytest.raises(ZeroDivisionError):
        made.train(plain(None), hooks=[FailAt(step)], **arguments)
    Path(f"{model_dir}.ledger").unlink()
    return made


def test_a_call_goes_on_after_an_exception_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model_dir = tmp_path / "model"
    cut_short(model_dir, steps=10)
    caplog.clear()
    estimator(model_dir, 1).train(plain(None), steps=10)
    assert rows_of(model_dir) == in_order(6, 10)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"{GOING_ON}6: epoch 1, batch 7. Remove {model_dir}/train_call.json to begin the input anew"
    ]


def test_in_the_same_program_a_call_after_an_exception_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.undo()
    cut_short(tmp_path / "model", steps=10)
    estimator(tmp_path / "model", 1).train(plain(None), steps=10)
    assert rows_of(tmp_path / "model") == in_order(0, 10)
    assert raydnn.train.load_variable(str(tmp_path / "model"), "global_step") == 16
    assert GOING_ON not in caplog.text


def test_a_call_after_a_normal_end_begins_its_input_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model_dir = tmp_path / "model"
    for _ in range(2):
        estimator(model_dir, 1).train(plain(), steps=4)
    assert rows_of(model_dir) == in_order(0, 4) * 2
    assert GOING_ON not in caplog.text


def test_without_the_note_the_input_begins_anew(tmp_path: Path) -> None:
    cut_short(tmp_path / "model", steps=10)
    (tmp_path / "model" / "train_call.json").unlink()
    estimator(tmp_path / "model", 1).train(plain(), steps=2)
    assert ledger(tmp_path / "model") == list(zip((7, 8), in_order(0, 2), strict=True))


def test_a_damaged_note_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut_short(tmp_path / "model", steps=10)
    (tmp_path / "model" / "train_call.json").write_text("{}")
    estimator(tmp_path / "model", 1).train(plain(), steps=10)
    assert rows_of(tmp_path / "model") == in_order(0, 10)
    assert "train_call.json is damaged" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": 2}, "it had other steps, max_steps or tf_random_seed"),
        ({"steps": None, "max_steps": 8}, "it had other steps, max_steps or tf_random_seed"),
        ({"seed": 2}, "it had other steps, max_steps or tf_random_seed"),
        ({"seed": None}, "it had other steps, max_steps or tf_random_seed"),
        ({"batch_size": BATCH + 1}, "its input was another"),
        ({"rows": ROWS - 1}, "its input was another"),
    ],
)
def test_another_call_begins_its_input_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any], reason: str
) -> None:
    cut_short(tmp_path / "model", steps=10)
    data = {name: change.pop(name) for name in ("batch_size", "rows") if name in change}
    made = estimator(tmp_path / "model", change.pop("seed", 1))
    with caplog.at_level(logging.INFO):
        made.train(plain(None, **data), **{"steps": 10, **change})
    assert f"{NOT_GOING_ON}{reason}" in caplog.text
    found = ledger(tmp_path / "model")
    assert (found[0][0], found[0][1][:BATCH]) == (7, in_order(0, 1)[0])
    # Its steps count from where it began itself.
    assert found[-1][0] == {2: 8, None: 8}.get(change.get("steps", 10), 16)


def test_without_a_checkpoint_of_its_own_a_call_begins_anew_with_the_same_seed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut_short(tmp_path / "model", step=2, seed=None)
    seed = json.loads((tmp_path / "model" / "train_call.json").read_text())["seed"]
    made = estimator(tmp_path / "model")
    assert made._seed != seed
    with pytest.raises(ZeroDivisionError):
        made.train(plain(None), hooks=[FailAt(4)])
    assert rows_of(tmp_path / "model") == in_order(0, 4)
    assert json.loads((tmp_path / "model" / "train_call.json").read_text())["seed"] == seed
    assert GOING_ON not in caplog.text


def test_what_was_killed_after_its_last_checkpoint_makes_no_more_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, arguments in enumerate(({"steps": 4}, {})):
        model_dir = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(train_call.storage, "remove_file", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                estimator(model_dir, 1).train(plain(), **arguments)
        before = rows_of(model_dir)
        estimator(model_dir, 1).train(plain(), **arguments)
        assert rows_of(model_dir) == before == in_order(0, arguments.get("steps", BATCHES))
        # Now it has ended, and the next one is another.
        estimator(model_dir, 1).train(plain(), steps=1)
        assert rows_of(model_dir)[len(before) :] == in_order(0, 1)


def _interrupt(url: str) -> None:
    if url.endswith("train_call.json"):
        raise KeyboardInterrupt


def test_batches_of_ones_own_begin_anew_and_the_steps_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=3)
    with pytest.raises(ZeroDivisionError):
        fake_classifier(tmp_path, config).train(fake_input_fn(8), hooks=[FailAt(5)], steps=6)
    caplog.clear()
    resumed = fake_classifier(tmp_path, config).train(fake_input_fn(8), steps=6)
    assert resumed.get_variable_value("global_step") == 6
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{GOING_ON}3. Rows that it has used may be used again: the input begins anew")


def test_an_older_checkpoint_brings_its_own_place_in_the_input(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model_dir = tmp_path / "model"
    cut_short(model_dir, steps=10)
    (model_dir / "model.ckpt-6" / "variables.safetensors").write_bytes(b"damaged")
    estimator(model_dir, 1, recover=True).train(plain(None), steps=10)
    assert rows_of(model_dir) == in_order(3, 10)
    assert f"{GOING_ON}3: epoch 1, batch 4." in caplog.text


DATA = data_set(shuffle=False)
CUT_SHORT = TrainCall(start_step=10, steps=None, max_steps=50, tf_random_seed=None, seed=5)
NEW = replace(CUT_SHORT, start_step=20, seed=6)
POSITION = {**Cursor(0, 10, DATA.with_seed(5).plan.fingerprint).to_json(), "data": DATA.fragments.fingerprint}
BATCHES_OF_ONES_OWN = GivenBatches([])


@pytest.mark.parametrize(
    ("change", "source", "position", "goes_on"),
    [
        ({}, DATA, POSITION, True),
        ({}, DATA, None, False),
        ({}, DATA, {**POSITION, "data": "other"}, False),
        ({}, DATA, {**POSITION, "fingerprint": "other"}, False),
        ({}, replace(DATA, seed=6), POSITION, False),
        ({}, replace(DATA, num_epochs=9), POSITION, True),
        ({}, BATCHES_OF_ONES_OWN, None, True),
        ({}, None, None, True),
        ({"start_step": 10}, DATA, {**POSITION, "data": "of the call before"}, True),
        ({"start_step": 9}, DATA, POSITION, False),
        ({"steps": 50, "max_steps": None}, DATA, POSITION, False),
        ({"max_steps": 51}, DATA, POSITION, False),
        ({"tf_random_seed": 5}, DATA, POSITION, False),
    ],
)
def test_the_call_to_make_is_the_one_cut_short_if_it_is_the_same(
    change: dict[str, Any], source: Any, position: dict[str, Any] | None, goes_on: bool
) -> None:
    new = replace(NEW, **change)
    assert call_to_make(new, CUT_SHORT, source, position) is (CUT_SHORT if goes_on else new)


@pytest.mark.parametrize(
    ("step", "source", "expected"),
    [(20, DATA, Cursor.from_json(POSITION)), (10, DATA, None), (20, BATCHES_OF_ONES_OWN, None), (20, None, None)],
)
def test_the_input_goes_on_only_after_the_start_of_the_call(step: int, source: Any, expected: Cursor | None) -> None:
    assert CUT_SHORT.cursor(source, step, POSITION) == expected
