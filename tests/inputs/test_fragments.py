"""Where rows are read from: Parquet row groups and slices of a table."""

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_data import fake_table

from raydnn import storage
from raydnn.inputs.fragments import TABLE_FRAGMENT_ROWS, Fragments, ParquetFragments, TableFragments


def numbered(start: int, stop: int) -> pa.Table:
    rows = range(start, stop)
    return pa.table({"row": list(rows), "word": [f"word{row % 3}" for row in rows]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files, of two, one and two row groups, and something that is no Parquet file."""
    pq.write_table(numbered(0, 7), tmp_path / "a.parquet", row_group_size=4)
    pq.write_table(numbered(7, 9), tmp_path / "b.parquet")
    pq.write_table(numbered(9, 15), tmp_path / "c.parquet", row_group_size=3)
    (tmp_path / "README").write_text("no data")
    return tmp_path


def read_all(fragments: Fragments, column: str = "row") -> list[int]:
    batches = [fragments.read(place, 0, rows, None) for place, rows in enumerate(fragments.rows)]
    return [value for batch in batches for value in batch.column(column).to_pylist()]


def test_a_folder_stands_for_its_parquet_files_in_sorted_order(folder: Path) -> None:
    fragments = ParquetFragments.open(str(folder))
    assert fragments.rows == (4, 3, 2, 3, 3)
    assert read_all(fragments) == list(range(15))


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
def test_files_are_read_in_sorted_order_however_they_are_given(folder: Path, order: tuple[str, ...]) -> None:
    fragments = ParquetFragments.open([str(folder / f"{name}.parquet") for name in order])
    assert read_all(fragments) == list(range(15))
    assert fragments.fingerprint == ParquetFragments.open(str(folder)).fingerprint


def test_one_file_will_do(folder: Path) -> None:
    assert read_all(ParquetFragments.open(str(folder / "c.parquet"))) == list(range(9, 15))


def test_files_may_lie_on_an_object_store(folder: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("a.parquet", "b.parquet"):
        storage.write_bytes(f"{url}/{name}", (folder / name).read_bytes())
    assert read_all(ParquetFragments.open(url)) == list(range(9))
    assert read_all(ParquetFragments.open([f"{url}/b.parquet"])) == [7, 8]


def test_a_part_of_a_row_group_can_be_read(folder: Path) -> None:
    fragments = ParquetFragments.open(str(folder))
    assert fragments.read(0, 1, 3, ["row"]).to_pydict() == {"row": [1, 2]}
    assert fragments.read(3, 0, 0, ["row"]).to_pydict() == {"row": []}


def test_text_is_read_as_the_dictionary_of_its_row_group(folder: Path) -> None:
    batch = ParquetFragments.open(str(folder)).read(0, 0, 4, None)
    column = batch.column("word")
    assert pa.types.is_dictionary(column.type)
    assert len(column.dictionary) == 3
    assert column.to_pylist() == ["word0", "word1", "word2", "word0"]


def test_lists_and_missing_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = fake_table(20)
    pq.write_table(table, tmp_path / "fake.parquet", row_group_size=8)
    fragments = ParquetFragments.open(str(tmp_path))
    for name in table.schema.names:
        assert read_all(fragments, name) == table[name].to_pylist()


def test_columns_that_are_not_there_are_left_out(folder: Path) -> None:
    for fragments in (ParquetFragments.open(str(folder)), TableFragments(numbered(0, 4))):
        assert fragments.read(0, 0, 1, ["missing", "row"]).schema.names == ["row"]


@pytest.mark.parametrize("name", ["missing.parquet", "missing"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"there is no file .*{name}"):
        ParquetFragments.open([str(folder / "a.parquet"), str(folder / name)])


def test_a_folder_without_parquet_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} holds no \*\.parquet file"):
        ParquetFragments.open(str(tmp_path))


def test_the_fingerprint_changes_when_a_file_does(folder: Path) -> None:
    before = ParquetFragments.open(str(folder)).fingerprint
    assert ParquetFragments.open(str(folder)).fingerprint == before
    pq.write_table(numbered(0, 8), folder / "a.parquet")
    assert ParquetFragments.open(str(folder)).fingerprint != before


def test_a_long_table_is_cut_into_fragments() -> None:
    num_rows = TABLE_FRAGMENT_ROWS + 10
    fragments = TableFragments(pa.table({"row": range(num_rows)}))
    assert fragments.rows == (TABLE_FRAGMENT_ROWS, 10)
    assert read_all(fragments) == list(range(num_rows))
    assert fragments.read(1, 3, 5, None).to_pydict() == {"row": [TABLE_FRAGMENT_ROWS + 3, TABLE_FRAGMENT_ROWS + 4]}


def test_a_table_of_many_chunks_is_read_across_them() -> None:
    fragments = TableFragments(pa.concat_tables([numbered(0, 3), numbered(3, 5), numbered(5, 9)]))
    assert fragments.rows == (9,)
    assert fragments.read(0, 2, 6, None).column("row").to_pylist() == [2, 3, 4, 5]


@pytest.mark.parametrize("other", [numbered(0, 5), numbered(0, 4).rename_columns(["row", "text"])])
def test_the_fingerprint_of_a_table_tells_its_length_and_columns(other: pa.Table) -> None:
    table = TableFragments(numbered(0, 4))
    assert table.fingerprint == TableFragments(numbered(4, 8)).fingerprint
    assert table.fingerprint != TableFragments(other).fingerprint
