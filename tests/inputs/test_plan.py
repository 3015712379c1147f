"""Promises of the row order: complete, reproducible, and independent of ranks and resumes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydnn.inputs import plan as plan_module
from raydnn.inputs.plan import Cursor, EpochPlan, Piece, Plan, Take, Unit

RANKS = (1, 2, 3, 4, 5, 11)
fast = settings(max_examples=80, deadline=None)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    rows = draw(st.lists(st.integers(0, 300), max_size=20))
    return Plan(
        tuple(rows),
        # Small batches are drawn often: they give many batches per unit and slots per lane of 0 or 1.
        batch_size=draw(st.one_of(st.integers(1, 40), st.integers(1, 4096))),
        shuffle=draw(st.booleans()),
        seed=draw(st.integers(0, 2**64 - 1)),
        drop_remainder=draw(st.booleans()),
        num_lanes=draw(st.integers(1, 16)),
        unit_rows=draw(st.sampled_from([1, 50, 333, 65536])),
    )


def read(epoch: EpochPlan) -> list[list[int]]:
    """Global row ids of every batch, by the simplest reading of the takes."""
    first = [sum(epoch.plan.fragment_rows[:f]) for f in range(len(epoch.plan.fragment_rows))]
    loaded = []
    for unit in epoch.units:
        ids = [first[p.fragment] + row for p in unit.pieces for row in range(p.start, p.stop)]
        order = epoch.row_order(unit)
        loaded.append(ids if order is None else [ids[i] for i in order])
    batches = []
    for takes in epoch.batches():
        for take in takes:
            assert 0 <= take.start < take.stop <= len(loaded[take.unit])
        batches.append([row for take in takes for row in loaded[take.unit][take.start : take.stop]])
    return batches


def read_ranks(plan: Plan, number: int, num_ranks: int, start_batch: int = 0) -> list[list[int]]:
    """The global batches, put together from what all ranks read."""
    ranks = [
        read(plan.epoch(number, rank=rank, num_ranks=num_ranks, start_batch=start_batch)) for rank in range(num_ranks)
    ]
    return [[row for part in parts for row in part] for parts in zip(*ranks, strict=True)]


@fast
@given(plans(), st.integers(0, 1000))
def test_an_epoch_holds_every_row_exactly_once(plan: Plan, number: int) -> None:
    batches = read(plan.epoch(number))
    rows = sorted(row for batch in batches for row in batch)
    assert len(batches) == plan.batches_per_epoch
    if plan.drop_remainder:
        assert len(rows) == len(set(rows)) == plan.num_rows // plan.batch_size * plan.batch_size
        assert set(rows) <= set(range(plan.num_rows))
    else:
        assert rows == list(range(plan.num_rows))


@fast
@given(plans(), st.sampled_from(RANKS))
def test_the_global_batches_do_not_depend_on_the_number_of_ranks(plan: Plan, num_ranks: int) -> None:
    assert read_ranks(plan, 3, num_ranks) == read(plan.epoch(3))


@fast
@given(plans(), st.sampled_from(RANKS), st.floats(0, 1))
def test_a_resume_at_any_batch_with_any_number_of_ranks_equals_the_tail(
    plan: Plan, num_ranks: int, part: float
) -> None:
    start = round(part * plan.batches_per_epoch)
    assert read_ranks(plan, 1, num_ranks, start) == read(plan.epoch(1))[start:]


def test_a_resume_equals_the_tail_at_every_batch_of_an_odd_plan() -> None:
    plan = Plan((13, 0, 1, 300, 77, 2, 41), batch_size=19, shuffle=True, num_lanes=5, unit_rows=60)
    whole = read(plan.epoch(0))
    for start in range(plan.batches_per_epoch + 1):
        assert read_ranks(plan, 0, 3, start) == whole[start:]


@fast
@given(plans(), st.sampled_from(RANKS), st.data())
def test_a_rank_lists_exactly_the_units_it_takes_from_in_the_order_of_need(
    plan: Plan, num_ranks: int, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(0, num_ranks - 1))
    start = data.draw(st.integers(0, plan.batches_per_epoch))
    epoch = plan.epoch(0, rank=rank, num_ranks=num_ranks, start_batch=start)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for batch, takes in enumerate(epoch.batches(), start):
        for take in takes:
            first.setdefault(take.unit, batch)
            last[take.unit] = batch
    assert sorted(first) == list(range(len(epoch.units)))
    assert tuple(last[index] for index in range(len(epoch.units))) == epoch.last_batch
    need = [(first[index], unit.lane) for index, unit in enumerate(epoch.units)]
    assert need == sorted(need)


@fast
@given(plans(), st.sampled_from(RANKS), st.floats(0, 1))
def test_units_do_not_depend_on_rank_number_of_ranks_or_cursor(plan: Plan, num_ranks: int, part: float) -> None:
    plan = replace(plan, drop_remainder=False)
    everything = set(plan.epoch(2).units)
    start = round(part * plan.batches_per_epoch)
    listed = [set(plan.epoch(2, rank=rank, num_ranks=num_ranks, start_batch=start).units) for rank in range(num_ranks)]
    assert set().union(*listed) <= everything
    assert start > 0 or set().union(*listed) == everything


@fast
@given(plans(), st.sampled_from(RANKS), st.data())
def test_a_batch_gives_each_rank_its_range_of_slots(plan: Plan, num_ranks: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, num_ranks - 1))
    epoch = plan.epoch(0, rank=rank, num_ranks=num_ranks)
    for batch, takes in enumerate(epoch.batches()):
        rows = min(plan.batch_size, plan.num_rows - batch * plan.batch_size)
        assert epoch.global_rows(batch) == rows
        low, high = epoch.rank_rows(batch)
        assert (low, high) == (rank * rows // num_ranks, (rank + 1) * rows // num_ranks)
        assert sum(take.stop - take.start for take in takes) == high - low


@fast
@given(plans())
def test_joined_units_respect_unit_rows_and_fragments_are_cut_only_at_lane_borders(plan: Plan) -> None:
    lanes_of: dict[int, list[int]] = {}
    for unit in plan.epoch(0).units:
        assert unit.num_rows <= plan.unit_rows or len(unit.pieces) == 1
        for piece in unit.pieces:
            assert 0 <= piece.start < piece.stop <= plan.fragment_rows[piece.fragment]
            lanes_of.setdefault(piece.fragment, []).append(unit.lane)
    for lanes in lanes_of.values():
        assert len(lanes) == len(set(lanes))


@fast
@given(plans())
def test_without_shuffle_the_rows_come_in_file_order(plan: Plan) -> None:
    plan = replace(plan, shuffle=False)
    epoch = plan.epoch(5)
    rows = [row for batch in read(epoch) for row in batch]
    assert rows == list(range(len(rows)))
    assert all(unit.lane == 0 and epoch.row_order(unit) is None for unit in epoch.units)


def test_the_same_seed_and_epoch_give_the_same_order_and_others_another() -> None:
    plan = Plan((40, 30, 50, 60), batch_size=16, shuffle=True, seed=7)
    order = read(plan.epoch(4))
    assert order == read(replace(plan).epoch(4))
    assert order != read(plan.epoch(5))
    assert order != read(replace(plan, seed=8).epoch(4))
    assert order != read(replace(plan, shuffle=False).epoch(4))


def test_seed_and_epoch_are_not_interchangeable() -> None:
    plan = Plan((40, 30, 50, 60), batch_size=16, shuffle=True, seed=1)
    assert read(plan.epoch(2)) != read(replace(plan, seed=2).epoch(1))


def test_a_shuffled_batch_draws_from_every_lane() -> None:
    plan = Plan((100,) * 16, batch_size=32, shuffle=True, num_lanes=8, unit_rows=200)
    epoch = plan.epoch(0)
    for takes in epoch.batches():
        assert {epoch.units[take.unit].lane for take in takes} == set(range(8))


def test_a_rank_reads_only_its_own_lanes_when_the_ranks_divide_the_lanes() -> None:
    plan = Plan((100,) * 16, batch_size=32, shuffle=True, num_lanes=8, unit_rows=200)
    for rank in range(4):
        lanes = {unit.lane for unit in plan.epoch(0, rank=rank, num_ranks=4).units}
        assert lanes == {2 * rank, 2 * rank + 1}


def test_mix_is_splitmix64() -> None:
    # The first outputs of the published generator for seed 0.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert plan_module._mix(0, np.arange(3)).tolist() == expected


def test_the_order_of_a_small_plan_never_changes() -> None:
    plan = Plan((5, 0, 3, 4, 2), batch_size=4, shuffle=True, seed=42, num_lanes=2, unit_rows=4)
    assert plan.epoch(0).units == GOLDEN_UNITS
    assert list(plan.epoch(0).batches()) == GOLDEN_TAKES
    assert read(plan.epoch(0)) == GOLDEN_ROWS[0]
    assert read(plan.epoch(1)) == GOLDEN_ROWS[1]
    assert read(replace(plan, seed=2**64 - 1).epoch(0)) == GOLDEN_ROWS[2]


def test_the_fingerprint_of_a_small_plan_never_changes() -> None:
    plan = Plan((5, 0, 3, 4, 2), batch_size=4, shuffle=True, seed=42, num_lanes=2, unit_rows=4)
    assert plan.fingerprint == GOLDEN_FINGERPRINT


@pytest.mark.parametrize("rows", [(), (0,), (0, 0, 0)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_rows_give_no_batches(rows: tuple[int, ...], shuffle: bool) -> None:
    plan = Plan(rows, batch_size=4, shuffle=shuffle)
    epoch = plan.epoch(0)
    assert (plan.num_rows, plan.batches_per_epoch, epoch.num_batches) == (0, 0, 0)
    assert (epoch.units, list(epoch.batches())) == ((), [])


def test_a_batch_larger_than_the_data_is_one_short_batch_or_none() -> None:
    plan = Plan((3, 4), batch_size=2**70, shuffle=True)
    assert sorted(read(plan.epoch(0))[0]) == list(range(7))
    assert read(replace(plan, drop_remainder=True).epoch(0)) == []


def test_a_rank_without_rows_in_a_short_batch_gets_an_empty_batch() -> None:
    plan = Plan((9,), batch_size=8)
    parts = [list(plan.epoch(0, rank=rank, num_ranks=4).batches())[-1] for rank in range(4)]
    assert [len(takes) for takes in parts] == [0, 0, 0, 1]


def test_drop_remainder_leaves_the_full_batches_as_they_are() -> None:
    plan = Plan((50, 7, 90), batch_size=32, shuffle=True, num_lanes=3, unit_rows=20)
    dropped = replace(plan, drop_remainder=True)
    assert (plan.batches_per_epoch, dropped.batches_per_epoch) == (5, 4)
    assert read(dropped.epoch(0)) == read(plan.epoch(0))[:-1]


def test_a_cursor_survives_json() -> None:
    plan = Plan((10, 20), batch_size=4)
    cursor = Cursor(epoch=2, batch=5, fingerprint=plan.fingerprint)
    again = Cursor.from_json(json.loads(json.dumps(cursor.to_json())))
    assert again == cursor
    plan.check(again)


@pytest.mark.parametrize("change", [{"epoch": "2"}, {"batch": None}, {"fingerprint": 3}])
def test_what_is_no_cursor_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.from_json({"epoch": 1, "batch": 2, "fingerprint": "a", **change})


@pytest.mark.parametrize(
    "change",
    [
        {"fragment_rows": (20, 10)},
        {"batch_size": 5},
        {"shuffle": True},
        {"seed": 1},
        {"drop_remainder": True},
        {"num_lanes": 4},
        {"unit_rows": 100},
    ],
)
def test_a_cursor_of_another_plan_is_refused_and_the_difference_named(change: dict[str, Any]) -> None:
    plan = Plan((10, 20), batch_size=4)
    cursor = Cursor(0, 1, plan.fingerprint)
    with pytest.raises(ValueError, match=f"changed since the checkpoint.*different: {next(iter(change))} "):
        replace(plan, **change).check(cursor)


def test_a_foreign_fingerprint_is_refused() -> None:
    with pytest.raises(ValueError, match=r"changed since the checkpoint.*'abc'"):
        Plan((10,), batch_size=4).check(Cursor(0, 0, "abc"))


@pytest.mark.parametrize(("epoch", "batch"), [(-1, 0), (0, -1), (0, 4)])
def test_a_cursor_outside_the_epoch_is_refused(epoch: int, batch: int) -> None:
    plan = Plan((10,), batch_size=4)
    plan.check(Cursor(0, 3, plan.fingerprint))
    with pytest.raises(ValueError, match="outside the plan"):
        plan.check(Cursor(epoch, batch, plan.fingerprint))


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"batch_size": 4.0},
        {"seed": -1},
        {"seed": 2**64},
        {"num_lanes": 0},
        {"unit_rows": 0},
        {"fragment_rows": (1, -2)},
    ],
)
def test_an_impossible_plan_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Plan(**{"fragment_rows": (10,), "batch_size": 4, **change})


@pytest.mark.parametrize("change", [{"epoch": -1}, {"rank": 2}, {"rank": -1}, {"num_ranks": 0}, {"start_batch": 4}])
def test_an_impossible_epoch_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Plan((10,), batch_size=4).epoch(**{"epoch": 0, "num_ranks": 2, **change})


def test_batches_outside_the_epoch_have_no_size() -> None:
    epoch = Plan((10,), batch_size=4).epoch(0)
    for batch in (-1, 3):
        with pytest.raises(IndexError, match=str(batch)):
            epoch.global_rows(batch)


def test_row_counts_from_numpy_make_the_same_plan() -> None:
    rows: Any = np.array([10, 20])
    assert Plan(rows, batch_size=4).fingerprint == Plan((10, 20), batch_size=4).fingerprint


def test_planning_twenty_thousand_fragments_is_quick() -> None:
    plan = Plan((65_536,) * 20_000, batch_size=4096, shuffle=True)
    seconds = []
    for number in range(3):
        begin = time.perf_counter()
        plan.epoch(number)
        seconds.append(time.perf_counter() - begin)
    # Takes well under 0.1 s; the margin is for busy machines.
    assert min(seconds) < 0.5


GOLDEN_UNITS = (
    Unit(lane=0, pieces=(Piece(3, 0, 4),)),
    Unit(lane=1, pieces=(Piece(0, 3, 5),)),
    Unit(lane=1, pieces=(Piece(2, 0, 3),)),
    Unit(lane=0, pieces=(Piece(0, 0, 3),)),
    Unit(lane=1, pieces=(Piece(4, 0, 2),)),
)
GOLDEN_TAKES = [
    (Take(0, 0, 2), Take(1, 0, 2)),
    (Take(0, 2, 4), Take(2, 0, 2)),
    (Take(3, 0, 2), Take(2, 2, 3), Take(4, 0, 1)),
    (Take(3, 2, 3), Take(4, 1, 2)),
]
# By (seed, epoch): (42, 0), (42, 1), (2**64 - 1, 0).
GOLDEN_ROWS = [
    [[11, 9, 4, 3], [8, 10, 6, 7], [2, 0, 5, 13], [1, 12]],
    [[11, 9, 4, 3], [10, 8, 1, 2], [6, 7, 0, 13], [5, 12]],
    [[0, 4, 7, 5], [1, 2, 6, 11], [3, 13, 9, 8], [12, 10]],
]
GOLDEN_FINGERPRINT = (
    "c1b023fd02fa4a089cc542a245fefdca182b2d21c1a3e796e54666a090508e3d"
    "fc827b0d7934f04332de5c2fd5a8e5271ac29144f6d7cd5e787197075b2960e9"
)
