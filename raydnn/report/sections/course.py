"""The sections about training: how it went, with what, and what was declared."""

from collections.abc import Iterator, Mapping

import numpy as np

from raydnn.report.charts import Series, line_chart
from raydnn.report.curves import Curve
from raydnn.report.drawing import Axis
from raydnn.report.history import RATE
from raydnn.report.material import Material
from raydnn.report.page import Cell, Chart, Code, Fact, Facts, Note, Part, Section, Table
from raydnn.report.text import NOTHING, moment, number, size_of, slug
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.checkpoint.manifest import num_bytes

MOST_VARIABLES = 300

_STEP = Axis("Global step")
_OF_TWO_CLASSES = ("auc", "accuracy", "precision", "recall")


def learning_curves(material: Material) -> Section:
    """Losses and metrics over steps."""
    intro = "How loss and metrics went while the model learned. Training is measured on single batches, so it is rough."
    parts: list[Part] = [*_learning_charts(material), *_last_metrics(material)]
    if not parts:
        parts = [Note("There are no event files in model_dir.")]
    return Section("learning", "Learning curves", intro, parts)


def run_section(material: Material) -> Section:
    """Workers, throughput, variables and their parts, and checkpoints."""
    checkpoint = material.checkpoint
    sizes = {name: num_bytes(place.shape, place.dtype) for name, place in checkpoint.manifest.variables.items()}
    workers = checkpoint.manifest.config.get("num_workers")
    facts = [
        Fact("Workers", _workers(workers), "in this process" if workers is None else "Ray workers"),
        Fact("Global batch", material.run.data.batch_size, "rows"),
        Fact("Variables", len(sizes), size_of(sum(sizes.values()))),
        Fact("Spread variables", sum(len(place.parts) > 1 for place in checkpoint.manifest.variables.values())),
    ]
    rate = material.history.train.get(RATE)
    parts: list[Part] = [Facts(facts)]
    if rate is not None:
        steps_per_s = float(np.median(rate.y))
        facts[2:2] = [
            Fact("Throughput", steps_per_s * material.run.data.batch_size, "rows/s, median"),
            Fact("Steps per second", steps_per_s, "median"),
        ]
        parts.append(_rate_chart(rate))
    parts += [_variables(checkpoint, sizes), _checkpoints(material)]
    intro = "With what the model was trained, how fast, and how its variables are stored."
    return Section("run", "Run", intro, parts)


def configuration(material: Material) -> Section:
    """The run as YAML."""
    intro = "The run as it was declared, with what was given on the command line; it loads as the same run."
    return Section("configuration", "Configuration", intro, [Code("Show the YAML", material.run.to_yaml())])


def _learning_charts(material: Material) -> Iterator[Chart]:
    train, evaluations = material.history.train, material.history.evaluations
    # With a summed loss its average is written too; else the loss is one.
    of_train = train.get("average_loss", train.get("loss"))
    losses = {} if of_train is None else {"training": of_train}
    losses |= {_named(name): curves["average_loss"] for name, curves in evaluations.items() if "average_loss" in curves}
    if losses:
        ends = ", ".join(f"{name} {number(float(curve.y[-1]))}" for name, curve in losses.items())
        yield _over_steps(
            "loss", "Mean loss of a row", f"Loss over global steps; at the end: {ends}.", losses, "Mean loss"
        )
    for name, curves in evaluations.items():
        shown = {tag: curves[tag] for tag in _OF_TWO_CLASSES if tag in curves}
        if any(len(curve.x) > 1 for curve in shown.values()):
            ends = ", ".join(f"{tag} {number(float(curve.y[-1]))}" for tag, curve in shown.items())
            chart = f"metrics-{place}" if (place := slug(name)) else "metrics"
            title, alt = f"Metrics of the {_named(name)}", f"Metrics over global steps; at the end: {ends}."
            yield _over_steps(chart, title, alt, shown, "Metric")


def _last_metrics(material: Material) -> Iterator[Table]:
    """The metrics of the last evaluation of each name."""
    for name, curves in material.history.evaluations.items():
        step = max(float(curve.x[-1]) for curve in curves.values())
        rows = [(tag, float(curve.y[-1])) for tag, curve in sorted(curves.items()) if curve.x[-1] == step]
        yield Table(f"Last {_named(name)}, at step {step:,.0f}", ("Metric", "Value"), rows)


def _over_steps(name: str, title: str, alt: str, curves: Mapping[str, Curve], label: str) -> Chart:
    series = [
        Series(each if len(curves) > 1 else "", *_thinned(curve), style="line" if len(curve.x) > 60 else "both")
        for each, curve in curves.items()
    ]
    steps = sorted({step for curve in curves.values() for step in curve.x.tolist()})
    by_step = {each: dict(zip(curve.x.tolist(), curve.y.tolist(), strict=True)) for each, curve in curves.items()}
    kept = steps if len(steps) <= 200 else [steps[int(place)] for place in np.linspace(0, len(steps) - 1, 200)]
    rows: list[list[Cell]] = [[int(step), *(values.get(step) for values in by_step.values())] for step in kept]
    return line_chart(name, title, alt, series, _STEP, Axis(label), Table(title, ("Global step", *curves), rows))


def _thinned(curve: Curve) -> tuple[list[float], list[float]]:
    """Points of a curve, few enough to be drawn; each stretch of many keeps its mean."""
    most = 400
    if len(curve.x) <= most:
        return curve.x.tolist(), curve.y.tolist()
    ends = np.arange(most + 1) * len(curve.x) // most
    sizes = np.diff(ends)
    return [(np.add.reduceat(values, ends[:-1]) / sizes).tolist() for values in (curve.x, curve.y)]  # type: ignore[return-value]


def _rate_chart(rate: Curve) -> Chart:
    alt = f"Steps per second over global steps: from {number(float(rate.y.min()))} to {number(float(rate.y.max()))}."
    return _over_steps("speed", "Speed of training", alt, {"Steps per second": rate}, "Steps per second")


def _workers(found: int | list[int] | tuple[int, int] | None) -> str:
    if found is None:
        return "1"
    return str(found) if isinstance(found, int) else f"{found[0]} to {found[1]}"


def _variables(checkpoint: CheckpointReader, sizes: Mapping[str, int]) -> Table:
    variables = checkpoint.manifest.variables
    names = sorted(variables, key=lambda name: (-sizes[name], name))
    rows = [
        (
            name,
            " x ".join(map(str, variables[name].shape)) or "scalar",
            variables[name].dtype,
            size_of(sizes[name]),
            len(variables[name].parts),
        )
        for name in names[:MOST_VARIABLES]
    ]
    note = "Parts: a variable in several parts is spread over the workers by rows."
    if len(names) > MOST_VARIABLES:
        note += f" The largest {MOST_VARIABLES} of {len(names):,} variables."
    heads = ("Variable", "Shape", "Type", "Size", "Parts")
    return Table("Variables in the checkpoint, the largest first", heads, rows, note)


def _checkpoints(material: Material) -> Table:
    rows = [(each.path, each.global_step, moment(each.manifest.saved_at)) for each in material.kept]
    return Table(
        "Checkpoints that are kept", ("Checkpoint", "Global step", "Saved"), rows or [(NOTHING, None, NOTHING)]
    )


def _named(name: str) -> str:
    return f"evaluation {name}" if name else "evaluation"
