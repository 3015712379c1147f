"""The paths that a run gives."""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from raydnn import storage
from raydnn.config.document import Place

if TYPE_CHECKING:
    from raydnn.config.run import Run


def given_paths(run: "Run") -> Iterator[tuple[Place, str | list[str]]]:
    """Where a run gives a path, and the path or paths; the name of an Iceberg table is none."""
    settings = run.run_config()
    for key, value in (("model_dir", settings.model_dir), ("storage", settings.storage)):
        if value is not None:
            yield ("run", key), value
    for name in ("train", "eval", "predict"):
        files = run.data.files(name)
        if files is not None and files.kind != "iceberg":
            is_short = isinstance(getattr(run.data, name), str | list)
            yield ("data", name) if is_short else ("data", name, "path"), files.path
    start = run.model.warm_start_from
    if isinstance(start, str):
        yield ("model", "warm_start_from"), start
    elif start is not None:
        key = "ckpt_to_initialize_from"
        yield ("model", "warm_start_from", key), start.given()[key]
    for name, feature in run.features.items():
        vocabulary = getattr(feature, "vocabulary", None)
        if isinstance(vocabulary, str):
            yield ("features", name, "vocabulary"), vocabulary


def absolute_paths(run: "Run", variables: Mapping[Place, str]) -> Iterator[tuple[Place, str]]:
    """Where a run gives a path that is relative to the current directory, and the absolute one.

    Args:
        run: whose paths.
        variables: place -> the text before environment variables were put into it; they stay in paths.
    """
    for place, given in given_paths(run):
        many = [(place, given)] if isinstance(given, str) else [((*place, at), path) for at, path in enumerate(given)]
        for where, path in many:
            if "://" in path or "::" in path or os.path.isabs(path):
                continue
            yield where, storage.join(os.getcwd(), variables[where]) if where in variables else storage.absolute(path)
