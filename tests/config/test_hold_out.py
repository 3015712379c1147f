"""Rows set apart for evaluation."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from raydnn import errors, storage
from raydnn.config.hold_out import hold_out
from raydnn.config.profiling import input_of

ROWS = pa.table({"id": range(1000), "city": [None, "oslo"] * 500})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_each_row_comes_into_one_part(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    (pyarrow.csv.write_csv if suffix == "csv" else pq.write_table)(ROWS, path)
    kept, held_out = hold_out(input_of(str(path)), str(tmp_path / "out"), 0.2, 1)
    parts = [pq.read_table(tmp_path / "out" / name) for name in ("train.parquet", "eval.parquet")]
    assert [part.num_rows for part in parts] == [kept, held_out]
    assert 150 < held_out < 250
    assert sorted(value for part in parts for value in part["id"].to_pylist()) == list(range(1000))
    assert parts[0]["id"].to_pylist() == sorted(parts[0]["id"].to_pylist())


def test_the_seed_tells_the_rows(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    source = input_of(str(tmp_path / "rows.parquet"))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        hold_out(source, str(tmp_path / name), 0.5, seed)
    first, same, other = (pq.read_table(tmp_path / name / "eval.parquet") for name in "abc")
    assert first.equals(same)
    assert not first.equals(other)


def test_several_files_of_another_file_system_are_one_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        storage.write_bytes(f"memory://held/{name}.csv", b"x,y\n" + b"1,2\n" * 100)
    assert sum(hold_out(input_of("memory://held", "csv"), "memory://parts", 0.3, 0)) == 200
    assert storage.exists("memory://parts/train.parquet")
    storage.remove_folder("memory://held")
    storage.remove_folder("memory://parts")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("x\n1\n", "rows.csv", "of 1 rows in .*rows.csv, 0 would be held out; both parts need some"),
        ("x\n1\n2,3\n", "rows.csv", "cannot be read as csv"),
        ("", "table.delta", "is of the format delta; only CSV and Parquet are split"),
    ],
)
def test_rows_that_cannot_be_split_leave_nothing(tmp_path: Path, content: str, name: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(errors.ConfigError, match=message):
        hold_out(input_of(str(tmp_path / name)), str(tmp_path / "out"), 0.2, 0)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    with pytest.raises(FileExistsError, match="choose another folder"):
        hold_out(input_of(str(tmp_path / "rows.parquet")), str(tmp_path), 0.2, 0)
