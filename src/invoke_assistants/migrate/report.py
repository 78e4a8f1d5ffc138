"""Say for people what became of each field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..text import printable
from .field_mapping import FieldNote

__all__ = ["format_report"]


def format_report(fields: Iterable[FieldNote]) -> Iterator[str]:
    """The lines: each assistant with its fields, and at the end how many were carried, changed and dropped."""
    fields = list(fields)
    width = max((len(printable(note.field)) for note in fields), default=0)
    before: object = ...
    for note in fields:
        if note.name != before:
            yield printable(note.name) if note.name is not None else "the export"
            before = note.name
        yield f"  {note.outcome:7}  {printable(note.field):{width}}  {printable(note.note)}"
    counts = Counter(note.outcome for note in fields)
    yield ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("carried", "changed", "dropped"))
