"""The colours of a report, light and dark.

Series are told apart by people who see colours differently: their hues are those of Okabe and Ito, "Color Universal
Design", 2008, darkened or lightened until they stand out from the paper.
"""

from collections.abc import Mapping
from types import MappingProxyType

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#ffffff",
        "panel": "#f5f7f9",
        "ink": "#1b2027",
        "muted": "#525b66",
        "rule": "#c9d0d8",
        "grid": "#e2e6eb",
        "link": "#0a5a9c",
        "bad": "#a61b1b",
        "warn": "#855000",
        "series-1": "#0b6cb0",
        "series-2": "#c2500a",
        "series-3": "#0a8160",
        "series-4": "#a3457c",
        "series-5": "#876400",
        "series-6": "#6b7480",
        "scale-1": "#ad8a1f",
        "scale-2": "#5f8f3a",
        "scale-3": "#1f7d73",
        "scale-4": "#2a5a94",
        "scale-5": "#3f1d73",
    }
)
"""Name -> colour of what is shown on white. No two are the same: a chart knows its colours by them."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        "paper": "#14181d",
        "panel": "#1c2229",
        "ink": "#e8ecf1",
        "muted": "#a9b3bf",
        "rule": "#3d4650",
        "grid": "#2c343d",
        "link": "#7fbdf0",
        "bad": "#ff8f8a",
        "warn": "#efb65c",
        "series-1": "#5aaeee",
        "series-2": "#f0954f",
        "series-3": "#3fc79b",
        "series-4": "#e08fbd",
        "series-5": "#dbb13c",
        "series-6": "#9aa5b2",
        "scale-1": "#8d6f2b",
        "scale-2": "#7c9a3e",
        "scale-3": "#45b39a",
        "scale-4": "#86c1f2",
        "scale-5": "#e6d7ff",
    }
)
"""The same names on a dark screen."""

SERIES = tuple(name for name in LIGHT if name.startswith("series-"))
"""The names of the colours of series, in the order in which they are used."""

SCALE = tuple(name for name in LIGHT if name.startswith("scale-"))
"""The names of the colours of an order, from little to much: each stands out more than the one before."""


def variables(colours: Mapping[str, str]) -> str:
    """Colours as CSS variables, such as `--ink: #1b2027`."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
