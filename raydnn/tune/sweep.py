"""A sweep from its YAML: a base run, the keys to search, and everything that is wrong with them told at once.

docs/sweep.schema.json is the JSON Schema of its keys, for editors. This writes it anew:

    python -c "import json, raydnn.tune as t; print(json.dumps(t.SweepSettings.model_json_schema(), indent=2))" \\
        > docs/sweep.schema.json
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import PurePosixPath
from typing import Any

from raydnn import storage
from raydnn.config import Run
from raydnn.config.document import Document, Place, Problem
from raydnn.config.loader import key_of, listed, read_text, run_of, validated
from raydnn.config.messages import nearest
from raydnn.errors import ConfigError
from raydnn.model.heads import classification_head
from raydnn.tune.settings import Asha, GridSearch, NoScheduler, OptunaSearch, Pbt, SweepSettings
from raydnn.tune.space import (
    Choice,
    Configuration,
    Constant,
    Node,
    Record,
    SpaceError,
    Suggest,
    random_configuration,
)

CHECKED = 20
"""Configurations of a random search that are looked at before anything starts."""
OF_THE_SWEEP = {
    "run.model_dir": "storage",
    "run.num_workers": "trials.workers",
    "run.resources_per_worker": "trials.cpus",
    "run.save_checkpoints_steps": "trials.evaluate_every",
    "run.save_checkpoints_secs": "trials.evaluate_every",
    "eval.max_steps": "budget.steps",
    "eval.throttle_secs": "trials.evaluate_every",
}
"""Key of the run that a sweep decides -> the sweep's key for it."""
_ALIVE = ("model.dropout", "model.activation_fn", "model.loss_reduction", "model.optimizer", "data.batch_size")
"""What may change while a model is trained, as its variables stay what they are."""


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
        metrics = [self.settings.metric] if isinstance(self.settings.metric, str) else self.settings.metric
        modes = [self.settings.mode] * len(metrics) if isinstance(self.settings.mode, str) else self.settings.mode
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
        return steps_of(self.settings, run)

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
        runs = [self.template.run(configuration) for configuration in _examples(self)]
        return max(steps for steps in map(self.steps_of, [self.base, *runs]) if steps is not None)

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


