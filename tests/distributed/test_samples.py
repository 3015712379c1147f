"""Samples of rows that Ray Data reads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn.config import profiling
from raydnn.config.profiling import input_of
from raydnn.config.sampling import sample_rows

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]


def test_rows_are_drawn_in_their_order_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "LOCAL_BYTES", 0)
    for part in range(2):
        pq.write_table(pa.table({"x": np.arange(2000 * part, 2000 * (part + 1))}), tmp_path / f"{part}.parquet")
    source = input_of(str(tmp_path), "parquet")
    drawn = sample_rows(source, 4000, 1000)["x"].to_numpy()
    assert 850 < len(drawn) < 1150
    assert (np.diff(drawn) > 0).all()
    assert abs((drawn < 2000).mean() - 0.5) < 0.1
    np.testing.assert_array_equal(drawn, sample_rows(source, 4000, 1000)["x"].to_numpy())
