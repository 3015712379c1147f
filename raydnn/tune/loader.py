"""A sweep from its YAML, with everything that is wrong told at once."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import PurePosixPath
from typing import Any

from raydnn import storage
from raydnn.config import Run
from raydnn.config.document import Document, Problem
from raydnn.config.loader import listed, read_text, validated
from raydnn.errors import ConfigError
from raydnn.tune.checks import at_keys, unfit_configurations, unfit_settings, unfit_sweep
from raydnn.tune.settings import SweepSettings
from raydnn.tune.sweep import RunTemplate, Sweep


def load(path: str | PathLike[str], overrides: Mapping[str, Any] | None = None) -> Sweep:
    """The sweep that a YAML file declares.

    Relative paths in it are relative to the current directory, as those of a run.

    Args:
        path: local, or any fsspec URL.
        overrides: key such as 'budget.trials' or 'set.data.epochs' -> value that takes the place of the file's.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: what it declares, or its base run, cannot be; the message has a line for each thing that is wrong.
    """
    name = fspath(path)
    return loads(read_text(name), overrides, name=name)


def loads(text: str, overrides: Mapping[str, Any] | None = None, *, name: str = "<text>") -> Sweep:
    """The sweep that a YAML text declares; see `load`.

    Raises:
        ConfigError: it cannot be.
    """
    document = Document.parse(text)
    if not document.problems:
        for key, value in (overrides or {}).items():
            section, _, below = key.partition(".")
            if section in ("set", "space") and below:
                # What stands there are keys of the run, which have points in them.
                document.override_at((section, below), value)
            else:
                document.override(key, value)
    settings, problems = validated(SweepSettings, document)
    if settings is not None:
        sweep, problems = _checked(settings, document.as_written(), name)
        if sweep is not None and not problems:
            return sweep
    raise ConfigError(listed(problems, document, name))


def declared_sweep(source: Mapping[str, Any], folder: str) -> Sweep:
    """The sweep that was checked when it began, wherever its folder is now; what environment variables gave is missing.

    Args:
        source: see `Sweep`.
        folder: of the sweep, local.

    Raises:
        ConfigError: this is none.
    """
    parent, _, name = storage.absolute(folder).rstrip("/").rpartition("/")
    document = Document(values={**source["sweep"], "storage": parent or "/", "name": name})
    settings, problems = validated(SweepSettings, document)
    if settings is None:
        raise ConfigError(listed(problems, document, folder))
    return Sweep(settings, name, RunTemplate(settings.run, source["run"], settings.set), source)


def _checked(settings: SweepSettings, source: Any, name: str) -> tuple[Sweep | None, list[Problem]]:
    """The sweep, if there is a base run, and what is wrong with it."""
    problems = list(unfit_settings(settings))
    try:
        text = read_text(settings.run)
    except FileNotFoundError as error:
        return None, [*problems, Problem(("run",), str(error))]
    base = Document.parse(text)
    _, wrong = validated(Run, base)
    if wrong:
        # As if the run was loaded by itself: its lines are those of its own file.
        raise ConfigError(listed(wrong, base, settings.run))
    template = RunTemplate(settings.run, base.values, settings.set)
    run, wrong = validated(Run, template.document({}))
    problems += at_keys(wrong, "set", settings.set)
    if run is None:
        return None, problems
    sources = {"sweep": source, "run": base.as_written()}
    sweep = Sweep(settings, settings.name or PurePosixPath(name).stem, template, sources)
    problems += unfit_sweep(sweep, run)
    if not problems:
        problems += unfit_configurations(sweep)
    return sweep, problems
