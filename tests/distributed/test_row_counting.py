"""What the ledger has of rows that several workers put through their steps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import LABEL, fake_classifier, fake_table
from worker_processes import WorkerProcesses

import raydnn
from raydnn.inputs.input_fn import InputContext
from raydnn.train import StopAtStepHook
from raydnn.train.ledger import INCOMPLETE_BATCH, NOT_REACHED, LedgerEntry, read_ledger, sums_of_epochs

ROWS = 43
WEIGHTS = np.where(np.arange(ROWS) % 3 == 0, 0.0, 0.5).astype(np.float32)


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch: pytest.MonkeyPatch, two_processes: WorkerProcesses) -> None:
    two_processes.stand_in_for_ray(monkeypatch)


def classifier(model_dir: Path, **arguments: Any) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=1, num_workers=2, save_checkpoints_steps=4, save_summary_steps=0)
    return fake_classifier(model_dir, config, **arguments)


def epochs(model_dir: Path) -> list[LedgerEntry]:
    """The sums of the epochs, each of which must be consistent."""
    found = sums_of_epochs(read_ledger(str(model_dir)))
    for entry in found:
        assert entry.read - sum(entry.dropped.values()) == entry.rows == sum(entry.workers)
    return found


def test_each_worker_is_counted_with_what_it_saw(tmp_path: Path) -> None:
    table = fake_table(ROWS).append_column("importance", [WEIGHTS])

    def input_fn() -> raydnn.inputs.Dataset:
        # 8 batches of 5, of which the workers get 2 and 3, and one of 3.
        return raydnn.inputs.from_arrow(table, label=LABEL, batch_size=5, num_epochs=2, shuffle=True)

    classifier(tmp_path, weight_column="importance").train(input_fn)
    for entry in epochs(tmp_path):
        assert (entry.read, entry.dropped, entry.workers) == (ROWS, {}, (17, 26))
        assert (entry.weight, entry.zero_weight_rows) == (WEIGHTS.sum(), int((WEIGHTS == 0).sum()))
    assert [(entry.first_step, entry.last_step) for entry in epochs(tmp_path)] == [(1, 9), (10, 18)]


def own_rows(rows: tuple[int, int], **settings: Any) -> Any:
    """An input_fn that gives each worker a data set of its own, with so many rows."""

    def input_fn(input_context: InputContext) -> raydnn.inputs.Dataset:
        table = fake_table(rows[input_context.input_pipeline_id])
        return raydnn.inputs.from_arrow(table, label=LABEL, batch_size=8, **settings)

    return input_fn


def test_a_worker_that_ran_dry_counts_no_rows(tmp_path: Path) -> None:
    classifier(tmp_path).train(own_rows((43, 11), drop_remainder=True))
    (entry,) = epochs(tmp_path)
    assert (entry.workers, entry.last_step) == ((40, 8), 5)
    assert (entry.read, entry.dropped) == (54, {INCOMPLETE_BATCH: 6})


def test_what_workers_do_not_reach_of_their_own_rows_is_told(tmp_path: Path) -> None:
    classifier(tmp_path).train(own_rows((43, 11)), hooks=[StopAtStepHook(num_steps=3)])
    (entry,) = epochs(tmp_path)
    assert (entry.workers, entry.dropped) == ((24, 11), {NOT_REACHED: 19})


def test_of_own_rows_of_unknown_number_is_told_what_was_read(tmp_path: Path) -> None:
    table = fake_table(11)

    def input_fn(input_context: InputContext) -> Any:
        if input_context.input_pipeline_id == 0:
            return raydnn.inputs.from_arrow(table, label=LABEL, batch_size=8, drop_remainder=True)

        def batches() -> Iterator[Any]:
            for _ in range(3):
                yield {name: table[name] for name in table.column_names if name != LABEL}, table[LABEL].to_numpy()

        return batches()

    classifier(tmp_path).train(input_fn)
    (entry,) = epochs(tmp_path)
    assert (entry.workers, entry.read, entry.dropped) == ((8, 33), 41, {})
