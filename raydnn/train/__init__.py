"""Training: optimizers, hooks and checkpoints, under the names of `tf.compat.v1.train` and `tf.train`."""

from raydnn.train.checkpoint import (
    CheckpointReader,
    latest_checkpoint,
    list_variables,
    load_checkpoint,
    load_variable,
    save_checkpoint,
)
from raydnn.train.hooks import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    LoggingTensorHook,
    NanTensorHook,
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)
from raydnn.train.optimizers import AdagradOptimizer, GradientDescentOptimizer, Optimizer
from raydnn.train.run_context import get_global_step

__all__ = [
    "AdagradOptimizer",
    "CheckpointReader",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "GradientDescentOptimizer",
    "LoggingTensorHook",
    "NanTensorHook",
    "Optimizer",
    "SecondOrStepTimer",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "get_global_step",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "save_checkpoint",
]
