"""Files and folders on any fsspec file system; what is written appears whole or not at all."""

import errno
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from safetensors import SafetensorError

from raydnn import errors

# What a file system says that has no room left, or that may not be written.
_REFUSALS: dict[int | None, type[errors.OpError]] = {
    errno.ENOSPC: errors.ResourceExhaustedError,
    errno.EDQUOT: errors.ResourceExhaustedError,
    errno.EROFS: errors.PermissionDeniedError,
}


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL or a local path, and the path within it."""
    system, path = fsspec.url_to_fs(url)
    return system, path


def is_local(url: str) -> bool:
    """Whether a URL lies on this machine's file system."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def absolute(url: str) -> str:
    """A local path as it stands for every working directory; a URL as it is."""
    return os.path.abspath(filesystem(url)[1]) if is_local(url) else url


def join(folder: str, *names: str) -> str:
    """A path below a folder, of the folder's own kind (local or URL)."""
    return "/".join([folder.rstrip("/"), *names])


def exists(url: str) -> bool:
    """Whether a file or folder is there."""
    system, path = filesystem(url)
    return bool(system.exists(path))


def list_folder(url: str) -> list[str]:
    """The names in a folder, sorted; none if it is not there."""
    system, path = filesystem(url)
    # Other processes write too: a listing that the client of an object store remembers would hide that from whatever
    # is asked next.
    system.invalidate_cache(path)
    entries = system.ls(path, detail=False) if system.isdir(path) else []
    system.invalidate_cache(path)
    return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries)


def read_bytes(url: str) -> bytes:
    """The content of a file."""
    system, path = filesystem(url)
    return bytes(system.cat_file(path))


def remove_file(url: str) -> None:
    """Remove a file, if it is there."""
    system, path = filesystem(url)
    with suppress(FileNotFoundError):
        system.rm_file(path)


def remove_folder(url: str) -> None:
    """Remove a folder and all in it, if it is there."""
    system, path = filesystem(url)
    if system.exists(path):
        system.rm(path, recursive=True)


def discard_folder(url: str, last: str) -> None:
    """Remove a folder, if it is there, so that a part of it is never taken for the whole.

    If the process dies meanwhile, `remove_leftovers` finds what is left.

    Args:
        url: of the folder.
        last: name of the file that completes it, see `new_folder`; on an object store it goes first.
    """
    system, path = filesystem(url)
    folder = Path(path)
    if not isinstance(system, LocalFileSystem):
        remove_file(join(url, last))
        remove_folder(url)
    elif folder.exists():
        temporary = _temporary(folder)
        folder.rename(temporary)
        shutil.rmtree(temporary)


def remove_leftovers(url: str, names: str, last: str | None = None) -> None:
    """Remove what killed processes left of files and folders that they were writing or discarding.

    What was replaced goes back to its place if nothing has taken it. Nobody else may be writing these names meanwhile.

    Args:
        url: of the folder to search.
        names: regular expression for the names that were written or discarded.
        last: where they are folders, name of the file that completes each, see `new_folder`: on an object store, which
            cannot rename, a folder without it is a leftover.
    """
    system, path = filesystem(url)
    is_local_folder = isinstance(system, LocalFileSystem)
    leftover = re.compile(rf"({names})\.tmp-[0-9a-f]{{8}}(-replaced)?")
    for name in list_folder(url):
        match = leftover.fullmatch(name)
        if not is_local_folder:
            is_incomplete = last is not None and re.fullmatch(names, name) and not exists(join(url, name, last))
            if match or is_incomplete:
                remove_folder(join(url, name))
            continue
        if match is None:
            continue
        found, place = Path(path, name), Path(path, match[1])
        if match[2] and not place.exists():
            found.rename(place)
        elif found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)


def write_bytes(url: str, content: bytes) -> None:
    """Write a file; a reader finds the old content or the new one, nothing between."""
    system, path = filesystem(url)
    if not isinstance(system, LocalFileSystem):
        system.pipe_file(path, content)
        return
    with new_file(url) as file:
        file.write_bytes(content)


def check_writable(url: str) -> None:
    """Refuse a local folder that cannot be written, before any work is done; it is made if it is not there.

    Raises:
        OSError: such as PermissionError; the message names the folder.
    """
    if not is_local(url):
        return
    folder = filesystem(url)[1]
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _REFUSALS.get(error.errno, type(error))(
            error.errno, f"model_dir cannot be written ({error.strerror}); choose another folder", folder
        ) from error


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Where a file system takes nothing more, an error says so, and the way out.

    Args:
        path: of the file or folder that the block writes, within the local file system.

    Raises:
        ResourceExhaustedError: the disk is full, or what the user may have of it; an OSError with errno ENOSPC or
            EDQUOT.
        PermissionDeniedError: the file system is read-only; a PermissionError with errno EROFS.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _error_number(error)
        if number not in _REFUSALS or isinstance(error, errors.OpError):
            raise
        assert number is not None
        if number == errno.EROFS:
            reason = "the file system is read-only: make it writable"
        else:
            folder = next(each for each in (Path(path), *Path(path).parents) if each.is_dir())
            reason = f"{os.strerror(number)}, {shutil.disk_usage(folder).free} bytes are free: make room"
        raise _REFUSALS[number](number, f"{reason}, then run the same program again", path) from error


