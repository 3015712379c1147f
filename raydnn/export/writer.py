"""Writing an export: whole, or not at all."""

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from safetensors.numpy import save_file

from raydnn import errors, storage
from raydnn.export.manifest import ASSETS, MANIFEST_FILE, WEIGHTS_FILE, ExportManifest, with_files
from raydnn.export.receivers import ServingInputReceiver, spec_to_json
from raydnn.export.signatures import classifier_signatures
from raydnn.feature_column.encoder import Encoder
from raydnn.feature_column.serialize import column_to_json
from raydnn.model.heads import Head
from raydnn.model.settings import NetworkSettings
from raydnn.train.checkpoint import VariableReader
from raydnn.train.checkpoint.writer import sha256

MAX_TIMESTAMP_TRIES = 10


class ExportableModel(Protocol):
    """What can be exported: a classifier with declared columns."""

    @property
    def head(self) -> Head: ...

    @property
    def network(self) -> NetworkSettings: ...

    def encoder(self, mode: str) -> Encoder: ...


def export_model(
    model: ExportableModel,
    reader: VariableReader,
    receiver: ServingInputReceiver,
    export_dir_base: str,
    assets_extra: Mapping[str, str] | None = None,
) -> str:
    """Write an export.

    Args:
        model: whose columns, network and head are written.
        reader: gives the weights.
        receiver: what requests carry.
        export_dir_base: folder in which the export's folder is made, local or any fsspec URL.
        assets_extra: relative path -> file to copy to `assets.extra/PATH`.

    Returns:
        The path of the export, `export_dir_base/UNIX_SECONDS`.

    Raises:
        ValueError: a feature that the receiver lacks, a column or activation that cannot be written, a variable that
            the checkpoint lacks, or a model that is no classifier with declared columns.
        NotFoundError: an extra asset is not there.
        RuntimeError: ten seconds in a row were taken by other exports.
    """
    if not hasattr(model, "encoder"):
        raise ValueError("only a model with declared feature columns can be exported")
    encoder = model.encoder("infer")
    _check_receiver(encoder, receiver)
    columns = [column_to_json(column) for column in encoder.columns]
    network = model.network.to_json()
    head = model.head
    built = model.network.build(encoder, head.logits_dimension, seed=0)
    names = [variable.name for variable in built.variables()]
    missing = [name for name in names if not reader.has_tensor(name)]
    if missing:
        raise ValueError(f"{reader.path} lacks {', '.join(missing)}: the columns or layers have changed since")
    keys = list(head.predictions(built.logits.bias.detach().unsqueeze(0)))
    path = _free_path(export_dir_base)
    with storage.new_folder(path, last=MANIFEST_FILE) as folder:
        save_file(reader.get_tensors(names), folder / WEIGHTS_FILE)
        _copy_extra_assets(folder, assets_extra or {})
        manifest = ExportManifest(
            reader.global_step,
            [with_files(column, lambda path: _copy_vocabulary(folder, path)) for column in columns],
            network,
            {
                "n_classes": head.n_classes,
                "label_vocabulary": head.label_vocabulary,
                "loss_reduction": head.loss_reduction,
            },
            [spec_to_json(name, spec) for name, spec in receiver.receiver_tensors.items()],
            classifier_signatures(receiver, keys, head.is_binary),
            {},
        )
        manifest = replace(manifest, files=_digests(folder))
        (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return path


def _digests(folder: Path) -> dict[str, str]:
    """The digest of every file of an export, by its path there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): sha256(file) for file in files}


def _check_receiver(encoder: Encoder, receiver: Any) -> None:
    if not isinstance(receiver, ServingInputReceiver):
        raise ValueError(f"serving_input_receiver_fn must return a ServingInputReceiver; got {receiver!r}")
    lacking = [key for key in encoder.feature_keys if key not in receiver.features]
    if lacking:
        raise ValueError(
            f"the serving input receiver lacks the features {', '.join(lacking)}, which the model reads; "
            "make_parse_example_spec(feature_columns) lists them all"
        )


def _free_path(base: str) -> str:
    for _ in range(MAX_TIMESTAMP_TRIES):
        path = storage.join(base, str(int(time.time())))
        if not storage.exists(path):
            return path
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
