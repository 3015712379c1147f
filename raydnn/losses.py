"""Loss reductions, under TensorFlow's name."""

from raydnn.model.losses import Reduction

__all__ = ["Reduction"]
