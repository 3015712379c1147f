"""Sweeps: searching any keys of a run with Ray Tune.

sweep = raydnn.tune.load("tune_configs/quick.yaml", overrides={"budget.trials": 4})
result = raydnn.tune.run(sweep)
print(result.best.configuration, result.best.metrics)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raydnn.tune import text as text
from raydnn.tune.loader import load, loads
from raydnn.tune.result import SweepResult, TrialResult, Watch
from raydnn.tune.settings import SweepSettings
from raydnn.tune.sweep import Sweep

if TYPE_CHECKING:
    from raydnn.tune.report import SweepReportPlaces, write_sweep_report
    from raydnn.tune.runner import first_configurations, plan, run

__all__ = [
    "Sweep",
    "SweepReportPlaces",
    "SweepResult",
    "SweepSettings",
    "TrialResult",
    "Watch",
    "first_configurations",
    "load",
    "loads",
    "plan",
    "run",
    "write_sweep_report",
]

_HOMES = {
    "SweepReportPlaces": "report",
    "first_configurations": "runner",
    "plan": "runner",
    "run": "runner",
    "write_sweep_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raydnn.tune' has no attribute '{name}'")
    # By name: reading a sweep needs no Ray, and nothing that draws charts.
    return getattr(import_module(f"raydnn.tune.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
