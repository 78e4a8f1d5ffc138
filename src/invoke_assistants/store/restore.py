"""Putting an earlier revision of a shared store back."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import StoreError
from .copy import put_tables, refuse_other_lineage
from .describe import recorded_ids
from .document import Document
from .lock import lock_store
from .store import Store

__all__ = ["restore_revision"]


def restore_revision(store: Store, number: int, say: Callable[[str], None]) -> list[str]:
    """Put an earlier document back as a new revision; return the ids that are thereby recorded no more.

    Args:
        say: called with one line if this run has to wait.

    Raises:
        Refused: it is a revision of another store; nothing was written.
        StoreError: it is not kept or not valid, or the store cannot be written.
    """
    with lock_store(store, f"inv asst.store --restore {number}", say):
        content = store.storage.load_revision(number)
        if content is None:
            raise StoreError(
                f"{store.storage.label}: revision {number} is not kept: inv asst.store --history lists those that are"
            )
        document = Document(f"{store.storage.label}, revision {number}", content, store.storage.remedy)
        store.check(document)
        now, tables = store.tables(), document.tables
        assert tables is not None
        refuse_other_lineage(document.label, tables, now)
        put_tables(store, tables)
        return sorted(recorded_ids(now) - recorded_ids(tables))
