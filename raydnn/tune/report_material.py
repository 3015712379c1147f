"""What the report of a sweep is made of."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from raydnn.report.ranked_charts import ParallelAxis, Ranked
from raydnn.tune.axes import effective, key_axes
from raydnn.tune.importance import Importances, key_importances
from raydnn.tune.result import SweepResult, TrialResult
from raydnn.tune.sweep import Sweep


@dataclass(frozen=True)
class SweepMaterial:
    """What the sections of a report are made of.

    Attributes:
        sweep: that was declared.
        result: the trials as they stand.
        updated: when anything has happened last, in unix seconds; 0 before that.
    """

    sweep: Sweep
    result: SweepResult
    updated: float = field(default=0.0)

    @property
    def metric(self) -> str:
        """By which trials are compared."""
        return self.result.objectives[0][0]

    @property
    def mode(self) -> str:
        """Whether it is to be large (max) or small (min)."""
        return self.result.objectives[0][1]

    @cached_property
    def ranked(self) -> list[TrialResult]:
        """See `SweepResult.ranked`."""
        return self.result.ranked

    @cached_property
    def shown(self) -> list[Ranked]:
        """The ranked trials as charts show them."""
        last = max(len(self.ranked) - 1, 1)
        return [
            Ranked(
                f"{'best: ' if rank == 0 else ''}trial {trial.number}{' (base run)' if trial.is_default else ''}",
                1 - rank / last,
                is_best=rank == 0,
                is_reference=trial.is_default,
            )
            for rank, trial in enumerate(self.ranked)
        ]

    @cached_property
    def axes(self) -> list[ParallelAxis]:
        """Of the searched keys, with a value for each ranked trial."""
        return key_axes(self.sweep.space, [self.configuration(trial) for trial in self.ranked])

    @cached_property
    def importances(self) -> Importances | None:
        """Of the searched keys for the metric."""
        return key_importances(self.axes, [float(trial.metrics[self.metric]) for trial in self.ranked])

    def configuration(self, trial: TrialResult) -> dict[str, Any]:
        """The values that a trial has of the searched keys, as far as the base run's are given."""
        base = self.sweep.template.document({}).values
        return effective(trial.configuration, self.sweep.space, base)
