"""The command `raydnn tune`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

import raydnn
from raydnn import storage
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import FAILED, Output, output_of
from raydnn.cli.sweep_display import watched
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
    then_train: Annotated[
        bool,
        typer.Option("--then-train", help="Train the best configuration at full length when the trials have ended."),
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
        sweep = _load(sweep_file, [*(overrides or ()), *(["then_train=true"] if then_train else [])])
        if dry_run:
            _tell_plan(output, sweep)
            return
        with raydnn.train.stop_on_signals(), watched(sweep, log_format) as watch:
            result = raydnn.tune.run(sweep, resume=resume, watch=watch)
        _tell_result(output, result)
        tracking = sweep.settings.tracking_settings
        if tracking is not None:
            output.show(runs.mlflow_line(sweep.folder, tracking.tracking_uri))
        if result.best is None:
            output.exit_code = FAILED
            output.add(status="failed")


def _load(path: str, overrides: list[str]) -> "Sweep":
    try:
        return raydnn.tune.load(path, raydnn.config.parse_overrides(overrides))
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error


def _tell_plan(output: Output, sweep: "Sweep") -> None:
    """Say what would run, and what it takes."""
    plan = raydnn.tune.plan(sweep)
    first = raydnn.tune.first_configurations(sweep, SHOWN_CONFIGURATIONS)
    trials = "until the time or the grid is over" if plan.trials is None else f"{plan.trials} trials"
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
        table.add_row(str(number), raydnn.tune.text.told(configuration))
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
    words, ranked = raydnn.tune.text, result.ranked
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
        values = [words.metric_told(trial.metrics.get(metric)) for metric in metrics]
        place = str(rank) if trial in ranked else "-"
        told = "nothing: the run as it is" if trial.is_default else words.told(trial.configuration)
        told += f" ({trial.error})" if trial.error else ""
        status = trial.status if trial.reason is None else f"{trial.status}: {trial.reason}"
        row = (f"{trial.global_step:,}", f"{trial.seconds:.1f}", status, told)
        table.add_row(place, str(trial.number), *values, *row)
    output.show(table)
    if storage.exists(result.report):
        output.add(report=result.report)
        output.show(f"report       {result.report}")
    if best is None:
        output.show("no trial was evaluated")
        return
    lines = [f"best         trial {best.number}: {words.metrics_told(best, metrics)}: {best.model_dir}"]
    if default is not None and default is not best:
        lines.append(f"base run     trial {default.number}: {words.metrics_told(default, metrics)}")
    output.show(*lines)
    _tell_winner(output, result, metrics)


def _tell_winner(output: Output, result: "SweepResult", metrics: list[str]) -> None:
    """Say what became of the best trial."""
    winner = result.winner
    if winner is None:
        return
    output.add(winner=asdict(winner))
    lines = [f"export       {path}" for path in winner.exports]
    if winner.registered_model is not None:
        lines.append(f"registered   models:/{winner.registered_model}@champion")
    if winner.final_metrics is not None:
        told = ", ".join(f"{name} {raydnn.tune.text.metric_told(winner.final_metrics.get(name))}" for name in metrics)
        lines.append(f"final model  {told}: {winner.final_model_dir}")
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
        "reason": trial.reason,
        "model_dir": trial.model_dir,
        "is_default": trial.is_default,
    }
