"""Samples of rows, spread evenly over all of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raydnn.config.profiling import input_of
from raydnn.config.sampling import sample_rows, spread_places


@given(st.integers(0, 5000), st.integers(1, 500))
def test_each_stretch_of_the_rows_gives_one(total: int, most: int) -> None:
    places = spread_places(total, most)
    assert len(places) == min(total, most)
    assert (np.diff(places) > 0).all()
    if total > most:
        ends = np.arange(most + 1) * total // most
        assert ((places >= ends[:-1]) & (places < ends[1:])).all()


def test_all_rows_come_in_their_order_with_text_as_text(tmp_path: Path) -> None:
    table = pa.table({"x": np.arange(100), "w": ["a", "b"] * 50})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    assert sample_rows(input_of(str(tmp_path / "a.parquet")), 100, 1000).equals(table)


def test_some_rows_come_from_all_files_the_same_each_time(tmp_path: Path) -> None:
    for part in range(3):
        table = pa.table({"x": np.arange(1000 * part, 1000 * (part + 1)), "part": [part] * 1000})
        pyarrow.csv.write_csv(table, tmp_path / f"{part}.csv")
    source = input_of(str(tmp_path), "csv")
    found = sample_rows(source, 3000, 300)
    assert found["part"].to_pylist() == [0] * 100 + [1] * 100 + [2] * 100
    assert found.equals(sample_rows(source, 3000, 300))


def test_types_that_do_not_go_together_are_told(tmp_path: Path) -> None:
    for name, values in (("a", [1]), ("b", ["x"])):
        pq.write_table(pa.table({"x": values}), tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match="do not go together"):
        sample_rows(input_of(str(tmp_path), "parquet"), 2, 10)
