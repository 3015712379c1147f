"""The manifest of an export: everything about a model but its weights, as readable JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

from raydnn import errors, storage
from raydnn.export.signatures import Signature
from raydnn.feature_column.columns import DenseColumn
from raydnn.feature_column.encoder import Encoder
from raydnn.feature_column.serialize import column_from_json
from raydnn.model.heads import Head, classification_head
from raydnn.model.network import DNN
from raydnn.model.settings import NetworkSettings

FORMAT = "raydnn-export-1"
MANIFEST_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
ASSETS = "assets"


@dataclass(frozen=True)
class ExportManifest:
    """The content of `model.json`.

    Attributes:
        global_step: of the exported checkpoint.
        columns: of the network, as `column_to_json` writes them.
        network: arguments of `NetworkSettings`.
        head: arguments of `classification_head`.
        inputs: what a request carries, as `spec_to_json` writes it.
        signatures: name -> signature.
        files: name -> sha256, hexadecimal.
    """

    global_step: int
    columns: list[dict[str, Any]]
    network: dict[str, Any]
    head: dict[str, Any]
    inputs: list[dict[str, Any]]
    signatures: dict[str, Signature]
    files: dict[str, str]

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes, path: str) -> "ExportManifest":
        """Read the file's content.

        Raises:
            DataLossError: it is damaged.
            FailedPreconditionError: it is of another format.
        """
        try:
            fields = json.loads(content)
            found = fields.pop("format")
            if found == FORMAT:
                fields["signatures"] = {
                    name: Signature(**signature) for name, signature in fields["signatures"].items()
                }
                return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.DataLossError(f"{path} is damaged: {error}") from error
        raise errors.FailedPreconditionError(f"{path} has the format {found!r}; this version reads {FORMAT!r}")

    def build(self, export_dir: str) -> tuple[Encoder, DNN, Head]:
        """Encoder, network without its weights, and head.

        Args:
            export_dir: where the vocabulary files lie.
        """
        located = [with_files(column, lambda path: storage.join(export_dir, path)) for column in self.columns]
        columns = tuple(cast("DenseColumn", column_from_json(column)) for column in located)
        encoder = Encoder(columns).load()
        head = classification_head(**self.head)
        network = NetworkSettings(**self.network).build(encoder, head.logits_dimension, seed=0)
        return encoder, network, head


def with_files(column: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A column's plain values with every vocabulary file's path changed, in nested columns too."""

    def changed(name: str, value: Any) -> Any:
        if name == "vocabulary_file":
            return change(value)
        if isinstance(value, dict):
            return with_files(value, change)
        if isinstance(value, list):
            return [with_files(member, change) if isinstance(member, dict) else member for member in value]
        return value

    return {name: changed(name, value) for name, value in column.items()}
