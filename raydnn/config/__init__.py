"""Runs that are declared in YAML, and their way to the Python API.

run = raydnn.config.load("run.yaml", overrides={"model.dropout": 0.1})
raydnn.estimator.train_and_evaluate(run.estimator(), run.train_spec(), run.eval_spec())
"""

from raydnn.config.loader import load, loads, parse_overrides
from raydnn.config.run import Run

__all__ = ["Run", "load", "loads", "parse_overrides"]
