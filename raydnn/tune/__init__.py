"""Searching hyperparameters with Ray Tune."""

from raydnn.tune.search_space import load_space, parse_space
from raydnn.tune.sweep import run

__all__ = ["load_space", "parse_space", "run"]
