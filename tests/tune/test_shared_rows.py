"""Rows that trials share: the same bits as those of the files, for those trials alone that may have them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_sweep import sweep_text

from raydnn import tune
from raydnn.config import Run
from raydnn.distributed.data import RayBlocks
from raydnn.inputs.prepare import EncodingPreparer
from raydnn.inputs.stream import UnitLoader
from raydnn.train import load_checkpoint
from raydnn.tune import shared_rows
from raydnn.tune.shared_rows import SharedRows, encoder_of, share_rows

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("ray_four_cpus", "small_run")]


def sweep_of(**changes: Any) -> tune.Sweep:
    return tune.loads(sweep_text(**changes))


def run_of(sweep: tune.Sweep, **configuration: Any) -> Run:
    return sweep.trial_template().run({"run.model_dir": "model", **configuration})


def shared_by(sweep: tune.Sweep) -> SharedRows:
    shared = share_rows(sweep)
    assert shared is not None
    return shared


def uses_blocks(shared: SharedRows, run: Run) -> tuple[bool, bool]:
    sources = (shared.train_input(run)().source, shared.eval_input(run)().source)
    return isinstance(sources[0], RayBlocks), isinstance(sources[1], RayBlocks)


def test_shared_rows_train_the_same_bits_as_the_files() -> None:
    sweep = sweep_of()
    shared = shared_by(sweep)
    weights = []
    for name in ("own", "shared"):
        run = run_of(sweep, **{"run.model_dir": name, "model.dropout": 0.2})
        train, evaluate = (run.train_input(), run.eval_input())
        if name == "shared":
            assert uses_blocks(shared, run) == (True, True)
            train, evaluate = shared.train_input(run), shared.eval_input(run)  # type: ignore[assignment]
        estimator = run.estimator()
        estimator.train(train, max_steps=30)
        metrics = estimator.evaluate(evaluate)
        reader = load_checkpoint(name)
        variables = {each: reader.get_tensor(each) for each in reader.get_variable_to_shape_map()}
        weights.append((variables, metrics, reader.manifest.input_position))  # type: ignore[union-attr]
    (own, own_metrics, own_position), (taken, taken_metrics, taken_position) = weights
    assert own.keys() == taken.keys()
    for variable, value in own.items():
        np.testing.assert_array_equal(value, taken[variable])
    assert own_metrics == taken_metrics
    # So each can go on where the other one stood.
    assert own_position == taken_position


@pytest.mark.parametrize("rows_here", [1 << 21, 0], ids=["here", "in tasks"])
def test_encoded_rows_are_those_of_the_encoder_in_the_order_of_the_files(
    monkeypatch: pytest.MonkeyPatch, small_run: Path, rows_here: int
) -> None:
    monkeypatch.setattr(shared_rows, "ROWS_HERE", rows_here)
    pq.write_table(pq.read_table("train.parquet"), small_run / "train.parquet", row_group_size=150)
    sweep = sweep_of()
    shared = shared_by(sweep)
    dataset = run_of(sweep).train_input()()
    loader = UnitLoader(dataset, EncodingPreparer(encoder_of(run_of(sweep))), dataset.plan.epoch(0))
    for fragment, rows in enumerate((150, 150, 100)):
        assert shared.train.read(fragment, 20, rows, None).equals(loader.read(fragment, 20, rows))
    assert (shared.train.rows, shared.train.fingerprint) == (dataset.fragments.rows, dataset.fragments.fingerprint)


def test_who_would_encode_other_rows_reads_for_itself(small_run: Path) -> None:
    sweep = sweep_of()
    shared = shared_by(sweep)
    for configuration in ({"data.batch_size": 50}, {"features.carrier.embed": 8}, {"data.shuffle": False}):
        assert uses_blocks(shared, run_of(sweep, **configuration)) == (True, True)
    other: dict[str, Any]
    for other in ({"features.carrier.hash": 8}, {"features.distance": {"normalize": {"mean": 0, "std": 1}}}):
        assert uses_blocks(shared, run_of(sweep, **other)) == (False, False)
    assert uses_blocks(shared, run_of(sweep, **{"data.train": "eval.parquet"})) == (False, True)
    times = (os.stat("train.parquet").st_atime, os.stat("train.parquet").st_mtime + 5)
    os.utime("train.parquet", times)
    assert uses_blocks(shared, run_of(sweep)) == (False, True)


def test_rows_that_do_not_fit_or_cannot_be_encoded_are_not_shared(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert share_rows(sweep_of(set={"data.engine": "ray"})) is None
    caplog.set_level("INFO")
    assert share_rows(sweep_of(set={"data.label": "lat"})) is None
    assert "Each trial reads its rows itself: ValueError: there is no label column 'lat'" in caplog.text
    monkeypatch.setattr(shared_rows, "STREAMED_FROM", 1e-9)
    assert share_rows(sweep_of()) is None
    assert "they would take too much of the object store" in caplog.text
