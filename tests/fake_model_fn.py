"""A model function of one's own: a line through (x, y)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import nn

import raydnn
from raydnn import EstimatorSpec, ModeKeys
from raydnn.train import GradientDescentOptimizer

LINE_X = np.array([-1.0, 0.0, 1.0, 2.0], np.float32)
LINE_VARIABLES = {"line/weight": np.array([[5.0]], np.float32), "line/bias": np.array([-1.0], np.float32)}


def line_fn(**parts: Any) -> Callable[..., EstimatorSpec]:
    """The model function, whose specs have the given parts."""

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        line = raydnn.get_module("line", lambda: nn.Linear(1, 1))
        y = line(features["x"].reshape(-1, 1))[:, 0]
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions={"y": y}, **parts)
        loss = ((y - labels) ** 2).sum()
        train_op = GradientDescentOptimizer(0.01).minimize(loss) if mode == ModeKeys.TRAIN else None
        return EstimatorSpec(mode, predictions={"y": y}, loss=loss, train_op=train_op, **parts)

    return model_fn


def line_input_fn(num_batches: int = 4) -> Callable[[], Iterator[Any]]:
    return lambda: iter([({"x": LINE_X}, 3 * LINE_X + 1)] * num_batches)