def _error_number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # Safetensors tells it in its text alone.
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


@contextmanager
def reservation(url: str) -> Iterator[bool]:
    """Hold a name against other processes, by an empty folder that is there meanwhile.

    Yields:
        Whether nobody else holds it. An object store cannot tell and lets everyone have it.
    """
    system, path = filesystem(url)
    if not isinstance(system, LocalFileSystem):
        yield True
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        Path(path).mkdir()
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        Path(path).rmdir()


def temporary_name(url: str) -> str:
    """A free name beside a file or folder; `remove_leftovers` knows its form."""
    return f"{url.rstrip('/')}.tmp-{uuid.uuid4().hex[:8]}"


@contextmanager
def new_file(url: str) -> Iterator[Path]:
    """A local file to write, which then appears under `url` whole, folders included.

    Yields:
        The path to write to. If the block raises, nothing is left.
    """
    system, path = filesystem(url)
    if not isinstance(system, LocalFileSystem):
        with writing(tempfile.gettempdir()), tempfile.TemporaryDirectory() as folder:
            yield Path(folder, "file")
            system.put_file(str(Path(folder, "file")), path)
        return
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(Path(path))
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def filled_folder(url: str) -> Iterator[str]:
    """A folder to fill on the same file system, by any process that sees it, which then gets its name.

    On a local file system it appears whole. On an object store, which cannot rename, its files do, one after the other.

    Args:
        url: of the folder, which must not be there.

    Yields:
        The folder to fill. If the block raises, nothing is left.

    Raises:
        FileExistsError: something of that name is there.
    """
    if exists(url):
        raise FileExistsError(f"{url} is there already; remove it, or choose another folder")
    temporary = temporary_name(url)
    system, path = filesystem(temporary)
    final = filesystem(url)[1]
    is_local_folder = isinstance(system, LocalFileSystem)
    with writing(path if is_local_folder else tempfile.gettempdir()):
        try:
            system.makedirs(path, exist_ok=True)
            yield temporary
            if is_local_folder:
                os.rename(path, final)
            else:
                _copy_files(system, path, final)
                remove_folder(temporary)
        except BaseException:
            with suppress(OSError):
                remove_folder(temporary)
            raise


@contextmanager
def new_folder(url: str, last: str, parts: Sequence[str] = ()) -> Iterator[Path]:
    """A local folder to fill, which then appears under `url` whole.

    On a local file system it is filled beside its place and renamed. On an object store the files are uploaded, the
    file named `last` after all others: its presence makes the folder complete.

    Args:
        url: of the folder; one that is there already is replaced.
        last: name of the file that completes the folder.
        parts: URLs of files on the same file system that move in with those that the block makes.

    Yields:
        The folder to fill. If the block raises, nothing is left.
    """
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        with writing(path), _renamed_folder(Path(path)) as folder:
            for part in parts:
                file = Path(filesystem(part)[1])
                file.rename(folder / file.name)
            yield folder
        return
    with writing(tempfile.gettempdir()), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield folder
        # All of an older folder goes first, or its last file would vouch for a mixture of both.
        discard_folder(url, last)
        for part in parts:
            _move(system, filesystem(part)[1], f"{path}/{part.rsplit('/', 1)[-1]}")
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in sorted(files, key=lambda file: file == folder / last):
            system.put_file(str(file), f"{path}/{file.relative_to(folder).as_posix()}")


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """A local path to a file: itself, or a temporary copy of a remote one."""
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.rsplit("/", 1)[-1]
        system.get_file(path, str(copy))
        yield copy


@contextmanager
def local_folder(url: str) -> Iterator[Path]:
    """A local path to a folder: itself, or a temporary copy of a remote one with all in it."""
    system, path = filesystem(url)
    if isinstance(system, LocalFileSystem):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as name:
        system.invalidate_cache(path)
        for source in system.find(path):
            copy = Path(name, source[len(path) :].lstrip("/"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(source, str(copy))
        yield Path(name)


def _copy_files(system: Any, folder: str, target: str) -> None:
    """Copy all files below a folder of an object store, or none.

    File by file: to move a folder is not the same thing with all clients of object stores.
    """
    system.invalidate_cache(folder)
    copies: list[str] = []
    try:
        for source in system.find(folder):
            copies.append(f"{target}/{source[len(folder) :].lstrip('/')}")
            system.cp_file(source, copies[-1])
    except BaseException:
        for copy in copies:
            with suppress(OSError):
                system.rm_file(copy)
        raise


def _move(system: Any, source: str, target: str) -> None:
    """Move a file within an object store, which cannot rename."""
    system.cp_file(source, target)
    system.rm_file(source)


@contextmanager
def _renamed_folder(final: Path) -> Iterator[Path]:
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(final)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        _sync(temporary)
        if final.exists():
            replaced = temporary.with_name(f"{temporary.name}-replaced")
            final.rename(replaced)
            temporary.rename(final)
            shutil.rmtree(replaced)
        else:
            temporary.rename(final)
        _sync(final.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _temporary(path: Path) -> Path:
    """A free name beside a file or folder; `remove_leftovers` knows its form."""
    return Path(temporary_name(str(path)))


def _sync(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
