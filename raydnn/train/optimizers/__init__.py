"""Optimizers with TensorFlow's update rules, one file a rule."""

from raydnn.train.optimizers.adagrad import AdagradOptimizer
from raydnn.train.optimizers.gradient_descent import GradientDescentOptimizer
from raydnn.train.optimizers.optimizer import Optimizer, TrainOp
from raydnn.train.optimizers.resolve import resolve_optimizer

__all__ = [
    "AdagradOptimizer",
    "GradientDescentOptimizer",
    "Optimizer",
    "TrainOp",
    "resolve_optimizer",
]
