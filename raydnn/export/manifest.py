"""The manifest of an export: everything about a model but its weights, as readable JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from raydnn import errors
from raydnn.export.signatures import Signature

FORMAT = "raydnn-export-2"
MANIFEST_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
ASSETS = "assets"


@dataclass(frozen=True)
class ExportManifest:
    """The content of `model.json`.

    Attributes:
        global_step: of the exported checkpoint.
        model: what the model is made of: `{"classifier": ...}`, or `{"model_fn": its name, "params": ...}` for a
            function of the user's own.
        signatures: name -> signature.
        files: name -> sha256, hexadecimal.
    """

    global_step: int
    model: dict[str, Any]
    signatures: dict[str, Signature]
    files: dict[str, str]

    @property
    def default_signature(self) -> str:
        """The signature that is called where none is named: 'predict', 'serving_default', or the first."""
        preferred = [name for name in ("predict", "serving_default") if name in self.signatures]
        return [*preferred, *self.signatures][0]

    def describe(self) -> dict[str, Any]:
        """Inputs and outputs of the default signature as plain values: name, dtype, shape of one row, ragged."""
        signature = self.signatures[self.default_signature]
        return {"inputs": signature.describe_inputs(), "outputs": signature.outputs}

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


def with_files(value: Any, change: Callable[[str], str]) -> Any:
    """Plain values with every vocabulary file's path changed, in nested ones too."""
    if isinstance(value, dict):
        return {
            name: change(member) if name == "vocabulary_file" else with_files(member, change)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [with_files(member, change) for member in value]
    return value
