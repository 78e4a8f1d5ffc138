"""From an export of OpenAI's old Assistants API to declarations. Pure, but for importing the output models that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..declaration import Declaration
from ..errors import DeclarationError
from ._export import assistants, label, read
from ._fields import Draft, FieldNote, draft
from ._names import slug, unique, variable
from ._outputs import outputs
from ._report import report
from ._source import bound, declaration, module
from ._valid import broken

__all__ = ["FieldNote", "Migration", "migrate", "read", "report"]


@dataclass(frozen=True)
class Migration:
    """What came of an export.

    Args:
        source: Python that defines the output models, the assistants and ``ASSISTANTS``; None where all were left out.
        fields: what became of each field of each assistant.
        errors: one line for each assistant that was left out.
    """

    source: str | None
    fields: tuple[FieldNote, ...]
    errors: tuple[str, ...]


def migrate(document: Any) -> Migration:
    """Declarations for the assistants of an export, given as parsed JSON; a broken one is left out, the others are not.

    Raises:
        SettingsError: it is no export of assistants.
        DeclarationError: an output model is needed and datamodel-code-generator is missing.
    """
    objects, more = assistants(document)
    drafts: dict[str, Draft] = {}
    left_out: list[tuple[str, str]] = []
    for index, item in enumerate(objects):
        try:
            _add(drafts, item, label(item, index))
        except DeclarationError as error:
            left_out.append((label(item, index), str(error)))
    made = outputs(drafts)
    left_out += [(drafts.pop(name).label, problem) for name, problem in made.unusable.items()]
    notes = [
        FieldNote(None, "has_more", "dropped", "the export is one page of several; what is on the others is not in it")
    ] * more
    notes += [FieldNote(name, *note) for name, each in drafts.items() for note in each.notes]
    notes += [FieldNote(name, "assistant", "dropped", f"left out: {problem}") for name, problem in left_out]
    errors = tuple(f"assistant {name!r:.80} is left out: {problem}" for name, problem in left_out)
    return Migration(_module(drafts, made.source, made.titles) if drafts else None, tuple(notes), errors)


def _add(drafts: dict[str, Draft], item: Any, name: str) -> None:
    """Put an assistant under a slug of its own."""
    if not isinstance(item, Mapping) or item.get("object") != "assistant":
        raise DeclarationError("it is no object of the kind 'assistant'")
    out = draft(item, name)
    if out.format and (problem := broken(out.format.schema)):
        raise DeclarationError(f"the schema of its response format is invalid: {problem}")
    chosen = unique(slug(out.name) or slug(item.get("id") or "") or "assistant", drafts)
    out.rename(chosen)
    Declaration(chosen, **out.options)  # says what no platform would take
    drafts[chosen] = out


def _module(drafts: Mapping[str, Draft], models: str, titles: Mapping[str, str]) -> str:
    taken = bound(models)
    variables: list[str] = []
    statements = []
    for name, each in drafts.items():
        variables.append(variable(name, {*taken, *variables}))
        statements.append(declaration(variables[-1], name, titles.get(name), each.options, each.remark))
    return module(models, statements, variables)
