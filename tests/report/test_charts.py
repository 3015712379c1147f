"""Charts: SVG that stands in a page beside others, and PNG."""

import io
import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from raydnn.report.charts import Series, bar_chart, dot_chart, line_chart, matrix_chart
from raydnn.report.drawing import Axis, Picture
from raydnn.report.palette import LIGHT


def lines(name: str = "roc") -> Picture:
    x = np.linspace(0, 1, 50)
    series = [
        Series("chance", [0, 1], [0, 1], style="reference"),
        Series("a $b_1$ & <c>", x, x**0.5, x**0.5 - 0.1, x**0.5 + 0.1, style="both"),
        Series("steps", [0, 0.5, 1], [0.2, 0.4], style="area"),
    ]
    return line_chart(name, "A <title>", "what & how", series, Axis("x", "percent", (0, 1)), Axis("y"))


def bars() -> Picture:
    return bar_chart("bars", "Bars", "alt", ["one", "two"], [1.0, 0.0001], Axis("rise"), [0.1, 0.1])


def dots() -> Picture:
    series = [Series("seen", [0.1, 0.2], (), [0.05, 0.1], [0.2, 0.3]), Series("said", [0.12, 0.22])]
    return dot_chart("dots", "Dots", "alt", ["a", "中文"], series, Axis("share", "percent"))


def matrix(size: int = 2) -> Picture:
    shares = np.eye(size)
    labels = [f"class {place}" for place in range(size)]
    return matrix_chart("matrix", "Matrix", "alt", labels, shares, [["1"] * size] * size, "said", "is")


ALL = [lines, bars, dots, matrix]


@pytest.mark.parametrize("make", ALL)
def test_the_svg_follows_the_colours_and_letters_of_the_page(make: object) -> None:
    svg = make().svg  # type: ignore[operator]
    assert not re.findall(r"#[0-9a-f]{6}", svg)
    assert "var(--series-1)" in svg
    for absent in ("font-family", "<style", "<metadata", "<?xml", "DOCTYPE", "http"):
        assert absent not in svg
    assert set(ET.fromstring(svg).attrib) == {"viewBox", "role", "aria-labelledby"}


@pytest.mark.parametrize("make", ALL)
def test_the_same_numbers_give_the_same_bytes(make: object) -> None:
    first, second = make(), make()  # type: ignore[operator]
    assert first.svg == second.svg
    assert first.to_png() == second.to_png()


def test_a_picture_says_what_it_shows() -> None:
    root = ET.fromstring(lines().svg)
    assert root.attrib["role"] == "img"
    title, described = root.attrib["aria-labelledby"].split()
    texts = {each.attrib["id"]: each.text for each in root if each.tag in ("title", "desc")}
    assert (texts[title], texts[described]) == ("A <title>", "what & how")


def test_ids_of_two_charts_differ_and_all_references_are_met() -> None:
    one, other = lines("one"), lines("other")
    ids = [set(re.findall(r'\bid="([^"]+)"', chart.svg)) for chart in (one, other)]
    assert not ids[0] & ids[1]
    for found, chart in zip(ids, (one, other), strict=True):
        references = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', chart.svg))
        assert {a or b for a, b in references} <= found
        assert len(re.findall(r'\bid="', chart.svg)) == len(found)


def test_text_is_text_as_it_was_given() -> None:
    texts = [each.text for each in ET.fromstring(lines().svg).iter("text")]
    assert "a $b_1$ & <c>" in texts
    assert "100 %" in texts
    assert "0.0001" in [
        each.text for each in ET.fromstring(bar_chart("b", "t", "a", ["x"], [0.0001], Axis("")).svg).iter("text")
    ]


def test_letters_that_the_font_lacks_make_no_noise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "中文" in dots().svg
        dots().to_png()


def test_a_png_has_the_colours_themselves_on_white() -> None:
    image = Image.open(io.BytesIO(bars().to_png())).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 20) or []}
    assert tuple(bytes.fromhex(LIGHT["series-1"][1:])) in colours
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_large_matrices_are_drawn() -> None:
    assert len(list(ET.fromstring(matrix(12).svg).iter("text"))) >= 12 * 12
