"""Numbers as people read them."""

import math
import re
from datetime import UTC, datetime

NOTHING = "\N{EN DASH}"
"""Stands for a value that is not there."""


def number(value: float | None) -> str:
    """A number: whole ones with all digits, others with four that matter; thousands are separated by commas.

    Args:
        value: None and NaN are shown as a dash.
    """
    if value is None or math.isnan(value):
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if math.isinf(value):
        return f"{value:g}"
    if size >= 1000 or value == round(value):
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.2e}"
    digits = 3 - math.floor(math.log10(size))
    return f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """A share in percent: with one digit behind the point, with two below 1 %, without for all and for nothing."""
    if share is None or math.isnan(share):
        return NOTHING
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{100 * share:.{2 if 0 < abs(share) < 0.01 else 1}f} %"


def span(low: float, high: float) -> str:
    """A range of numbers; a dash where it is not known."""
    return NOTHING if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def percent_span(low: float, high: float) -> str:
    """A range of shares in percent."""
    return NOTHING if math.isnan(low) or math.isnan(high) else f"{100 * low:.1f} to {100 * high:.1f} %"


def size_of(count: int) -> str:
    """A number of bytes, in the unit that makes it short."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{count:,} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def moment(seconds: float) -> str:
    """A time in unix seconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def slug(name: str) -> str:
    """A name for an id or a file: small Latin letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
