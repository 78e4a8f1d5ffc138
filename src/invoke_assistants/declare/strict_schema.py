"""The strict JSON schema of an output model, and what strict structured outputs refuse. Pure; needs no openai.

The transform is that of the SDK's ``agent_text_format`` (a property test holds the two equal), with one exception: the
SDK keeps pydantic's ``oneOf`` for a union with a discriminator, which the service refuses; here it becomes ``anyOf``. The
limits and the supported keywords are those of OpenAI's guide "Structured model outputs", section "Supported schemas".
Where the guide is silent (tuples, sets), ``lint`` refuses what the service is known to refuse.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DeclarationError
from ..types import JSONObject

__all__ = ["MAX_DEPTH", "MAX_ENUM", "MAX_PROPERTIES", "lint", "lint_output", "output_schema", "to_strict"]

MAX_DEPTH = 10  # levels of nested objects
MAX_PROPERTIES = 5_000  # in the whole schema
MAX_ENUM = 1_000  # enum values in the whole schema
MAX_TEXT = 120_000  # characters of property and definition names, enum and const values, in the whole schema
LONG_ENUM, LONG_ENUM_TEXT = 250, 15_000  # an enum of more values than the first may hold as many characters as the second

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
KEYWORDS = frozenset(
    [
        "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs",
        "definitions", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment",
        "pattern", "format", "minLength", "maxLength", "multipleOf", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "minItems", "maxItems",
    ]
)  # fmt: skip


BUILT = ("__pydantic_core_schema__", "__pydantic_validator__", "__dataclass_fields__")  # replaced when a model is rebuilt


@dataclass
class _Made:
    """What was made of an output model: it counts as long as pydantic has not rebuilt the model."""

    output: weakref.ref[type[Any]]
    built: tuple[int, ...]  # the identity of what pydantic builds of it; the objects themselves would keep the model alive
    schema: JSONObject
    problems: list[str]


# By the identity of the model, since a metaclass may call two equal; most of what planning a row would compute.
_made: dict[int, _Made] = {}


def output_schema(output: type[Any]) -> JSONObject:
    """The strict JSON schema of a Pydantic model or dataclass, made once; nobody changes it.

    Raises:
        DeclarationError: pydantic has no JSON schema for it, or the schema cannot be made strict; names the class.
    """
    return _make(output).schema


def lint_output(output: type[Any]) -> list[str]:
    """Return what strict structured outputs refuse in the schema of a Pydantic model or dataclass, as ``lint`` does.

    Raises:
        DeclarationError: there is no such schema.
    """
    return _make(output).problems


def _make(output: type[Any]) -> _Made:
    key = id(output)
    built = tuple(id(vars(output)[name]) for name in BUILT if name in vars(output))
    known = _made.get(key)
    if known and known.output() is output and known.built == built:
        return known
    schema = _make_schema(output)
    made = _Made(weakref.ref(output, lambda _: _made.pop(key, None)), built, schema, lint(schema, output.__name__))
    if built:  # without it, a rebuild would go unnoticed
        _made[key] = made
    return made


def _make_schema(output: type[Any]) -> JSONObject:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        # As JSON spells it: what a model adds by itself may have keys that are no text.
        return to_strict(json.loads(json.dumps(TypeAdapter(output).json_schema())))
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        cause = " ".join(str(error).split("\n\n")[0].split())
        raise DeclarationError(f"output model {output.__name__} has no strict JSON schema: {cause}") from None


def to_strict(schema: Mapping[str, Any]) -> JSONObject:
    """A copy of a schema in the strict form: objects closed, every property required, references with siblings inlined.

    A ``oneOf`` becomes an ``anyOf`` without its discriminator.

    Raises:
        ValueError: a reference leads nowhere, or inlining a described field would never end.
    """
    return _strict(schema, schema, ())


def _strict(schema: Mapping[str, Any], root: Mapping[str, Any], inlining: tuple[str, ...]) -> JSONObject:
    """Convert one schema; ``inlining`` holds the references that are being written out around it."""
    out = dict(schema)
    if "oneOf" in out and "anyOf" not in out:
        del out["oneOf"]
        out.pop("discriminator", None)
        out = {"anyOf": schema["oneOf"], **out}  # in front, as pydantic's sorted keys have it
    if out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    if isinstance(properties := out.get("properties"), dict):
        out["required"] = list(properties)
    _replace_children(out, lambda child: _strict(child, root, inlining))
    if "default" in out and out["default"] is None:
        del out["default"]
    return _inline_reference(out, root, inlining)


def _replace_children(out: JSONObject, to_child: Callable[[Any], JSONObject]) -> None:
    """Replace each schema directly inside another one; a single ``allOf`` is merged into it."""
    for keyword in ("$defs", "definitions", "properties"):
        if isinstance(entries := out.get(keyword), dict):
            out[keyword] = {name: to_child(entry) for name, entry in entries.items()}
    if isinstance(out.get("items"), dict):
        out["items"] = to_child(out["items"])
    if isinstance(out.get("anyOf"), list):
        out["anyOf"] = [to_child(variant) for variant in out["anyOf"]]
    if isinstance(out.get("allOf"), list):
        parts = [to_child(part) for part in out.pop("allOf")]
        out.update(parts[0] if len(parts) == 1 else {"allOf": parts})


def _inline_reference(out: JSONObject, root: Mapping[str, Any], inlining: tuple[str, ...]) -> JSONObject:
    """Write out a reference that has siblings, such as a description: the strict form takes a reference only alone."""
    reference = out.get("$ref")
    if not isinstance(reference, str) or len(out) == 1:
        return out
    if reference in inlining:
        name = reference.rpartition("/")[2]
        raise ValueError(f"{name} contains itself in a required field with a description of its own")
    target = _resolve(reference, root)
    del out["$ref"]
    out.update({key: value for key, value in target.items() if key not in out})
    return _strict(out, root, (*inlining, reference))


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for key in reference.removeprefix("#/").split("/") if reference != "#" else ():
        target = target.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
    if not reference.startswith("#") or not isinstance(target, Mapping):
        raise ValueError(f"the reference {reference} cannot be resolved")
    return target


def lint(schema: Mapping[str, Any], model: str = "schema") -> list[str]:
    """Return what strict structured outputs refuse in a schema, one line ``Model.field: problem`` each."""
    try:
        problems = list(_lint_root(schema, model))
        for where, node in _nodes(schema, model):
            problems += [f"{where}: {problem}" for problem in _lint_node(node)]
        problems += [f"{model}: {problem}" for problem in _lint_totals(schema)]
    except (TypeError, AttributeError, RecursionError) as error:
        return [f"{model}: not a JSON Schema: a keyword has a value of the wrong type ({error})"]
    return problems


def _lint_root(schema: Mapping[str, Any], model: str) -> Iterator[str]:
    if schema.get("type") != "object" or "anyOf" in schema:
        yield f"{model}: the root must be an object (a model with fields), not {schema.get('type') or 'a union'}"
    try:
        depth = _depth(schema, schema, {})
    except ValueError as error:
        yield f"{model}: {error}"
    else:
        if depth > MAX_DEPTH:
            yield f"{model}: objects are nested {depth} deep; at most {MAX_DEPTH} levels are allowed"


def _lint_node(node: Mapping[str, Any]) -> Iterator[str]:
    for keyword in node:
        if keyword not in KEYWORDS:
            yield f"{keyword!r} is not supported{_hint(keyword)}"
    if node.get("type") == "object" or "properties" in node:
        yield from _lint_object(node)
    if node.get("type") == "array" and "items" not in node and "prefixItems" not in node:
        yield "an array must say what its items are"
    if not node.keys() & {"type", "anyOf", "$ref", "enum", "const", "oneOf", "allOf"}:
        yield "has no type (Any is not supported)"
    if isinstance(form := node.get("format"), str) and form not in FORMATS:
        yield f"format {form!r} is not supported; these are: {', '.join(sorted(FORMATS))}"
    if isinstance(values := node.get("enum"), list):
        yield from _lint_enum(values)


def _lint_object(node: Mapping[str, Any]) -> Iterator[str]:
    if node.get("additionalProperties") is not False:
        yield "an open object (a dict, or extra fields) is not supported; name every field, or use a list of keys and values"
    elif set(node.get("required", ())) != set(node.get("properties", ())):
        yield "every property must be listed in 'required'"


def _lint_enum(values: list[Any]) -> Iterator[str]:
    length = sum(len(value) for value in values if isinstance(value, str))
    if len(values) > LONG_ENUM and length > LONG_ENUM_TEXT:
        yield f"an enum of over {LONG_ENUM} values may hold {LONG_ENUM_TEXT:,} characters, this one has {length:,}"


def _hint(keyword: str) -> str:
    return {
        "oneOf": " (use anyOf)",
        "prefixItems": " (a tuple: use a model or a list)",
        "uniqueItems": " (a set: use a list)",
        "patternProperties": " (a dict: use a model)",
    }.get(keyword, "")


def _lint_totals(schema: Mapping[str, Any]) -> Iterator[str]:
    properties = values = text = 0
    for _, node in _nodes(schema, ""):
        names = [*node.get("properties", {}), *node.get("$defs", {}), *node.get("definitions", {})]
        literals = [*node.get("enum", ()), *((node["const"],) if "const" in node else ())]
        properties += len(node.get("properties", {}))
        values += len(node.get("enum", ()))
        text += sum(map(len, names)) + sum(len(value) for value in literals if isinstance(value, str))
    if properties > MAX_PROPERTIES:
        yield f"{properties:,} properties in all; at most {MAX_PROPERTIES:,} are allowed"
    if values > MAX_ENUM:
        yield f"{values:,} enum values in all; at most {MAX_ENUM:,} are allowed"
    if text > MAX_TEXT:
        yield f"names and enum values hold {text:,} characters in all; at most {MAX_TEXT:,} are allowed"


def _nodes(schema: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a schema and every one inside it with the model and field that it describes; each definition once."""
    yield where, schema
    for table in ("$defs", "definitions"):
        for name, entry in _entries(schema, table):
            yield from _nodes(entry, name)
    for name, entry in _entries(schema, "properties"):
        yield from _nodes(entry, f"{where}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), Mapping):
            yield from _nodes(schema[keyword], f"{where}[]")
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for entry in schema.get(keyword, ()):
            if isinstance(entry, Mapping):
                yield from _nodes(entry, where)


def _entries(schema: Mapping[str, Any], table: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    entries = schema.get(table)
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping):
            yield name, entry


def _depth(node: Any, root: Mapping[str, Any], seen: dict[str, int]) -> int:
    """The levels of nested objects from ``node`` down; a reference to a schema around it adds none."""
    if not isinstance(node, Mapping):
        return 0
    if isinstance(reference := node.get("$ref"), str):
        if reference not in seen:
            seen[reference] = 0
            seen[reference] = _depth(_resolve(reference, root), root, seen)
        return seen[reference]
    below = [_depth(entry, root, seen) for _, entry in _entries(node, "properties")]
    below += [_depth(node.get(keyword), root, seen) for keyword in ("items", "additionalProperties")]
    below += [_depth(entry, root, seen) for keyword in ("anyOf", "oneOf", "allOf") for entry in node.get(keyword, ())]
    return max(below, default=0) + (node.get("type") == "object")
