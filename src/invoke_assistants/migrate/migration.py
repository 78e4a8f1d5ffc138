"""Turn an export of OpenAI's old Assistants API into declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..declare.declaration import Declaration, plain
from ..errors import DeclarationError
from .export import find_assistants, is_assistant, label
from .field_mapping import Draft, FieldNote, map_fields
from .model_source import load
from .names import slug, snake_case, unique, variable
from .outputs import build_outputs, note_output
from .python_source import bound_names, format_declaration, format_module
from .schema_validity import find_problem

__all__ = ["Migration", "migrate"]


@dataclass(frozen=True)
class Migration:
    """What an export became.

    Args:
        source: Python that defines the output models, the assistants and ``ASSISTANTS``; None if all were left out.
        fields: what became of each field of each assistant.
        errors: one line for each assistant that was left out.
    """

    source: str | None
    fields: tuple[FieldNote, ...]
    errors: tuple[str, ...]


def migrate(document: Any) -> Migration:
    """Make declarations of the assistants of an export, given as parsed JSON. A broken assistant is left out alone.

    Raises:
        SettingsError: the document is no export of assistants.
        DeclarationError: an output model is needed and datamodel-code-generator is missing.
    """
    objects, notes = find_assistants(document)
    drafts: dict[str, Draft] = {}
    left_out: list[tuple[str, str]] = []
    for index, item in enumerate(objects):
        try:
            _add(drafts, item, label(item, index))
        except DeclarationError as error:
            left_out.append((label(item, index), str(error)))
    outputs = build_outputs(drafts)
    left_out += [(drafts.pop(name).label, problem) for name, problem in outputs.problems.items()]
    source = _format_source(drafts, outputs.source, outputs.classes) if drafts else None
    for name, assistant in _load_assistants(source, drafts).items() if source else ():
        if assistant.output:
            note_output(drafts[name], assistant.output)
    notes += [note for name, draft in drafts.items() for note in draft.notes_for(name)]
    notes += [FieldNote(name, "assistant", "dropped", f"left out: {problem}") for name, problem in left_out]
    errors = tuple(f"assistant {name!r:.80} is left out: {problem}" for name, problem in left_out)
    return Migration(source, tuple(notes), errors)


def _add(drafts: dict[str, Draft], item: Any, label: str) -> None:
    """Add the draft of an assistant under a slug of its own."""
    if not is_assistant(item):
        raise DeclarationError("it is not an object of kind 'assistant'")
    draft = map_fields(item, label)
    if draft.format and (problem := find_problem(draft.format.schema)):
        raise DeclarationError(f"the schema of its response format is invalid: {problem}")
    name = unique(slug(snake_case(draft.name)) or slug(item.get("id") or "") or "assistant", drafts)
    draft.rename(name)
    _load_assistants(_format_source({name: draft}, "", {}), {name: draft})  # raises what no platform would take, too
    drafts[name] = draft


def _format_source(drafts: Mapping[str, Draft], models: str, classes: Mapping[str, str]) -> str:
    taken = bound_names(models)
    variables: list[str] = []
    statements = []
    for name, draft in drafts.items():
        variables.append(variable(name, {*taken, *variables}))
        statements.append(format_declaration(variables[-1], name, classes.get(name), draft.options, draft.remark))
    return format_module(models, statements, variables)


def _load_assistants(source: str, drafts: Mapping[str, Draft]) -> dict[str, Declaration[Any]]:
    """Import the source as the app will, and return its assistants by name.

    Raises:
        DeclarationError: it cannot be imported, or a value differs from the export.
    """
    try:
        declared: list[Declaration[Any]] = load(source, ["ASSISTANTS"])["ASSISTANTS"]
    except DeclarationError:
        raise
    except Exception as error:  # source that is wrong can raise anything
        raise DeclarationError(
            f"the source made from the export cannot be imported: {type(error).__name__}: {error!s:.200}"
        ) from None
    for assistant, (name, draft) in zip(declared, drafts.items(), strict=True):
        for key, value in {**draft.options, "name": name}.items():
            if plain(getattr(assistant, key)) != value:
                raise DeclarationError(f"the source made from the export gives {key} another value")
    return {assistant.name: assistant for assistant in declared}
