"""Sweeps: searching any keys of a run with Ray Tune.

sweep = raydnn.tune.load("tune_configs/quick.yaml", overrides={"budget.trials": 4})
result = raydnn.tune.run(sweep)
print(result.best.configuration, result.best.metrics)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raydnn.tune.result import SweepResult, TrialResult
from raydnn.tune.settings import SweepSettings
from raydnn.tune.sweep import Sweep, load, loads

if TYPE_CHECKING:
    from raydnn.tune.runner import first_configurations, plan, run

__all__ = [
    "Sweep",
    "SweepResult",
    "SweepSettings",
    "TrialResult",
    "first_configurations",
    "load",
    "loads",
    "plan",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in ("first_configurations", "plan", "run"):
        raise AttributeError(f"module 'raydnn.tune' has no attribute '{name}'")
    # By name: reading a sweep needs no Ray.
    return getattr(import_module("raydnn.tune.runner"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
