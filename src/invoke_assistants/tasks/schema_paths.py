"""Where in an answer a changed part of its schema is: ``questions[].choices: maxItems``. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..reconcile.schema_change import output_schema_of
from ..types import Change, Step

__all__ = ["SCHEMA", "changed_fields", "readable_field", "schemas_of"]

SCHEMA = "text.format.schema"
_BRANCHES = ("anyOf", "oneOf", "allOf")

Token = str | int


def schemas_of(step: Step) -> list[Any]:
    """The output schemas that an instance has and is to have; None for text, or where there is none."""
    return [output_schema_of(each or {}) for each in (step.remote, step.desired.payload if step.desired else None)]


def changed_fields(changes: Iterable[Change], schemas: Sequence[Any]) -> Iterator[tuple[list[str], Change]]:
    """What changes in an instance: each difference with the fields that share it, as people read them.

    Fields whose keyword changes in the same way share their difference; it is the first one's ``Change``. A list of required
    fields is left out where fields of its object come or go, which says the same.
    """
    shared: dict[str, list[Change]] = {}
    for change in _without_required(changes, schemas):
        keyword = change.field.rpartition(".")[2]
        shared.setdefault(json.dumps([keyword, change.before, change.after]), []).append(change)
    for alike in shared.values():
        yield [readable_field(change.field, schemas) for change in alike], alike[0]


def _without_required(changes: Iterable[Change], schemas: Sequence[Any]) -> Iterator[Change]:
    objects: list[Sequence[Token]] = []  # where fields come or go
    required: dict[str, Sequence[Token]] = {}  # by field, the objects whose lists of required fields change
    changes = list(changes)
    for change in changes:
        tokens = _split(change.field.removeprefix(f"{SCHEMA}."), schemas) if change.field.startswith(f"{SCHEMA}.") else None
        if not tokens:
            continue
        match _place(tokens, {})[1]:
            case [] if tokens[-2:-1] == ["properties"] and (change.before is None or change.after is None):
                objects.append(tokens[:-2])
            case [*_, "required"]:
                required[change.field] = tokens[:-1]
            case [*_, "required", int()]:
                required[change.field] = tokens[:-2]
            case _:
                pass
    yield from (change for change in changes if required.get(change.field) not in objects)


def readable_field(field: str, schemas: Sequence[Any]) -> str:
    """How people read a changed field: what is inside the output schema by its place in the answer.

    ``output questions[].choices: maxItems`` is the keyword ``maxItems`` of each question's ``choices``, and ``output hint``
    a field of the answer that came or went. A model that is used in several places, or in none, is called by its name.

    Args:
        field: of a ``Change``.
        schemas: the schemas that it may be in, before and after; no schema at all is None.
    """
    if not field.startswith(f"{SCHEMA}."):
        return field
    tokens = _split(field.removeprefix(f"{SCHEMA}."), schemas)
    if tokens is None:
        return field
    place, keyword = _place(tokens, _model_paths(schemas))
    return " ".join(["output", *([place] if place else [])]) + (f": {_joined(keyword)}" if keyword else "")


def _split(field: str, nodes: Sequence[Any]) -> list[Token] | None:
    """The keys and indices of a dotted field, whose keys may hold dots; None where the values do not have it."""
    if not field:
        return []
    if field.startswith("["):
        index, _, rest = field[1:].partition("]")
        below = [node[int(index)] for node in nodes if isinstance(node, list | tuple) and int(index) < len(node)]
        return _prepend(int(index), rest, below)
    keys = {key for node in nodes if isinstance(node, Mapping) for key in node}
    for key in sorted(keys, key=len, reverse=True):
        rest = field.removeprefix(key)
        if field.startswith(key) and rest[:1] in ("", ".", "["):
            below = [node[key] for node in nodes if isinstance(node, Mapping) and key in node]
            if (found := _prepend(key, rest, below)) is not None:
                return found
    return None


def _prepend(token: Token, rest: str, below: Sequence[Any]) -> list[Token] | None:
    found = _split(rest.removeprefix("."), below) if below else None
    return None if found is None else [token, *found]


def _place(tokens: Sequence[Token], models: Mapping[str, str]) -> tuple[str, list[Token]]:
    """The place in the answer, empty for its root, and the tokens behind it: what of the schema stands there."""
    place, left = "", list(tokens)
    while True:
        match left:
            case ["$defs", str(name), *rest]:
                place = models.get(name, name)
            case ["properties", str(name), *rest]:
                place += f".{name}" if place else name
            case ["items", *rest] if rest:
                place += "[]"
            case [branch, int(), ("properties" | "items") as inner, *more] if branch in _BRANCHES and more:
                rest = [inner, *more]  # a branch of a union is no place of its own
            case _:
                return place, left
        left = rest


def _joined(tokens: Sequence[Token]) -> str:
    text = ""
    for token in tokens:
        text += f"[{token}]" if isinstance(token, int) else f".{token}" if text else token
    return text


def _model_paths(schemas: Sequence[Any]) -> dict[str, str]:
    """The place in the answer of each model that is used once; the name of every other."""
    uses: dict[str, list[list[Token]]] = {}
    for schema in schemas:
        found = list(_references(schema, []))
        for name in dict(found):
            uses[name] = max(uses.get(name, []), [tokens for other, tokens in found if other == name], key=len)

    def place_of(name: str, inside: frozenset[str]) -> str:
        if name in inside or len(uses.get(name, ())) != 1:
            return name
        [tokens] = uses[name]
        models = {str(tokens[1]): place_of(str(tokens[1]), inside | {name})} if tokens[:1] == ["$defs"] else {}
        return _place([*tokens, "$ref"], models)[0] or name

    return {name: place_of(name, frozenset()) for name in uses}


def _references(node: Any, tokens: list[Token]) -> Iterator[tuple[str, list[Token]]]:
    """The models that a schema refers to, each with the tokens that lead to the reference."""
    if isinstance(node, Mapping):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith("#/$defs/"):
            yield target.removeprefix("#/$defs/"), tokens
        for key, below in node.items():
            yield from _references(below, [*tokens, key])
    elif isinstance(node, list | tuple):
        for index, below in enumerate(node):
            yield from _references(below, [*tokens, index])
