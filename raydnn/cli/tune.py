"""The command `raydnn tune`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

import raydnn
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import FAILED, Output, output_of
from raydnn.errors import ConfigError

if TYPE_CHECKING:
    from raydnn.tune import Sweep, SweepResult, TrialResult

SHOWN_CONFIGURATIONS = 5


def tune(
    sweep_file: Annotated[str, typer.Argument(metavar="SWEEP.yaml", help="The sweep; a path or any fsspec URL.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a sweep whose driver died or was stopped.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the first configurations and what they take, and run none.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Search keys of a run: many trials with other values, compared by a metric of the evaluation.

    Ctrl-C, or SIGTERM, stops the sweep; --resume goes on with it, without the trials that have ended.

    Example: raydnn tune tune_configs/quick.yaml --set budget.trials=4 --set set.data.epochs=1
    """
    with output_of("tune", as_json, debug, log_format) as output:
        sweep = _load(sweep_file, overrides)
        if dry_run:
            _tell_plan(output, sweep)
            return
        with raydnn.train.stop_on_signals():
            result = raydnn.tune.run(sweep, resume=resume)
        _tell_result(output, result)
        if result.best is None:
            output.exit_code = FAILED
            output.add(status="failed")


def _load(path: str, overrides: list[str] | None) -> "Sweep":
    try:
        return raydnn.tune.load(path, raydnn.config.parse_overrides(overrides or ()))
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error


def _tell_plan(output: Output, sweep: "Sweep") -> None:
    """Say what would run, and what it takes."""
    plan = raydnn.tune.plan(sweep)
    first = raydnn.tune.first_configurations(sweep, SHOWN_CONFIGURATIONS)
    trials = "until the time is over" if plan.trials is None else f"{plan.trials} trials"
    output.add(
        configurations=first,
        plan={
            "trials": plan.trials,
            "cpus": plan.cpus,
            "cpus_per_trial": plan.cpus_per_trial,
            "data_cpus": plan.data_cpus,
            "concurrent": plan.concurrent,
            "memory": plan.memory,
            "steps": sweep.steps_of(sweep.base),
        },
    )
    table = Table("trial", "configuration", title="The first configurations")
    for number, configuration in enumerate(first, start=1):
        table.add_row(str(number), _told(configuration))
    if sweep.settings.budget.with_default:
        output.show("trial 0 is the run as it is")
    output.show(table)
    reading = f", {plan.data_cpus:g} for reading" if plan.data_cpus else ""
    steps = sweep.steps_of(sweep.base)
    output.show(
        f"trials       {trials}, {plan.concurrent} at once, of {'all' if steps is None else f'{steps:,}'} steps",
        f"CPUs         {plan.cpus:g}: {plan.cpus_per_trial:g} for each trial{reading}",
        f"memory       {plan.memory / 1e9:.1f} GB: {plan.memory / plan.concurrent / 1e9:.1f} GB for each trial",
        f"folder       {sweep.folder}",
    )


def _tell_result(output: Output, result: "SweepResult") -> None:
    """Say how the trials compare, best first."""
    ranked = result.ranked
    others = [trial for trial in result.trials if trial not in ranked]
    metrics = [metric for metric, _ in result.objectives]
    best, default = result.best, result.default
    output.add(
        folder=result.folder,
        trials=[_as_json(trial) for trial in result.trials],
        best=None if best is None else best.number,
        default=None if default is None else default.number,
    )
    table = Table("rank", "trial", *metrics, "steps", "seconds", "status", title="Trials")
    table.add_column("differs from the base run", overflow="fold")
    for rank, trial in enumerate([*ranked, *others], start=1):
        values = [_number(trial.metrics.get(metric)) for metric in metrics]
        place = str(rank) if trial in ranked else "-"
        told = "nothing: the run as it is" if trial.is_default else _told(trial.configuration)
        told += f" ({trial.error})" if trial.error else ""
        row = (f"{trial.global_step:,}", f"{trial.seconds:.1f}", trial.status, told)
        table.add_row(place, str(trial.number), *values, *row)
    output.show(table)
    if best is None:
        output.show("no trial was evaluated")
        return
    lines = [f"best         trial {best.number}: {_compared(best, metrics)}: {best.model_dir}"]
    if default is not None and default is not best:
        lines.append(f"base run     trial {default.number}: {_compared(default, metrics)}")
    output.show(*lines)


def _as_json(trial: "TrialResult") -> dict[str, Any]:
    return {
        "number": trial.number,
        "status": trial.status,
        "configuration": trial.configuration,
        "metrics": dict(trial.metrics),
        "global_step": trial.global_step,
        "seconds": round(trial.seconds, 3),
        "error": trial.error,
        "model_dir": trial.model_dir,
        "is_default": trial.is_default,
    }


def _compared(trial: "TrialResult", metrics: list[str]) -> str:
    return ", ".join(f"{metric} {_number(trial.metrics.get(metric))}" for metric in metrics)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}"


def _told(configuration: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return ", ".join(f"{key}={_value(value)}" for key, value in configuration.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
