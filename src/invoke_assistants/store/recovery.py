"""The file for what a run made and a shared store did not take, and how it is brought in later."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import StoreError
from ..types import Tables
from .atomic_write import make_private_folder, read_bytes, write_atomic
from .strict_json import load_json

__all__ = ["Unsaved", "load_unsaved", "save_unsaved"]


@dataclass(frozen=True)
class Unsaved:
    """What a run could not record.

    Attributes:
        base: what the run last knew the store to hold; None where that was nothing.
        ours: the same with all that the run made.
    """

    base: Tables | None
    ours: Tables


def save_unsaved(folder: Path, label: str, command: str, base: Tables | None, ours: Tables) -> Path:
    """Write a recovery file that only its owner can read; return its path.

    Args:
        folder: the private folder of the checkout, made where it is missing.
        label: the store that did not take it, for people.
        command: the command that ran, for people.

    Raises:
        StoreError: it cannot be written.
    """
    now = datetime.now(UTC)
    path = folder / f"unsaved-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.json"
    about = {"store": label, "saved": now.isoformat(timespec="seconds"), "command": command}
    content = json.dumps({**about, "base": base, "ours": ours}, indent=2, ensure_ascii=False)
    make_private_folder(folder)
    write_atomic(path, (content + "\n").encode(), private=True)
    return path


def load_unsaved(path: Path) -> Unsaved:
    """Read a recovery file.

    Raises:
        StoreError: there is none, or it is not one.
    """
    content = read_bytes(path)
    if content is None:
        raise StoreError(f"{path}: there is no such file; what was recovered is deleted")
    found = load_json(path, content)
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("ours"), dict)
        or not isinstance(found.get("base", 0), dict | None)
    ):
        raise StoreError(f"{path}, line 1: not a recovery file of this package")
    return Unsaved(found["base"], found["ours"])
