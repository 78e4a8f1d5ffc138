"""The fields of an output schema as people read them: where each is in an answer, what it holds, what it is for. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["OutputField", "output_fields"]

_NUMBER = (("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"),
           ("multipleOf", "a multiple of {}"))  # fmt: skip
_SIZES = (("minLength", "maxLength", "characters"), ("minItems", "maxItems", "items"))


@dataclass(frozen=True)
class OutputField:
    """A field of an answer.

    Args:
        path: as ``questions[].choices[]``; ``$`` is the answer itself.
        type: what it holds, in words.
    """

    path: str
    type: str
    description: str | None


def output_fields(schema: Mapping[str, Any]) -> list[OutputField]:
    """The fields of an output schema, each before those inside it; a model that holds itself is not entered again."""
    return list(_fields(schema, "$", schema.get("$defs", {}), ()))


def _fields(node: Any, path: str, models: Mapping[str, Any], inside: tuple[str, ...]) -> Iterator[OutputField]:
    node, name = _resolved(node, models)
    if name in inside:
        return
    inside = (*inside, name) if name else inside
    for each in node.get("anyOf", ()):
        yield from _fields(each, path, models, inside)
    if isinstance(node.get("items"), Mapping):
        yield from _fields(node["items"], f"{path}[]".removeprefix("$") or "[]", models, inside)
    for key, value in node.get("properties", {}).items():
        below = key if path == "$" else f"{path}.{key}"
        described = value.get("description") or _resolved(value, models)[0].get("description")
        yield OutputField(below, _type(value, models), described)
        yield from _fields(value, below, models, inside)


def _resolved(node: Any, models: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """A schema behind its reference, and the name of the model that it refers to."""
    reference = node.get("$ref") if isinstance(node, Mapping) else None
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        return models.get(name, {}), name
    return (node if isinstance(node, Mapping) else {}), None


def _type(node: Any, models: Mapping[str, Any]) -> str:
    found, name = _resolved(node, models)
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(_type(each, models) for each in found["anyOf"]))
    if "const" in found or "enum" in found:
        values = [found["const"]] if "const" in found else found["enum"]
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    kinds = found.get("type", "any value")
    kind = " or ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)
    if kind == "array":
        kind = f"list of {_type(found['items'], models)}" if "items" in found else "list"
    elif kind == "object":
        kind = str(name or "object")
    limits = list(_limits(found))
    return f"{kind} ({', '.join(limits)})" if limits else kind


def _limits(node: Mapping[str, Any]) -> Iterator[str]:
    for least, most, noun in _SIZES:
        low, high = node.get(least), node.get(most)
        if low is not None and high is not None:
            yield f"{low} {noun}" if low == high else f"{low} to {high} {noun}"
        elif low is not None or high is not None:
            yield f"at least {low} {noun}" if high is None else f"at most {high} {noun}"
    yield from (words.format(node[key]) for key, words in _NUMBER if key in node)
    yield from (f"{key} {node[key]}" for key in ("format", "pattern") if key in node)
