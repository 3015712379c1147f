"""Runs and rows in memory, to be held against each other."""

from typing import Any

import pyarrow as pa
import yaml

from raydnn import config
from raydnn.config import Run
from raydnn.config.checks import vocabulary_words
from raydnn.config.profile import Profile, profile_rows


def run_of(features: dict[str, Any] | None = None, **sections: Any) -> Run:
    """A run with a numeric feature 'x', unless others are given."""
    values = {
        "data": {"train": "a.parquet", "label": "y"} | sections.pop("data", {}),
        "features": features or {"x": "numeric"},
        "model": {"hidden_units": [4]} | sections.pop("model", {}),
        **sections,
    }
    return config.loads(yaml.safe_dump(values, sort_keys=False))


def profile_of(run: Run, **columns: Any) -> Profile:
    """The profile of rows whose labels are 0 and 1 in turn, unless they are given."""
    size = len(next(iter(columns.values())))
    return profile_rows(pa.table({"y": [place % 2 for place in range(size)]} | columns), vocabulary_words(run))


def told(rule: Any, run: Run, *facts: Any) -> list[tuple[str, str, str]]:
    """Level, key and text of what a rule finds."""
    return [(finding.level, finding.key, finding.text) for finding in rule(run, *facts)]
