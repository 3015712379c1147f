"""What cannot be in a sweep, told with the key that is to be changed."""

from collections.abc import Iterator, Mapping
from typing import Any

from raydnn import storage
from raydnn.config import Run
from raydnn.config.document import Place, Problem
from raydnn.config.loader import key_of, validated
from raydnn.config.messages import nearest
from raydnn.model.heads import classification_head
from raydnn.tune.settings import Asha, GridSearch, NoScheduler, OptunaSearch, Pbt, SweepSettings
from raydnn.tune.space import Choice, Constant, Node, Record, SpaceError
from raydnn.tune.sweep import Sweep, reads_by_ray

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


def unfit_settings(settings: SweepSettings) -> Iterator[Problem]:
    """What does not go together in a sweep, whatever its run."""
    searcher, scheduler, budget = settings.searcher, settings.scheduler_settings, settings.budget
    metrics = settings.metrics
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
        yield from _unfit_for_pbt(settings)


def unfit_sweep(sweep: Sweep, run: Run) -> Iterator[Problem]:
    """What does not fit the base run.

    Args:
        sweep: whose settings fit together.
        run: the base run with the values under set.
    """
    yield from _unfit_for_run(sweep, run)
    yield from _without_end(sweep)
    yield from _unknown_features(sweep.settings, run)


def unfit_configurations(sweep: Sweep) -> Iterator[Problem]:
    """Keys whose values no run can have, each once."""
    told = set()
    template = sweep.trial_template()
    for configuration in sweep.examples():
        _, wrong = validated(Run, template.document(configuration))
        for problem in at_keys(wrong, "space", configuration):
            if problem.place not in told:
                told.add(problem.place)
                yield problem


def at_keys(wrong: list[Problem], section: str, values: Mapping[str, Any]) -> Iterator[Problem]:
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


def _unfit_for_pbt(settings: SweepSettings) -> Iterator[Problem]:
    """What population based training cannot do."""
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


def _unfit_for_run(sweep: Sweep, run: Run) -> Iterator[Problem]:
    """What the base run has not got that the sweep needs."""
    settings = sweep.settings
    if run.data.eval is None:
        yield Problem(("metric",), f"needs an evaluation; add data.eval to {settings.run}, or put it under set")
    head = classification_head(run.model.n_classes, run.model.label_vocabulary, run.model.loss_reduction)
    known = head.metrics().result()
    for place, metric in enumerate(settings.metrics):
        if metric not in known:
            where: Place = ("metric",) if isinstance(settings.metric, str) else ("metric", place)
            yield Problem(where, f"evaluation has no metric '{metric}'; {nearest(metric, known)}")
    steps = sweep.steps_of(run)
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


def _unknown_features(settings: SweepSettings, run: Run) -> Iterator[Problem]:
    """Keys of features that the run has not: a value below them would declare new ones."""
    for section in ("set", "space"):
        for key in getattr(settings, section):
            parts = key.split(".")
            if parts[0] == "features" and len(parts) > 2 and parts[1] not in run.features:
                message = f"the run has no feature '{parts[1]}'; {nearest(parts[1], run.features)}"
                yield Problem((section, key), message)
