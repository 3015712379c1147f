"""Checkpoints of a model_dir: one folder a step, complete or absent, under TensorFlow's variable names."""

from raydnn.train.checkpoint.import_tf import import_tf_checkpoint
from raydnn.train.checkpoint.reader import (
    CheckpointReader,
    VariableReader,
    list_variables,
    load_checkpoint,
    load_variable,
)
from raydnn.train.checkpoint.state import latest_checkpoint
from raydnn.train.checkpoint.store import CheckpointStore
from raydnn.train.checkpoint.writer import save_checkpoint

__all__ = [
    "CheckpointReader",
    "CheckpointStore",
    "VariableReader",
    "import_tf_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "save_checkpoint",
]
