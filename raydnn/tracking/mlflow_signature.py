"""MLflow's signature of an export: column types from raydnn's input and output descriptions."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array

__all__ = ["make_signature"]

_OUTPUT_TYPES = {
    "string": DataType.string,
    "bool": DataType.boolean,
    "int32": DataType.integer,
    "int64": DataType.long,
    "float32": DataType.float,
    "float64": DataType.double,
}
# MLflow converts a column only to a wider type, and a pandas DataFrame holds float64 and int64 unless told
# otherwise: a float32 input column declared as such would refuse nearly every caller.
_INPUT_TYPES = _OUTPUT_TYPES | {"int32": DataType.long, "float32": DataType.double}


def make_signature(signature_json: Mapping[str, Sequence[Mapping[str, Any]]]) -> ModelSignature:
    """Builds the signature that MLflow checks callers' tables against.

    Args:
        signature_json: `inputs` and `outputs`, each a list of `{"name", "dtype", "shape", "ragged"}`; `shape`
            is one example's: `[]` and `[1]` are a plain column, `[k]` or a ragged one a column of lists.

    Returns:
        The signature. Every input is required; float32 and int32 inputs are declared double and long.

    Raises:
        ValueError: a dtype that MLflow has no column type for.
    """
    return ModelSignature(
        inputs=Schema([_column(spec, _INPUT_TYPES) for spec in signature_json["inputs"]]),
        outputs=Schema([_column(spec, _OUTPUT_TYPES) for spec in signature_json["outputs"]]),
    )


def _column(spec: Mapping[str, Any], types: Mapping[str, DataType]) -> ColSpec:
    name, dtype, shape = spec["name"], spec["dtype"], list(spec["shape"])
    if dtype not in types:
        raise ValueError(f"column {name!r} has dtype {dtype!r}; MLflow can hold {', '.join(types)}")
    kind: DataType | Array = types[dtype]
    is_ragged = bool(spec.get("ragged", False))
    if is_ragged or shape not in ([], [1]):
        for _ in range(max(len(shape), 1)):
            kind = Array(kind)
    return ColSpec(type=kind, name=name, required=True)
