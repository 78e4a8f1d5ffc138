"""The export: the objects in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SettingsError, StoreError
from ..files import load_json

__all__ = ["assistants", "label", "read"]

EXPECTED = "expected the body of GET /v1/assistants, one of its assistant objects, or a list of them"


def read(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        SettingsError: it is missing or unreadable, or its content is no JSON.
    """
    try:
        return load_json(path, path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; {EXPECTED}") from None
    except ValueError as error:  # a path with a null character
        raise SettingsError(f"{str(path)!r:.80} cannot be read: {error}") from None
    except StoreError as error:
        raise SettingsError(f"{error}; {EXPECTED}") from None


def assistants(document: Any) -> tuple[list[Any], bool]:
    """The objects of an export, and whether it says that more were on a further page.

    Raises:
        SettingsError: it is no export of assistants.
    """
    if _is_assistant(document):
        return [document], False
    listed = document.get("data") if isinstance(document, Mapping) else document
    if not isinstance(listed, list):
        raise SettingsError(f"not an export of assistants: {EXPECTED}")
    if not any(map(_is_assistant, listed)):
        raise SettingsError(f"no assistant is in it: {EXPECTED}")
    return listed, isinstance(document, Mapping) and document.get("has_more") is True


def _is_assistant(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("object") == "assistant"


def label(item: Any, index: int) -> str:
    """What people know an object by: its name, else its id, else its place in the export."""
    found = [item.get(key) for key in ("name", "id")] if isinstance(item, Mapping) else []
    return next((value for value in found if isinstance(value, str) and value.strip()), f"data[{index}]")
