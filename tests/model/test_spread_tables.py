"""Tables spread over replicas, against the same tables in one place."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_cases import Case, cases, look_up
from thread_replicas import ThreadExchange, run_replicas
from torch import Tensor

from raydnn.initializers import GlorotUniform, RandomNormal, TruncatedNormal
from raydnn.model import initializers
from raydnn.model.batch import RowIds
from raydnn.model.initializers import initial_rows
from raydnn.model.rows import Rows
from raydnn.model.tables import Table, TableGroup

DIMENSION = 3
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def group_of(case: Case, exchange: ThreadExchange | None = None) -> TableGroup:
    """The group with numbers that depend on table and row alone."""
    tables = [Table(f"table_{place}", rows, None) for place, rows in enumerate(case.table_rows)]
    group = TableGroup(DIMENSION, tables, True, case.max_norm, exchange)
    for place, table in enumerate(tables):
        values = torch.randn(table.num_rows, DIMENSION, generator=torch.Generator().manual_seed(place))
        group.view(place).copy_(values[group.rows(place).places])
    return group


def part_of(ids: RowIds, start: int, stop: int) -> RowIds:
    """The ids of some rows of the batch."""
    if ids.offsets is None:
        return RowIds(ids.values[start:stop], None, None if ids.weights is None else ids.weights[start:stop])
    first, last = int(ids.offsets[start]), int(ids.offsets[stop])
    weights = None if ids.weights is None else ids.weights[first:last]
    return RowIds(ids.values[first:last], ids.offsets[start : stop + 1] - first, weights)


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(1, 4))
def test_a_spread_group_looks_up_and_learns_as_a_whole_one(case: Case, size: int) -> None:
    whole = group_of(case)
    expected = torch.stack(look_up(whole, case.uses, case.batch_ids(), case.num_rows))
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(9))
    expected.backward(upstream)
    gradient = torch.zeros_like(whole.weight)
    if (touched := whole.take_gradient()) is not None:
        gradient[touched.rows] = touched.values

    def replica(exchange: ThreadExchange) -> tuple[Tensor, list[Tensor]]:
        start, stop = (case.num_rows * rank // size for rank in (exchange.rank, exchange.rank + 1))
        group = group_of(case, exchange)
        ids = [part_of(each, start, stop) for each in case.batch_ids()]
        found = torch.stack(look_up(group, case.uses, ids, stop - start))
        found.backward(upstream[:, start:stop])
        of_rows = torch.zeros_like(group.weight)
        if (touched := group.take_gradient()) is not None:
            assert len(set(touched.rows.tolist())) == len(touched.rows)
            of_rows[touched.rows] = touched.values
        views = [
            of_rows.narrow(0, group.first_rows[place], len(group.rows(place))) for place in range(len(group.tables))
        ]
        return found.detach(), views

    parts = run_replicas(size, replica)
    torch.testing.assert_close(torch.cat([found for found, _ in parts], dim=1), expected.detach(), **CLOSE)
    for place, (first, rows) in enumerate(zip(whole.first_rows, case.table_rows, strict=False)):
        joined = torch.empty(rows, DIMENSION)
        for rank, (_, views) in enumerate(parts):
            joined[Rows((rank - place) % size, size, rows).places] = views[place]
        torch.testing.assert_close(joined, gradient[first : first + rows], **CLOSE)


@given(st.integers(0, 20), st.integers(1, 5), st.data())
def test_rows_are_counted_taken_and_cut(total: int, step: int, data: st.DataObject) -> None:
    rows = Rows(data.draw(st.integers(0, step - 1)), step, total)
    held = list(range(total))[rows.places]
    assert len(rows) == len(held)
    start = data.draw(st.integers(0, total))
    stop = data.draw(st.integers(start, total))
    part, place = rows.within(start, stop)
    assert [row + start for row in list(range(stop - start))[part.places]] == held[place]
    assert held[place] == [row for row in held if start <= row < stop]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_every_row_lies_on_one_replica_and_they_hold_about_the_same(table_rows: list[int], size: int) -> None:
    tables = [Table(f"t{place}", rows, None) for place, rows in enumerate(table_rows)]
    groups = run_replicas(size, lambda exchange: TableGroup(1, tables, True, None, exchange))
    held = [sum(len(group.rows(place)) for place in range(len(tables))) for group in groups]
    assert sum(held) == sum(table_rows)
    assert max(held) - min(held) <= len(tables)
    for place, rows in enumerate(table_rows):
        keys = groups[0].keys(torch.full((rows + 1,), place), torch.arange(-1, rows))
        assert keys[0] == -1
        owners, places = keys[1:] // groups[0].first_rows[-1], keys[1:] % groups[0].first_rows[-1]
        for rank, group in enumerate(groups):
            mine = places[owners == rank]
            first = group.first_rows[place]
            assert mine.tolist() == list(range(first, first + len(group.rows(place))))


@pytest.mark.parametrize(
    "initializer", [TruncatedNormal(stddev=0.5), RandomNormal(), GlorotUniform(), RandomNormal(seed=3)]
)
def test_initial_values_do_not_depend_on_where_rows_lie(initializer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initializers, "_ROWS_OF_A_DRAW", 7)

    def drawn(rows: Rows) -> Tensor:
        out = torch.full((len(rows), 2), torch.nan)
        initial_rows(out, initializer, rows, seed=5, name="table")  # type: ignore[arg-type]
        return out

    whole = drawn(Rows(0, 1, 30))
    assert len(whole.unique()) == 60
    for step in (2, 3, 4):
        for first in range(step):
            rows = Rows(first, step, 30)
            assert torch.equal(drawn(rows), whole[rows.places])
