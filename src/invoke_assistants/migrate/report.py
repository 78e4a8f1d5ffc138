"""What became of each field, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..text import printable
from .field_mapping import FieldNote

__all__ = ["report"]


def report(fields: Iterable[FieldNote]) -> Iterator[str]:
    """Lines: each assistant, below it its fields, at the end how many were carried, changed and dropped."""
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
