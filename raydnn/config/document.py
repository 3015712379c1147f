"""A YAML document as plain values that remember their lines.

Only what YAML 1.2 calls a number, a truth value or null is one: yes, no, on, off, dates and 12:30 are text.
"""

import copy
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from raydnn.config.messages import shown

Place = tuple[int | str, ...]
"""Where a value stands: keys of mappings and places in lists."""

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""${NAME}, which stands for a variable of the environment."""
_PASSWORD = re.compile(r"://[^/@:\s]*:(?!\$\{)[^/@\s]+@")
_SECRET_KEY = re.compile(r"password|secret|token|credential|access.?key", re.IGNORECASE)
_MERGE = "tag:yaml.org,2002:merge"
# A setting that was written in its short form, and what that form gives.
_SHORT_FORMS = {
    "train": "path",
    "eval": "path",
    "predict": "path",
    "embed": "dimension",
    "optimizer": "name",
    "warm_start_from": "ckpt_to_initialize_from",
    "search": "kind",
    "scheduler": "kind",
}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        place: keys and places in lists that lead to it.
        message: what is wrong.
        line: in the file, from 1; None where it is that of the place.
    """

    place: Place
    message: str
    line: int | None = None


@dataclass
class Document:
    """The values of a YAML document.

    Attributes:
        values: mappings, lists, text, numbers, truth values and null.
        lines: place -> line of its key or item, from 1.
        variables: place -> the text before environment variables were put into it.
        overridden: places that an override gave.
        problems: what is wrong with the document itself.
    """

    values: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    variables: dict[Place, str] = field(default_factory=dict)
    overridden: set[Place] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> "Document":
        """The document that a text holds; what is wrong with it is kept in `problems`."""
        document = cls()
        try:
            loader = _Loader(text.removeprefix("\ufeff"))
            root = loader.get_single_node()
            if root is not None:
                document.values = document._read(loader, root, (), ())
        except yaml.YAMLError as error:
            document.problems.append(_syntax_problem(error, text))
        return document

    def line_of(self, place: Place) -> int:
        """The line of a place, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def is_overridden(self, place: Place) -> bool:
        """Whether an override gave the value of a place, or what stands around it, or made the place itself."""
        is_below = any(place[:size] in self.overridden for size in range(1, len(place) + 1))
        made = place and place not in self.lines and any(given[: len(place)] == place for given in self.overridden)
        return bool(is_below or made)

    def override(self, key: str, value: Any) -> None:
        """Set the value of a key such as 'model.dropout'; a place in a list is its number, from 0."""
        place = self._find(key.split("."))
        if place is None:
            self.problems.append(Problem((key,), "an override must be keys joined by '.', such as model.dropout"))
            self.overridden.add((key,))
            return
        self.override_at(place, value)

    def override_at(self, place: Place, value: Any) -> None:
        """Set the value of a place."""
        parent = self._container(place)
        self.overridden.add(place)
        if parent is None:
            return
        for stale in [known for known in self.variables if known[: len(place)] == place]:
            del self.variables[stale]
        parent[place[-1]] = self._substituted(value, place)

    def as_written(self) -> Any:
        """The values without what environment variables gave: their names stand in the text."""
        values = copy.deepcopy(self.values)
        for place, text in self.variables.items():
            holder = values
            for part in place[:-1]:
                holder = holder[part]
            holder[place[-1]] = text
        return values

    def _find(self, keys: Sequence[str]) -> Place | None:
        """The place of a key, in which numbers are places of lists."""
        if not all(keys):
            return None
        place: Place = ()
        value = self.values
        for key in keys:
            is_item = isinstance(value, list) and key.isdigit()
            place = (*place, int(key) if is_item else key)
            if is_item:
                value = value[int(key)] if int(key) < len(value) else None
            else:
                value = value.get(key) if isinstance(value, Mapping) else None
        return place

    def _container(self, place: Place) -> Any:
        """What holds a place; what is missing on the way is made, and short forms become mappings."""
        if not isinstance(self.values, dict):
            self.values = {}
        holder: Any = self.values
        for size, key in enumerate(place):
            if isinstance(holder, list) and not _has(holder, key):
                self.problems.append(Problem(place, f"there is no item {key} in a list of {len(holder)}"))
                return None
            if size == len(place) - 1:
                break
            value = holder[key] if _has(holder, key) else None
            if value is not None and not isinstance(value, dict | list) and key not in _SHORT_FORMS:
                around = ".".join(map(str, place[: size + 1]))
                self.problems.append(Problem(place, f"{around} is {shown(value)} and has no keys below it"))
                return None
            if value is None:
                holder[key] = {}
            elif not isinstance(value, dict | list):
                short, here = _SHORT_FORMS[str(key)], place[: size + 1]
                holder[key] = {short: value}
                if here in self.variables:
                    self.variables[(*here, short)] = self.variables.pop(here)
            holder = holder[key]
        return holder

    def _read(self, loader: "_Loader", node: yaml.Node, place: Place, around: tuple[int, ...]) -> Any:
        """The value of a node.

        Args:
            loader: knows the types of scalars.
            node: to be read.
            place: of the node.
            around: the nodes that it stands in.
        """
        if id(node) in around:
            self.problems.append(Problem(place, "an alias stands for something that it is part of", _line(node)))
            return None
        around = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(loader, node, place, around)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for number, item in enumerate(node.value):
                self.lines[(*place, number)] = _line(item)
                items.append(self._read(loader, item, (*place, number), around))
            return items
        return self._substituted(loader.construct_object(node), place)

    def _read_mapping(
        self, loader: "_Loader", node: yaml.MappingNode, place: Place, around: tuple[int, ...]
    ) -> dict[str, Any]:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(place, "a key must be text", _line(key)))
                return {}
            if key.tag != _MERGE and key.value in first:
                message = f"the key stands here again; it was given in line {first[key.value]}"
                self.problems.append(Problem((*place, key.value), message, _line(key)))
            first.setdefault(key.value, _line(key))
        loader.flatten_mapping(node)
        values = {}
        for key, value in node.value:
            below = (*place, key.value)
            self.lines[below] = _line(key)
            values[key.value] = self._read(loader, value, below, around)
        return values

    def _substituted(self, value: Any, place: Place) -> Any:
        """A value with environment variables put into its text."""
        if isinstance(value, Mapping):
            return {str(key): self._substituted(item, (*place, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._substituted(item, (*place, number)) for number, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if _PASSWORD.search(value) or _is_secret(value, place):
            message = "holds a secret; put it into an environment variable and write ${NAME} in its place"
            self.problems.append(Problem(place, message))
        names = VARIABLE.findall(value)
        for name in dict.fromkeys(names):
            if name not in os.environ:
                message = f"the environment variable {name} is not set; set it, or write the value itself"
                self.problems.append(Problem(place, message))
                return value
        if names:
            self.variables[place] = value
        return VARIABLE.sub(lambda match: os.environ[match[1]], value)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads scalars as YAML 1.2 does: fewer words and forms are anything but text."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


def _resolve(tag: str, pattern: str, first: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("null", "~|null|Null|NULL|", ["~", "n", "N", ""])
_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", "[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+", "-+0123456789")
_resolve("float", r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.inf|\.nan", "-+0123456789.")
_resolve("merge", "<<", "<")


def parse_value(text: str) -> Any:
    """The value that a piece of YAML stands for.

    Raises:
        ValueError: it is no YAML.
    """
    document = Document.parse(text)
    if document.problems:
        raise ValueError(f"{text!r} is no YAML value: {document.problems[0].message}")
    return document.values


def _is_secret(value: str, place: Place) -> bool:
    """Whether a text is a secret by its key among the options of a reader, and not an environment variable's."""
    is_option = place[:1] == ("data",) and place[2:3] == ("options",)
    return is_option and bool(_SECRET_KEY.search(str(place[-1]))) and not VARIABLE.search(value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _has(holder: Any, key: int | str) -> bool:
    return key in holder if isinstance(holder, dict) else isinstance(key, int) and key < len(holder)


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        position = getattr(error, "position", 0)
        return Problem((), f"is no YAML: {str(error).splitlines()[0]}", text.count("\n", 0, position) + 1)
    line = error.problem_mark.line
    lines = text.splitlines()
    if r"'\t'" in str(error.problem) or (
        line < len(lines) and lines[line][: error.problem_mark.column + 1].strip(" ")[:1] == "\t"
    ):
        return Problem((), "a tab stands where YAML wants spaces", line + 1)
    context = f"{error.context}: " if error.context else ""
    return Problem((), f"is no YAML: {context}{error.problem}", line + 1)
