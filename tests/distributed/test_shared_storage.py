"""Finding out which nodes see a folder."""

from pathlib import Path

import pytest

from raydnn.distributed import shared_storage

pytestmark = [pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]


def test_nodes_that_do_not_see_a_file_are_named(tmp_path: Path) -> None:
    (name,) = shared_storage._alive_nodes().values()
    (tmp_path / "there").touch()
    assert shared_storage.nodes_without(str(tmp_path / "there")) == []
    assert shared_storage.nodes_without(str(tmp_path / "missing")) == [name]


def test_a_folder_that_some_node_does_not_see_is_refused_by_the_nodes_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_dir = str(tmp_path / "model")
    shared_storage.check_shared(model_dir)
    assert not Path(model_dir).exists(), "one node needs no probe"
    two = dict.fromkeys([*shared_storage._alive_nodes(), "f" * 56], "10.0.0.7")
    monkeypatch.setattr(shared_storage, "_alive_nodes", lambda: two)
    monkeypatch.setattr(shared_storage, "nodes_without", lambda path: [] if Path(path).exists() else ["10.0.0.7"])
    shared_storage.check_shared(model_dir)
    assert list(Path(model_dir).iterdir()) == [], "the probe is taken away"
    monkeypatch.setattr(shared_storage, "nodes_without", lambda path: ["10.0.0.7"])
    with pytest.raises(ValueError, match=r"do not see \(10.0.0.7\): give a shared folder"):
        shared_storage.check_shared(model_dir)
