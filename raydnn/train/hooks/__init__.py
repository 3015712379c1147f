"""Hooks of the training loop, with TensorFlow's names, order and life cycle."""

from raydnn.train.hooks.checkpoint_saver import CheckpointSaverHook, CheckpointSaverListener
from raydnn.train.hooks.feed_fn import FeedFnHook
from raydnn.train.hooks.final_ops import FinalOpsHook
from raydnn.train.hooks.global_step_waiter import GlobalStepWaiterHook
from raydnn.train.hooks.logging_tensor import LoggingTensorHook
from raydnn.train.hooks.nan_tensor import NanTensorHook
from raydnn.train.hooks.profiler import ProfilerHook
from raydnn.train.hooks.session_run_hook import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.stop_at_step import StopAtStepHook
from raydnn.train.hooks.summaries import StepCounterHook, SummarySaverHook
from raydnn.train.hooks.timer import SecondOrStepTimer

__all__ = [
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "FeedFnHook",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "LoggingTensorHook",
    "NanTensorHook",
    "ProfilerHook",
    "SecondOrStepTimer",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
]
