"""TinyDB storages: a committed JSON file, one side of its merge, and the memory that a transaction works on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinydb import Storage

from ..errors import StoreError
from ..types import Tables
from . import atomic_write
from .strict_json import line_number, load_json

__all__ = ["FileStorage", "GitVersion", "MemoryStorage"]


class MemoryStorage(Storage):
    """Tables in memory. Reading copies the tables but not their documents: a transaction replaces those whole."""

    def __init__(self, tables: Tables | None) -> None:
        super().__init__()
        self.tables = tables

    def read(self) -> Tables | None:
        """A copy of the tables."""
        return None if self.tables is None else {name: dict(table) for name, table in self.tables.items()}

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep these tables."""
        self.tables = {name: dict(table) for name, table in data.items()}


class FileStorage(Storage):
    """Tables in a UTF-8 JSON file: 2 spaces, a final newline, sorted keys except in ``payloads``, written atomically."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.label = str(path)

    def content(self) -> bytes | None:
        """The bytes to read, or None where there is no file yet."""
        return atomic_write.read_bytes(self.path)

    def read(self) -> Tables | None:
        """Read the tables; return None where there is no file yet.

        Raises:
            StoreError: the file is not ours; the message names its path and line, and it is left as it is.
        """
        content = self.content()
        if content is None:
            return None
        if not content.strip():
            raise StoreError(f"{self.label}, line 1: the file is empty; bring it back with git checkout -- {self.path.name}")
        if line := _conflict_line(content):
            raise StoreError(f"{self.label}, line {line}: merge conflict markers; run inv asst.resolve")
        try:
            tables = load_json(self.label, content)
        except StoreError as error:
            raise StoreError(f"{error}; bring it back with git") from None
        if not isinstance(tables, dict) or not tables or not all(_is_table(table) for table in tables.values()):
            raise StoreError(f"{self.label}, line 1: not a store of assistants; bring it back with git")
        return tables

    def conflict_line(self) -> int | None:
        """The number of the first line with a merge conflict marker; None where there is none."""
        return _conflict_line(self.content() or b"")

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file, unless its content is the same.

        Raises:
            StoreError: it cannot be written; the old content stands.
        """
        tables = {name: table if name == "payloads" else _sorted(table) for name, table in sorted(data.items())}
        if "payloads" in tables:
            tables["payloads"] = dict(sorted(tables["payloads"].items()))
        content = (json.dumps(tables, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
        if content != atomic_write.read_bytes(self.path):
            atomic_write.write_atomic(self.path, content)

    def locate(self, needle: str) -> str:
        """``PATH, line N`` of the first line that contains ``needle``, for messages."""
        content = self.content() or b""
        return f"{self.label}, line {line_number(content.decode('utf-8-sig', 'replace'), needle)}"


class GitVersion(FileStorage):
    """One side of a merge of the file: read as strictly as the file itself, never written.

    Args:
        path: the file.
        side: the name of the version in messages.
        content: its bytes.
    """

    def __init__(self, path: Path, side: str, content: bytes) -> None:
        super().__init__(path)
        self.label = f"{path} ({side})"
        self._content = content

    def content(self) -> bytes:
        """The bytes of this version."""
        return self._content

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse: one side of a merge is never written.

        Raises:
            StoreError: always.
        """
        raise StoreError(f"{self.label} is one side of a merge: it is not written")


def _conflict_line(content: bytes) -> int | None:
    lines = enumerate(content.splitlines(), 1)
    return next((number for number, line in lines if line.startswith((b"<<<<<<< ", b">>>>>>> "))), None)


def _is_table(table: Any) -> bool:
    return isinstance(table, dict) and all(isinstance(document, dict) for document in table.values())


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
