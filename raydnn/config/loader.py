"""From YAML to a run, with everything that is wrong told at once: file, line, key and the way out."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Any, TypeVar

from pydantic import ValidationError

from raydnn import storage
from raydnn.config.document import Document, Place, Problem, parse_value
from raydnn.config.run import Run
from raydnn.config.section import Section, without_tags
from raydnn.errors import ConfigError

_Declared = TypeVar("_Declared", bound=Section)


def load(path: str | PathLike[str], overrides: Mapping[str, Any] | None = None) -> Run:
    """The run that a YAML file declares.

    Relative paths in it are relative to the current directory. `${NAME}` in text is replaced by the environment
    variable.

    Args:
        path: local, or any fsspec URL.
        overrides: key such as 'model.dropout' -> value that takes the place of the file's.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: what it declares cannot be; the message has a line for each thing that is wrong.
    """
    name = fspath(path)
    return loads(read_text(name), overrides, name=name)


def loads(text: str, overrides: Mapping[str, Any] | None = None, *, name: str = "<text>") -> Run:
    """The run that a YAML text declares; see `load`.

    Args:
        text: the YAML.
        overrides: key -> value that takes the place of the text's.
        name: stands for the text in messages.

    Raises:
        ConfigError: what it declares cannot be.
    """
    document = Document.parse(text)
    if not document.problems:
        for key, value in (overrides or {}).items():
            document.override(key, value)
    return run_of(document, name)


def run_of(document: Document, name: str) -> Run:
    """The run that a document declares.

    Args:
        document: the YAML, with its overrides.
        name: stands for it in messages.

    Raises:
        ConfigError: what it declares cannot be.
    """
    run, problems = validated(Run, document)
    if run is None:
        raise ConfigError(listed(problems, document, name))
    run._variables.update(document.variables)
    return run


def read_text(name: str) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it is no text.
    """
    if not storage.exists(name):
        raise FileNotFoundError(f"there is no file {name}")
    try:
        return storage.read_bytes(name).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is no UTF-8 text: {error}") from error


def validated(model: type[_Declared], document: Document) -> tuple[_Declared | None, list[Problem]]:
    """What a document declares, or all that is wrong with it.

    Args:
        model: the section that the whole document is.
        document: the YAML, with its overrides.
    """
    problems = list(document.problems)
    if document.values is None:
        empty = Problem((), f"is empty; give {', '.join(model.model_fields)}")
        return None, problems or [empty]
    try:
        declared = model.model_validate(document.values)
    except ValidationError as error:
        lines = error.errors(include_url=False)
        return None, problems + [Problem(without_tags(line["loc"]), line["ctx"]["message"]) for line in lines]
    return (None, problems) if problems else (declared, [])


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Overrides from texts such as 'model.dropout=0.1', whose values are YAML.

    Raises:
        ConfigError: a text without '=' or a value that is no YAML.
    """
    overrides = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"{text!r} is no override; write a key and a value, such as model.dropout=0.1")
        try:
            overrides[key.strip()] = parse_value(value)
        except ValueError as error:
            raise ConfigError(f"override {key.strip()}: {error}") from error
    return overrides


def listed(problems: Iterable[Problem], document: Document, name: str) -> str:
    """The problems as lines, in the order of the file; those of overrides are the last."""
    # What is wrong with a place hides what that makes wrong with it later.
    first: dict[Place, Problem] = {}
    for problem in problems:
        first.setdefault(problem.place, problem)
    lines = []
    for place, problem in first.items():
        is_override = document.is_overridden(place)
        line = document.line_of(place) if problem.line is None else problem.line
        where = "override" if is_override else f"{name}:{line}"
        key = f"{key_of(place)}: " if place else ""
        order = (1, 0) if is_override else (0, line)
        lines.append((order, f"{where}: {key}{problem.message}"))
    return "\n".join(text for _, text in sorted(lines, key=lambda each: each[0]))


def key_of(place: Place) -> str:
    """A place as a message names it, such as exporters[0].name."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
