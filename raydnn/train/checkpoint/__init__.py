"""Checkpoints of a model_dir: one folder a step, complete or absent, under TensorFlow's variable names."""

from raydnn.train.checkpoint.import_tf import import_tf_checkpoint
from raydnn.train.checkpoint.lock import training_lock
from raydnn.train.checkpoint.reader import (
    CheckpointReader,
    VariableReader,
    list_variables,
    load_checkpoint,
    load_variable,
)
from raydnn.train.checkpoint.recovery import open_newest, tidy_up
from raydnn.train.checkpoint.state import latest_checkpoint
from raydnn.train.checkpoint.store import CheckpointStore
from raydnn.train.checkpoint.watch import checkpoints_iterator
from raydnn.train.checkpoint.writer import save_checkpoint

__all__ = [
    "CheckpointReader",
    "CheckpointStore",
    "VariableReader",
    "checkpoints_iterator",
    "import_tf_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "open_newest",
    "save_checkpoint",
    "tidy_up",
    "training_lock",
]
