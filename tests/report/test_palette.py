"""Colours that can be read and told apart, on white and on dark paper."""

from collections.abc import Mapping

import pytest

from raydnn.report.palette import DARK, LIGHT, SERIES


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("paper", ["paper", "panel"])
def test_text_stands_out(colours: Mapping[str, str], paper: str) -> None:
    for name in ("ink", "muted", "link", "bad", "warn"):
        assert contrast(colours[name], colours[paper]) >= 4.5, name


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_series_stand_out_as_graphics_must(colours: Mapping[str, str]) -> None:
    for name in SERIES:
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_text_in_a_filled_cell_stands_out() -> None:
    for colours in (LIGHT, DARK):
        fill = [int(colours["series-1"][place : place + 2], 16) for place in (1, 3, 5)]
        paper = [int(colours["paper"][place : place + 2], 16) for place in (1, 3, 5)]
        mixed = "#" + "".join(f"{round(0.45 * a + 0.55 * b):02x}" for a, b in zip(fill, paper, strict=True))
        assert contrast(colours["ink"], mixed) >= 4.5


def test_both_schemes_have_the_same_names_and_a_colour_has_one() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)
