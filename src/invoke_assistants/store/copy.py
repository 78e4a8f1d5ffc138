"""Copying a store to another place: what is checked before, and that the copy is equal."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Refused, SettingsError, StoreError
from ..text import count
from ..types import Tables
from .describe import recorded_ids
from .document import Document, dump_tables
from .file_storage import FileStorage
from .lease import lock_of
from .lock import lock_store
from .store import Store
from .tables import Change, is_empty, with_lineage, without_lock

__all__ = ["copy_store", "put_tables", "refuse_other_lineage"]


def copy_store(source: Store, target: Store, say: Callable[[str], None], *, yes: bool) -> int:
    """Copy a store, read the copy back and compare; return how many records it holds. The source stays as it is.

    Both are locked meanwhile. A source without a lineage gets one first, so that the copy has the same.

    Args:
        say: called with one line if this run has to wait.
        yes: go on where the target, an older copy, records instances that the source does not.

    Raises:
        Refused: the target holds another store, or instances that would be recorded no more; nothing was written.
        StoreError: there is nothing to copy, one of them cannot be used, or the copy is not equal.
        SettingsError: they are the same place.
    """
    same = SettingsError(f"the store is at {target.storage.label} already: name another place")
    if source.storage.label == target.storage.label or _is_same_file(source, target):
        raise same
    if source.tables() is None:
        raise StoreError(f"{source.storage.label}: there is no store to copy yet: inv asst.create makes one")
    command = "inv asst.store --copy-to"
    with lock_store(source, command, say):
        if source.lease and (lock := lock_of(target.tables() or {})) and lock["id"] == source.lease.id:  # spelled otherwise
            raise same
        _copy(source, target, command, say, yes=yes)
        return len(recorded_ids(source.tables()))


def _copy(source: Store, target: Store, command: str, say: Callable[[str], None], *, yes: bool) -> None:
    with lock_store(target, command, say):
        _refuse_other(source.tables() or {}, target.tables(), target, yes=yes)
        source.change(_with_lineage)
        tables = source.tables()
        assert tables is not None
        put_tables(target, tables)
        back = target.tables()
        if back is None or dump_tables(without_lock(back)) != dump_tables(without_lock(tables)):
            raise StoreError(f"{target.storage.label}: the copy is not equal to {source.storage.label}: do not use it")


def put_tables(store: Store, tables: Tables) -> None:
    """Replace all tables of a store but its lock, which must be held. A lineage that it has stays."""

    def put(document: Document) -> Change:
        now = document.tables or {"store": {}}
        about = without_lock(tables)["store"]
        kept = {key: now["store"][key] for key in ("lineage", "lock") if key in now["store"]}
        return Change({**tables, "store": about | kept})

    store.change(put)


def refuse_other_lineage(label: str, tables: Tables, now: Tables | None) -> None:
    """Raise where tables that are to go into a store are of another one; those without a lineage may be anybody's.

    Args:
        label: where the tables come from, for the message.
        now: what the store holds; None where that is nothing.

    Raises:
        Refused: both have a lineage, and not the same.
    """
    lineages = [each["store"].get("lineage") for each in (now, tables) if each]
    if None not in lineages and lineages[0] != lineages[-1]:
        raise Refused(f"{label}: it is of another store (its lineage is not this one's); nothing was written")


def _is_same_file(source: Store, target: Store) -> bool:
    paths = [each.storage.path for each in (source, target) if isinstance(each.storage, FileStorage)]
    return len(paths) == 2 and paths[0].resolve() == paths[1].resolve()


def _with_lineage(document: Document) -> Change | None:
    return Change(with_lineage(document.tables), document.state) if document.tables else None


def _refuse_other(tables: Tables, there: Tables | None, target: Store, *, yes: bool) -> None:
    if there is None or is_empty(without_lock(there)):
        return
    if there["store"].get("lineage", {}) != tables["store"].get("lineage"):
        raise Refused(
            f"{target.storage.label} holds another store ({count(len(recorded_ids(there)), 'instance')}; its lineage is not this"
            " one's); nothing was written: name an empty place"
        )
    if (lost := sorted(recorded_ids(there) - recorded_ids(tables))) and not yes:
        raise Refused(
            f"{target.storage.label} is a copy that records {', '.join(lost)}, which the store to copy does not; nothing was"
            " written: --yes goes on"
        )
