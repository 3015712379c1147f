"""What the ledger of a training in one process has of its rows."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import LABEL, fake_classifier, fake_input_fn, fake_table

import raydnn
from raydnn.errors import OutOfRangeError
from raydnn.train import SessionRunHook, StopAtStepHook
from raydnn.train.ledger import INCOMPLETE_BATCH, NOT_REACHED, LedgerEntry, read_ledger, sums_of_epochs

ROWS = 43


def data_set(**settings: Any) -> raydnn.inputs.Dataset:
    """43 rows in batches of 8: 5 whole ones, and 3 rows."""
    settings = {"batch_size": 8, "num_epochs": 2, "shuffle": True, **settings}
    return raydnn.inputs.from_arrow(fake_table(ROWS), label=LABEL, **settings)


def classifier(model_dir: Path | str, save_checkpoints_steps: int = 4, **arguments: Any) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=save_checkpoints_steps, save_summary_steps=0)
    return fake_classifier(model_dir, config, **arguments)


def epochs(model_dir: Path | str) -> list[LedgerEntry]:
    """The sums of the epochs, each of which must be consistent."""
    found = sums_of_epochs(read_ledger(str(model_dir)))
    for entry in found:
        assert entry.read - sum(entry.dropped.values()) == entry.rows == sum(entry.workers)
    return found


@pytest.mark.parametrize("save_checkpoints_steps", [0, 1, 4, 1000])
def test_each_epoch_of_a_data_set_has_all_its_rows(tmp_path: Path, save_checkpoints_steps: int) -> None:
    classifier(tmp_path, save_checkpoints_steps).train(data_set)
    first, second = epochs(tmp_path)
    assert [(each.epoch, each.first_step, each.last_step) for each in (first, second)] == [(0, 1, 6), (1, 7, 12)]
    assert (first.rows, first.read, first.dropped, first.workers) == (ROWS, ROWS, {}, (ROWS,))
    assert (second.rows, second.read, first.weight, first.zero_weight_rows) == (ROWS, ROWS, None, None)


def test_rows_of_an_incomplete_batch_are_dropped_in_each_epoch(tmp_path: Path) -> None:
    classifier(tmp_path).train(lambda: data_set(drop_remainder=True))
    assert [(each.rows, each.read, each.dropped) for each in epochs(tmp_path)] == 2 * [
        (40, ROWS, {INCOMPLETE_BATCH: 3})
    ]


@pytest.mark.parametrize("limit", [{"max_steps": 8}, {"steps": 8}])
def test_a_limit_leaves_rows_that_are_not_reached(tmp_path: Path, limit: dict[str, int]) -> None:
    classifier(tmp_path).train(data_set, **limit)
    first, second = epochs(tmp_path)
    assert (first.rows, first.dropped) == (ROWS, {})
    assert (second.rows, second.read, second.dropped) == (16, ROWS, {NOT_REACHED: ROWS - 16})


def test_a_hook_that_stops_leaves_rows_that_are_not_reached(tmp_path: Path) -> None:
    class Ending(SessionRunHook):
        def before_run(self, run_context: Any) -> None:
            if run_context.session.global_step == 3:
                raise OutOfRangeError("enough")

    classifier(tmp_path).train(data_set, hooks=[Ending()])
    (entry,) = epochs(tmp_path)
    assert (entry.rows, entry.last_step, entry.dropped) == (24, 3, {NOT_REACHED: ROWS - 24})


def test_calls_go_on_in_the_same_ledger(tmp_path: Path) -> None:
    estimator = classifier(tmp_path)
    estimator.train(data_set, steps=2)
    estimator.train(data_set)
    estimator.train(fake_input_fn(3))
    found = epochs(tmp_path)
    facts = [(each.call_start_step, each.epoch, each.first_step, each.last_step, each.rows) for each in found]
    assert facts == [(0, 0, 1, 2, 16), (2, 0, 3, 8, ROWS), (2, 1, 9, 14, ROWS), (14, 0, 15, 17, 24)]
    # An input of unknown length tells what was read alone.
    assert found[-1].dropped == {}


def test_weights_are_summed_as_the_network_gets_them(tmp_path: Path) -> None:
    weights = np.where(np.arange(ROWS) % 3 == 0, 0.0, 0.5).astype(np.float32)
    table = fake_table(ROWS).append_column("importance", [weights])
    estimator = classifier(tmp_path, weight_column="importance")
    estimator.train(lambda: raydnn.inputs.from_arrow(table, label=LABEL, batch_size=8))
    (entry,) = epochs(tmp_path)
    assert (entry.weight, entry.zero_weight_rows) == (weights.sum(), int((weights == 0).sum()))


def test_a_feature_of_a_model_of_ones_own_is_no_weight(tmp_path: Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> raydnn.EstimatorSpec:
        logits = raydnn.layers.dense(features["weight"].float().unsqueeze(1), 1)
        loss = raydnn.losses.sigmoid_cross_entropy(labels.float().unsqueeze(1), logits)
        return raydnn.EstimatorSpec(mode, loss=loss, train_op=raydnn.train.AdagradOptimizer(0.1).minimize(loss))

    data = raydnn.inputs.from_numpy({"weight": np.arange(10)}, np.zeros(10), batch_size=4)
    raydnn.Estimator(model_fn, tmp_path).train(lambda: data)
    (entry,) = epochs(tmp_path)
    assert (entry.rows, entry.weight) == (10, None)


def test_training_goes_on_from_an_older_checkpoint_with_the_rows_of_that(tmp_path: Path) -> None:
    config = raydnn.RunConfig(tf_random_seed=1, save_checkpoints_steps=2, recover=True)
    estimator = fake_classifier(tmp_path, config)
    estimator.train(data_set)
    (tmp_path / "model.ckpt-12" / "variables.safetensors").write_bytes(b"")
    (tmp_path / "model.ckpt-10" / "manifest.json").write_bytes(b"")
    estimator.train(data_set, steps=1)
    found = epochs(tmp_path)
    assert [(each.call_start_step, each.epoch, each.last_step, each.rows) for each in found] == [
        (0, 0, 6, ROWS),
        (0, 1, 8, 16),
        (8, 0, 9, 8),
    ]


def test_a_model_dir_in_an_object_store_has_a_ledger(tmp_path: Path) -> None:
    model_dir = f"memory://{tmp_path.name}/model"
    classifier(model_dir).train(data_set)
    assert [each.rows for each in epochs(model_dir)] == [ROWS, ROWS]


def test_training_says_what_became_of_the_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "raydnn"):
        classifier(tmp_path).train(lambda: data_set(num_epochs=1), hooks=[StopAtStepHook(num_steps=2)])
    told = [text for text in caplog.messages if "rows read" in text]
    assert told == ["epoch 1: 16 rows read, 0 dropped, 27 not reached because training stopped"]
