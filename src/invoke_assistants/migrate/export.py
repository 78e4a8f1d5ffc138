"""Read an export: which assistants are in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SettingsError
from .field_mapping import FieldNote

__all__ = ["EXPECTED", "find_assistants", "is_assistant", "label"]

EXPECTED = "expected the body of GET /v1/assistants, one of its assistant objects, or a list of them, once or several times"


def find_assistants(document: Any) -> tuple[list[Any], list[FieldNote]]:
    """The objects of all pages of an export, and notes about the export itself.

    Raises:
        SettingsError: the document is no export of assistants.
    """
    parts = document if isinstance(document, list) else [document]
    pages = [part for part in parts if isinstance(part, Mapping) and isinstance(part.get("data"), list)]
    if not (isinstance(document, list) or pages or is_assistant(document)):
        raise SettingsError(f"not an export of assistants: {EXPECTED}")
    objects: list[Any] = []
    notes: list[FieldNote] = []
    if pages and all(page.get("has_more") is True for page in pages):
        notes.append(
            FieldNote(None, "has_more", "dropped", "none of its pages is the last one; what is on the others is not in it")
        )
    for item in _objects(parts):
        if is_assistant(item) and item in objects:
            notes.append(FieldNote(None, "data", "dropped", f"{label(item, 0)} stands in it twice, and is declared once"))
        else:
            objects.append(item)
    if not any(map(is_assistant, objects)):
        raise SettingsError(f"no assistant is in it: {EXPECTED}")
    return objects, notes


def _objects(parts: list[Any]) -> Iterator[Any]:
    for part in parts:
        data = part.get("data") if isinstance(part, Mapping) and not is_assistant(part) else part
        yield from data if isinstance(data, list) else [part]


def is_assistant(item: Any) -> bool:
    """Whether an object of the export is an assistant."""
    return isinstance(item, Mapping) and item.get("object") == "assistant"


def label(item: Any, index: int) -> str:
    """What people know an object by: its name, else its id, else its place in the export."""
    values = [item.get(key) for key in ("name", "id")] if isinstance(item, Mapping) else []
    return next((value for value in values if isinstance(value, str) and value.strip()), f"data[{index}]")
