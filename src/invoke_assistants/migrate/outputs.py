"""The output models of an export's assistants, in one module, and how far each means what its schema meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..declare.strict_schema import lint, output_schema
from ..errors import DeclarationError
from ..types import JSONObject
from .field_mapping import Draft
from .model_source import generate, load, require
from .names import class_name, unique
from .schema_comparison import differences, optional
from .schema_validity import nodes

__all__ = ["Outputs", "judge", "outputs"]


@dataclass
class Outputs:
    """By assistant, the class of its output model or why there is none; and the source of all classes."""

    titles: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    source: str = ""


def outputs(drafts: Mapping[str, Draft]) -> Outputs:
    """Make the source of the output models that an export's assistants need.

    Raises:
        DeclarationError: datamodel-code-generator is missing where a model is needed.
    """
    out = Outputs()
    schemas: dict[str, JSONObject] = {}
    for name, each in drafts.items():
        if each.format is None:
            continue
        require()
        title = _title(name, each.format.name, each.format.schema, schemas)
        if title not in schemas and (problem := _unusable(title, each.format.schema)):
            out.unusable[name] = f"no output model can be made from the schema of its response format: {problem}"
            continue
        schemas[title], out.titles[name] = each.format.schema, title
    if schemas:
        try:
            out.source = generate(schemas)
        except Exception as error:  # the generator raises what it likes
            raise DeclarationError(f"the output models have no common module: {type(error).__name__}: {error!s:.200}") from None
    return out


def _title(name: str, own: str, schema: JSONObject, schemas: Mapping[str, JSONObject]) -> str:
    """A class name for a schema; equal schemas of one name share a class, others are told apart by their assistant."""
    titles = [class_name(own or name), class_name(name, own)]
    return next((title for title in titles if schemas.get(title, schema) == schema), unique(titles[-1], schemas, 200))


def _unusable(title: str, schema: JSONObject) -> str | None:
    try:
        output_schema(load(generate({title: schema}), [title])[title])
    except DeclarationError as error:
        return str(error)
    except Exception as error:  # the generator and pydantic raise what they like
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]:.200}"
    return None


def judge(each: Draft, model: type[Any]) -> None:
    """Note in a draft what became of its response format, by the class that its module has."""
    assert each.format is not None
    title, schema, made = model.__name__, each.format.schema, output_schema(model)
    remarks = []
    if unequal := differences(schema, made, title):
        remarks.append(f"it differs from the schema in {', '.join(unequal)}")
    if left_out := optional(schema, title):
        remarks.append(f"null where it could be left out: {', '.join(left_out)}")
    if any(isinstance(node, Mapping) and "oneOf" in node for node in nodes(schema)):
        remarks.append("oneOf is anyOf, as strict structured outputs have it")
    if refused := lint(made, title):
        remarks.append(f"strict structured outputs refuse it: {'; '.join(refused)}")
    note = f"json_schema {each.format.name}, as the output model {title}"
    if remarks:
        each.changed("response_format", f"{note}; {'; '.join(remarks)}")
    else:
        each.remote_digest("response_format", f"{note}, with the same schema")
