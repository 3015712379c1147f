"""A sweep: a base run, and what its trials make of it."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raydnn import storage
from raydnn.config import Run
from raydnn.config.document import Document
from raydnn.config.loader import run_of
from raydnn.tune.settings import SweepSettings
from raydnn.tune.space import Choice, Configuration, EndSuggest, Record, random_configuration

CHECKED = 20
"""Configurations of a random search that are looked at before anything starts."""


@dataclass(frozen=True)
class RunTemplate:
    """The base run with what holds for all trials, as plain values that can be sent anywhere.

    Attributes:
        name: of the run's file, for messages.
        values: of the file, environment variables put in.
        settings: key -> value that takes the place of the file's.
    """

    name: str
    values: Any
    settings: Mapping[str, Any]

    def document(self, configuration: Mapping[str, Any]) -> Document:
        """The run's YAML with the values of a configuration."""
        document = Document(values=copy.deepcopy(self.values))
        for key, value in {**self.settings, **configuration}.items():
            document.override(key, copy.deepcopy(value))
        return document

    def run(self, configuration: Mapping[str, Any]) -> Run:
        """The run of a configuration.

        Raises:
            ConfigError: it cannot be.
        """
        return run_of(self.document(configuration), self.name)


@dataclass(frozen=True)
class Sweep:
    """A sweep that was checked.

    Attributes:
        settings: as declared.
        name: of its folder.
        template: the base run with the values under set.
        source: the values of the YAML of sweep and run, by these names, without what environment variables gave.
    """

    settings: SweepSettings
    name: str
    template: RunTemplate
    source: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Absolute path of the sweep's folder."""
        return storage.join(storage.absolute(self.settings.storage), self.name)

    @property
    def space(self) -> Record:
        """Key of the run -> distribution."""
        return Record(self.settings.space)

    @property
    def objectives(self) -> tuple[tuple[str, str], ...]:
        """Metric and mode of each."""
        metrics, mode = self.settings.metrics, self.settings.mode
        modes = [mode] * len(metrics) if isinstance(mode, str) else mode
        return tuple(zip(metrics, modes, strict=True))

    @property
    def base(self) -> Run:
        """The base run with the values under set."""
        return self.template.run({})

    def model_dir(self, number: int) -> str:
        """Where a trial's checkpoints lie."""
        return storage.join(self.folder, "trials", f"{number:05d}")

    def steps_of(self, run: Run) -> int | None:
        """Steps of a trial, as far as budget and run tell; None goes to the end of its rows."""
        budget = self.settings.budget
        limits = [budget.steps, None if budget.rows is None else math.ceil(budget.rows / run.data.batch_size)]
        known = [limit for limit in limits if limit is not None]
        return min(known) if known else run.eval.max_steps

    @property
    def registered_model(self) -> str:
        """Name in MLflow's registry."""
        return self.settings.registered_model or self.name

    def full_template(self) -> RunTemplate:
        """The base run at full length, with the values under set of all but its section run and its epochs."""
        return RunTemplate(self.template.name, self.template.values, _of_full_length(self.settings.set))

    def full_source(self) -> RunTemplate:
        """As `full_template`, without what environment variables gave."""
        return RunTemplate(self.template.name, self.source["run"], _of_full_length(self.source["sweep"].get("set", {})))

    @property
    def most_steps(self) -> int | None:
        """Steps of the longest trial, as far as that is known: batches of other sizes make other numbers of them."""
        if self.settings.budget.rows is None or "data.batch_size" not in self.settings.space:
            return self.steps_of(self.base)
        runs = [self.template.run(configuration) for configuration in self.examples()]
        return max(steps for steps in map(self.steps_of, [self.base, *runs]) if steps is not None)

    def examples(self) -> Iterator[Configuration]:
        """Configurations that show what may be drawn: all ends and choices, and the first of a random search."""
        widest = max([len(part.options) for part in self.space.all() if isinstance(part, Choice)], default=1)
        for place in range(2 * min(widest, CHECKED)):
            yield self.space.draw("", EndSuggest(place))
        for number in range(1, 1 + min(CHECKED, self.settings.budget.trials or CHECKED)):
            yield random_configuration(self.space, self.settings.seed, number)

    def trial_template(self) -> RunTemplate:
        """The base run with all that the sweep decides."""
        return RunTemplate(self.template.name, self.template.values, {**self.template.settings, **self._decided()})

    def _decided(self) -> dict[str, Any]:
        trials = self.settings.trials
        decided: dict[str, Any] = {
            "run.num_workers": trials.workers,
            "run.resources_per_worker": None if trials.workers is None else {"CPU": float(trials.cpus)},
            "run.save_checkpoints_steps": trials.evaluate_every,
            "run.save_checkpoints_secs": None,
            "run.num_evaluators": None,
            "run.progress": False,
            "run.tracking": None,
            "eval.throttle_secs": 0,
            "eval.start_delay_secs": 0,
            "exporters": [],
        }
        if self.base.run_config().tf_random_seed is None:
            decided["run.tf_random_seed"] = self.settings.seed
        return decided


def _of_full_length(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The values under set that are not for trials alone."""
    of_trials = ("data.epochs", "eval.max_steps")
    return {key: value for key, value in settings.items() if key not in of_trials and not key.startswith("run.")}


def reads_by_ray(run: Run) -> bool:
    """Whether Ray Data reads rows of a run."""
    files = [run.data.files(name) for name in ("train", "eval")]
    return any(each is not None and run.data.is_read_by_ray(each) for each in files)
