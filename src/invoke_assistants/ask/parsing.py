"""From the text of an answer to the object that the app works with, and back to why not. Pure."""

from __future__ import annotations

import functools
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

__all__ = ["Unfit", "dumped", "follows", "parse"]

# What pydantic says of text that is no such structure; every other problem is a rule that no schema can hold a model to.
STRUCTURE = frozenset({"json_invalid", "missing", "extra_forbidden", "literal_error", "enum", "model_type", "dataclass_type"})


class Unfit(ValueError):
    """A text does not fit an output model; ``problems`` says where and why, ``structure`` whether it is no such structure."""

    def __init__(self, error: ValidationError) -> None:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        self.problems = [": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"]])) for each in found]
        self.structure = any(each["type"] in STRUCTURE or each["type"].endswith("_type") for each in found)
        super().__init__("; ".join(self.problems[:3]))


def parse(output: type[Any] | None, text: str) -> Any:
    """The validated object of an output model; the text itself where there is none.

    Raises:
        Unfit: the text does not fit it.
    """
    if output is None or output is str:
        return text
    try:
        return _adapter(cast("Any", output)).validate_json(text)
    except ValidationError as error:
        raise Unfit(error) from None


def follows(output: type[Any] | None, text: str) -> bool:
    """Whether a text has the structure of an output model, be it that a rule of the app's own is broken."""
    try:
        parse(output, text)
    except Unfit as unfit:
        return not unfit.structure
    return True


def dumped(output: type[Any] | None, value: Any) -> Any:
    """An output as plain JSON."""
    return value if output is None or output is str else _adapter(cast("Any", output)).dump_python(value, mode="json")


@functools.lru_cache(maxsize=256)
def _adapter(output: Any) -> TypeAdapter[Any]:
    return TypeAdapter(output)
