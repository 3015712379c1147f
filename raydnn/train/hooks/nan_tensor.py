"""Stopping at a NaN loss."""

import logging
import math

from raydnn.errors import NanLossDuringTrainingError
from raydnn.train.hooks.session_run_hook import (
    LOSS,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

logger = logging.getLogger(__name__)


class NanTensorHook(SessionRunHook):
    """Watches a loss; infinity is not NaN.

    Args:
        loss_tensor: name of the fetch to watch.
        fail_on_nan_loss: True raises NanLossDuringTrainingError, False warns and requests a stop.
    """

    def __init__(self, loss_tensor: str = LOSS, fail_on_nan_loss: bool = True) -> None:
        self._loss_tensor = loss_tensor
        self._fail_on_nan_loss = fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(self._loss_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if not math.isnan(float(run_values.results)):
            return
        message = (
            f"{self._loss_tensor} is NaN at step {run_context.session.global_step}: look for NaN in the numeric "
            "features, normalise large ones, or lower the learning rate"
        )
        if self._fail_on_nan_loss:
            raise NanLossDuringTrainingError(message)
        logger.warning("%s", message)
        run_context.request_stop()
