"""Files and folders appear whole or not at all, on a local disk and on an object store."""

import errno
import tempfile
import uuid
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from safetensors import SafetensorError

from raydnn import errors, storage


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def fill(url: str, files: dict[str, bytes], last: str = "manifest.json") -> None:
    with storage.new_folder(url, last=last) as folder:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def fill_and_fail(url: str) -> None:
    with storage.new_folder(url, last="manifest.json") as folder:
        (folder / "manifest.json").write_bytes(b"new")
        raise ZeroDivisionError


def test_written_bytes_are_read_back(root: str) -> None:
    url = storage.join(root, "folder", "file")
    storage.write_bytes(url, b"old")
    storage.write_bytes(url, b"new")
    assert storage.read_bytes(url) == b"new"
    assert storage.list_folder(storage.join(root, "folder")) == ["file"]


def test_a_local_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        storage.write_bytes(str(tmp_path / "taken"), b"content")
    assert storage.list_folder(str(tmp_path)) == ["taken"]


def test_a_new_folder_holds_what_was_put_into_it(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    fill(url, {"manifest.json": b"{}", "deep/weights": b"1"})
    assert storage.list_folder(root) == ["model.ckpt-1"]
    assert storage.list_folder(url) == ["deep", "manifest.json"]
    assert storage.read_bytes(storage.join(url, "deep", "weights")) == b"1"


def test_a_new_folder_replaces_an_older_one_wholly(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    fill(url, {"manifest.json": b"old", "only in the old one": b""})
    fill(url, {"manifest.json": b"new"})
    assert storage.list_folder(url) == ["manifest.json"]
    assert storage.read_bytes(storage.join(url, "manifest.json")) == b"new"
    assert storage.list_folder(root) == ["model.ckpt-1"]


def test_a_block_that_fails_leaves_nothing(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    with pytest.raises(ZeroDivisionError):
        fill_and_fail(url)
    assert not storage.exists(url)
    assert storage.list_folder(root) == []


def test_a_block_that_fails_leaves_the_older_folder(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    fill(url, {"manifest.json": b"old"})
    with pytest.raises(ZeroDivisionError):
        fill_and_fail(url)
    assert storage.read_bytes(storage.join(url, "manifest.json")) == b"old"
    assert storage.list_folder(root) == ["model.ckpt-1"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_with_its_free_bytes_and_the_way_out(root: str, error: Exception) -> None:
    # What goes to an object store is written into a temporary folder of this machine first.
    disk = root if storage.is_local(root) else tempfile.gettempdir()
    found = rf"\d+ bytes are free: make room, then run the same program again: '{disk}"
    for block in (storage.new_file(f"{root}/file"), storage.new_folder(f"{root}/folder", last="manifest.json")):
        with pytest.raises(errors.ResourceExhaustedError, match=found) as raised, block:
            raise error
        assert raised.value.errno in (errno.ENOSPC, errno.EDQUOT)
    assert storage.list_folder(root) == []


def test_other_errors_of_a_block_stay_as_they_are(root: str) -> None:
    for error in (FileNotFoundError(errno.ENOENT, "No such file"), SafetensorError("no number")):
        with pytest.raises(type(error)) as raised, storage.new_file(f"{root}/file"):
            raise error
        assert raised.value is error


def test_the_completing_file_is_uploaded_after_all_others() -> None:
    url = f"memory://{uuid.uuid4().hex}/model.ckpt-1"
    fill(url, {"a": b"", "completing": b"", "z/deep": b""}, last="completing")
    system, path = storage.filesystem(url)
    uploaded = {name: system.created(f"{path}/{name}") for name in ("a", "completing", "z/deep")}
    assert max(uploaded, key=uploaded.__getitem__) == "completing"


class RememberingFileSystem(fsspec.AbstractFileSystem):
    """Remembers its listings, as the clients of object stores do."""

    protocol = "remembering"
    files: ClassVar[list[str]] = []

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        folder = self._strip_protocol(path)
        if folder not in self.dircache:
            found = [file for file in self.files if file.startswith(f"{folder}/")]
            self.dircache[folder] = [{"name": file, "size": 0, "type": "file"} for file in found]
        return self.dircache[folder] if detail else [entry["name"] for entry in self.dircache[folder]]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()


def test_a_filled_folder_appears_at_the_end_of_the_block(root: str) -> None:
    url = storage.join(root, "filled")
    with storage.filled_folder(url) as folder:
        storage.write_bytes(storage.join(folder, "a"), b"1")
        assert not storage.exists(url)
    assert storage.list_folder(url) == ["a"]
    assert storage.read_bytes(storage.join(url, "a")) == b"1"
    assert not storage.exists(folder)
    with pytest.raises(FileExistsError, match="is there already"), storage.filled_folder(url):
        pass


def test_a_folder_that_is_not_filled_to_the_end_leaves_nothing(root: str) -> None:
    with pytest.raises(RuntimeError), storage.filled_folder(storage.join(root, "filled")) as folder:
        storage.write_bytes(storage.join(folder, "a"), b"1")
        raise RuntimeError
    assert storage.list_folder(root) == []


def test_a_listing_does_not_hide_what_other_processes_write_afterwards() -> None:
    fsspec.register_implementation("remembering", RememberingFileSystem, clobber=True)
    RememberingFileSystem.files[:] = ["root/first"]
    assert storage.list_folder("remembering://root") == ["first"]
    RememberingFileSystem.files.append("root/second")
    assert storage.exists("remembering://root/second")
    RememberingFileSystem.files.append("root/third")
    assert storage.list_folder("remembering://root") == ["first", "second", "third"]


def test_a_missing_folder_lists_nothing_and_can_be_removed(root: str) -> None:
    missing = storage.join(root, "missing")
    assert storage.list_folder(missing) == []
    assert not storage.exists(missing)
    storage.remove_folder(missing)


def test_a_removed_folder_is_gone_with_all_in_it(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    fill(url, {"manifest.json": b"{}", "deep/weights": b"1"})
    storage.remove_folder(url)
    assert not storage.exists(url)


def test_a_discarded_folder_is_gone_with_all_in_it(root: str) -> None:
    url = storage.join(root, "model.ckpt-1")
    fill(url, {"manifest.json": b"{}", "deep/weights": b"1"})
    storage.discard_folder(url, last="manifest.json")
    storage.discard_folder(url, last="manifest.json")
    assert storage.list_folder(root) == []


def test_leftovers_go_and_nothing_else(tmp_path: Path) -> None:
    leftovers = ["model.ckpt-1.tmp-01234567", "model.ckpt-12.tmp-89abcdef-replaced", "checkpoint.tmp-0a1b2c3d"]
    others = [
        "model.ckpt-1.tmp-0123456",
        "model.ckpt-1.tmp-0123456g",
        "model.ckpt-1.tmp-01234567-copy",
        "model.ckpt-x.tmp-01234567",
        "my-model.ckpt-1.tmp-01234567",
        "model.ckpt-12",
        "notes.tmp-01234567",
    ]
    for name in [*leftovers[:2], *others]:
        fill(str(tmp_path / name), {"deep/weights": b"1"})
    (tmp_path / leftovers[2]).write_text("half")
    storage.remove_leftovers(str(tmp_path), r"checkpoint|model\.ckpt-\d+")
    assert storage.list_folder(str(tmp_path)) == sorted(others)


def test_what_was_replaced_goes_back_if_nothing_took_its_place(tmp_path: Path) -> None:
    fill(str(tmp_path / "model.ckpt-2.tmp-01234567-replaced"), {"manifest.json": b"older"})
    fill(str(tmp_path / "model.ckpt-2.tmp-01234567"), {"manifest.json": b"newer"})
    storage.remove_leftovers(str(tmp_path), r"model\.ckpt-\d+")
    assert storage.list_folder(str(tmp_path)) == ["model.ckpt-2"]
    assert storage.read_bytes(str(tmp_path / "model.ckpt-2" / "manifest.json")) == b"older"


def test_where_there_is_nothing_there_are_no_leftovers(root: str) -> None:
    storage.remove_leftovers(storage.join(root, "missing"), ".*")


def test_a_local_copy_has_the_content(root: str) -> None:
    url = storage.join(root, "file")
    storage.write_bytes(url, b"content")
    with storage.local_copy(url) as path:
        assert path.read_bytes() == b"content"
    assert storage.exists(url)
    assert path.exists() == storage.is_local(url)


@pytest.mark.parametrize(
    ("folder", "joined"), [("/a/b", "/a/b/c/d"), ("/a/b/", "/a/b/c/d"), ("memory://a", "memory://a/c/d")]
)
def test_join_keeps_the_kind_of_the_folder(folder: str, joined: str) -> None:
    assert storage.join(folder, "c", "d") == joined
    assert storage.is_local(joined) == storage.is_local(folder)
