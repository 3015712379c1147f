"""The manifest of a checkpoint: what it holds and where, written last and checked first."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from raydnn import errors

FORMAT = "raydnn-checkpoint-1"
# Ends each error about a damaged checkpoint.
WAY_OUT = (
    ". To go on from an older checkpoint, give RunConfig(recover=True), or remove the folder and the line that names "
    "it in the file 'checkpoint'"
)


@dataclass(frozen=True)
class StoredVariable:
    """Where a variable, or some of its rows, is stored.

    Attributes:
        file: name within the checkpoint.
        shape: of the whole variable.
        dtype: its name, such as 'float32'.
        rows: first row and row behind the last that the file holds; None for a scalar.
    """

    file: str
    shape: tuple[int, ...]
    dtype: str
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Attributes:
        global_step: at which the checkpoint was taken.
        variables: TensorFlow name -> place.
        files: name -> sha256 of its bytes, hexadecimal.
        saved_at: unix seconds.
        input_position: where the input goes on, or None where that is not known.
        config: settings of the run, for people.
    """

    global_step: int
    variables: dict[str, StoredVariable]
    files: dict[str, str]
    saved_at: float
    input_position: dict[str, Any] | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes, path: str) -> "Manifest":
        """Read the file's content.

        Args:
            content: of the file.
            path: for messages.

        Raises:
            DataLossError: it is damaged.
            FailedPreconditionError: it is of another format.
        """
        try:
            fields = json.loads(content)
            found = fields.pop("format")
            if found == FORMAT:
                fields["variables"] = {
                    name: StoredVariable(
                        place["file"],
                        tuple(place["shape"]),
                        place["dtype"],
                        None if place["rows"] is None else tuple(place["rows"]),
                    )
                    for name, place in fields["variables"].items()
                }
                return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.DataLossError(f"{path} is damaged: {error}{WAY_OUT}") from error
        raise errors.FailedPreconditionError(f"{path} has the format {found!r}; this version reads {FORMAT!r}")
