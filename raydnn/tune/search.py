"""Which configurations a sweep tries: at random, through a grid, or as Optuna learns."""

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, Protocol

from ray.tune.search import Searcher

from raydnn.config.section import Section
from raydnn.tune.record import SweepRecord
from raydnn.tune.result import TrialResult
from raydnn.tune.settings import GridSearch, OptunaSearch
from raydnn.tune.space import Configuration, Record, random_configuration
from raydnn.tune.sweep import Sweep

Draws = Mapping[str, Any]
"""Name of a leaf of the space -> what was drawn, where that is needed to go on after a restart."""


class Search(Protocol):
    """Gives configurations, and may learn from the metrics of earlier ones."""

    def suggest(self, number: int) -> tuple[Configuration, Draws] | None:
        """The configuration of a trial; None where there are no more."""

    def learn(self, trial: TrialResult) -> None:
        """A trial has ended."""

    def replay(self, trial: TrialResult, draws: Draws) -> None:
        """A trial that an earlier driver began; `learn` follows if it has ended."""


def first_configurations(sweep: Sweep, count: int) -> list[Configuration]:
    """The configurations of the first trials after that of the base run.

    Those of Optuna are what it would draw if it learned nothing.

    Args:
        sweep: whose.
        count: how many at most.
    """
    search = make_search(sweep)
    wanted = min(count, sweep.settings.budget.trials or count)
    suggested = [search.suggest(number) for number in range(1, wanted + 1)]
    return [each[0] for each in suggested if each is not None]


def make_search(sweep: Sweep, num_known: int = 0) -> Search:
    """The search of a sweep.

    Args:
        sweep: whose.
        num_known: how many trials an earlier driver began.

    Raises:
        ImportError: Optuna is asked for and not installed.
    """
    searcher = sweep.settings.searcher
    if isinstance(searcher, OptunaSearch):
        return _Optuna(sweep, searcher.sampler_settings, num_known)
    return _Grid(sweep.space) if isinstance(searcher, GridSearch) else _Random(sweep.space, sweep.settings.seed)


class _Random:
    def __init__(self, space: Record, seed: int) -> None:
        self._space = space
        self._seed = seed

    def suggest(self, number: int) -> tuple[Configuration, Draws] | None:
        return random_configuration(self._space, self._seed, number), {}

    def learn(self, trial: TrialResult) -> None:
        """Nothing is learned."""

    def replay(self, trial: TrialResult, draws: Draws) -> None:
        """Each configuration depends on its number alone."""


class _Grid:
    def __init__(self, space: Record) -> None:
        self._space = space

    def suggest(self, number: int) -> tuple[Configuration, Draws] | None:
        # Numbers of drawn configurations begin with 1.
        found = next(islice(self._space.grid(), number - 1, None), None)
        return None if found is None else (found, {})

    def learn(self, trial: TrialResult) -> None:
        """Nothing is learned."""

    def replay(self, trial: TrialResult, draws: Draws) -> None:
        """Each configuration depends on its number alone."""


class _Optuna:
    """A study whose trials are asked for and told of."""

    def __init__(self, sweep: Sweep, sampler: Section, num_known: int) -> None:
        try:
            self._optuna: Any = import_module("optuna")
        except ImportError as error:
            raise ImportError('search: optuna needs Optuna; pip install "raydnn[optuna]"') from error
        # Optuna tells of each of its trials by itself otherwise.
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        directions = [{"max": "maximize", "min": "minimize"}[mode] for _, mode in sweep.objectives]
        self._space, self._objectives = sweep.space, sweep.objectives
        # After a restart the numbers that were drawn before must not come again.
        seed = sweep.settings.seed + num_known
        self._study = self._optuna.create_study(directions=directions, sampler=_sampler(self._optuna, sampler, seed))
        self._asked: dict[int, Any] = {}

    def suggest(self, number: int) -> tuple[Configuration, Draws] | None:
        trial = self._asked[number] = self._study.ask()
        configuration = self._space.draw("", _OptunaSuggest(trial))
        return configuration, dict(trial.params)

    def learn(self, trial: TrialResult) -> None:
        asked = self._asked.pop(trial.number, None)
        if asked is None:
            return
        values = [float(trial.metrics.get(metric, math.nan)) for metric, _ in self._objectives]
        states = self._optuna.trial.TrialState
        if trial.status == "failed" or not all(map(math.isfinite, values)):
            self._study.tell(asked, state=states.FAIL)
            return
        if trial.status == "stopped" and len(values) == 1:
            ((metric, _),) = self._objectives
            for report in trial.reports:
                asked.report(report[metric], report["global_step"])
            self._study.tell(asked, state=states.PRUNED)
            return
        self._study.tell(asked, values)

    def replay(self, trial: TrialResult, draws: Draws) -> None:
        self._study.enqueue_trial(dict(draws))
        self.suggest(trial.number)


