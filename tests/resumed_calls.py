"""A program whose calls of train are killed at random moments and made again, until they come to their end.

    python resumed_calls.py FOLDER

leaves for each of `CALLS` a model in FOLDER/NAME, the number of kills in FOLDER/NAME.kills, the note of the call in
FOLDER/NAME.json, and in FOLDER/NAME.ledger the rows of each step that any process began.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from killed_training import in_a_fork

import raydnn
from raydnn import EstimatorSpec, ModeKeys, feature_column
from raydnn.train.checkpoint import lock
from raydnn.train.ledger import read_ledger, sums_of_epochs
from raydnn.train.run_context import current_context

ROWS = 203
BATCH = 8
BATCHES = 26
WORDS = 31
EPOCHS = 2
FIRST_STEPS = 5
STEPS = 40
MAX_KILLS = 6


def model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> EstimatorSpec:
    """Writes its rows into a ledger before it learns from them; what it drops depends on the seed.

    Workers spread its table.
    """
    context = current_context()
    if mode == ModeKeys.TRAIN and not context.is_building:
        with Path(params["ledger"]).open("a") as ledger:
            line = [context.global_step + 1, features["row"].tolist(), context.replicas.rank, os.getpid()]
            ledger.write(json.dumps(line) + "\n")
    words = feature_column.categorical_column_with_identity("word", WORDS)
    columns = [feature_column.numeric_column("x", 3), feature_column.embedding_column(words, 4)]
    net = raydnn.layers.input_layer(features, columns, raydnn.fixed_size_partitioner(2))
    net = raydnn.layers.dense(net, 8, torch.relu)
    raydnn.summary.histogram("net", net)
    net = raydnn.layers.dropout(net, 0.25, training=context.is_training)
    logits = raydnn.layers.dense(net, 1)
    loss = raydnn.losses.sigmoid_cross_entropy(labels.float().unsqueeze(1), logits)
    return EstimatorSpec(mode, loss=loss, train_op=raydnn.train.AdagradOptimizer(0.1).minimize(loss))


def data_set(num_epochs: int | None = EPOCHS, rows: int = ROWS, **settings: Any) -> raydnn.inputs.Dataset:
    numbers = np.random.default_rng(7)
    x = numbers.normal(size=(rows, 3)).astype(np.float32)
    features = {"row": np.arange(rows), "x": x, "word": numbers.integers(0, WORDS, rows)}
    labels = numbers.integers(0, 2, rows)
    settings = {"batch_size": BATCH, "shuffle": True, **settings}
    return raydnn.inputs.from_numpy(features, labels, num_epochs=num_epochs, **settings)


def estimator(model_dir: Path, seed: int | None = None, **settings: Any) -> raydnn.Estimator:
    settings = {"save_checkpoints_steps": 3, "save_summary_steps": 0, "log_step_count_steps": None, **settings}
    config = raydnn.RunConfig(tf_random_seed=seed, **settings)
    return raydnn.Estimator(model_fn, model_dir, config, {"ledger": f"{model_dir}.ledger"})


def ledger(model_dir: Path) -> list[tuple[int, list[int]]]:
    """(step, rows), in the order in which the steps were begun."""
    return [(step, rows) for step, rows, _, _ in _lines(model_dir)]


def processes(model_dir: Path) -> set[int]:
    """The ids of all processes that have begun a step."""
    return {process for _, _, _, process in _lines(model_dir)}


def rows_that_count(model_dir: Path) -> dict[int, list[int]]:
    """Step -> the rows of all workers, sorted; of a step that was lost and made again, those of the last time."""
    last = {(step, rank): rows for step, rows, rank, _ in _lines(model_dir)}
    counted: dict[int, list[int]] = {}
    for (step, _), rows in sorted(last.items()):
        counted[step] = sorted(counted.get(step, []) + rows)
    return counted


def _lines(model_dir: Path) -> list[list[Any]]:
    path = Path(f"{model_dir}.ledger")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_each_epoch_uses_each_row_once(model_dir: Path) -> None:
    """After a call of EPOCHS epochs from the start."""
    counted = rows_that_count(model_dir)
    assert list(counted) == list(range(1, EPOCHS * BATCHES + 1))
    for first in range(1, EPOCHS * BATCHES, BATCHES):
        rows = [row for step in range(first, first + BATCHES) for row in counted[step]]
        assert sorted(rows) == list(range(ROWS))


def assert_the_ledger_has_each_row_once(model_dir: Path) -> None:
    """The model's own ledger, after a call of EPOCHS epochs from the start."""
    found = sums_of_epochs(read_ledger(str(model_dir)))
    counted = [(entry.epoch, entry.first_step, entry.last_step, entry.read, entry.rows) for entry in found]
    assert counted == [(epoch, epoch * BATCHES + 1, (epoch + 1) * BATCHES, ROWS, ROWS) for epoch in range(EPOCHS)]
    assert [entry.call_start_step for entry in found] == [0] * EPOCHS


def assert_same_bits(found: raydnn.Estimator, expected: raydnn.Estimator) -> None:
    """Of all variables and slots."""
    assert found.get_variable_names() == expected.get_variable_names()
    for name in expected.get_variable_names():
        np.testing.assert_array_equal(found.get_variable_value(name), expected.get_variable_value(name), err_msg=name)


def two_epochs(model_dir: Path, seed: int | None = None, hooks: Any = (), **settings: Any) -> raydnn.Estimator:
    return estimator(model_dir, seed, **settings).train(data_set, hooks=list(hooks))


def so_many_steps(model_dir: Path, seed: int | None = None) -> raydnn.Estimator:
    return estimator(model_dir, seed).train(lambda: data_set(None), steps=STEPS)


def first_steps(model_dir: Path) -> raydnn.Estimator:
    return estimator(model_dir, seed=3).train(lambda: data_set(None), steps=FIRST_STEPS)


CALLS: dict[str, Callable[..., raydnn.Estimator]] = {"epochs": two_epochs, "steps": so_many_steps}
# What comes before those calls, undisturbed.
BEFORE: dict[str, Callable[[Path], Any]] = {"epochs": lambda model_dir: None, "steps": first_steps}


def begin(model_dir: Path, train: Callable[[Path], Any]) -> int:
    """Train in a process of its own; the answer is its id."""
    return in_a_fork(lambda: (train(model_dir), os._exit(0)))


def is_killed_after(process: int, model_dir: Path, steps: int, delay: float) -> bool:
    """Kill a process so long after the ledger has so many steps, unless it ends before."""
    while len(ledger(model_dir)) < steps:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return False
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def main(folder: Path) -> None:
    lock.SETTLE_SECS = 0.0  # nobody else takes over
    moments = random.Random(11)
    for name, train in CALLS.items():
        model_dir, kills = folder / name, 0
        os.waitpid(begin(model_dir, BEFORE[name]), 0)
        while is_killed_after(
            begin(model_dir, train),
            model_dir,
            steps=len(ledger(model_dir)) + moments.randint(2, 9) if kills < MAX_KILLS else sys.maxsize,
            delay=moments.uniform(0, 0.015),
        ):
            kills += 1
            shutil.copy(model_dir / "train_call.json", folder / f"{name}.json")
        (folder / f"{name}.kills").write_text(str(kills))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
