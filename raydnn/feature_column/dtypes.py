"""Dtype arguments: a name, or a NumPy, Arrow or torch dtype, all brought to one name."""

from typing import Any

import numpy as np
import pyarrow as pa

INTEGER_DTYPES = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
FLOATING_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64"})
_OTHER_DTYPES = frozenset({"string", "bool"})
_ARROW_NAMES = {
    "large_string": "string",
    "string_view": "string",
    "binary": "string",
    "large_binary": "string",
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "utf8": "string",
}


def dtype_name(dtype: Any) -> str:
    """The name of a dtype: 'string', 'bool', 'int8' .. 'uint64', 'float16' .. 'float64'.

    Args:
        dtype: a name, `str`, `bytes`, `int`, `float`, or a NumPy, Arrow or torch dtype (or an object whose
            `name` is one, such as a TensorFlow dtype).

    Raises:
        ValueError: it is none of these.
    """
    if dtype is None:  # which NumPy would take for float64
        raise ValueError("dtype must not be None; give a name such as 'float32'")
    if dtype in (str, bytes):
        return "string"
    if isinstance(dtype, pa.DataType):
        name = str(dtype)
    elif isinstance(dtype, str):
        name = dtype
    elif type(dtype).__module__ == "torch":
        name = str(dtype).removeprefix("torch.")
    elif isinstance(getattr(dtype, "name", None), str) and not isinstance(dtype, np.dtype):
        name = dtype.name
    else:
        try:
            as_numpy = np.dtype(dtype)
        except TypeError:
            raise ValueError(f"dtype {dtype!r} is not a dtype; give a name such as 'float32'") from None
        name = "string" if as_numpy.kind in "USOT" else as_numpy.name
    name = _ARROW_NAMES.get(name, name)
    if name not in INTEGER_DTYPES | FLOATING_DTYPES | _OTHER_DTYPES:
        raise ValueError(f"dtype {dtype!r} is not supported; give 'string', 'int64', 'float32', ...")
    return name


def is_integer(dtype: str) -> bool:
    """Whether a dtype name is an integer type."""
    return dtype in INTEGER_DTYPES


def is_floating(dtype: str) -> bool:
    """Whether a dtype name is a floating point type."""
    return dtype in FLOATING_DTYPES


def arrow_dtype_name(arrow_type: pa.DataType) -> str:
    """The dtype name of the values of an Arrow type, through lists and dictionaries."""
    while True:
        if pa.types.is_dictionary(arrow_type) or is_list(arrow_type) or pa.types.is_fixed_size_list(arrow_type):
            arrow_type = arrow_type.value_type
        elif pa.types.is_null(arrow_type):
            return "string"
        else:
            return dtype_name(arrow_type)


def is_list(arrow_type: pa.DataType) -> bool:
    """Whether an Arrow type is a list with a length of its own in each row."""
    return bool(pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type))
