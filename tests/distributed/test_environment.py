"""Variables that are set for a while, and who decides on them."""

import os
from pathlib import Path

import pytest

from raydnn.distributed import sources
from raydnn.distributed.environment import environment


@pytest.mark.parametrize(("given_stay", "expected"), [(True, "user"), (False, "ours")])
def test_variables_are_set_within_the_block_and_are_then_as_they_were(
    given_stay: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYDNN_GIVEN", "user")
    monkeypatch.delenv("RAYDNN_NEW", raising=False)
    with pytest.raises(KeyError), environment({"RAYDNN_GIVEN": "ours", "RAYDNN_NEW": "ours"}, given_stay):
        assert (os.environ["RAYDNN_GIVEN"], os.environ["RAYDNN_NEW"]) == (expected, "ours")
        raise KeyError
    assert os.environ["RAYDNN_GIVEN"] == "user"
    assert "RAYDNN_NEW" not in os.environ


@pytest.mark.usefixtures("ray_four_cpus")
@pytest.mark.parametrize(("files", "expected"), [(1, "1"), (10, "1"), (11, "2"), (400, "32")])
def test_as_many_processes_read_the_ends_of_files_as_have_some_to_read(
    files: int, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS"
    monkeypatch.delenv(name)
    paths = [tmp_path / f"{place}.parquet" for place in range(files)]
    for path in paths:
        path.touch()
    found = []
    monkeypatch.setitem(sources._FILE_READERS, "parquet", lambda *_, **__: found.append(os.environ[name]))
    sources.read("parquet", [str(tmp_path)], {})
    assert found == [expected]
    assert name not in os.environ
