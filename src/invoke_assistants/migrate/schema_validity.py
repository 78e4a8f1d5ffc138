"""Check that a schema of an export is a JSON Schema that refers to nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..declare.strict_schema import to_strict

__all__ = ["find_problem", "subschemas"]

TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
LITERAL = frozenset({"enum", "const", "default", "examples"})  # hold values, not schemas
TABLES = ("properties", "patternProperties", "$defs", "definitions")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(TABLES, (Mapping, "a JSON object")),
    **dict.fromkeys((*LISTS, "enum", "required"), (list, "a list")),
    **dict.fromkeys(("description", "title", "pattern", "format"), (str, "a string")),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), (int, "a number")),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), ((int, float), "a number")),
    "items": ((Mapping, bool), "a JSON object"),
    "additionalProperties": ((Mapping, bool), "a JSON object or a boolean"),
}


def find_problem(schema: Mapping[str, Any]) -> str | None:
    """Why no model can be made from a schema, or None.

    The generator must not see it before: it would open the files and addresses that references name.
    """
    try:
        for node in subschemas(schema):
            if problem := _find_problem(node, schema):
                return problem
        to_strict(schema)
    except (ValueError, TypeError, AttributeError) as error:
        return str(error)
    except RecursionError:
        return "it is nested too deep"
    return None


def _find_problem(node: Any, root: Mapping[str, Any]) -> str | None:
    if isinstance(node, bool):
        return None
    if not isinstance(node, Mapping):
        return f"{node!r:.80} stands where a schema must"
    for key, (kind, what) in KINDS.items():
        if key in node and not isinstance(node[key], kind):
            return f"{key} must be {what}, not {node[key]!r:.80}"
    types = node.get("type", [])
    odd = [each for each in (types if isinstance(types, list) else [types]) if not isinstance(each, str) or each not in TYPES]
    if odd:
        return f"there is no type {odd[0]!r:.80}"
    if any(not isinstance(name, str) for name in node.get("required", [])):
        return "required must list names"
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        if key in node and not _is_definition(node[key], root):
            return f"the reference {node[key]!r:.80} leads to no definition of the schema"
    return None


def subschemas(node: Any) -> Iterator[Any]:
    """A schema and every schema inside it, under whatever keyword."""
    yield node
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if key in TABLES and isinstance(value, Mapping):
            below = list(value.values())
        elif key in LISTS and isinstance(value, list):
            below = value
        else:
            below = [value] if isinstance(value, Mapping) and key not in LITERAL else []
        for entry in below:
            yield from subschemas(entry)


def _is_definition(reference: Any, schema: Mapping[str, Any]) -> bool:
    parts = reference.split("/") if isinstance(reference, str) else []
    table = schema.get(parts[1]) if len(parts) == 3 and parts[0] == "#" and parts[1] in ("$defs", "definitions") else None
    return reference == "#" or (isinstance(table, Mapping) and parts[2] in table)
