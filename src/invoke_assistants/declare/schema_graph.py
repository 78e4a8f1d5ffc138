"""A strict schema as a graph: references followed, unions flattened, two parts compared through recursion. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..types import JSONObject

__all__ = ["ANNOTATIONS", "Branch", "Node", "Sameness", "Schema", "identical", "key_of"]

Node = Mapping[str, Any]

ANNOTATIONS = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment")
NAMING = frozenset({*ANNOTATIONS, "$defs", "definitions", "$schema", "$id"})  # says nothing about an answer
SAID = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set[str](),
    "null": set[str](),
}
SAID["integer"] = SAID["number"]
NO_SCHEMA: Mapping[bool, Node] = {True: {"not": {"not": {}}}, False: {"not": {}}}  # what is no schema, or leads nowhere
JSON_TYPES = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, eq=False)
class Branch:
    """One of the kinds of value that a part of a schema allows.

    Args:
        kind: a JSON type, or ``other`` for what is not understood.
        node: the part of the schema with the keywords.
        values: the only values, where it lists them.
        references: the definitions that lead here.
        inside: whether it is one of several in a union, with words of its own.
    """

    kind: str
    node: Node
    values: tuple[Any, ...] | None = None
    references: tuple[str, ...] = ()
    inside: bool = False

    @property
    def properties(self) -> Mapping[str, Node]:
        """The fields of an object."""
        return self.node.get("properties") or {}


class Schema:
    """A strict schema; its parts are known by their identity, so that each is looked at once."""

    def __init__(self, root: JSONObject) -> None:
        self.root: Node = root
        self._branches: dict[int, tuple[Branch, ...]] = {}
        self._merged: dict[int, tuple[Node, tuple[str, ...]]] = {}
        self._alike: dict[tuple[Any, ...], list[Branch]] = {}

    def resolve(self, node: Any) -> tuple[Node, tuple[str, ...]]:
        """The part of the schema that a node stands for, and the references that lead to it."""
        if not isinstance(node, Mapping):
            return NO_SCHEMA[bool(node)], ()
        if "$ref" not in node:
            return node, ()
        if id(node) not in self._merged:
            self._merged[id(node)] = self._follow(node)
        return self._merged[id(node)]

    def _follow(self, node: Node) -> tuple[Node, tuple[str, ...]]:
        references: list[str] = []
        while isinstance(reference := node.get("$ref"), str):
            target = self._target(reference)
            if reference in references or not isinstance(target, Mapping):
                return NO_SCHEMA[False], tuple(references)
            references.append(reference)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = {**target, **beside} if beside else target
        return node, tuple(references)

    def _target(self, reference: str) -> Any:
        target: Any = self.root
        for key in reference.split("/")[1:]:
            target = target.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        return target

    def model_of(self, branch: Branch) -> Branch:
        """One object for all that are of the same model: a reference with words of its own is written out as a copy."""
        alike = self._alike.setdefault((branch.node.get("title"), *branch.properties), [])
        known = next((each for each in alike if each.properties == branch.properties), None)
        if known is None:
            alike.append(branch)
        return known or branch

    def annotations(self, node: Node) -> JSONObject:
        """What a node says to people and models only, with what its one branch says."""
        found = [each.node for each in self.branches(node) if each.kind != "null"]
        said = (*found, self.resolve(node)[0]) if len(found) == 1 else (self.resolve(node)[0],)
        return {key: each[key] for each in said for key in ANNOTATIONS if key in each}

    def branches(self, node: Node) -> tuple[Branch, ...]:
        """The kinds of value that a node allows, in their order; unions inside of unions are flattened."""
        if id(node) not in self._branches:
            self._branches[id(node)] = tuple(self._flatten(node, (), inside=False))
        return self._branches[id(node)]

    def _flatten(self, node: Node, above: tuple[str, ...], *, inside: bool) -> Iterator[Branch]:
        resolved, references = self.resolve(node)
        if set(references) & set(above):
            return  # a union that contains itself adds nothing
        above += references
        if "anyOf" in resolved and not resolved.keys() - NAMING - {"anyOf"}:
            for entry in resolved["anyOf"]:
                yield from self._flatten(entry, above, inside=True)
        else:
            yield from (replace(branch, inside=inside) for branch in _by_kind(resolved, above))


def _by_kind(node: Node, references: tuple[str, ...]) -> Iterator[Branch]:
    values = [node["const"]] if "const" in node else node.get("enum")
    found = node.get("type") or list(dict.fromkeys(_kind(value) for value in values or [[]]))
    for kind in found if isinstance(found, list) else [found]:
        allowed = SAID.get(kind, set())
        open_object = kind == "object" and (node.get("additionalProperties") is not False or "properties" not in node)
        unread = node.keys() - NAMING - {"type", "enum", "const"} - allowed if not isinstance(found, list) else ()
        if kind not in SAID or unread or open_object or (kind == "array" and "items" not in node):
            yield Branch("other", node, None, references)
        elif values is None:
            yield Branch(kind, node, (None,) if kind == "null" else None, references)
        else:
            own = tuple(value for value in values if _kind(value) == kind or (kind, _kind(value)) == ("number", "integer"))
            yield Branch(kind, node, own, references)


def _kind(value: Any) -> str:
    return JSON_TYPES.get(type(value), "")


def key_of(value: Any) -> tuple[str, Any]:
    """A plain value with its JSON type: in Python, true is 1."""
    return _kind(value), value


def identical(one: Any, other: Any, *, ordered: bool = False) -> bool:
    """Whether two JSON values are equal; among properties, and only there, the order of keys counts."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys() or (ordered and list(one) != list(other)):
            return False
        return all(identical(one[key], other[key], ordered=key == "properties" and not ordered) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return type(one) is type(other) and bool(one == other)


class Sameness:
    """Which parts of two schemas are the same, names of definitions apart."""

    def __init__(self, one: Schema, other: Schema) -> None:
        self._schemas = one, other
        self._known: set[tuple[int, int]] = set()

    def same(self, one: Node, other: Node) -> bool:
        """Whether two nodes say the same, words included; what is recursive is the same unless it differs somewhere."""
        assumed: set[tuple[int, int]] = set()
        waiting = [(one, other)]
        while waiting:
            a, b = (schema.resolve(node)[0] for schema, node in zip(self._schemas, waiting.pop(), strict=True))
            pair = id(a), id(b)
            if pair in self._known or pair in assumed:
                continue
            assumed.add(pair)
            inside = _inside(a, b)
            if inside is None:
                return False
            waiting += inside
        self._known |= assumed
        return True


def _inside(a: Node, b: Node) -> list[tuple[Node, Node]] | None:
    """The pairs of nodes inside of two nodes; None where the nodes themselves differ."""
    names = {"$defs", "definitions", "$schema", "$id"}
    if a.keys() - names != b.keys() - names:
        return None
    pairs: list[tuple[Node, Node]] = []
    for key in a.keys() - names:
        one, other = a[key], b[key]
        if key == "properties":
            if list(one) != list(other):
                return None
            pairs += [(one[name], other[name]) for name in one]
        elif key == "items" and isinstance(one, Mapping) and isinstance(other, Mapping):
            pairs.append((one, other))
        elif key == "anyOf":
            if len(one) != len(other):
                return None
            pairs += zip(one, other, strict=True)
        elif not identical(one, other):
            return None
    return pairs
