"""The store's document: its JSON text, the same in every kind of place, and the tables in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ..errors import StoreError
from ..types import JSONObject, State, Tables
from .strict_json import line_number, load_json

__all__ = ["Document", "PayloadTexts", "dump_tables"]

PayloadTexts = dict[str, tuple[JSONObject, str]]  # by digest: payloads that were dumped, and their JSON in a document

_quoted = json.encoder.encode_basestring  # a text as JSON, with what is not ASCII as it is
_scalar = json.JSONEncoder(allow_nan=False).encode


class Document:
    """A document as it was read, and its tables.

    Args:
        label: where it is, for messages.
        content: its bytes; None where there is none yet.
        remedy: how an earlier one is brought back, for messages.
        tables: those that the content was dumped from, if they are known; nobody changes them.
        state: what it holds, where that is known without its being checked.

    Attributes:
        state: what it holds, once its store has checked it.
    """

    def __init__(
        self, label: str, content: bytes | None, remedy: str, tables: Tables | None = None, state: State | None = None
    ) -> None:
        self.label = label
        self.content = content
        self.remedy = remedy
        self.state = state
        if tables is not None:
            self.tables = tables

    @cached_property
    def tables(self) -> Tables | None:
        """The tables; None where there is no document yet.

        Raises:
            StoreError: it is not ours; the message names its place and line.
        """
        if self.content is None:
            return None
        if not self.content.strip():
            raise StoreError(f"{self.label}, line 1: the file is empty; {self.remedy}")
        if line := self.conflict_line:
            raise StoreError(f"{self.label}, line {line}: merge conflict markers; run inv asst.resolve")
        try:
            tables = load_json(self.label, self.content, shared=True)
        except StoreError as error:
            raise StoreError(f"{error}; {self.remedy}") from None
        if isinstance(tables, dict) and "store" in tables and (found := _odd_document(tables)):
            table, key = found
            where = self.locate(json.dumps(table), json.dumps(key))
            raise StoreError(f"{where}: {key!r:.80} of table {table!r:.80} is not ours; {self.remedy}")
        if not isinstance(tables, dict) or not tables or not all(_is_table(table) for table in tables.values()):
            raise StoreError(f"{self.label}, line 1: not a store of assistants; {self.remedy}")
        return tables

    def may_hold(self, tables: Tables) -> bool:
        """Whether it may hold these tables: equal ones can still differ in their bytes, as 1 and 1.0 do."""
        return self.content is not None and ("tables" not in vars(self) or self.tables == tables)

    @property
    def conflict_line(self) -> int | None:
        """The number of the first line with a merge conflict marker; None where there is none."""
        content = self.content or b""
        if b"<<<<<<< " not in content and b">>>>>>> " not in content:
            return None
        lines = enumerate(content.splitlines(), 1)
        return next((number for number, line in lines if line.startswith((b"<<<<<<< ", b">>>>>>> "))), None)

    def locate(self, *needles: str) -> str:
        """``PLACE, line N`` for messages: each needle is looked for from the line of the one before it."""
        lines, number = (self.content or b"").decode("utf-8-sig", "replace").splitlines(), 1
        for needle in needles:
            number += line_number("\n".join(lines[number - 1 :]), needle) - 1
        return f"{self.label}, line {number}"


def dump_tables(tables: Mapping[str, Mapping[str, Any]], texts: PayloadTexts | None = None) -> bytes:
    """The document that holds these tables: UTF-8 JSON, 2 spaces, a final newline, sorted keys except in ``payloads``.

    Args:
        texts: the payloads of an earlier dump: most of a document, and the same objects in each; becomes those of this one.
    """
    lines = []
    for name, table in sorted(tables.items()):
        entries = _dump_payloads(table, texts) if name == "payloads" else {key: _text(table[key], "    ") for key in table}
        lines.append(
            f"  {_quoted(name)}: {_braced('{', [f'    {_quoted(key)}: {entries[key]}' for key in sorted(entries)], '  }')}"
        )
    return (_braced("{", lines, "}") + "\n").encode()


def _dump_payloads(payloads: Mapping[str, JSONObject], texts: PayloadTexts | None) -> dict[str, str]:
    known = {} if texts is None else texts
    objects: dict[tuple[int, str], str] = {}
    found = {
        digest: known[digest] if digest in known and known[digest][0] is payload else (payload, _text(payload, "    ", objects))
        for digest, payload in payloads.items()
    }
    if texts is not None:
        texts.clear()
        texts.update(found)
    return {digest: text for digest, (_, text) in found.items()}


def _text(value: Any, indent: str, objects: dict[tuple[int, str], str] | None = None) -> str:
    """A value as JSON: ``json.dumps`` with an indent is ten times as slow, since its encoder in C knows none.

    Args:
        objects: for keys in their own order: the texts of objects, by identity and indent, since many payloads share a schema.
    """
    if isinstance(value, str):
        return _quoted(value)
    inner = indent + "  "
    if isinstance(value, list | tuple):
        return _braced("[", [f"{inner}{_text(item, inner, objects)}" for item in value], indent + "]")
    if not isinstance(value, dict):
        return _scalar(value)
    if objects is not None and (known := objects.get((id(value), indent))) is not None:
        return known
    keys = sorted(value) if objects is None else value
    members = [
        f"{inner}{_quoted(key)}: {_quoted(item) if type(item := value[key]) is str else _text(item, inner, objects)}"
        for key in keys
    ]
    text = _braced("{", members, indent + "}")
    if objects is not None:
        objects[id(value), indent] = text
    return text


def _braced(start: str, lines: Sequence[str], end: str) -> str:
    return f"{start}\n" + ",\n".join(lines) + f"\n{end}" if lines else start + end.strip()


def _is_table(table: Any) -> bool:
    return isinstance(table, dict) and all(isinstance(document, dict) for document in table.values())


def _odd_document(tables: Mapping[str, Any]) -> tuple[str, str] | None:
    """The table and the key of the first document that is none; None where all are."""
    documents = ((name, table) for name, table in tables.items() if isinstance(table, dict))
    odd = ((name, key) for name, table in documents for key, document in table.items() if not isinstance(document, dict))
    return next(odd, None)
