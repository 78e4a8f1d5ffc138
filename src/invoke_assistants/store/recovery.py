"""The file for what a run made and a shared store did not take, and how it is brought in later."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import Refused, StoreError
from ..types import Key, Step, Tables
from .atomic_write import make_private_folder, read_bytes, write_atomic
from .copy import put_tables, refuse_other_lineage
from .document import Document
from .entries import Slot, entries
from .lock import lock_store
from .merge import Conflict, changed_keys, merge
from .resolve import describe_conflict
from .store import Store
from .strict_json import load_json
from .tables import is_empty, without_lock

__all__ = ["Unsaved", "load_unsaved", "recover", "save_unsaved"]


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
    tables = {"base": base and without_lock(base), "ours": without_lock(ours)}
    content = json.dumps({**about, **tables}, indent=2, ensure_ascii=False)
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
    return Unsaved(found.get("base"), found["ours"])


def recover(store: Store, path: Path, say: Callable[[str], None]) -> list[Step]:
    """Bring a recovery file into the store, record by record, and delete it; return a step for each record of it.

    Args:
        say: called with one line if this run has to wait.

    Raises:
        Refused: the file is of another store, or the store holds something else for a record by now; nothing was written.
        StoreError: it is no recovery file, or one of another project; or the store cannot be written.
    """
    unsaved = load_unsaved(path)
    for tables in (unsaved.base, unsaved.ours):
        content = None if tables is None else json.dumps(tables).encode()
        store.check(Document(str(path), content, "it is left as it is"))
    with lock_store(store, "inv asst.store --recover", say):
        now = store.tables()
        merged = unsaved.ours
        if now is not None and not is_empty(without_lock(now)):
            refuse_other_lineage(str(path), unsaved.base or unsaved.ours, now)
            found, conflicts = merge(unsaved.base, unsaved.ours, now)
            if found is None:
                raise _refused(path, conflicts)
            merged = found
        put_tables(store, merged)
    with contextlib.suppress(OSError):  # bringing it in again would change nothing
        path.unlink()
    return [_step(key, unsaved, merged) for key in changed_keys(unsaved.base, unsaved.ours, unsaved.ours)]


def _step(key: Key, unsaved: Unsaved, merged: Tables) -> Step:
    """The step of a record that was brought in, is recorded no more, or whose open request was."""
    record, before = entries(merged, "assistants").get(Slot(*key)), entries(unsaved.base, "assistants").get(Slot(*key))
    slots = [slot for tables in (merged, unsaved.base) for slot in entries(tables, "pending") if slot.key == key]
    platform = (record or before or {}).get("platform") or next(slot.location.platform for slot in slots if slot.location)
    if record:
        return Step(*key, platform, None, id=record["id"], digest=record["digest"])
    return Step(*key, platform, None, note="no longer recorded" if before else "an open request")


def _refused(path: Path, conflicts: tuple[Conflict, ...]) -> Refused:
    return Refused(
        f"{path}: the store (theirs) was changed since this (ours): {'; '.join(map(describe_conflict, conflicts))}; nothing was"
        " written: inv asst.status shows what is, inv asst.adopt NAME ENV ID records another instance; delete the file once it"
        " is settled"
    )
