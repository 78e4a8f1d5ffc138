"""From an export of OpenAI's old Assistants API to declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..declare.declaration import Declaration, plain
from ..errors import DeclarationError
from .export import assistants, label
from .field_mapping import Draft, FieldNote, draft
from .model_source import load
from .names import slug, snake_case, unique, variable
from .outputs import judge, outputs
from .python_source import bound, declaration, module
from .schema_validity import broken

__all__ = ["Migration", "migrate"]


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
    objects, export = assistants(document)
    drafts: dict[str, Draft] = {}
    left_out: list[tuple[str, str]] = []
    for index, item in enumerate(objects):
        try:
            _add(drafts, item, label(item, index))
        except DeclarationError as error:
            left_out.append((label(item, index), str(error)))
    made = outputs(drafts)
    left_out += [(drafts.pop(name).label, problem) for name, problem in made.unusable.items()]
    source = _module(drafts, made.source, made.titles) if drafts else None
    for name, assistant in _read_back(source, drafts).items() if source else ():
        if assistant.output:
            judge(drafts[name], assistant.output)
    notes = [FieldNote(None, *note) for note in export]
    notes += [FieldNote(name, *note) for name, each in drafts.items() for note in each.notes]
    notes += [FieldNote(name, "assistant", "dropped", f"left out: {problem}") for name, problem in left_out]
    errors = tuple(f"assistant {name!r:.80} is left out: {problem}" for name, problem in left_out)
    return Migration(source, tuple(notes), errors)


def _add(drafts: dict[str, Draft], item: Any, name: str) -> None:
    """Put an assistant under a slug of its own."""
    if not isinstance(item, Mapping) or item.get("object") != "assistant":
        raise DeclarationError("it is no object of the kind 'assistant'")
    out = draft(item, name)
    if out.format and (problem := broken(out.format.schema)):
        raise DeclarationError(f"the schema of its response format is invalid: {problem}")
    chosen = unique(slug(snake_case(out.name)) or slug(item.get("id") or "") or "assistant", drafts)
    out.rename(chosen)
    _read_back(_module({chosen: out}, "", {}), {chosen: out})  # raises what no platform would take, too
    drafts[chosen] = out


def _module(drafts: Mapping[str, Draft], models: str, titles: Mapping[str, str]) -> str:
    taken = bound(models)
    variables: list[str] = []
    statements = []
    for name, each in drafts.items():
        variables.append(variable(name, {*taken, *variables}))
        statements.append(declaration(variables[-1], name, titles.get(name), each.options, each.remark))
    return module(models, statements, variables)


def _read_back(source: str, drafts: Mapping[str, Draft]) -> dict[str, Declaration[Any]]:
    """The assistants of a module by name, imported as the app will, with the values that they are to have.

    Raises:
        DeclarationError: it cannot be imported, or a value is another one than in the export.
    """
    try:
        declared: list[Declaration[Any]] = load(source, ["ASSISTANTS"])["ASSISTANTS"]
    except DeclarationError:
        raise
    except Exception as error:  # source that is wrong can raise anything
        raise DeclarationError(
            f"the source made from the export cannot be imported: {type(error).__name__}: {error!s:.200}"
        ) from None
    for assistant, (name, each) in zip(declared, drafts.items(), strict=True):
        for key, value in {**each.options, "name": name}.items():
            if plain(getattr(assistant, key)) != value:
                raise DeclarationError(f"the source made from the export gives {key} another value")
    return {assistant.name: assistant for assistant in declared}
