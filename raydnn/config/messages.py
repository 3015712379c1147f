"""What is wrong with a value, in plain words: what was found, what is allowed, and what was meant."""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_MOST_SHOWN = 60


def explain(line: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The message for one error of a section.

    Args:
        line: as pydantic reports it: type, msg, input and ctx.
        keys: of the section.
    """
    kind, context = line["type"], line.get("ctx", {})
    if kind == "config":
        return str(context["message"])
    if kind == "missing":
        return "must be given"
    if kind == "extra_forbidden":
        return f"there is no such key; {nearest(str(line['loc'][-1]), keys)}"
    wanted = _WANTED.get(kind)
    if wanted is None:
        return f"{line['msg'][0].lower()}{line['msg'][1:]}; got {shown(line['input'])}"
    message = f"must be {wanted(context)}; got {shown(line['input'])}"
    if kind == "literal_error":
        return message + _meant(line["input"], _quoted(context))
    if kind == "string_type" and isinstance(line["input"], bool | int | float):
        return f"{message} (put it in quotes)"
    return message


def nearest(name: str, known: Iterable[str]) -> str:
    """The name that was meant, or all that there are.

    Args:
        name: which is not known.
        known: the names that are.
    """
    names = sorted(known)
    return _meant(name, names).removeprefix("; ") or f"known are {', '.join(names)}"


def shown(value: Any) -> str:
    """A value about as YAML writes it, cut to a line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]} ..."


def _meant(name: Any, known: Iterable[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1) if isinstance(name, str) else []
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


def _one_of(names: list[str]) -> str:
    """The names that are allowed; a single one is the short form of a mapping."""
    return f"one of {', '.join(names)}" if len(names) > 1 else f"'{names[0]}' or a mapping"


def _quoted(context: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(context["expected"]))


_WANTED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda context: "text",
    "string_too_short": lambda context: "text that is not empty",
    "int_type": lambda context: "a whole number",
    "int_from_float": lambda context: "a whole number",
    "float_type": lambda context: "a number",
    "finite_number": lambda context: "a finite number",
    "bool_type": lambda context: "true or false",
    "list_type": lambda context: "a list",
    "dict_type": lambda context: "a mapping",
    "model_type": lambda context: "a mapping",
    "greater_than": lambda context: f"above {context['gt']:g}",
    "greater_than_equal": lambda context: f"{context['ge']:g} or more",
    "less_than": lambda context: f"below {context['lt']:g}",
    "less_than_equal": lambda context: f"{context['le']:g} or less",
    "too_short": lambda context: f"a list of {context['min_length']} or more",
    "too_long": lambda context: f"a list of {context['max_length']} or fewer",
    "literal_error": lambda context: _one_of(_quoted(context)),
}
