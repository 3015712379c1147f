"""Ray Datasets that stream: their batches, where a run goes on, and what happens if a process dies or CPUs lack."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import fake_data
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import ray.cloudpickle
import ray.data
import recording_hooks
import torch
from fake_data import fake_classifier, fake_table
from made_batches import planned_batches, streamed_batches
from recording_hooks import KillOnce

import raydnn
from raydnn.distributed import cluster, data, side_car, tasks
from raydnn.distributed.streaming import fed, windows_kept
from raydnn.inputs import Dataset, from_ray
from raydnn.inputs.prepare import RawPreparer
from raydnn.inputs.stream import ROWS_TOGETHER, Reader
from raydnn.train.feature_batch import FeatureBatchMaker

# Workers cannot import test modules by name.
for module in (sys.modules[__name__], fake_data, recording_hooks):
    ray.cloudpickle.register_pickle_by_value(module)

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]

NUM_ROWS = 1003


@pytest.fixture
def _short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of three batches of 64 rows."""
    monkeypatch.setattr("raydnn.inputs.windows.WINDOW_ROWS", 200)


def numbered(num_rows: int = NUM_ROWS) -> ray.data.Dataset:
    """Blocks of uneven sizes, whose order is not that in which they are ready."""
    cuts = [0, 300, 301, 301, 700, num_rows]
    blocks = [pa.table({"row": pa.array(range(*span), pa.int64())}) for span in pairwise(cuts)]

    def wait(rows: pa.Table) -> pa.Table:
        time.sleep(0.1 if rows.num_rows == 300 else 0.0)
        return rows

    return ray.data.from_arrow(blocks).map_batches(wait, batch_format="pyarrow", batch_size=None)


def opened(rows: ray.data.Dataset, streaming: bool = True, **settings: Any) -> Dataset:
    dataset = from_ray(rows, streaming=streaming, **{"batch_size": 64, "seed": 3, **settings})
    return data.open_dataset(dataset, RawPreparer())


def reader_of(rank: int = 0, num_ranks: int = 1) -> Reader:
    return Reader(RawPreparer(), FeatureBatchMaker(), rank, num_ranks)


def read(dataset: Dataset, num_ranks: int = 1, **options: Any) -> list[list[int]]:
    """The numbers of the rows in each global batch, from ranks that go on step by step."""
    batches = planned_batches if dataset.windows is None else streamed_batches
    of_ranks = [batches(dataset, reader_of(rank, num_ranks), **options) for rank in range(num_ranks)]
    steps = zip(*of_ranks, strict=True)
    return [list(chain(*(part.features["row"].tolist() for part in parts))) for parts in steps]


@pytest.mark.usefixtures("_short_windows")
def test_streamed_rows_come_in_the_batches_of_kept_ones_for_any_number_of_ranks() -> None:
    rows = numbered()
    kept = read(opened(rows, streaming=False, num_epochs=2))
    streamed = opened(rows, num_epochs=2)
    assert list(chain(*kept)) == [*range(NUM_ROWS), *range(NUM_ROWS)]
    assert read(streamed) == kept
    with fed(streamed) as dealt:
        for num_ranks in (1, 2, 3):
            assert read(dealt, num_ranks) == kept
    short = {"num_epochs": 2, "drop_remainder": True}
    with fed(opened(rows, **short)) as dealt:
        assert read(dealt, 2) == read(opened(rows, streaming=False, **short)) == [*kept[:15], *kept[16:31]]


