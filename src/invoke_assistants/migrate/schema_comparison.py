"""Whether two JSON schemas mean the same: where they differ, up to titles, references and the ways to spell a null."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ..declare.strict_schema import to_strict

__all__ = ["differences", "optional"]

Schema = Mapping[str, Any]

BESIDE = ("description", "default", "examples", "deprecated")  # said about a value, whatever its type
INSIDE = ("properties", "items")  # compared by going into them
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
    """What a strict schema says otherwise than the one it comes from, as ``Model.field: keyword``; empty where nothing.

    A property that could be left out counts as one that may be null, which is how the strict form says it.
    """
    root = to_strict(_nullable(before))
    return list(dict.fromkeys(_differ(root, after, (root, after), where, set())))


def optional(node: Any, where: str) -> list[str]:
    """The properties in a schema that may be left out, as ``Model.field``."""
    found: list[str] = []
    if isinstance(node, Mapping):
        for name, entry in _properties(node).items():
            found += [f"{where}.{name}"] * (name not in node.get("required", ()))
            found += optional(entry, f"{where}.{name}")
        for key in ("$defs", "definitions"):
            found += [line for name, entry in (node.get(key) or {}).items() for line in optional(entry, name)]
        found += optional(node.get("items"), f"{where}[]")
        found += [line for entry in node.get("anyOf", ()) for line in optional(entry, where)]
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
            rest = {key: value for key, value in _nullable(entry).items() if key not in BESIDE}
            out["properties"][name] = {"anyOf": [rest, {"type": "null"}], **beside}
    return out


def _differ(a: Schema, b: Schema, roots: tuple[Schema, Schema], where: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    if (id(a), id(b)) in seen:
        return
    seen.add((id(a), id(b)))
    (said, variants), (said_there, variants_there) = _read(a, roots[0]), _read(b, roots[1])
    yield from _unequal(said, said_there, where)
    if [one["type"] for one in variants] != [one["type"] for one in variants_there]:
        yield f"{where}: type"
        return
    for one, other in zip(variants, variants_there, strict=True):
        yield from _unequal(one, other, where)
        yield from _inside(one, other, roots, where, seen)


def _inside(a: Schema, b: Schema, roots: tuple[Schema, Schema], where: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    ours, theirs = _properties(a), _properties(b)
    if list(ours) != list(theirs):
        yield f"{where}: properties"
    for name in ours:
        if name in theirs:
            yield from _differ(ours[name], theirs[name], roots, f"{where}.{name}", seen)
    if "items" in a or "items" in b:
        yield from _differ(a.get("items", {}), b.get("items", {}), roots, f"{where}[]", seen)


def _unequal(a: Schema, b: Schema, where: str) -> Iterator[str]:
    for key in dict.fromkeys([*a, *b]):
        if key not in INSIDE and (key not in a or key not in b or a[key] != b[key]):
            yield f"{where}: {key}"


def _read(node: Schema, root: Schema) -> tuple[Schema, list[Schema]]:
    """What is said about a value, and the values it may be: one schema per type, null at the end."""
    while isinstance(reference := node.get("$ref"), str):
        target: Any = root
        for key in reference.split("/")[1:]:
            target = target[key]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    said = {key: node[key] for key in BESIDE if node.get(key) is not None}
    if isinstance(said.get("description"), str):
        said["description"] = inspect.cleandoc(said["description"])  # as a docstring is read
    variants = []
    for entry in node.get("anyOf", ()):
        within, read = _read(entry, root)
        variants += [{**one, **within} for one in read]
    return said, sorted(variants or _by_type(node), key=lambda one: one["type"] == "null")


def _by_type(node: Schema) -> Iterator[dict[str, Any]]:
    values = [node["const"]] if "const" in node else node.get("enum")
    found = node.get("type") or list(dict.fromkeys(JSON_TYPES.get(type(value), "") for value in values or [[]]))
    for kind in found if isinstance(found, list) else [found]:
        rest = {key: value for key, value in node.items() if key not in SPELLING and key not in BESIDE}
        own = {key: value for key, value in rest.items() if key not in TYPED or key in ONLY_FOR.get(kind, ())}
        if values is not None and kind != "null":
            own["enum"] = [value for value in values if value is not None and _fits(value, kind)]
        yield {"type": kind, **own}


def _fits(value: Any, kind: str) -> bool:
    found = JSON_TYPES.get(type(value))
    return found == kind or (kind == "number" and found == "integer")
