"""The store's document: its JSON text, the same in every kind of place, and the tables in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..errors import StoreError
from ..types import Tables
from .strict_json import line_number, load_json

__all__ = ["Document", "dump_tables"]


class Document:
    """A document as it was read, and its tables.

    Args:
        label: where it is, for messages.
        content: its bytes; None where there is none yet.
        remedy: how an earlier one is brought back, for messages.
    """

    def __init__(self, label: str, content: bytes | None, remedy: str) -> None:
        self.label = label
        self.content = content
        self.remedy = remedy

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
            tables = load_json(self.label, self.content)
        except StoreError as error:
            raise StoreError(f"{error}; {self.remedy}") from None
        if not isinstance(tables, dict) or not tables or not all(_is_table(table) for table in tables.values()):
            raise StoreError(f"{self.label}, line 1: not a store of assistants; {self.remedy}")
        return tables

    @property
    def conflict_line(self) -> int | None:
        """The number of the first line with a merge conflict marker; None where there is none."""
        lines = enumerate((self.content or b"").splitlines(), 1)
        return next((number for number, line in lines if line.startswith((b"<<<<<<< ", b">>>>>>> "))), None)

    def locate(self, needle: str) -> str:
        """``PLACE, line N`` of the first line that contains ``needle``, for messages."""
        return f"{self.label}, line {line_number((self.content or b'').decode('utf-8-sig', 'replace'), needle)}"


def dump_tables(tables: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The document that holds these tables: UTF-8 JSON, 2 spaces, a final newline, sorted keys except in ``payloads``."""
    out = {name: table if name == "payloads" else _sorted(table) for name, table in sorted(tables.items())}
    if "payloads" in out:
        out["payloads"] = dict(sorted(out["payloads"].items()))
    return (json.dumps(out, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _is_table(table: Any) -> bool:
    return isinstance(table, dict) and all(isinstance(document, dict) for document in table.values())


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