@pytest.mark.usefixtures("_short_windows")
def test_the_process_that_deals_windows_runs_the_pipeline_once_for_all_ranks_and_again_for_one_that_goes_on(
    tmp_path: Path,
) -> None:
    def counted(rows: pa.Table) -> pa.Table:
        (tmp_path / f"{rows['row'][0]}-{time.time_ns()}").touch()
        return rows

    def runs() -> int:
        return len(list(tmp_path.glob("0-*")))

    rows = numbered().map_batches(counted, batch_format="pyarrow", batch_size=None)
    with fed(opened(rows, shuffle=True, num_epochs=2)) as dealt:
        # To learn of the columns, the pipeline ran on its first block.
        before = runs()
        whole = read(dealt, 2)
        assert runs() - before == 2
        for epoch in (whole[:16], whole[16:]):
            assert sorted(chain(*epoch)) == list(range(NUM_ROWS))
        cursors = [batch.cursor for batch in streamed_batches(dealt, reader_of())]
        for num_done in (1, 9, 16, 25):
            assert read(dealt, 2, cursor=cursors[num_done - 1]) == whole[num_done:]


@pytest.mark.usefixtures("_short_windows")
def test_a_stream_that_is_closed_half_way_leaves_no_task_behind() -> None:
    def slow(rows: pa.Table) -> pa.Table:
        time.sleep(0.2)
        return rows

    blocks = [pa.table({"row": range(place, place + 100)}) for place in range(0, 10_000, 100)]
    rows = ray.data.from_arrow(blocks).map_batches(slow, batch_format="pyarrow", batch_size=None)
    for is_dealt in (False, True):
        with fed(opened(rows)) as dealt:
            stream = streamed_batches(dealt if is_dealt else opened(rows), reader_of())
            assert next(stream).num_rows == 64
            wait_for(lambda: tasks.free_cpus() < 4)
            stream.close()
        wait_for(lambda: tasks.free_cpus() == 4)
        time.sleep(0.3)
        assert tasks.free_cpus() == 4


def wait_for(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("_short_windows")
def test_a_killed_process_that_deals_windows_is_replaced_and_no_batch_changes() -> None:
    # More than are made tensors at once.
    rows = numbered(3 * ROWS_TOGETHER)
    with fed(opened(rows)) as dealt:
        expected = read(dealt)
        stream = streamed_batches(dealt, reader_of())
        found = [batch.features["row"].tolist() for batch in islice(stream, 4)]
        (process,) = feeders()
        os.kill(process, signal.SIGKILL)
        found += [batch.features["row"].tolist() for batch in stream]
        assert found == expected
        (other,) = feeders()
        assert other != process
    wait_for(lambda: not feeders())


def feeders() -> list[int]:
    """The processes that deal windows."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::_Feeder"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class OddRowError(Exception):
    """Of the user's own pipeline."""


@pytest.mark.parametrize("is_dealt", [False, True])
def test_what_the_users_pipeline_raises_keeps_its_type(is_dealt: bool, tmp_path: Path) -> None:
    has_opened = tmp_path / "opened"

    def fail_late(rows: pa.Table) -> pa.Table:
        # Ray Data, asked for the columns alone, may run beyond the first block.
        if rows.num_rows and rows["row"][0].as_py() == 700 and has_opened.exists():
            raise OddRowError("row 700 is odd")
        return rows

    dataset = opened(numbered().map_batches(fail_late, batch_format="pyarrow", batch_size=None))
    has_opened.touch()
    with fed(dataset) as dealt:
        for _ in range(2):
            # It is raised again where workers are restarted, and does not look like an end.
            with pytest.raises(OddRowError, match="row 700 is odd"):
                read(dealt if is_dealt else dataset)


def test_a_label_that_lacks_is_refused_before_anything_streams() -> None:
    with pytest.raises(ValueError, match="there is no label column 'clicked'"):
        opened(numbered(), label="clicked")


def test_the_known_size_decides_unless_the_user_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(rows: pa.Table) -> pa.Table:
        raise AssertionError("the data set was executed")

    table = pa.table({"row": np.random.default_rng(0).integers(0, 2**62, 100_000)})
    pq.write_table(table, tmp_path / "rows.parquet")
    files, blocks = ray.data.read_parquet(str(tmp_path)), ray.data.from_arrow(table)
    assert data.known_bytes(blocks) == 800_000
    on_disk = (tmp_path / "rows.parquet").stat().st_size
    assert data.known_bytes(files) == data.known_bytes(files.map_batches(unknown)) == on_disk
    assert data.known_bytes(files.union(blocks)) == on_disk + 800_000
    assert data.known_bytes(files.limit(10)) is None

    store = ray.cluster_resources()["object_store_memory"]
    with caplog.at_level(logging.INFO, "raydnn"):
        assert not data.is_streamed(from_ray(blocks).source)
        assert not data.is_streamed(from_ray(files.limit(10)).source)
        monkeypatch.setattr(data, "STREAMED_FROM", 799_999 / store)
        assert data.is_streamed(from_ray(blocks).source)
    messages = [record.getMessage() for record in caplog.records if record.name == "raydnn.distributed.data"]
    assert len(messages) == 3
    assert f"0.8 MB, beside an object store of {store / 1e6:.1f} MB, is encoded once and kept there" in messages[0]
    assert "unknown size" in messages[1]
    assert "is encoded anew in each epoch as it streams" in messages[2]
    for chosen in (True, False):
        assert data.is_streamed(from_ray(blocks, streaming=chosen).source) is chosen


@ray.remote(num_cpus=1)
class Occupier:
    """Holds a CPU, as a worker does, until it is killed."""

    def is_there(self) -> bool:
        return True


def test_without_a_spare_cpu_no_window_would_come_and_the_stall_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "STALL_SECS", 1.0)
    dataset = opened(numbered())
    workers = [Occupier.remote() for _ in range(4)]
    ray.get([each.is_there.remote() for each in workers])
    with fed(dataset) as dealt, caplog.at_level(logging.WARNING):
        first = dealt.source.feeder.window.remote(dealt.source.source, 0, 0)
        assert not ray.wait([first], timeout=4)[0]
        timer = threading.Timer(1.5, lambda: [ray.kill(each) for each in workers])
        timer.start()
        assert next(streamed_batches(dealt, reader_of())).num_rows == 64
        timer.join()
    assert "No input for 1 s: the tasks of a streamed Ray Dataset ask for CPUs, and 0 of the cluster are free" in (
        caplog.text
    )
    assert "from_ray(streaming=False)" in caplog.text


