"""Initial values with TensorFlow's distributions, for embedding columns and variables."""

from raydnn.model.initializers import (
    Constant,
    GlorotUniform,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    Zeros,
)

__all__ = ["Constant", "GlorotUniform", "Ones", "RandomNormal", "RandomUniform", "TruncatedNormal", "Zeros"]
