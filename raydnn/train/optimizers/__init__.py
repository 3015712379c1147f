"""Optimizers with TensorFlow's update rules, one file a rule."""

from raydnn.train.optimizers.adadelta import AdadeltaOptimizer
from raydnn.train.optimizers.adagrad import AdagradOptimizer, ProximalAdagradOptimizer
from raydnn.train.optimizers.adam import AdamOptimizer
from raydnn.train.optimizers.ftrl import FtrlOptimizer
from raydnn.train.optimizers.gradient_descent import GradientDescentOptimizer, ProximalGradientDescentOptimizer
from raydnn.train.optimizers.momentum import MomentumOptimizer
from raydnn.train.optimizers.optimizer import Optimizer, TrainOp
from raydnn.train.optimizers.resolve import resolve_optimizer
from raydnn.train.optimizers.rmsprop import RMSPropOptimizer

__all__ = [
    "AdadeltaOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
    "TrainOp",
    "resolve_optimizer",
]
