"""The sections about the scores: how well they tell classes apart, how true they are, and what to decide by them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from raydnn.report.charts import Series, line_chart, matrix_chart
from raydnn.report.curves import CalibrationBin, Curve, Decision, Ranking, calibration, calibration_error, confusion
from raydnn.report.drawing import SHARE_LIMITS, Axis, Picture
from raydnn.report.material import Material
from raydnn.report.page import Cell, Chart, Note, Part, Section, Table
from raydnn.report.scored import Scored
from raydnn.report.text import number, percent, percent_span, span

MOST_CURVES = 6
"""Classes that have a curve, of more than two the commonest."""
MOST_CONFUSED = 12
"""Classes in the confusion matrix; the rarer ones are one."""
MOST_ROWS = 40
"""Of the table behind a curve."""
SCORE_BINS = 25
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

OTHERS = "other classes"


def discrimination(material: Material) -> Section:
    """ROC and precision-recall curves, and the distribution of scores."""
    title = "Discrimination"
    rankings = {name: ranking for name, ranking in _rankings(material).items() if ranking.has_both}
    if not rankings:
        note = Note("All scored rows are of one class: there is nothing to tell apart.", "warning")
        return Section("discrimination", title, "", [note])
    parts: list[Part] = [_roc(rankings), _precision_recall(rankings), _scores(material)]
    intro = "How well the scores tell the classes apart, whatever the threshold."
    if not material.scored.is_binary:
        intro += " Each class is held against all others."
        areas = {name: ranking.area for name, ranking in rankings.items()}
        rows = [
            (name, percent(ranking.share), areas[name], span(*ranking.area_interval), ranking.average_precision)
            for name, ranking in rankings.items()
        ]
        heads = ("Class", "Share", "AUC", "95 % interval", "Average precision")
        parts.append(Table("Areas under the curves", heads, rows))
    return Section("discrimination", title, intro, parts)


def calibration_section(material: Material) -> Section:
    """Whether probabilities come true."""
    scored = material.scored
    bins = calibration(scored.scores, scored.labels if scored.is_binary else scored.right, scored.weights)
    error = calibration_error(bins)
    what = material.second_class if scored.is_binary else "a right prediction"
    intro = (
        f"Whether probabilities come true: of the rows with a probability of 30 % for {what}, 30 % should be so. The "
        f"mean distance between the two is {percent(error)} (expected calibration error)."
    )
    return Section("calibration", "Calibration", intro, [_calibration_chart(bins, what, error)])


def decisions(material: Material) -> Section:
    """The confusion matrix, and what other thresholds would do."""
    scored = material.scored
    parts: list[Part] = [_confusion_chart(scored)]
    if scored.is_binary:
        intro = f"What becomes of the rows if probabilities from a threshold on are taken for {material.second_class}."
        if material.ranking.has_both:
            parts += [_threshold_chart(material.ranking), _threshold_table(material)]
    else:
        intro = "Which classes the most probable one is right about, and how right it is where the model is sure."
        parts += [_confidence_table(scored)]
    return Section("decisions", "Decisions", intro, parts)


def _rankings(material: Material) -> dict[str, Ranking]:
    """Rankings of the classes that have a curve."""
    classes = material.scored.classes
    if material.scored.is_binary:
        return {material.second_class: material.ranking}
    commonest = sorted(range(len(classes)), key=lambda place: -material.class_shares[place])[:MOST_CURVES]
    return {classes[place]: material.ranking_of(place) for place in sorted(commonest)}


def _roc(rankings: dict[str, Ranking]) -> Chart:
    curves = {f"{name} (AUC {number(ranking.area)})": ranking.roc.thin() for name, ranking in rankings.items()}
    title = "ROC curve: rows found against false alarms"
    series = [Series("chance", [0, 1], [0, 1], style="reference")]
    series += [Series(name, curve.x, curve.y) for name, curve in curves.items()]
    alt = f"ROC curves of {'; '.join(curves)}. The diagonal is chance."
    x_axis = Axis("False positive rate", "percent", SHARE_LIMITS)
    y_axis = Axis("True positive rate", "percent", SHARE_LIMITS)
    data = _points(title, curves, "False positive rate", "True positive rate")
    return line_chart("roc", title, alt, series, x_axis, y_axis, data)


def _precision_recall(rankings: dict[str, Ranking]) -> Chart:
    curves = {
        f"{name} (AP {number(ranking.average_precision)})": ranking.precision_recall.thin()
        for name, ranking in rankings.items()
    }
    title = "Precision and recall: how pure a catch of what size is"
    series = [Series(name, curve.x, curve.y) for name, curve in curves.items()]
    if len(rankings) == 1:
        (ranking,) = rankings.values()
        series.insert(0, Series("chance", [0, 1], [ranking.share] * 2, style="reference"))
    alt = f"Precision over recall of {'; '.join(curves)}, where AP is the average precision."
    x_axis, y_axis = Axis("Recall", "percent", SHARE_LIMITS), Axis("Precision", "percent", SHARE_LIMITS)
    return line_chart(
        "precision-recall", title, alt, series, x_axis, y_axis, _points(title, curves, "Recall", "Precision")
    )


def _points(title: str, curves: dict[str, Curve], x_name: str, y_name: str) -> Table:
    rows = []
    for name, curve in curves.items():
        thin = curve.thin(MOST_ROWS)
        rows += [(name, percent(x), percent(y)) for x, y in zip(thin.x, thin.y, strict=True)]
    return Table(title, ("Curve", x_name, y_name), rows)


def _scores(material: Material) -> Chart:
    scored, label = material.scored, material.run.data.label
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    if scored.is_binary:
        what, names = f"Probability of {material.second_class}", [f"{label} = {name}" for name in scored.classes]
        members = [scored.members[:, 0], scored.members[:, 1]]
    else:
        what, names = "Probability of the predicted class", ["wrong", "right"]
        members = [1 - scored.right, scored.right]
    shares = []
    for each in members:
        counts = np.histogram(scored.scores, edges, weights=each * scored.weights)[0]
        shares.append(counts / max(counts.sum(), 1e-300))
    series = [Series(name, edges, share, style="area") for name, share in zip(names, shares, strict=True)]
    title = "Scores: the further apart both are, the better"
    means = [float((share * (edges[:-1] + edges[1:]) / 2).sum()) for share in shares]
    told = ", ".join(f"{name} around {number(mean)}" for name, mean in zip(names, means, strict=True))
    rows = [
        (f"{low:.2f} to {high:.2f}", *(percent(float(share[place])) for share in shares))
        for place, (low, high) in enumerate(pairwise(edges))
    ]
    data = Table(title, (what, *(f"Share of {name}" for name in names)), rows)
    x_axis, y_axis = Axis(what, "percent", (0.0, 1.0)), Axis("Share of the rows", "percent")
    return line_chart("scores", title, f"Histograms of scores: {told}.", series, x_axis, y_axis, data)


def _calibration_chart(bins: Sequence[CalibrationBin], what: str, error: float) -> Picture:
    title = "Calibration: probabilities against what came true"
    series = [
        Series("perfect", [0, 1], [0, 1], style="reference"),
        Series(
            "rows of similar probability, 95 % interval",
            [each.score for each in bins],
            [each.share for each in bins],
            [each.low for each in bins],
            [each.high for each in bins],
            style="both",
        ),
    ]
    rows: list[tuple[Cell, ...]] = [
        (percent(each.score), percent(each.share), percent_span(each.low, each.high), each.rows) for each in bins
    ]
    note = "Intervals after Wilson (1927); with weights, of as many rows of equal weight as tell as much (Kish, 1965)."
    data = Table(title, ("Mean probability", "Came true", "95 % interval", "Rows"), rows, note)
    alt = f"Share of {what} over its mean probability in {len(bins)} bins; the mean distance is {percent(error)}."
    x_axis = Axis("Mean probability", "percent", SHARE_LIMITS)
    return line_chart("calibration", title, alt, series, x_axis, Axis("Came true", "percent", SHARE_LIMITS), data)


def _confusion_chart(scored: Scored) -> Chart:
    counts = confusion(scored.predicted, scored.members, scored.weights)
    names = list(scored.classes)
    if len(names) > MOST_CONFUSED:
        order = np.argsort(-counts.sum(1), kind="stable")
        kept, rest = np.sort(order[: MOST_CONFUSED - 1]), order[MOST_CONFUSED - 1 :]
        counts = np.vstack([counts[kept], counts[rest].sum(0)])
        counts = np.hstack([counts[:, kept], counts[:, rest].sum(1, keepdims=True)])
        names = [*(names[place] for place in kept), OTHERS]
    of_label = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    is_small = len(names) <= 6
    texts = [
        [
            f"{_amount(count)}\n{percent(float(share))}" if is_small else f"{100 * share:.0f}"
            for count, share in zip(*row, strict=True)
        ]
        for row in zip(counts, of_label, strict=True)
    ]
    title = "Confusion: labels against the most probable class"
    cells = [
        (name, *(f"{_amount(count)} ({percent(float(share))})" for count, share in zip(row, shares, strict=True)))
        for name, row, shares in zip(names, counts, of_label, strict=True)
    ]
    note = "Percentages are shares of the rows with that label." + (
        " Rows count with their weight." if scored.is_weighted else ""
    )
    data = Table(title, ("Label", *(f"Predicted {name}" for name in names)), cells, note)
    right = ", ".join(f"{name} {percent(float(of_label[place, place]))}" for place, name in enumerate(names))
    alt = f"Confusion matrix; of each label the share that is predicted right: {right}."
    unit = "" if is_small else ", in percent of the rows of a label"
    return matrix_chart("confusion", title, alt, names, of_label, texts, f"Predicted{unit}", "Label", data)


def _threshold_chart(ranking: Ranking) -> Chart:
    grid = np.linspace(0.01, 0.99, 99)
    found = [ranking.decide(float(threshold)) for threshold in grid]
    title = "What a threshold does"
    lines = {"precision": "precision", "recall": "recall", "F1": "f1", "rows taken": "flagged"}
    series = [Series(name, grid, [getattr(each, key) for each in found]) for name, key in lines.items()]
    best = ranking.best_f1
    where = number(best.threshold)
    alt = f"Precision, recall, F1 and the share of rows taken over the threshold; F1 is largest at {where}."
    x_axis, y_axis = Axis("Threshold", "percent", (0.0, 1.0)), Axis("", "percent", SHARE_LIMITS)
    rows = [(f"{each.threshold:.2f}", *_shares(each)) for each in found[4::5]]
    data = Table(title, ("Threshold", "Rows taken", "Precision", "Recall", "F1"), rows)
    return line_chart("thresholds", title, alt, series, x_axis, y_axis, data)


def _threshold_table(material: Material) -> Table:
    best = material.ranking.best_f1
    found = sorted([*(material.ranking.decide(each) for each in THRESHOLDS), best], key=lambda each: each.threshold)
    rows = [(_threshold_name(each, best), *_decided(each)) for each in found]
    heads = ("Threshold", "Rows taken", "Precision", "Recall", "F1", "Hits", "False alarms", "Missed", "Rightly passed")
    note = f"A row is taken for {material.second_class} if its probability is at least the threshold."
    if material.scored.is_weighted:
        note += " Rows count with their weight."
    return Table("Thresholds and what they cost", heads, rows, note)


def _threshold_name(decision: Decision, best: Decision) -> str:
    text = f"{100 * decision.threshold:.3g} %"
    return f"{text} (best F1)" if decision is best else text


def _decided(each: Decision) -> tuple[Cell, ...]:
    return (*_shares(each), *(_amount(count) for count in (each.hits, each.false_alarms, each.misses, each.passed)))


def _confidence_table(scored: Scored) -> Table:
    rows = []
    total = float(scored.weights.sum())
    for threshold in (0.0, *THRESHOLDS[4:]):
        sure = scored.scores >= threshold
        weight = float(scored.weights[sure].sum())
        rows.append((f"{100 * threshold:.3g} %", percent(weight / total), percent(scored.mean(scored.right, sure))))
    heads = ("Probability of at least", "Rows", "Accuracy among them")
    return Table("Accuracy where the model is sure", heads, rows)


def _shares(each: Decision) -> tuple[str, ...]:
    return tuple(percent(share) for share in (each.flagged, each.precision, each.recall, each.f1))


def _amount(weight: float) -> str:
    """A number of rows, or a sum of weights."""
    return f"{round(weight):,}" if float(weight).is_integer() else number(float(weight))