def test_a_job_whose_workers_leave_no_cpu_is_refused_with_the_numbers(tmp_path: Path) -> None:
    def input_fn() -> Dataset:
        return from_ray(ray.data.from_arrow(fake_table(40)), label=fake_data.LABEL, streaming=True)

    estimator = fake_classifier(tmp_path, raydnn.RunConfig(num_workers=4))
    with pytest.raises(ValueError, match="cluster") as refused:
        estimator.train(input_fn)
    for part in (
        "has 4 CPUs",
        "4 workers with 1 each need 4",
        "and 1 for the tasks of the streamed Ray Dataset",
        "lower num_workers",
        "resources_per_worker",
        "from_ray(streaming=False)",
    ):
        assert part in str(refused.value)
    elastic = fake_classifier(tmp_path, raydnn.RunConfig(num_workers=(1, 2), max_failures=1))
    with pytest.raises(ValueError, match=r"needs a fixed number of workers; got num_workers=\(1, 2\).*streaming=False"):
        elastic.train(input_fn)
    wait_for(lambda: not feeders())


def test_the_process_that_evaluates_beside_workers_leaves_a_cpu_for_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(side_car, "has_spare_cpu", lambda *wanted: bool(seen.append(wanted)))
    estimator = fake_classifier(tmp_path, raydnn.RunConfig(num_workers=2))
    with side_car.evaluations(estimator, raydnn.estimator.EvalSpec(lambda: iter([]), start_delay_secs=60), None):
        assert seen == [(2, 1.0, 1.0)]
    assert cluster.cpus_wanted(estimator.config) == (2, 1.0, 0.0)


