"""Charts in which the colour of a line tells how good its thing is."""

import re
import xml.etree.ElementTree as ET

import numpy as np

from raydnn.report.drawing import Axis, Picture
from raydnn.report.palette import LIGHT, SCALE
from raydnn.report.ranked_charts import ParallelAxis, Ranked, curves_chart, parallel_chart

THINGS = [Ranked(f"trial {number}", 1 - number / 9, number == 0, number == 5) for number in range(10)]


def parallel(*axes: ParallelAxis) -> Picture:
    return parallel_chart("parallel", "Parallel", "alt", THINGS, axes)


def axis(name: str = "rate", **changes: object) -> ParallelAxis:
    return ParallelAxis(name, [0.001 * 2**number for number in range(10)], **changes)  # type: ignore[arg-type]


def texts(picture: Picture) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(picture.svg).iter("text")]


def test_colours_go_from_the_best_to_the_worst_and_two_stand_out() -> None:
    colours = [thing.style["color"] for thing in THINGS]
    assert colours[0] == LIGHT["series-2"]
    assert colours[5] == LIGHT["ink"]
    assert colours[1] == LIGHT[SCALE[-1]]
    assert colours[-1] == LIGHT[SCALE[0]]
    order = [SCALE.index(name) for each in colours for name in SCALE if LIGHT[name] == each]
    assert order == sorted(order, reverse=True)
    assert Ranked("x", None).style["color"] == LIGHT["rule"]


def test_the_svg_follows_the_colours_of_the_page() -> None:
    curves = [([10, 20], [0.1, 0.2])] * 10
    drawn = curves_chart("curves", "Curves", "alt", THINGS, curves, Axis("step"), Axis("auc"))
    for each in (drawn, parallel(axis(), axis("b"))):
        assert not re.findall(r"#[0-9a-f]{6}", each.svg)
        assert all(f"var(--{name})" in each.svg for name in (*SCALE[::2], "series-2", "ink"))
        assert {"trial 0", "trial 5", "best fifth", "worst fifth"} <= set(texts(each))
        assert each.to_png().startswith(b"\x89PNG")


def test_values_stand_between_the_ends_by_number_logarithm_or_place() -> None:
    log, linear = axis("log", is_log=True), axis("linear")
    words = ParallelAxis("word", [0, 1, 2, *[None] * 7], ("a", "bb", "ccc"))
    picture = parallel(log, linear, words)
    assert picture.figure is not None
    lines = [np.asarray(line.get_xdata()) for line in picture.figure.axes[0].lines if len(line.get_ydata()) == 3]  # type: ignore[arg-type]
    np.testing.assert_allclose([line[0] for line in lines], np.arange(10) / 9, atol=1e-9)
    np.testing.assert_allclose([line[1] for line in lines], (2.0 ** np.arange(10) - 1) / 511, atol=1e-9)
    assert [line[2] for line in lines[:3]] == [0, 0.5, 1]
    assert all(line[2] < 0 for line in lines[3:])
    assert {"log", "linear", "word", "a", "bb", "ccc", "0.001", "0.1", "\N{EN DASH}"} <= set(texts(picture))


def test_whole_numbers_one_value_and_many_categories_can_be_read() -> None:
    whole = texts(parallel(ParallelAxis("whole", [1, 2, 3] * 3 + [1]), axis()))
    assert {"1", "2", "3"} <= set(whole)
    assert "1.5" not in whole
    assert "7" in texts(parallel(ParallelAxis("one", [7.0] * 10), axis()))
    names = tuple(f"category {number}" for number in range(30))
    many = [
        text
        for text in texts(parallel(ParallelAxis("many", list(range(10)), names), axis()))
        if "cat" in text or "…" in text
    ]
    assert 0 < len(many) <= 12
    assert parallel(ParallelAxis("none", [None] * 10), axis()).svg
