"""The sections of the report of a sweep: what was found, how the trials went, which keys matter, what it has cost."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from raydnn.report.charts import Series, bar_chart, line_chart
from raydnn.report.drawing import Axis
from raydnn.report.page import Cell, Chart, Code, Fact, Facts, Note, Part, Section, Table
from raydnn.report.ranked_charts import ParallelAxis, curves_chart, parallel_chart
from raydnn.report.text import NOTHING, number, percent, slug
from raydnn.tune.importance import FEWEST_TRIALS
from raydnn.tune.report_material import SweepMaterial
from raydnn.tune.result import STATUSES, TrialResult
from raydnn.tune.text import told, value_told

MOST_AXES = 14
"""Of the parallel coordinates; of more keys the most important are drawn."""
WEAK = 0.3
"""Explained variance below which importances are hardly more than chance."""


def summary(material: SweepMaterial) -> Section:
    """The best trial against the base run."""
    result, best, default = material.result, material.result.best, material.result.default
    unfinished = result.count("running", "waiting")
    parts: list[Part] = []
    if unfinished:
        parts.append(Note(f"Trials that have not ended: {unfinished}; what stands here may change.", "warning"))
    if result.count("failed"):
        text = f"Trials that have failed: {result.count('failed')}; why stands below the table of trials."
        parts.append(Note(text, "warning"))
    if best is None:
        parts.append(Note("No trial was evaluated.", "error" if not unfinished else "info"))
        return Section("summary", "Summary", "", parts)
    has_default = default is not None and default in material.ranked
    facts = [
        Fact("Best trial", str(best.number), f"of {len(material.ranked)} that were compared"),
        Fact(f"Best {material.metric}", _metric(best, material.metric), _aim(material.mode)),
    ]
    if default is not None and has_default:
        gain = float(best.metrics[material.metric]) - float(default.metrics[material.metric])
        facts.append(Fact(f"Base run's {material.metric}", _metric(default, material.metric), "the run as it is"))
        facts.append(Fact("Difference", f"{gain:+.2g}", "best less base run"))
    facts.append(Fact("Trials", len(result.trials), f"{result.count('stopped')} stopped early"))
    facts.append(Fact("Time of all trials", f"{sum(trial.seconds for trial in result.trials):,.1f} s"))
    parts.append(Facts(facts))
    compared = [best, *([default] if default is not None and has_default and default is not best else [])]
    heads = ["best trial" if trial is best else "base run" for trial in compared]
    parts.append(_keys_table(material, compared, heads))
    names = sorted({name for trial in compared for name in trial.metrics})
    rows = [[name, *(_metric(trial, name) for trial in compared)] for name in names]
    parts.append(Table("Metrics of the last evaluation", ["Metric", *heads], rows))
    parts.append(Note(f"The model of trial {best.number} lies in {best.model_dir}."))
    intro = (
        "What the sweep has found, held against the base run as it is. The best of many trials looks better than it "
        "will be on other data: judge it by rows that no trial was compared on."
    )
    return Section("summary", "Summary", intro, parts)


def winner(material: SweepMaterial) -> Section | None:
    """Where the exported model lies; None where none is exported yet."""
    crowned, best = material.result.winner, material.result.best
    if crowned is None:
        return None
    parts: list[Part] = []
    if best is None or not crowned.is_of(best):
        text = f"The sweep has gone on since: this is trial {crowned.number} as it stood when it was the best."
        parts.append(Note(text, "warning"))
    rows: list[list[Cell]] = [["Trial", f"{crowned.number}, at global step {crowned.global_step:,}"]]
    rows += [["Export", path] for path in crowned.exports]
    rows.append(["Checkpoint", crowned.checkpoint])
    if crowned.logged_model is not None:
        rows.append(["Logged model in MLflow", crowned.logged_model])
    if crowned.registered_model is not None:
        version = "" if crowned.registered_version is None else f", version {crowned.registered_version}"
        rows.append(["Registered model in MLflow", f"{crowned.registered_model}{version}"])
    if crowned.final_model_dir is not None and crowned.final_metrics is not None:
        rows.append(["Trained at full length", crowned.final_model_dir])
        value = crowned.final_metrics.get(material.metric)
        rows.append([f"Its {material.metric}", None if value is None else float(value)])
    parts.append(Table("The best trial's model", ["What", "Where"], rows))
    return Section("winner", "Winner", "What became of the best trial: its model was exported.", parts)


def front(material: SweepMaterial) -> Section | None:
    """The trials that nothing beats in all metrics; None where one metric decides."""
    if len(material.result.objectives) < 2 or not material.ranked:
        return None
    names = [name for name, _ in material.result.objectives]
    best = material.result.front
    rows = [[str(trial.number), *(_metric(trial, name) for name in names), told(trial.configuration)] for trial in best]
    parts: list[Part] = [Table("Trials that no other one beats", ["Trial", *names, "Configuration"], rows)]
    beaten = [trial for trial in material.ranked if trial not in best]
    series = [
        Series(what, _values(chosen, names[0]), _values(chosen, names[1]), style="points")
        for what, chosen in (("beaten", beaten), ("beaten by none", best))
        if chosen
    ]
    alt = f"{names[1]} over {names[0]} of {len(material.ranked)} trials, {len(best)} of which no other one beats."
    title = f"{names[1]} over {names[0]}"
    parts.append(line_chart("front", title, alt, series, Axis(names[0]), Axis(names[1])))
    aims = ", ".join(f"{name} ({_aim(mode)})" for name, mode in material.result.objectives)
    return Section("front", "Several metrics", f"Trials are compared by {aims}.", parts)


def trials(material: SweepMaterial) -> Section:
    """All trials, best first."""
    result, ranked = material.result, material.ranked
    others = [trial for trial in result.trials if trial not in ranked]
    metrics = [name for name, _ in result.objectives]
    rows: list[list[Cell]] = []
    for rank, trial in enumerate([*ranked, *others], start=1):
        what = "nothing: the run as it is" if trial.is_default else told(trial.configuration)
        values: list[Cell] = [_metric(trial, name) for name in metrics]
        place: Cell = rank if trial in ranked else None
        cost: list[Cell] = [trial.global_step, trial.rows, f"{trial.seconds:,.1f}"]
        status = trial.status if trial.reason is None else f"{trial.status}: {trial.reason}"
        rows.append([str(trial.number), place, *values, *cost, status, what])
    heads = ["Trial", "Rank", *metrics, "Steps", "Rows", "Seconds", "Status", "Differs from the base run"]
    note = "A trial that was stopped early counts with its last evaluation. Seconds are those of all its lives."
    intro = f"All trials, best first by {material.metric} ({_aim(material.mode)})."
    parts: list[Part] = [Table("Trials", heads, rows, note)]
    failed = [(str(trial.number), trial.error or NOTHING) for trial in result.trials if trial.status == "failed"]
    if failed:
        parts.append(Table("Failures", ("Trial", "Error"), failed))
    return Section("trials", "Trials", intro, parts)


def coordinates(material: SweepMaterial) -> Section:
    """What the good trials have in common."""
    intro = (
        "A line for each trial, through its value on each axis. Where the lines of the best fifth run through a "
        "narrow place, that value matters; where they are spread, it does not. At the left end, beside the dash, are "
        "trials without that value."
    )
    axes, left_out = material.axes, 0
    if not axes:
        return Section("coordinates", "Parallel coordinates", "", [Note("No two trials with other values are there.")])
    if len(axes) > MOST_AXES:
        order = [key.name for key in material.importances.keys] if material.importances else []
        kept = set(order[:MOST_AXES]) if order else {axis.name for axis in axes[:MOST_AXES]}
        left_out = len(axes) - MOST_AXES
        axes = [axis for axis in axes if axis.name in kept]
    drawn = [*axes, ParallelAxis(material.metric, [float(trial.metrics[material.metric]) for trial in material.ranked])]
    best = "; ".join(f"{axis.name} {_value_on(axis, axis.values[0])}" for axis in drawn if axis.values[0] is not None)
    alt = f"Values of {len(material.ranked)} trials on {len(drawn)} axes; those of the best: {best}."
    rows: list[list[Cell]] = [
        [str(trial.number), *(_value_on(axis, axis.values[place]) for axis in drawn)]
        for place, trial in enumerate(material.ranked)
    ]
    title = "Keys and metric of the trials"
    data = Table(title, ["Trial", *(axis.name for axis in drawn)], rows)
    parts: list[Part] = [parallel_chart("parallel", title, alt, material.shown, drawn, data)]
    if left_out:
        parts.append(Note(f"{left_out} keys that matter least are left out."))
    return Section("coordinates", "Parallel coordinates", intro, parts)


def curves(material: SweepMaterial) -> Section:
    """How the trials learned."""
    parts = [chart for name, _ in material.result.objectives if (chart := _curves(material, name)) is not None]
    intro = "The evaluations of all trials over global steps; trials that were stopped early end sooner."
    return Section("curves", "Learning curves", intro, parts or [Note("No trial was evaluated.")])


def _curves(material: SweepMaterial, metric: str) -> Chart | None:
    points = [
        [(int(report["global_step"]), float(report[metric])) for report in trial.reports if metric in report]
        for trial in material.ranked
    ]
    if not any(points):
        return None
    pairs = [(([x for x, _ in each]), ([y for _, y in each])) for each in points]
    title = f"{metric} of all trials"
    rows: list[list[Cell]] = [
        [str(trial.number), step, value]
        for trial, each in zip(material.ranked, points, strict=True)
        for step, value in each
    ]
    lowest, highest = (pick(y for each in points for _, y in each) for pick in (min, max))
    alt = f"{metric} of {len(points)} trials over global steps, from {number(lowest)} to {number(highest)}."
    data = Table(title, ("Trial", "Global step", metric), rows)
    return curves_chart(
        f"curves-{slug(metric)}", title, alt, material.shown, pairs, Axis("Global step"), Axis(metric), data
    )


def importance(material: SweepMaterial) -> Section:
    """Which keys decide."""
    found = material.importances
    intro = (
        f"How much worse a forest of decision trees, fitted to the trials, predicts {material.metric} when the values "
        "of a key are dealt out to other trials: the increase of its mean squared error as a share of the variance, "
        "with the standard deviation of ten repeats."
    )
    if found is None:
        text = f"It takes {FEWEST_TRIALS} trials with other values and other metrics to tell; there are too few."
        return Section("importance", "Importance of keys", "", [Note(text)])
    parts: list[Part] = []
    if found.explained < WEAK:
        known = percent(max(found.explained, 0.0))
        text = f"Of trials that it has not seen the forest explains {known} of the variance: take this as a hint only."
        parts.append(Note(text, "warning"))
    labels, values = [key.name for key in found.keys], [key.increase for key in found.keys]
    first = ", ".join(f"{key.name} {number(key.increase)}" for key in found.keys[:3])
    title, alt = f"Importance for {material.metric}", f"Importance of {len(labels)} keys; the first: {first}."
    rows = [(key.name, key.increase, key.spread) for key in found.keys]
    note = f"Variance that the forest explains of trials it has not seen: {percent(max(found.explained, 0.0))}."
    data = Table(title, ("Key", "Increase", "Standard deviation"), rows, note)
    spreads = [key.spread for key in found.keys]
    axis = Axis("Increase of the squared error / variance")
    # Names of keys are long, and end with what tells them apart.
    short = [label if len(label) <= 26 else f"…{label[-25:]}" for label in labels]
    parts.append(bar_chart("importance", title, alt, short, values, axis, spreads, data))
    return Section("importance", "Importance of keys", intro, parts)


def cost(material: SweepMaterial) -> Section:
    """What the trials have taken."""
    result = material.result
    rows: list[list[Cell]] = []
    for status in STATUSES:
        chosen = [trial for trial in result.trials if trial.status == status]
        if chosen:
            rows.append([status, *_spent(chosen)])
    table = Table(
        "Cost by status", ("Status", "Trials", "Seconds", "Steps", "Rows"), [*rows, ["all", *_spent(result.trials)]]
    )
    parts: list[Part] = [table]
    if rows:
        seconds = [sum(trial.seconds for trial in result.trials if trial.status == row[0]) for row in rows]
        shares = ", ".join(f"{row[0]} {number(spent)} s" for row, spent in zip(rows, seconds, strict=True))
        axis = Axis("Seconds")
        chart = bar_chart(
            "cost", "Seconds by status", f"Seconds: {shares}.", [str(row[0]) for row in rows], seconds, axis
        )
        parts.append(chart)
    intro = "Seconds of the trials, summed over those that ran at once; steps and rows up to their last evaluations."
    return Section("cost", "Cost", intro, parts)


def configuration(material: SweepMaterial) -> Section:
    """What was declared."""
    sources = material.sweep.source
    parts = [Code("Show the YAML of the sweep", _yaml(sources["sweep"]))]
    parts.append(Code("Show the YAML of the base run", _yaml(sources["run"])))
    best = material.result.best
    if best is not None and best.configuration:
        overrides = " ".join(f"--set '{key}={json.dumps(value)}'" for key, value in best.configuration.items())
        parts.append(Code("Show the options that make the base run the best trial", overrides))
    return Section("configuration", "Configuration", "", parts)


def _keys_table(material: SweepMaterial, compared: Sequence[TrialResult], heads: Sequence[str]) -> Table:
    """The searched keys of some trials."""
    values = [material.configuration(trial) for trial in compared]
    rows = [
        [key, *(value_told(each[key]) if key in each else NOTHING for each in values)]
        for key in material.sweep.space.members
    ]
    note = "A dash: left to its default." if any(NOTHING in row for row in rows) else ""
    return Table("Searched keys", ["Key", *heads], rows, note)


def _spent(chosen: Sequence[TrialResult]) -> Iterator[Cell]:
    yield len(chosen)
    yield f"{sum(trial.seconds for trial in chosen):,.1f}"
    yield sum(trial.global_step for trial in chosen)
    yield sum(trial.rows for trial in chosen)


def _values(chosen: Sequence[TrialResult], metric: str) -> list[float]:
    return [float(trial.metrics.get(metric, math.nan)) for trial in chosen]


def _metric(trial: TrialResult, name: str) -> Cell:
    value = trial.metrics.get(name)
    return None if value is None else float(value)


def _value_on(axis: ParallelAxis, value: float | None) -> str:
    if value is None:
        return NOTHING
    return axis.categories[int(value)] if axis.categories else number(value)


def _aim(mode: str) -> str:
    return "large is good" if mode == "max" else "small is good"


def _yaml(values: Any) -> str:
    return str(yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120))
