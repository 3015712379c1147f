"""Early stopping, live evaluation and inputs with labels, under the name of `tf.estimator.experimental`."""

from raydnn.estimator.early_stopping import (
    make_early_stopping_hook,
    make_stop_at_checkpoint_step_hook,
    stop_if_higher_hook,
    stop_if_lower_hook,
    stop_if_no_decrease_hook,
    stop_if_no_increase_hook,
)
from raydnn.estimator.in_memory_evaluator import InMemoryEvaluatorHook
from raydnn.export.receivers import SupervisedInputReceiver, build_raw_supervised_input_receiver_fn

__all__ = [
    "InMemoryEvaluatorHook",
    "SupervisedInputReceiver",
    "build_raw_supervised_input_receiver_fn",
    "make_early_stopping_hook",
    "make_stop_at_checkpoint_step_hook",
    "stop_if_higher_hook",
    "stop_if_lower_hook",
    "stop_if_no_decrease_hook",
    "stop_if_no_increase_hook",
]
