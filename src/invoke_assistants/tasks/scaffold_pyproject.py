"""Keys added to a ``pyproject.toml``; every line of it stays as it is. Pure."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from ..errors import SettingsError

__all__ = ["add_keys"]


def add_keys(content: bytes, tables: Mapping[tuple[str, ...], Mapping[str, str]]) -> bytes:
    """Add keys to tables. A table that is missing comes at the end.

    Args:
        content: valid TOML.
        tables: the new keys and their values by the table's path, such as ``("tool", "asst")``.

    Raises:
        SettingsError: the tables are written in a way that takes no more keys, such as ``tool = {}``.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    before = text = content.decode()
    wanted: dict[str, Any] = copy.deepcopy(tomllib.loads(text))
    try:
        for path, keys in tables.items():
            _table(wanted, path).update(keys)
            document = tomlkit.parse(text)
            if _has(document, path):
                _table(document, path).update(keys)
                text = tomlkit.dumps(document)
            else:
                text = _end_with_blank_line(text) + tomlkit.dumps(_nested(path, keys))
        if before.count("\n") == before.count("\r\n") > 0:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        kept = _is_subsequence(before.splitlines(), text.splitlines()) and tomllib.loads(text) == wanted
    except (TOMLKitError, ValueError, TypeError, AttributeError):  # an inline table, or one made of dotted keys
        kept = False
    if not kept:
        lines = tomlkit.dumps({key: value for path, keys in tables.items() for key, value in _nested(path, keys).items()})
        raise SettingsError(f"pyproject.toml cannot be extended without rewriting it: add this yourself: {lines}")
    return text.encode()


def _table(document: Any, path: tuple[str, ...]) -> Any:
    """The table at a path, made where it is missing."""
    for key in path:
        document = document.setdefault(key, {})
    return document


def _has(document: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if key not in document:
            return False
        document = document[key]
    return True


def _nested(path: tuple[str, ...], keys: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = dict(keys)
    for key in reversed(path):
        out = {key: out}
    return out


def _end_with_blank_line(text: str) -> str:
    if not text.strip():
        return text
    return text + ("\n" if text.endswith("\n") else "\n\n")


def _is_subsequence(before: list[str], after: list[str]) -> bool:
    lines = iter(after)
    return all(line in lines for line in before)
