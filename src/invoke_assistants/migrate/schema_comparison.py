"""Find where two JSON schemas differ, apart from titles, references and the ways to spell a null."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ..declare.strict_schema import to_strict

__all__ = ["differences", "optional_properties"]

Schema = Mapping[str, Any]

BESIDE = ("description", "default", "examples", "deprecated")  # about a value of whatever type
INSIDE = ("properties", "items")  # compared schema by schema
SPELLING = frozenset(
    {"title", "$schema", "$id", "$comment", "$defs", "definitions", "required", "anyOf", "type", "enum", "const"}
)
NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
ONLY_FOR = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": NUMBERS,
    "integer": NUMBERS,
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "additionalProperties"}),
}
TYPED = frozenset().union(*ONLY_FOR.values())
JSON_TYPES = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}


def differences(before: Schema, after: Schema, where: str) -> list[str]:
    """Where a strict schema differs from the one that it was made from, as ``Model.field: keyword``.

    A property that may be left out counts as one that may be null, as in the strict form.
    """
    root = to_strict(_nullable(before))
    return list(dict.fromkeys(_differ(root, after, (root, after), where, set())))


def optional_properties(node: Any, where: str) -> list[str]:
    """The properties that may be left out, as ``Model.field``."""
    found: list[str] = []
    if isinstance(node, Mapping):
        for name, entry in _properties(node).items():
            found += [f"{where}.{name}"] * (name not in node.get("required", ()))
            found += optional_properties(entry, f"{where}.{name}")
        for key in ("$defs", "definitions"):
            found += [line for name, entry in (node.get(key) or {}).items() for line in optional_properties(entry, name)]
        found += optional_properties(node.get("items"), f"{where}[]")
        found += [line for entry in node.get("anyOf", ()) for line in optional_properties(entry, where)]
    return found


def _properties(node: Schema) -> Schema:
    properties = node.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _nullable(node: Any) -> Any:
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    out = {key: value if key in ("enum", "const", "default", "examples") else _nullable(value) for key, value in node.items()}
    for name, entry in _properties(node).items():
        if name not in node.get("required", ()):
            beside = {key: entry[key] for key in BESIDE if key in entry}
            typed = {key: value for key, value in _nullable(entry).items() if key not in BESIDE}
            out["properties"][name] = {"anyOf": [typed, {"type": "null"}], **beside}
    return out


def _differ(a: Schema, b: Schema, roots: tuple[Schema, Schema], where: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    if (id(a), id(b)) in seen:
        return
    seen.add((id(a), id(b)))
    (general, variants), (other_general, other_variants) = _variants(a, roots[0]), _variants(b, roots[1])
    yield from _unequal_keywords(general, other_general, where)
    if [one["type"] for one in variants] != [one["type"] for one in other_variants]:
        yield f"{where}: type"
        return
    for one, other in zip(variants, other_variants, strict=True):
        yield from _unequal_keywords(one, other, where)
        yield from _differ_inside(one, other, roots, where, seen)


def _differ_inside(a: Schema, b: Schema, roots: tuple[Schema, Schema], where: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    ours, theirs = _properties(a), _properties(b)
    if list(ours) != list(theirs):
        yield f"{where}: properties"
    for name in ours:
        if name in theirs:
            yield from _differ(ours[name], theirs[name], roots, f"{where}.{name}", seen)
    if "items" in a or "items" in b:
        yield from _differ(a.get("items", {}), b.get("items", {}), roots, f"{where}[]", seen)


def _unequal_keywords(a: Schema, b: Schema, where: str) -> Iterator[str]:
    for key in dict.fromkeys([*a, *b]):
        if key not in INSIDE and (key not in a or key not in b or a[key] != b[key]):
            yield f"{where}: {key}"


def _variants(node: Schema, root: Schema) -> tuple[Schema, list[Schema]]:
    """The keywords for every type, and a schema for each type that a value may have, null at the end."""
    while isinstance(reference := node.get("$ref"), str):
        target: Any = root
        for key in reference.split("/")[1:]:
            target = target[key]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    general = {key: node[key] for key in BESIDE if node.get(key) is not None}
    if isinstance(general.get("description"), str):
        general["description"] = inspect.cleandoc(general["description"])  # as pydantic reads a docstring
    variants = []
    for entry in node.get("anyOf", ()):
        within, nested = _variants(entry, root)
        variants += [{**one, **within} for one in nested]
    return general, sorted(variants or _by_type(node), key=lambda one: one["type"] == "null")


def _by_type(node: Schema) -> Iterator[dict[str, Any]]:
    values = [node["const"]] if "const" in node else node.get("enum")
    found = node.get("type") or list(dict.fromkeys(JSON_TYPES.get(type(value), "") for value in values or [[]]))
    for kind in found if isinstance(found, list) else [found]:
        others = TYPED - ONLY_FOR.get(kind, frozenset())
        own = {key: value for key, value in node.items() if key not in SPELLING | others and key not in BESIDE}
        if values is not None and kind != "null":
            own["enum"] = [value for value in values if value is not None and _has_type(value, kind)]
        yield {"type": kind, **own}


def _has_type(value: Any, kind: str) -> bool:
    found = JSON_TYPES.get(type(value))
    return found == kind or (kind == "number" and found == "integer")
