"""What the verbs take."""

from __future__ import annotations

from pathlib import Path

from ..errors import SettingsError
from ..types import ID

__all__ = ["Root", "check_id"]

Root = str | Path | None  # the project's folder; None finds it as at run time


def check_id(id: str) -> None:
    """Raise for what cannot be an object's id.

    Raises:
        SettingsError: it is none.
    """
    if not ID.fullmatch(id):
        raise SettingsError(f"{id!r:.80} is not an id: 3 to 128 letters, digits, '_', '-'")
