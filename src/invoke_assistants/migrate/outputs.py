"""Make the output models of an export's assistants, and note how far each means what its schema meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..declare.strict_schema import lint, output_schema
from ..errors import DeclarationError
from ..types import JSONObject
from .field_mapping import Draft, Format
from .model_source import generate, load, require_generator
from .names import class_name, unique
from .schema_comparison import differences, optional_properties
from .schema_validity import subschemas

__all__ = ["Outputs", "build_outputs", "note_output"]


@dataclass
class Outputs:
    """The source of all output models; by assistant, the name of its class, or why there is none."""

    classes: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    source: str = ""


def build_outputs(drafts: Mapping[str, Draft]) -> Outputs:
    """Make the source of the output models that an export's assistants need.

    Raises:
        DeclarationError: datamodel-code-generator is missing where a model is needed.
    """
    out = Outputs()
    schemas: dict[str, JSONObject] = {}
    for name, draft in drafts.items():
        if draft.format is None:
            continue
        require_generator()
        title = _choose_class(name, draft.format, schemas)
        if title not in schemas and (problem := _find_problem(title, draft.format.schema)):
            out.problems[name] = f"no output model can be made from the schema of its response format: {problem}"
            continue
        schemas[title], out.classes[name] = draft.format.schema, title
    if schemas:
        try:
            out.source = generate(schemas)
        except Exception as error:  # the generator raises errors of many types
            raise DeclarationError(f"the output models have no common module: {type(error).__name__}: {error!s:.200}") from None
    return out


def _choose_class(name: str, format: Format, schemas: Mapping[str, JSONObject]) -> str:
    """A class name for a schema. Equal schemas of one name share a class; another one gets the assistant's name as well."""
    names = [class_name(format.name or name), class_name(name, format.name)]
    return next((each for each in names if schemas.get(each, format.schema) == format.schema), unique(names[-1], schemas, 200))


def _find_problem(title: str, schema: JSONObject) -> str | None:
    try:
        output_schema(load(generate({title: schema}), [title])[title])
    except DeclarationError as error:
        return str(error)
    except Exception as error:  # the generator and pydantic raise errors of many types
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]:.200}"
    return None


def note_output(draft: Draft, model: type[Any]) -> None:
    """Note what became of a response format, given the class that was made from it."""
    assert draft.format is not None
    title, schema, made = model.__name__, draft.format.schema, output_schema(model)
    remarks = []
    if unequal := differences(schema, made, title):
        remarks.append(f"it differs from the schema in {', '.join(unequal)}")
    if left_out := optional_properties(schema, title):
        remarks.append(f"null where it could be left out: {', '.join(left_out)}")
    if any(isinstance(node, Mapping) and "oneOf" in node for node in subschemas(schema)):
        remarks.append("oneOf is anyOf, as strict structured outputs have it")
    if refused := lint(made, title):
        remarks.append(f"strict structured outputs refuse it: {'; '.join(refused)}")
    note = f"json_schema {draft.format.name}, as the output model {title}"
    if remarks:
        draft.note("response_format", "changed", f"{note}; {'; '.join(remarks)}")
    else:
        draft.note("response_format", "carried", f"{note}, with the same schema")
