"""The manifest of a checkpoint: what it holds and where, written last and checked first."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from raydnn import errors

FORMAT = "raydnn-checkpoint-2"
# Ends each error about a damaged checkpoint.
WAY_OUT = (
    ". To go on from an older checkpoint, give RunConfig(recover=True), or remove the folder and the line that names "
    "it in the file 'checkpoint'"
)


@dataclass(frozen=True)
class Part:
    """Rows first, first + step, ... of a variable in one file; (0, 1) is the whole variable.

    Attributes:
        file: name within the checkpoint.
        first: the first row.
        step: from each row to the next.
    """

    file: str
    first: int = 0
    step: int = 1


@dataclass(frozen=True)
class StoredVariable:
    """Where a variable is stored.

    Attributes:
        shape: of the whole variable.
        dtype: its name, such as 'float32'.
        parts: which together hold all its rows.
    """

    shape: tuple[int, ...]
    dtype: str
    parts: tuple[Part, ...]


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
                        tuple(place["shape"]), place["dtype"], tuple(Part(**part) for part in place["parts"])
                    )
                    for name, place in fields["variables"].items()
                }
                return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.DataLossError(f"{path} is damaged: {error}{WAY_OUT}") from error
        raise errors.FailedPreconditionError(f"{path} has the format {found!r}; this version reads {FORMAT!r}")


def num_bytes(shape: Sequence[int], dtype: str) -> int:
    """Bytes of a variable's values; 0 where their size is not that of a number."""
    bits = "".join(letter for letter in dtype if letter.isdigit())
    return math.prod(shape) * (1 if dtype == "bool" else int(bits or 0) // 8)