def test_a_classifier_trains_evaluates_and_predicts_here_on_a_stream(tmp_path: Path) -> None:
    table = fake_table(100)

    def input_fn(streaming: bool) -> Callable[[], Dataset]:
        rows = ray.data.from_arrow(table)
        return lambda: from_ray(rows, label=fake_data.LABEL, batch_size=32, streaming=streaming)

    found = {}
    for streaming in (True, False):
        config = raydnn.RunConfig(tf_random_seed=1, progress=True)
        estimator = fake_classifier(tmp_path / str(streaming), config).train(input_fn(streaming))
        predictions = [row["logits"].tolist() for row in estimator.predict(input_fn(streaming))]
        found[streaming] = estimator.evaluate(input_fn(streaming)), predictions
    assert found[True] == found[False]
    assert found[True][0]["global_step"] == 4
    assert len(found[True][1]) == 100


def test_an_empty_stream_is_refused_for_training(tmp_path: Path) -> None:
    def input_fn() -> Dataset:
        empty = ray.data.from_arrow(fake_table(40)).filter(lambda row: False)
        return from_ray(empty, label=fake_data.LABEL, num_epochs=None, streaming=True)

    with pytest.raises(ValueError, match="the data set of the input_fn has no rows"):
        fake_classifier(tmp_path).train(input_fn)


ROWS, BATCH = 150_000, 30_000


class StepTeller(raydnn.train.SessionRunHook):
    """Tells the model function the step."""

    def before_run(self, run_context):
        os.environ["LEDGER_STEP"] = str(run_context.session.global_step)


def ledger_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> raydnn.EstimatorSpec:
    """A constant that learns nothing; writes down the rows of each step."""
    net = raydnn.get_module("line", lambda: torch.nn.Linear(1, 1))(features["row"].float().reshape(-1, 1) / ROWS)
    if len(features["row"]):
        np.save(Path(params["folder"]) / f"{os.environ['LEDGER_STEP']}-{os.getpid()}.npy", features["row"].numpy())
    loss = (net**2).sum()
    return raydnn.EstimatorSpec(mode, loss=loss, train_op=raydnn.train.GradientDescentOptimizer(0.0).minimize(loss))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[np.ndarray]]:
    """By step, the rows that each process used in it, in a run of which a worker was killed."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "steps").mkdir()
    blocks = [pa.table({"row": np.arange(start, start + 10_000)}) for start in range(0, ROWS, 10_000)]
    rows = ray.data.from_arrow(blocks).map_batches(lambda table: table, batch_format="pyarrow", batch_size=None)
    config = raydnn.RunConfig(num_workers=2, max_failures=1, save_checkpoints_steps=2, tf_random_seed=5)
    estimator = raydnn.Estimator(ledger_fn, folder / "model", config, {"folder": str(folder / "steps")})
    estimator.train(
        lambda: from_ray(rows, batch_size=BATCH, num_epochs=2, shuffle=True, streaming=True),
        hooks=[KillOnce(folder / "killed", step=7, rank=1), StepTeller()],
    )
    assert (folder / "killed").exists()
    assert estimator.get_variable_value("global_step") == 10
    steps: dict[int, list[np.ndarray]] = {}
    for path in (folder / "steps").iterdir():
        steps.setdefault(int(path.stem.split("-")[0]), []).append(np.load(path))
    return steps


def test_after_a_worker_was_killed_training_on_a_stream_goes_on_at_the_very_next_row(
    ledger: dict[int, list[np.ndarray]],
) -> None:
    assert sorted(ledger) == list(range(10))
    assert all(len(parts) == 2 for step, parts in ledger.items() if step not in (6, 7))
    # Step 6 came after the last checkpoint: both groups of workers made it, with the same rows.
    assert len(ledger[6]) == 4
    for epoch in (range(5), range(5, 10)):
        used = np.concatenate([np.unique(np.concatenate(ledger[step])) for step in epoch])
        np.testing.assert_array_equal(np.sort(used), np.arange(ROWS))


def test_the_windows_that_are_kept_reach_over_what_a_rank_may_be_ahead() -> None:
    def kept(batch_size: int) -> int:
        return windows_kept(from_ray(numbered(), batch_size=batch_size).window_plan)

    assert [kept(batch_size) for batch_size in (64, 30_000, 65_536)] == [3, 4, 6]
