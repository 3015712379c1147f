"""The beginning of a report: how good the model is, and what is wrong with it."""

import platform
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

import raydnn
from raydnn.report.material import Material
from raydnn.report.page import Fact, Facts, Note, Part, Section, Table
from raydnn.report.text import moment, number, percent, span

_NO_BETTER_THAN_CHANCE = 0.55


def summary(material: Material) -> Section:
    """How good the model is, which one it is, and on which rows."""
    scored, metrics = material.scored, material.metrics
    parts: list[Part] = [Facts(list(_facts(material)))]
    if material.evaluation is None:
        text = (
            "The run has no data.eval, so the report scores the rows that the model was trained on. On new rows it "
            "will do worse; give data.eval to see how."
        )
        parts.append(Note(text, "warning"))
    if scored.negative_weights:
        text = f"{scored.negative_weights:,} rows have a negative weight; here they count as rows of weight 0."
        parts.append(Note(text, "warning"))
    manifest = material.checkpoint.manifest
    weight = f"weighted by {material.run.data.weight}" if scored.is_weighted else "all of equal weight"
    parts.append(
        Table(
            "What was scored",
            ("Item", "Value"),
            [
                ("Rows", f"{scored.rows:,} of the {material.total_rows:,} rows of {material.source}, {weight}"),
                ("Classes", f"{len(scored.classes):,}: {_joined(scored.classes)}"),
                ("Checkpoint", material.checkpoint.path),
                ("Global step", f"{manifest.global_step:,}"),
                ("Saved", moment(manifest.saved_at)),
                (
                    "Versions",
                    f"raydnn {raydnn.__version__}, torch {version('torch')}, ray {version('ray')}, "
                    f"Python {platform.python_version()}",
                ),
            ],
        )
    )
    intro = "The numbers that matter most, on rows that the model has not learned from."
    if material.evaluation is None:
        intro = "The numbers that matter most."
    if scored.is_binary and not np.isnan(metrics["auc"]):
        intro += f" Scores are probabilities of {material.second_class}."
    return Section("summary", "Summary", intro, parts)


def findings(material: Material) -> Section:
    """What the checks found, and what to do about it."""
    found = [(each.level, each.key, each.text) for each in material.findings]
    found += [("warning", "model", text) for text in _one_class(material)]
    intro = "What the checks of the run against its data found, and what to do about it."
    if not found:
        return Section("findings", "Findings", intro, [Note("Nothing was found.")])
    order = ("error", "warning", "info")
    rows = sorted(found, key=lambda each: order.index(each[0]))
    levels = [row[0] for row in rows]
    names = {"error": "error", "warning": "warning", "info": "note"}
    counts = {names[level]: levels.count(level) for level in order if level in levels}
    title = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    return Section("findings", "Findings", intro, [Table(title, ("Level", "Key", "Finding"), rows)])


def _facts(material: Material) -> Iterator[Fact]:
    metrics, scored = material.metrics, material.scored
    if scored.is_binary:
        low, high = material.ranking.area_interval
        yield Fact("AUC", metrics["auc"], f"95 %: {span(low, high)}")
        yield Fact("Average precision", metrics["average_precision"], f"chance: {number(metrics['label/mean'])}")
    baseline = f"the commonest class: {percent(metrics['accuracy_baseline'])}"
    yield Fact("Accuracy", percent(metrics["accuracy"]), baseline)
    yield Fact("Mean loss", metrics["average_loss"], f"class shares alone: {number(metrics['average_loss_baseline'])}")
    if scored.is_binary:
        yield Fact("Mean probability", percent(metrics["prediction/mean"]), f"labels: {percent(metrics['label/mean'])}")
    yield Fact("Rows scored", scored.rows, f"of {material.source}")
    yield Fact("Global step", material.checkpoint.global_step)


def _one_class(material: Material) -> Iterator[str]:
    """What to say of a model that predicts one class for all rows, though there are others."""
    scored = material.scored
    predicted = np.unique(scored.predicted)
    if len(predicted) != 1 or sum(share > 0 for share in material.class_shares) < 2:
        return
    text = f"the model predicts {scored.classes[predicted[0]]!r} for all {scored.rows:,} scored rows"
    way_out = "train longer, try another learning rate, and mend what else is found here"
    if not scored.is_binary:
        yield f"{text}; {way_out}, or give rare classes more weight with data.weight"
    elif material.ranking.area < _NO_BETTER_THAN_CHANCE:
        yield f"{text}, and hardly tells the classes apart (AUC {number(material.ranking.area)}); {way_out}"
    else:
        best = material.ranking.best_f1
        yield (
            f"{text}, as all probabilities lie on one side of 0.5, but it ranks them (AUC "
            f"{number(material.ranking.area)}): decide by another threshold, such as {number(best.threshold)}; see "
            "Decisions"
        )


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
