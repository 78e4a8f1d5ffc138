"""Output models from JSON schemas: their source, by datamodel-code-generator, and how far it means the same."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import DeclarationError
from ..types import JSONObject
from .names import class_name

__all__ = ["LINE", "generate", "load", "require"]

LINE = 88  # characters of a line: ruff's and black's default
MISSING = "output models need datamodel-code-generator: pip install 'invoke-assistants[migrate]'"
# Formats whose Python types need a further package or are none: they stay strings that say their format.
PLAIN_FORMATS = frozenset({"email", "idn-email", "hostname", "idn-hostname", "uri", "uri-reference", "iri"})
KEPT = ("format", "items", "anyOf")  # what is handed to pydantic as it is, under a key that begins with x-
OUTPUT = "output model "  # begins the name of a definition that is one
_PROBE = "invoke_assistants_migrated_models"


def require() -> None:
    """Look whether models can be made.

    Raises:
        DeclarationError: datamodel-code-generator is not installed; the message says how to.
    """
    try:
        importlib.import_module("datamodel_code_generator")
    except ImportError:
        raise DeclarationError(MISSING) from None


def generate(schemas: Mapping[str, JSONObject]) -> str:
    """The source of Pydantic models, one named as each key and those that it needs.

    Raises:
        Exception: a schema could not be read.
    """
    from datamodel_code_generator import generate as generated
    from datamodel_code_generator.enums import DataModelType, InputFileType
    from datamodel_code_generator.format import Formatter, PythonVersion
    from datamodel_code_generator.parser import LiteralType

    definitions: JSONObject = {}
    for name, schema in schemas.items():
        definitions |= _definitions(name, schema)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = generated(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions},
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            formatters=[Formatter.BUILTIN],
            builtin_format_line_length=LINE,
            custom_class_name_generator=lambda name: _called(name, schemas),
            enum_field_as_literal=LiteralType.All,
            field_constraints=True,
            use_schema_description=True,
            use_double_quotes=True,
            collapse_root_models=True,
            skip_root_model=True,
            allow_remote_refs=False,
            field_extra_keys_without_x_prefix={f"x-{key}" for key in KEPT},
        )
    assert isinstance(source, str)
    return source


def _called(name: str, schemas: Mapping[str, Any]) -> str:
    """The class name for a definition or a property, which leaves those of the output models to them."""
    if name.startswith(OUTPUT):
        return name.removeprefix(OUTPUT)
    out = class_name(name)
    # For what is in a list, the generator makes the singular of it: none for S, and for Assistants what we import.
    return f"{out}Model" if out in schemas or out in ("S", "Assistants") else out


def _definitions(name: str, schema: JSONObject) -> JSONObject:
    """A schema and its definitions as definitions of one document, which all schemas share."""
    tables = {f"#/{table}/{key}": f"{name}_{key}" for table in ("$defs", "definitions") for key in schema.get(table, {})}
    locations = {reference: f"#/$defs/{target}" for reference, target in tables.items()} | {"#": f"#/$defs/{OUTPUT}{name}"}
    root = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema", "$id", "title")}
    out = {OUTPUT + name: _prepared(root, locations)}
    for reference, target in tables.items():
        _, table, key = reference.split("/", 2)
        out[target] = _prepared(schema[table][key], locations)
    return out


def _prepared(node: Any, locations: Mapping[str, str]) -> Any:
    """A schema as the generator is given it: references into the shared document, and what it would lose kept for pydantic."""
    if isinstance(node, list):
        return [_prepared(item, locations) for item in node]
    if not isinstance(node, Mapping):
        return node
    out: JSONObject = {}
    for key, value in node.items():
        if key == "$ref":
            out[key] = locations.get(value, value)
        elif key == "properties" and isinstance(value, Mapping):
            out[key] = {name: _prepared(entry, locations) for name, entry in value.items()}
        elif key in ("enum", "const", "default", "examples", "title"):
            out |= {} if key == "title" else {key: value}
        else:
            out[key] = _prepared(value, locations)
    if node.get("type") == "array" and _loses(node.get("items")):
        out["x-items"] = node["items"]
    if _loses(node.get("anyOf")):
        out["x-anyOf"] = node["anyOf"]
    if node.get("format") in PLAIN_FORMATS:
        form = out.pop("format")
        out |= {"x-format": form} if node.get("type") == "string" else {}
    return out


def _loses(node: Any) -> bool:
    """Whether plain values inside a list or a union say more than Python types do."""
    nodes = list(_below(node))
    plain = not any(each.keys() & {"$ref", "properties", "allOf", "oneOf"} for each in nodes)
    return plain and any("description" in each or each.get("format") in PLAIN_FORMATS for each in nodes)


def _below(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        yield from _below(node.get("items"))
        yield from _below(node.get("anyOf"))
    elif isinstance(node, list):
        for item in node:
            yield from _below(item)


def load(source: str, names: Iterable[str]) -> dict[str, Any]:
    """What source binds to these names: it is run as the app's import will run it.

    Raises:
        Exception: it cannot be imported.
    """
    module = types.ModuleType(_PROBE)
    sys.modules[_PROBE] = module  # where pydantic looks names up
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, _PROBE, "exec"), module.__dict__)  # noqa: S102 - our own generated source
        return {name: getattr(module, name) for name in names}
    finally:
        del sys.modules[_PROBE]
