"""Files and tables that Ray Data reads."""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

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
def test_the_package_that_reads_a_table_is_asked_for(kind: str, package: str) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ModuleNotFoundError, match=f"db.table is read with the package {package}"):
        sources.read(kind, ["db.table"], {})


@pytest.mark.usefixtures("ray_four_cpus")
def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        sources.read("csv", ["nothing.csv"], {})
