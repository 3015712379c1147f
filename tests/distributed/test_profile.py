"""Profiles of rows that Ray Data reads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn.config import profiling
from raydnn.config.profile import profile_rows
from raydnn.config.profiling import input_of, profile_input

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]


def test_large_files_are_profiled_in_parts_with_the_result_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "LOCAL_BYTES", 0)
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "x": random.normal(size=3000),
            "word": [f"w{number}" for number in random.integers(0, 50, 3000)],
            "words": [["a"] * (place % 3) if place % 5 else None for place in range(3000)],
        }
    )
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    for part in range(3):
        pq.write_table(table.slice(1000 * part, 1000), folder / f"{part}.parquet")
    watched = {"word": pa.array(["w0", "w1"])}
    found, whole = profile_input(input_of(str(folder)), watched), profile_rows(table, watched)
    assert (found.rows, list(found.columns)) == (3000, ["x", "word", "words"])
    for name, column in found.columns.items():
        other = whole.columns[name]
        assert (column.missing, column.values, column.distinct, column.watched) == (
            other.missing,
            other.values,
            other.distinct,
            other.watched,
        )
        assert column.sketch.top(9) == other.sketch.top(9)
        assert column.lengths.mean == pytest.approx(other.lengths.mean)
    assert found.columns["x"].moments.std == pytest.approx(whole.columns["x"].moments.std, rel=1e-12)
