"""From the text of an answer to the app's output, and back. Pure."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

__all__ = ["ParseError", "dump_output", "encode_answer", "has_structure", "parse_answer"]

# Pydantic's error types for text of another structure; every other error is about a rule that no schema can express.
STRUCTURE = frozenset({"json_invalid", "missing", "extra_forbidden", "literal_error", "enum", "model_type", "dataclass_type"})


class ParseError(ValueError):
    """A text does not fit an output model.

    ``problems`` says where and why; ``structural`` whether the text lacks the model's structure, or only breaks a rule.
    """

    def __init__(self, problems: Sequence[str], *, structural: bool = False) -> None:
        self.problems = problems
        self.structural = structural
        super().__init__("; ".join(problems[:3]))

    @classmethod
    def of(cls, error: ValidationError) -> ParseError:
        """What pydantic found."""
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = [": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"]])) for each in found]
        return cls(problems, structural=any(each["type"] in STRUCTURE or each["type"].endswith("_type") for each in found))


def parse_answer(output: type[Any] | None, text: str) -> Any:
    """The validated object of an output model; the text itself where there is no model.

    Raises:
        ParseError: the text does not fit the model, or the model's own code raised at it, which is then the cause.
    """
    if output is None or output is str:
        return text
    try:
        return _adapter(cast("Any", output)).validate_json(text)
    except ValidationError as error:
        raise ParseError.of(error) from None
    except Exception as error:  # a validator, a default factory: pydantic passes on all but a ValueError
        raise ParseError([f"its own code raised {type(error).__name__}: {error}"]) from error


def has_structure(output: type[Any] | None, text: str) -> bool:
    """Whether a text has the structure of an output model, even if it breaks one of the app's own rules."""
    try:
        parse_answer(output, text)
    except ParseError as error:
        return not error.structural
    return True


def dump_output(output: type[Any] | None, value: Any) -> Any:
    """An output as plain JSON.

    Raises:
        ValueError: a serializer of the model's own raised, or a field holds what is no JSON.
    """
    return value if output is None or output is str else _adapter(cast("Any", output)).dump_python(value, mode="json")


def encode_answer(output: type[Any] | None, value: Any) -> str:
    """The text of an answer that ``parse_answer`` makes this value of.

    Raises:
        TypeError: the value is not an object of the output model, or not a text where there is no model.
        ValueError: no answer can be read as this value, or its own JSON does not fit the output model (``ParseError``).
    """
    expected = str if output is None else output
    if not isinstance(value, expected):
        raise TypeError(f"{value!r:.80} is not an object of {expected.__name__}")
    if expected is str:
        return str(value)
    text = _adapter(cast("Any", output)).dump_json(value, by_alias=True, round_trip=True).decode()
    if not _is_same(parse_answer(output, text), value):  # a serializer, a validator or a subclass stands between
        raise ValueError("its JSON is read back as another object; give_text takes the JSON as it is")
    return text


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal field by field; what a model keeps beside its fields, such as a cache, does not count."""
    if isinstance(one, BaseModel) or dataclasses.is_dataclass(one):
        names = type(one).model_fields if isinstance(one, BaseModel) else [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(_is_same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    return bool(one == other or (one != one and other != other))  # NaN equals nothing


@functools.lru_cache(maxsize=256)
def _adapter(output: Any) -> TypeAdapter[Any]:
    return TypeAdapter(output)
