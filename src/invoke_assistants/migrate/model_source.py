"""Generate output models from JSON schemas, by datamodel-code-generator, and import them."""

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

__all__ = ["LINE", "generate", "load", "require_generator"]

LINE = 88  # characters: the default of ruff and black
MISSING = "output models need datamodel-code-generator: pip install 'invoke-assistants[migrate]'"
# Formats without a Python type, or whose type needs another package: they stay strings that say their format.
PLAIN_FORMATS = frozenset({"email", "idn-email", "hostname", "idn-hostname", "uri", "uri-reference", "iri"})
KEPT = ("format", "items", "anyOf")  # keywords that go to pydantic unchanged, under a key that begins with x-
OUTPUT = "output model "  # the prefix of the definitions that are output models
_PROBE = "invoke_assistants_migrated_models"


def require_generator() -> None:
    """Check that models can be generated.

    Raises:
        DeclarationError: datamodel-code-generator is not installed; the message says how to.
    """
    try:
        importlib.import_module("datamodel_code_generator")
    except ImportError:
        raise DeclarationError(MISSING) from None


def generate(schemas: Mapping[str, JSONObject]) -> str:
    """The source of Pydantic models: one for each key, named like it, and the models that it needs.

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
            custom_class_name_generator=lambda name: _class_name(name, schemas),
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


def _class_name(name: str, schemas: Mapping[str, Any]) -> str:
    """The class name for a definition or a property; it is never that of an output model."""
    if name.startswith(OUTPUT):
        return name.removeprefix(OUTPUT)
    out = class_name(name)
    # The generator takes the singular for the items of a list: S has none, and that of Assistants is a name that we import.
    return f"{out}Model" if out in schemas or out in ("S", "Assistants") else out


def _definitions(name: str, schema: JSONObject) -> JSONObject:
    """A schema and its definitions as definitions of the document that all schemas share."""
    tables = {f"#/{table}/{key}": f"{name}_{key}" for table in ("$defs", "definitions") for key in schema.get(table, {})}
    locations = {reference: f"#/$defs/{target}" for reference, target in tables.items()} | {"#": f"#/$defs/{OUTPUT}{name}"}
    root = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema", "$id", "title")}
    out = {OUTPUT + name: _prepare(root, locations)}
    for reference, target in tables.items():
        _, table, key = reference.split("/", 2)
        out[target] = _prepare(schema[table][key], locations)
    return out


def _prepare(node: Any, locations: Mapping[str, str]) -> Any:
    """Point references into the shared document, and keep for pydantic what the generator would lose."""
    if isinstance(node, list):
        return [_prepare(item, locations) for item in node]
    if not isinstance(node, Mapping):
        return node
    out: JSONObject = {}
    for key, value in node.items():
        if key == "$ref":
            out[key] = locations.get(value, value)
        elif key == "properties" and isinstance(value, Mapping):
            out[key] = {name: _prepare(entry, locations) for name, entry in value.items()}
        elif key in ("enum", "const", "default", "examples", "title"):
            out |= {} if key == "title" else {key: value}
        else:
            out[key] = _prepare(value, locations)
    if node.get("type") == "array" and _loses_keywords(node.get("items")):
        out["x-items"] = node["items"]
    if _loses_keywords(node.get("anyOf")):
        out["x-anyOf"] = node["anyOf"]
    if node.get("format") in PLAIN_FORMATS:
        form = out.pop("format")
        out |= {"x-format": form} if node.get("type") == "string" else {}
    return out


def _loses_keywords(node: Any) -> bool:
    """Whether the schemas of plain values inside a list or a union say more than Python types do."""
    nodes = list(_nested(node))
    plain = not any(each.keys() & {"$ref", "properties", "allOf", "oneOf"} for each in nodes)
    return plain and any("description" in each or each.get("format") in PLAIN_FORMATS for each in nodes)


def _nested(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        yield from _nested(node.get("items"))
        yield from _nested(node.get("anyOf"))
    elif isinstance(node, list):
        for item in node:
            yield from _nested(item)


def load(source: str, names: Iterable[str]) -> dict[str, Any]:
    """Run source as the app's import will, and return what it binds to these names.

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