class _OptunaSuggest:
    """Draws by a trial of Optuna."""

    def __init__(self, trial: Any) -> None:
        self._trial = trial

    def index(self, name: str, count: int) -> int:
        return int(self._trial.suggest_categorical(name, list(range(count))))

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        return float(self._trial.suggest_float(name, low, high, log=log, step=step))

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        return int(self._trial.suggest_int(name, low, high, log=log))


def _sampler(optuna: Any, settings: Section, seed: int) -> Any:
    arguments = {name: value for name, value in settings.given().items() if name != "kind"}
    kind = settings.kind  # type: ignore[attr-defined]
    names = {"tpe": "TPESampler", "gp": "GPSampler", "random": "RandomSampler", "nsgaii": "NSGAIISampler"}
    if kind == "gp":
        # It says at each conditional key that it draws that at random.
        arguments["warn_independent_sampling"] = False
    return getattr(optuna.samplers, names[kind])(**arguments, seed=seed)


class TrialSearcher(Searcher):
    """Gives Ray Tune the trials of a sweep: those that an earlier driver began and did not end, then new ones.

    Args:
        sweep: whose trials.
        search: gives configurations.
        record: of the sweep, as it was when this driver began.
    """

    def __init__(self, sweep: Sweep, search: Search, record: SweepRecord) -> None:
        super().__init__()
        self._planned = planned(sweep, search, record)

    def suggest(self, trial_id: str) -> Any:
        """The next trial, as the configuration that Ray Tune passes on."""
        return next(self._planned, Searcher.FINISHED)

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune writes a copy of everything it is given; ours is never read.
        return {}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the recorder learns from the record, which says how a trial has ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: all state is in the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: all state is in the record."""


def planned(sweep: Sweep, search: Search, record: SweepRecord) -> Iterator[dict[str, Any]]:
    """The trials that are still to run, as Ray Tune passes them on: number, values, draws and is_default under `trial`.

    Args:
        sweep: whose trials.
        search: gives the configurations of new ones.
        record: of what earlier drivers began.
    """
    begun: Sequence[TrialResult] = sorted(record.trials.values(), key=lambda trial: trial.number)
    for trial in begun:
        if trial.number > 0:
            search.replay(trial, record.draws[trial.number])
            if trial.has_ended:
                search.learn(trial)
    unfinished = [trial for trial in begun if not trial.has_ended]
    budget = sweep.settings.budget
    if budget.with_default and 0 not in record.trials:
        yield _passed_on(0, {}, {})
    for trial in unfinished:
        yield _passed_on(trial.number, trial.configuration, record.draws[trial.number])
    number = max([trial.number for trial in begun], default=0)
    while budget.trials is None or number < budget.trials:
        number += 1
        suggested = search.suggest(number)
        if suggested is None:
            return
        yield _passed_on(number, *suggested)


def _passed_on(number: int, configuration: Configuration, draws: Draws) -> dict[str, Any]:
    trial = {"number": number, "values": configuration, "draws": dict(draws), "is_default": number == 0}
    return {"trial": trial}
