"""Numbers as people read them."""

from math import inf, nan

import pytest

from raydnn.report.text import NOTHING, moment, number, percent, percent_span, size_of, slug, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.690885, "0.6909"),
        (12.3, "12.30"),
        (1234567, "1,234,567"),
        (1234.5, "1,234"),
        (424.0, "424"),
        (0, "0"),
        (-0.00001234, "-1.23e-05"),
        (inf, "inf"),
        (nan, NOTHING),
        (None, NOTHING),
    ],
)
def test_numbers_have_four_digits_that_matter(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.2214, "22.1 %"),
        (0.0056, "0.56 %"),
        (0, "0 %"),
        (1, "100 %"),
        (0.00001, "< 0.01 %"),
        (nan, NOTHING),
        (None, NOTHING),
    ],
)
def test_shares_are_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_ranges_that_are_not_known_are_a_dash() -> None:
    assert (span(0.1, 0.2), span(nan, 0.2)) == ("0.1000 to 0.2000", NOTHING)
    assert (percent_span(0.1, 0.25), percent_span(nan, nan)) == ("10.0 to 25.0 %", NOTHING)


def test_sizes_times_and_names() -> None:
    assert [size_of(count) for count in (999, 32768, 5_000_000)] == ["999 bytes", "32.8 kB", "5 MB"]
    assert moment(0) == "1970-01-01 00:00 UTC"
    assert slug("Größe (cm)!") == "gr-e-cm"
