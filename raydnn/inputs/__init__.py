"""Input: data sets for an input_fn, from files, memory or Ray."""

from raydnn.inputs.dataset import Dataset, from_arrow, from_numpy, from_pandas, from_parquet, from_ray, from_tfrecord
from raydnn.inputs.example import parse_examples
from raydnn.inputs.input_fn import InputContext
from raydnn.inputs.sparse_tensor import SparseTensor

__all__ = [
    "Dataset",
    "InputContext",
    "SparseTensor",
    "from_arrow",
    "from_numpy",
    "from_pandas",
    "from_parquet",
    "from_ray",
    "from_tfrecord",
    "parse_examples",
]
