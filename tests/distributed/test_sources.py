"""Files and tables that Ray Data reads."""

import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from raydnn.distributed import sources


@pytest.mark.usefixtures("ray_four_cpus")
@pytest.mark.filterwarnings("default")  # Ray warns of what it does itself
def test_a_folder_and_another_file_system_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("x\n3\n")
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "notes.txt").write_text("no rows")
    (tmp_path / "c.csv.part").write_text("x\n4\n")
    assert sources.read("csv", [str(tmp_path)], {}).take_all() == [{"x": x} for x in (1, 2, 3, 4)]
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.write(tmp_path / "b.csv", "b.csv")
    assert sources.read("csv", [f"zip://b.csv::{tmp_path}/rows.zip"], {}).take_all() == [{"x": 3}]


@pytest.mark.parametrize(("kind", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg")])
def test_the_package_that_reads_a_table_is_asked_for(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=f"db.table is read with the package {package}"):
        sources.read(kind, ["db.table"], {})


@pytest.mark.usefixtures("ray_four_cpus")
@pytest.mark.filterwarnings("default")
def test_a_delta_table_is_read_with_what_was_added_to_it(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "clicks", pa.table({"x": [1, 2]}))
    write_deltalake(tmp_path / "clicks", pa.table({"x": [3]}), mode="append")
    rows = sources.read("delta", [str(tmp_path / "clicks")], {}).take_all()
    assert sorted(row["x"] for row in rows) == [1, 2, 3]


@pytest.mark.usefixtures("ray_four_cpus")
@pytest.mark.filterwarnings("default")
def test_an_iceberg_table_is_read_through_its_catalog(tmp_path: Path) -> None:
    place = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": tmp_path.as_uri()}
    catalog = SqlCatalog("shop", **place)
    catalog.create_namespace("shop")
    table = pa.table({"x": [1, 2]})
    catalog.create_table("shop.clicks", schema=table.schema).append(table)
    catalog.close()
    options = {"catalog_kwargs": {"name": "shop", **place}}
    assert sources.read("iceberg", ["shop.clicks"], options).take_all() == [{"x": 1}, {"x": 2}]


@pytest.mark.usefixtures("ray_four_cpus")
def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        sources.read("csv", ["nothing.csv"], {})
