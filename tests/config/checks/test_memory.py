"""How much memory a run is expected to need."""

from typing import Any

import pytest
from checked_runs import profile_of, run_of, told

from raydnn.config import Run
from raydnn.config.checks.memory import PROCESS_BYTES, Need, enough_memory, needed_memory

GIB = 1 << 30


def big(optimizer: str = "Adagrad", **run: Any) -> Run:
    return run_of({"x": {"hash": 1_000_000, "embed": 8}}, model={"optimizer": optimizer}, run=run)


def need(run: Run) -> Need:
    return needed_memory(run, profile_of(run, x=["a", "b"]))


@pytest.mark.parametrize(("optimizer", "copies"), [("SGD", 1), ("Adagrad", 2), ("Ftrl", 3), ("Adam", 4)])
def test_tables_count_with_their_slots(optimizer: str, copies: int) -> None:
    assert need(big(optimizer)).tables == pytest.approx(copies * 1_000_000 * 8 * 4, rel=0.001)


def test_spread_tables_are_divided_by_the_workers() -> None:
    whole, spread = need(big(num_workers=4)), need(run_of_slices())
    assert (whole.workers, spread.workers) == (4, 4)
    assert spread.tables == pytest.approx(whole.tables / 4, rel=0.001)


def run_of_slices() -> Run:
    model = {"partitioner": {"num_shards": 4}}
    return run_of({"x": {"hash": 1_000_000, "embed": 8}}, model=model, run={"num_workers": 4})


def test_weights_are_those_of_all_tables_in_whole_and_without_slots() -> None:
    whole, spread = need(big("Adam", num_workers=4)), need(run_of_slices())
    assert whole.weights == spread.weights == pytest.approx(1_000_000 * 8 * 4, rel=0.001)


def test_a_shared_table_counts_once() -> None:
    features = {"x": {"hash": 1_000_000}, "z": {"hash": 1_000_000}}
    shared = run_of(features, shared_embeddings=[{"columns": ["x", "z"], "dimension": 8}])
    assert needed_memory(shared, profile_of(shared, x=["a"], z=["a"])).tables == pytest.approx(
        need(big()).tables, rel=0.001
    )


def test_activations_and_rows_grow_with_batch_and_lists() -> None:
    small, large = run_of(data={"batch_size": 100}), run_of(data={"batch_size": 1000})
    profile = profile_of(small, x=[1.0] * 50)
    assert needed_memory(large, profile).activations == 10 * needed_memory(small, profile).activations
    run = run_of({"x": {"hash": 5}})
    one, many = (profile_of(run, x=[["a"] * count] * 50) for count in (1, 100))
    assert needed_memory(run, many).windows > 10 * needed_memory(run, one).windows


def test_what_does_not_fit_is_an_error_and_what_hardly_does_a_warning() -> None:
    run = big(num_workers=2)
    profile = profile_of(run, x=["a", "b"])
    of_worker = needed_memory(run, profile).of_worker
    assert of_worker > PROCESS_BYTES
    levels = [told(enough_memory, run, profile, memory)[0][0] for memory in (of_worker - 1, of_worker + 1, 8 * GIB)]
    assert levels == ["error", "warning", "info"]
    text = told(enough_memory, run, profile, 8 * GIB)[0][2]
    assert text.startswith("each of 2 workers needs 379 MB (tables with slots 64 MB, ")
    assert text.endswith("this machine has 8.6 GB")
