"""Writing an export: whole, or not at all."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import save_file

from raydnn import errors, storage
from raydnn.export.manifest import ASSETS, MANIFEST_FILE, WEIGHTS_FILE, ExportManifest, with_files
from raydnn.train.checkpoint.writer import sha256

MAX_TIMESTAMP_TRIES = 10


def write_export(
    manifest: ExportManifest,
    weights: Mapping[str, NDArray[Any]],
    export_dir_base: str,
    assets_extra: Mapping[str, str] | None = None,
) -> str:
    """Write an export.

    Args:
        manifest: without its files; vocabulary files that the model names are copied to `assets`.
        weights: all variables by name.
        export_dir_base: folder in which the export's folder is made, local or any fsspec URL.
        assets_extra: relative path -> file to copy to `assets.extra/PATH`.

    Returns:
        The path of the export, `export_dir_base/UNIX_SECONDS`.

    Raises:
        NotFoundError: an extra asset is not there.
        RuntimeError: ten seconds in a row were taken by other exports.
    """
    with _reserved_path(export_dir_base) as path, storage.new_folder(path, last=MANIFEST_FILE) as folder:
        save_file(dict(weights), folder / WEIGHTS_FILE)
        _copy_extra_assets(folder, assets_extra or {})
        model = manifest.model
        if "classifier" in model:
            model = with_files(model, lambda path: _copy_vocabulary(folder, path))
        manifest = replace(manifest, model=model, files=_digests(folder))
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return path


def _digests(folder: Path) -> dict[str, str]:
    """The digest of every file of an export, by its path there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): sha256(file) for file in files}


@contextmanager
def _reserved_path(base: str) -> Iterator[str]:
    """A free name for an export, kept from other writers of this machine until the export is there."""
    for _ in range(MAX_TIMESTAMP_TRIES):
        name = str(int(time.time()))
        path = storage.join(base, name)
        if not storage.exists(path):
            with storage.reservation(storage.join(base, f"temp-{name}")) as is_mine:
                if is_mine and not storage.exists(path):
                    yield path
                    return
        time.sleep(1)
    raise RuntimeError(f"no free name for an export in {base}: {MAX_TIMESTAMP_TRIES} seconds in a row were taken")


def _copy_vocabulary(folder: Path, path: str) -> str:
    """Copy a vocabulary file into the export; returns its path there."""
    content = storage.read_bytes(path)
    name = Path(path).name
    target = folder / ASSETS / name
    if target.exists() and target.read_bytes() != content:
        name = f"{hashlib.sha256(content).hexdigest()[:8]}-{name}"
        target = folder / ASSETS / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    return f"{ASSETS}/{name}"


def _copy_extra_assets(folder: Path, assets: Mapping[str, str]) -> None:
    for destination, source in assets.items():
        if not Path(source).is_file():
            raise errors.NotFoundError(f"assets_extra: there is no file {source}")
        target = folder / "assets.extra" / destination
        if not target.resolve().is_relative_to((folder / "assets.extra").resolve()):
            raise ValueError(f"assets_extra: {destination!r} lies outside the export")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
