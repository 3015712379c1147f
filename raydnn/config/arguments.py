"""Sections made from the signatures of the Python API, so that each argument stands in YAML under its own name."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, Field, Tag, create_model, model_validator

from raydnn.config.messages import nearest, shown
from raydnn.config.section import SHORT, Flag, Int, Number, Section, choice, place_in, refusal, refusals, tag_of

REFUSALS = (ValueError, TypeError, ArithmeticError, LookupError, OSError, ImportError)
"""What constructors raise when they are given something wrong."""


class Arguments(Section):
    """Arguments of a function or class of the Python API."""

    target: ClassVar[Callable[..., Any]]
    """Called with the arguments."""
    own_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that are no arguments."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Arguments that do not come from YAML, as they may be."""
    check: ClassVar[Callable[..., object]] = staticmethod(lambda made: made)
    """Called with what was made, to find out whether it is good."""

    def make(self, **more: Any) -> Any:
        """What the Python API makes of the arguments.

        Args:
            more: arguments that do not come from YAML.
        """
        return self.target(**self.arguments(), **more)

    def arguments(self) -> dict[str, Any]:
        """The arguments that were written, made by the Python API themselves."""
        return {name: made(value) for name, value in self.given().items() if name not in self.own_keys}

    @model_validator(mode="after")
    def _can_be_made(self) -> "Arguments":
        try:
            self.check(self.make(**self.example))
        except REFUSALS as error:
            place = place_in(str(error), self.given())
            message = str(error).removeprefix(f"{place[0]} " if place else "")
            raise refusals([(place, message)]) from error
        return self


def made(value: Any) -> Any:
    """A value with what it declares made by the Python API."""
    if isinstance(value, Arguments):
        return value.make()
    if isinstance(value, dict):
        return {key: made(item) for key, item in value.items()}
    return value


def arguments_model(
    name: str,
    source: Callable[..., Any],
    *,
    doc: str | None = None,
    target: Callable[..., Any] | None = None,
    leave_out: Iterable[str] = (),
    types: Mapping[str, Any] | None = None,
    own_keys: Mapping[str, Any] | None = None,
    example: Mapping[str, Any] | None = None,
    check: Callable[[Any], object] | None = None,
) -> type[Arguments]:
    """A section of the arguments of a function or class.

    Args:
        name: of the section in the JSON Schema.
        source: whose signature and docstring tell the keys and what they mean.
        doc: describes the section; None takes the first paragraph of the source's docstring.
        target: called with the arguments; None is the source.
        leave_out: arguments that cannot be written in YAML.
        types: argument -> type, or (type, default), where the signature's is not one that YAML has.
        own_keys: key -> type, or (type, field), of keys that are no arguments; they come first.
        example: arguments that do not come from YAML, to try the others with.
        check: called with what was made, to find out whether it is good.
    """
    text = inspect.cleandoc(source.__doc__ or "")
    described = _attribute_texts(source) | _argument_texts(text)
    keys = {key: value if isinstance(value, tuple) else (value, ...) for key, value in (own_keys or {}).items()}
    given = dict(types or {})
    for parameter in inspect.signature(source).parameters.values():
        if parameter.name in (*leave_out, *keys):
            continue
        type_ = given.get(parameter.name) or _plain_type(parameter.annotation)
        default = ... if parameter.default is parameter.empty else _plain_default(parameter.default)
        if isinstance(type_, tuple):
            type_, default = type_
        keys[parameter.name] = (type_, Field(default, description=described.get(parameter.name)))
    summary = doc or text.split("\n\n")[0].replace("\n", " ")
    model = create_model(name, __base__=Arguments, __doc__=summary, __module__=__name__, **keys)  # type: ignore[call-overload]
    model.target = staticmethod(target or source)
    model.own_keys = frozenset(own_keys or ())
    model.example = dict(example or {})
    if check is not None:
        model.check = staticmethod(check)
    return model


def one_of(key: str, models: Mapping[str, type[Section]], short: Any = None) -> Any:
    """The type of a setting that has several forms, told by a key that names the form.

    Args:
        key: that names it.
        models: name -> section.
        short: type of a value that is no mapping; None takes mappings only.
    """
    names = ", ".join(sorted(models))

    def check(value: Any) -> Any:
        if isinstance(value, Mapping):
            name = value.get(key)
            if not isinstance(name, str) or name not in models:
                found = f"; got {shown(name)}; {nearest(str(name), models)}" if key in value else ""
                raise refusals([((key,), f"must be one of {names}{found}")])
        elif short is None and not isinstance(value, Section):
            raise refusal(f"must be a mapping with the key '{key}'; got {shown(value)}")
        return value

    forms = [Annotated[model, Tag(tag_of(model))] for model in models.values()]
    if short is not None:
        forms.append(Annotated[short, Tag(SHORT)])
    picked = choice(lambda value: tag_of(models[value[key]]) if isinstance(value, Mapping) else SHORT)
    return Annotated[Union[tuple(forms)], picked, BeforeValidator(check)]  # noqa: UP007 - made of a list


def _plain_default(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else None


def _plain_type(annotation: Any) -> Any:
    """The type of an argument as YAML can give it."""
    plain = {float: Number, int: Int, bool: Flag}
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(map(_plain_type, arguments))]  # noqa: UP007 - made of a list
    if origin is Sequence:
        return list[_plain_type(arguments[0])]  # type: ignore[misc]
    if origin is Mapping:
        return dict[str, _plain_type(arguments[1])]  # type: ignore[misc]
    if annotation in (str, type(None)) or origin is Literal:
        return annotation
    raise TypeError(f"no type of YAML stands for {annotation!r}")


def _attribute_texts(source: Any) -> dict[str, str]:
    """Attribute -> what the text below it in a class says."""
    if not inspect.isclass(source):
        return {}
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(source))).body
    assert isinstance(declared, ast.ClassDef)
    return {
        attribute.target.id: " ".join(text.value.value.split())
        for attribute, text in pairwise(declared.body)
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _argument_texts(text: str) -> dict[str, str]:
    """Argument -> what a docstring says of it under Args or Attributes."""
    section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
    if section is None:
        return {}
    texts = {}
    for entry in re.split(r"\n    (?=\S)", f"\n{section[1].rstrip()}")[1:]:
        names, _, said = entry.partition(": ")
        for name in names.split(","):
            texts[name.strip()] = " ".join(said.split())
    return texts
