"""A first run for some data, as YAML with a reason behind each feature."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import PurePosixPath
from typing import Any

import yaml

from raydnn.config.messages import nearest
from raydnn.config.profile import ColumnProfile, Profile
from raydnn.config.suggest import Suggestion, suggest
from raydnn.errors import ConfigError

MOST_CLASSES = 1000
"""More different labels than this are taken for amounts or names of rows."""
FEW_CLASSES = 20
"""So are more than this, if most of them come once."""

# Rows from which on -> global batch, epochs.
_SCHEDULES = ((1_000_000, 2048, 2), (100_000, 512, 5), (10_000, 128, 10), (0, 32, 20))
_HIDDEN_UNITS = [64, 32]


@dataclass(frozen=True)
class DraftOf:
    """What a draft is made for.

    Attributes:
        train: path of the rows.
        label: the column with the labels.
        weight: the column whose value multiplies the loss of each row, or None.
        eval: path of rows to evaluate on, or None.
        format: of the files; None tells it from the suffixes of the paths.
    """

    train: str
    label: str
    weight: str | None = None
    eval: str | None = None
    format: str | None = None

    def source(self, path: str) -> Any:
        """A path as the section `data` takes it."""
        return path if self.format is None else {"path": path, "format": self.format}


def draft(of: DraftOf, profile: Profile) -> str:
    """The YAML of a run.

    Args:
        of: its paths and columns.
        profile: of the rows that are trained on.

    Raises:
        ConfigError: the label or weight is not there, labels are no classes, or no column is left for a feature.
    """
    columns = profile.columns
    for key, name in (("label", of.label), ("weight", of.weight)):
        if name is not None and name not in columns:
            raise ConfigError(f"--{key}: the data has no column '{name}'; {nearest(name, columns)}")
    classes, about_classes = _classes(of.label, columns[of.label])
    features = list(_features(of, profile))
    if not any(each.feature is not None for _, each in features):
        left_out = "; ".join(f"'{name}' {each.reason}" for name, each in features)
        raise ConfigError(f"no column is left for a feature: {left_out or 'there is none beside the label'}")
    batch_size, epochs = next(schedule[1:] for schedule in _SCHEDULES if profile.rows >= schedule[0])
    lines = [
        f"# {profile.rows:,} rows of {_flow(of.train)}",
        "",
        "data:",
        f"  train: {_flow(of.source(of.train))}",
        "  # eval: rows that are not trained on tell how good the model is; name their path here"
        if of.eval is None
        else f"  eval: {_flow(of.source(of.eval))}",
        f"  label: {_flow(of.label)}  # {about_classes}",
        *([] if of.weight is None else [f"  weight: {_flow(of.weight)}"]),
        f"  batch_size: {batch_size}  # for {profile.rows:,} rows",
        f"  epochs: {epochs}",
        "  shuffle: true",
        "",
        "features:",
        *(_feature_line(name, each) for name, each in features),
        "",
        "model:",
        f"  hidden_units: {_flow(_HIDDEN_UNITS)}",
        *(f"  {key}: {_flow(value)}" for key, value in classes.items()),
        "",
        "run:",
        f"  model_dir: {_flow('runs/' + (PurePosixPath(of.train.rstrip('/')).name.split('.')[0] or 'model'))}",
        "  tf_random_seed: 1",
    ]
    return "\n".join(lines) + "\n"


def _classes(name: str, column: ColumnProfile) -> tuple[dict[str, Any], str]:
    """The keys of the model that the labels need, and what is to be said of them.

    Raises:
        ConfigError: the labels are no classes.
    """
    where = f"label '{name}'"
    if column.missing:
        raise ConfigError(f"{where} is missing in {column.missing:,} of {column.rows:,} rows; drop these rows first")
    if column.is_list or column.kind not in ("boolean", "integer", "float", "string"):
        raise ConfigError(f"{where} is of type {column.type}; give one number or word a row")
    if column.distinct > MOST_CLASSES or FEW_CLASSES < column.distinct > column.rows / 2:
        found_values = f"{column.distinct:,} different values in {column.rows:,} rows"
        raise ConfigError(f"{where} has {found_values}; a classifier needs classes that come again")
    found = column.sketch.top(MOST_CLASSES)
    shares = ", ".join(f"{_flow(value)}: {100 * count / column.rows:.1f} %" for value, count in found[:4])
    if len(found) < 2:
        raise ConfigError(f"{where} is {found[0][0]!r} in all rows; there is nothing to learn")
    if column.kind == "string":
        words = sorted(str(word) for word, _ in found)
        classes: dict[str, Any] = {"label_vocabulary": words}
        return classes | ({"n_classes": len(words)} if len(words) > 2 else {}), shares
    low, high = column.moments.min, column.moments.max
    if column.not_finite or low < 0 or any(value != int(value) for value, _ in found):
        raise ConfigError(f"{where} lies between {low:g} and {high:g}; classes are whole numbers from 0")
    if high > MOST_CLASSES:
        raise ConfigError(f"{where} goes up to {high:g}; number the classes from 0")
    if column.kind == "float" and high > 1:
        raise ConfigError(f"{where} is of type {column.type}; cast it to whole numbers for more than two classes")
    return ({"n_classes": int(high) + 1} if high > 1 else {}), shares


def _features(of: DraftOf, profile: Profile) -> Iterator[tuple[str, Suggestion]]:
    weights = _weights_of_lists(profile)
    for name, column in profile.columns.items():
        if name in (of.label, of.weight):
            continue
        if not name:
            yield name, Suggestion(None, "has no name; if it is a feature, name it in the data")
        elif name in weights.values():
            words = next(words for words, own in weights.items() if own == name)
            yield name, Suggestion(None, f"weighs the values of '{words}'")
        else:
            own = weights.get(name)
            yield name, suggest(name, column, None if own is None else (own, profile.columns[own].dtypes[0]))


def _weights_of_lists(profile: Profile) -> dict[str, str]:
    """Lists of words -> the lists of numbers that are named after them as weights, and are as long in sum."""
    found: dict[str, str] = {}
    for name, column in profile.columns.items():
        if not column.is_list or column.kind not in ("string", "integer") or column.missing_values:
            continue
        for own in (f"{name}_weights", f"{name}_weight", f"{name.removesuffix('s')}_weights"):
            weights = profile.columns.get(own)
            if weights is not None and _fits(weights, column):
                found.setdefault(name, own)
    return found


def _fits(weights: ColumnProfile, words: ColumnProfile) -> bool:
    is_number = weights.is_list and weights.kind == "float" and len(weights.dtypes) == 1
    return is_number and not weights.missing_values and weights.lengths == words.lengths


def _feature_line(name: str, suggestion: Suggestion) -> str:
    if suggestion.feature is None:
        return f"  # {_flow(name)} is left out: {suggestion.reason}"
    return f"  {_flow(name)}: {_flow(suggestion.feature)}  # {suggestion.reason}"


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=inf)
    return text.removesuffix("\n").removesuffix("\n...")