def steps_of(settings: SweepSettings, run: Run) -> int | None:
    """Steps of a trial, as far as budget and run tell; None goes to the end of its rows."""
    budget = settings.budget
    limits = [budget.steps, None if budget.rows is None else math.ceil(budget.rows / run.data.batch_size)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else run.eval.max_steps


def load(path: str | PathLike[str], overrides: Mapping[str, Any] | None = None) -> Sweep:
    """The sweep that a YAML file declares.

    Relative paths in it are relative to the current directory, as those of a run.

    Args:
        path: local, or any fsspec URL.
        overrides: key such as 'budget.trials' or 'set.data.epochs' -> value that takes the place of the file's.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: what it declares, or its base run, cannot be; the message has a line for each thing that is wrong.
    """
    name = fspath(path)
    return loads(read_text(name), overrides, name=name)


def loads(text: str, overrides: Mapping[str, Any] | None = None, *, name: str = "<text>") -> Sweep:
    """The sweep that a YAML text declares; see `load`.

    Raises:
        ConfigError: it cannot be.
    """
    document = Document.parse(text)
    if not document.problems:
        for key, value in (overrides or {}).items():
            section, _, below = key.partition(".")
            if section in ("set", "space") and below:
                # What stands there are keys of the run, which have points in them.
                document.override_at((section, below), value)
            else:
                document.override(key, value)
    settings, problems = validated(SweepSettings, document)
    if settings is not None:
        sweep, problems = _checked(settings, document.as_written(), name)
        if sweep is not None and not problems:
            return sweep
    raise ConfigError(listed(problems, document, name))


def declared_sweep(source: Mapping[str, Any], folder: str) -> Sweep:
    """The sweep that was checked when it began, wherever its folder is now; what environment variables gave is missing.

    Args:
        source: see `Sweep`.
        folder: of the sweep, local.

    Raises:
        ConfigError: this is none.
    """
    parent, _, name = storage.absolute(folder).rstrip("/").rpartition("/")
    document = Document(values={**source["sweep"], "storage": parent or "/", "name": name})
    settings, problems = validated(SweepSettings, document)
    if settings is None:
        raise ConfigError(listed(problems, document, folder))
    return Sweep(settings, name, RunTemplate(settings.run, source["run"], settings.set), source)


def _checked(settings: SweepSettings, source: Any, name: str) -> tuple[Sweep | None, list[Problem]]:
    """The sweep, if there is a base run, and what is wrong with it."""
    problems = list(_unfit_settings(settings))
    try:
        text = read_text(settings.run)
    except FileNotFoundError as error:
        return None, [*problems, Problem(("run",), str(error))]
    base = Document.parse(text)
    _, wrong = validated(Run, base)
    if wrong:
        # As if the run was loaded by itself: its lines are those of its own file.
        raise ConfigError(listed(wrong, base, settings.run))
    template = RunTemplate(settings.run, base.values, settings.set)
    run, wrong = validated(Run, template.document({}))
    problems += _at_keys(wrong, "set", settings.set)
    if run is None:
        return None, problems
    sources = {"sweep": source, "run": base.as_written()}
    sweep = Sweep(settings, settings.name or PurePosixPath(name).stem, template, sources)
    problems += _unfit_for_run(settings, run)
    problems += _without_end(sweep)
    problems += _unknown_features(settings, run)
    if not problems:
        problems += _unfit_configurations(sweep)
    return sweep, problems


def _unfit_settings(settings: SweepSettings) -> Iterator[Problem]:
    """What does not go together in a sweep, whatever its run."""
    metrics = [settings.metric] if isinstance(settings.metric, str) else settings.metric
    searcher, scheduler, budget = settings.searcher, settings.scheduler_settings, settings.budget
    if not isinstance(settings.mode, str) and len(settings.mode) != len(metrics):
        yield Problem(("mode",), f"must have one for each of {len(metrics)} metrics; got {len(settings.mode)}")
    if len(metrics) > 1 and not isinstance(scheduler, NoScheduler):
        message = f"{scheduler.kind} goes by one metric; leave it out, or give one metric"  # type: ignore[attr-defined]
        yield Problem(("scheduler",), message)
    if budget.trials is None and budget.seconds is None and not isinstance(searcher, GridSearch):
        yield Problem(("budget",), "gives no end; give budget.trials, budget.seconds, or both")
    if isinstance(searcher, OptunaSearch) and isinstance(scheduler, Pbt):
        message = "pbt changes the values of running trials, from which optuna cannot learn; set search: random"
        yield Problem(("scheduler",), message)
    if not storage.is_local(settings.storage):
        yield Problem(("storage",), "must be a folder that all nodes see; sweeps are not kept in object stores")
    if settings.registered_model is not None and "tracking" not in settings.model_fields_set:
        yield Problem(("registered_model",), "is a name in MLflow's registry; add tracking: mlflow")
    for section in ("set", "space"):
        for key in getattr(settings, section):
            is_idle = section == "set" and settings.set[key] is None
            if key in OF_THE_SWEEP and not is_idle:
                yield Problem((section, key), f"is decided by the sweep; see {OF_THE_SWEEP[key]}")
    for key in settings.set:
        if key in settings.space:
            yield Problem(("set", key), "is in the space too; leave it out here or there")
    if isinstance(searcher, GridSearch):
        try:
            next(Record(settings.space).grid())
        except SpaceError as error:
            yield Problem(("space", *error.place), str(error))
    if isinstance(scheduler, Pbt):
        for key, node in settings.space.items():
            reason = _why_fixed(key, node)
            if reason:
                yield Problem(("space", key), f"{reason}; pbt goes on with the variables of another trial")
        if settings.trials.workers is not None:
            yield Problem(("trials", "workers"), "pbt takes trials of one process; leave it out")
        if settings.trials.max_concurrent is not None:
            message = "pbt lets trials take turns, as many at once as find their CPUs; raise trials.cpus instead"
            yield Problem(("trials", "max_concurrent"), message)


def _why_fixed(key: str, node: Node) -> str | None:
    """Why a key cannot change while a model is trained, or None."""
    if key.startswith("model.optimizer.") and key != "model.optimizer.name":
        key = "model.optimizer"
    if key not in _ALIVE:
        return f"decides what variables there are, or cannot change in training; {', '.join(_ALIVE)} can"
    parts = node.members.values() if isinstance(node, Record) else [node]
    if any(part.parts and not (isinstance(part, Choice) and part.is_plain) for part in parts):
        return "has branches or parts of its own; give one optimizer, whose numbers are searched"
    is_name = key == "model.optimizer" and (isinstance(node, Choice) or not _is_constant(node, "name"))
    return "changes the optimizer itself; only its numbers can change" if is_name else None


def _is_constant(node: Node, key: str) -> bool:
    return not isinstance(node, Record) or isinstance(node.members.get(key, Constant(None)), Constant)


def _unfit_for_run(settings: SweepSettings, run: Run) -> Iterator[Problem]:
    """What the base run has not got that the sweep needs."""
    if run.data.eval is None:
        yield Problem(("metric",), f"needs an evaluation; add data.eval to {settings.run}, or put it under set")
    head = classification_head(run.model.n_classes, run.model.label_vocabulary, run.model.loss_reduction)
    known = head.metrics().result()
    metrics = [settings.metric] if isinstance(settings.metric, str) else settings.metric
    for place, metric in enumerate(metrics):
        if metric not in known:
            where: Place = ("metric",) if isinstance(settings.metric, str) else ("metric", place)
            yield Problem(where, f"evaluation has no metric '{metric}'; {nearest(metric, known)}")
    steps = steps_of(settings, run)
    if steps is None and run.data.epochs is None:
        yield Problem(("budget",), "gives trials no end, and data.epochs is null; give budget.steps or budget.rows")
    scheduler = settings.scheduler_settings
    if isinstance(scheduler, Asha) and scheduler.max_t is None and steps is None:
        yield Problem(("scheduler",), "asha must know the steps of a trial; give max_t, budget.steps or budget.rows")
    if isinstance(scheduler, Asha):
        longest, shortest = scheduler.max_t or steps, scheduler.grace_period or settings.trials.evaluate_every
        if longest is not None and shortest > longest:
            message = f"the first rung, of {shortest} steps, is beyond the last, of {longest}; lower "
            key = "grace_period" if scheduler.grace_period else "trials.evaluate_every"
            yield Problem(("scheduler",), message + key)
    if isinstance(scheduler, Pbt) and reads_by_ray(run):
        message = "pbt cannot leave CPUs for Ray Data; put data.engine: auto under set, with Parquet or TFRecord files"
        yield Problem(("scheduler",), message)


def _without_end(sweep: Sweep) -> Iterator[Problem]:
    """What a training at full length lacks."""
    if sweep.settings.then_train:
        run, problems = validated(Run, sweep.full_template().document({}))
        if run is None:
            told = "; ".join(f"{key_of(problem.place)}: {problem.message}" for problem in problems)
            yield Problem(
                ("then_train",), f"{sweep.settings.run} cannot be trained without the values of trials: {told}"
            )
        elif run.data.epochs is None and run.eval.max_steps is None:
            message = f"the run has no end of its own; give data.epochs or eval.max_steps in {sweep.settings.run}"
            yield Problem(("then_train",), message)


def reads_by_ray(run: Run) -> bool:
    """Whether Ray Data reads rows of a run."""
    files = [run.data.files(name) for name in ("train", "eval")]
    return any(each is not None and run.data.is_read_by_ray(each) for each in files)


def _unknown_features(settings: SweepSettings, run: Run) -> Iterator[Problem]:
    """Keys of features that the run has not: a value below them would declare new ones."""
    for section in ("set", "space"):
        for key in getattr(settings, section):
            parts = key.split(".")
            if parts[0] == "features" and len(parts) > 2 and parts[1] not in run.features:
                message = f"the run has no feature '{parts[1]}'; {nearest(parts[1], run.features)}"
                yield Problem((section, key), message)


def _unfit_configurations(sweep: Sweep) -> Iterator[Problem]:
    """Keys whose values no run can have, each once."""
    told = set()
    template = sweep.trial_template()
    for configuration in _examples(sweep):
        _, wrong = validated(Run, template.document(configuration))
        for problem in _at_keys(wrong, "space", configuration):
            if problem.place not in told:
                told.add(problem.place)
                yield problem


def _examples(sweep: Sweep) -> Iterator[Configuration]:
    """Configurations that show what may be drawn: all ends and choices, and the first of a random search."""
    widest = max([len(part.options) for part in sweep.space.all() if isinstance(part, Choice)], default=1)
    for place in range(2 * min(widest, CHECKED)):
        yield sweep.space.draw("", _Ends(place))
    for number in range(1, 1 + min(CHECKED, sweep.settings.budget.trials or CHECKED)):
        yield random_configuration(sweep.space, sweep.settings.seed, number)


class _Ends(Suggest):
    """Takes the lower or the upper end of each range, and a place in each list.

    Args:
        place: what is taken; even numbers take lower ends.
    """

    def __init__(self, place: int) -> None:
        self._place = place

    def index(self, name: str, count: int) -> int:
        return self._place // 2 % count

    def number(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        return high if self._place % 2 else low

    def integer(self, name: str, low: int, high: int, log: bool) -> int:
        return high if self._place % 2 else low


def _at_keys(wrong: list[Problem], section: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a run, told of the keys in a section of the sweep that made it so."""
    for problem in wrong:
        parts = tuple(map(str, problem.place))
        found = [key for key in values if _is_about(parts, tuple(key.split(".")))]
        if not found:
            yield Problem((section,), f"together make a run that cannot be: {key_of(problem.place)}: {problem.message}")
        for key in found[:1]:
            below = problem.place[len(key.split(".")) :]
            yield Problem((section, key), f"{key_of(below)}: {problem.message}" if below else problem.message)


def _is_about(place: tuple[str, ...], key: tuple[str, ...]) -> bool:
    shared = min(len(place), len(key))
    return bool(place) and place[:shared] == key[:shared]
