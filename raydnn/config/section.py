"""What all sections of a run have in common: strict types, plain values for them, and errors in plain words."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from raydnn.config.document import Place
from raydnn.config.messages import explain

_TAG = "\0"
SHORT = f"{_TAG}short"
"""The tag of the short form of a setting that has several."""
LIST = f"{_TAG}list"
"""The tag of the form that is a list."""


class Section(BaseModel):
    """A mapping with known keys, whose values have the type that is asked for and no other."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler["Section"]) -> "Section":
        try:
            return handler(value)
        except ValidationError as error:
            lines = error.errors(include_url=False)
            details = [_detail(line["loc"], explain(line, cls.model_fields), line["input"]) for line in lines]
            raise ValidationError.from_exception_data(cls.__name__, details) from None

    def given(self) -> dict[str, Any]:
        """Key -> value of the keys that were written, in the order in which they are declared."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


def tag_of(model: type[Section] | str) -> str:
    """The tag of a model in a choice of several forms; it stands in the place of an error and is taken out there."""
    return f"{_TAG}{model if isinstance(model, str) else model.__name__}"


def without_tags(place: Iterable[int | str]) -> Place:
    """A place as a user sees it."""
    return tuple(part for part in place if not str(part).startswith(_TAG))


def short_or(model: type[Section] | str) -> Discriminator:
    """Tells the short form of a setting from a mapping of the keys of a model."""
    return choice(lambda value: tag_of(model) if isinstance(value, Mapping) else SHORT)


def short_or_list() -> Discriminator:
    """Tells a single value from a list."""
    return Discriminator(lambda value: LIST if isinstance(value, list | tuple) else SHORT)


def choice(pick: Callable[[Any], str]) -> Discriminator:
    """Tells which of several forms a value has.

    Args:
        pick: value -> tag of its form.
    """
    # Values that were checked already are shown to it too, when they are written.
    return Discriminator(lambda value: tag_of(type(value)) if isinstance(value, Section) else pick(value))


def refusal(message: str) -> PydanticCustomError:
    """An error to be raised by a validator."""
    return PydanticCustomError("config", "{message}", {"message": message})


def refusals(found: Iterable[tuple[Place, str]]) -> ValidationError:
    """Several errors to be raised by a validator: where each is below the section, and what is wrong."""
    return ValidationError.from_exception_data("run", [_detail(place, message, None) for place, message in found])


def place_in(message: str, keys: Iterable[str]) -> Place:
    """The key that the message of an error speaks of first, if it does."""
    found = [(message.find(key), -len(key), key) for key in keys if key in message]
    return (min(found)[2],) if found else ()


def _detail(place: Place, message: str, value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=refusal(message), loc=place, input=value)


def as_integer(value: Any) -> Any:
    """A whole number, also where YAML read one such as 1e3 as text."""
    number = as_number(value)
    return int(number) if isinstance(value, str) and isinstance(number, float) and number.is_integer() else number


def as_number(value: Any) -> Any:
    """A number, also where YAML read one such as 1e-3 as text."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _as_flag(value: Any) -> Any:
    """True or false, also where an environment variable gives it as text."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Int = Annotated[int, BeforeValidator(as_integer)]
PositiveInt = Annotated[int, Field(ge=1), BeforeValidator(as_integer)]
Number = Annotated[float, BeforeValidator(as_number)]
NotNegative = Annotated[float, Field(ge=0), BeforeValidator(as_number)]
Flag = Annotated[bool, BeforeValidator(_as_flag)]
Text = Annotated[str, Field(min_length=1)]
