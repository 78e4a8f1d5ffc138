"""What a store is: where, of which kind, how large, and who holds it."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import JSONObject, Tables
from .entries import entries
from .file_lock import describe_holder
from .file_storage import FileStorage
from .lease import describe_lock, lock_of
from .store import Store

__all__ = ["StoreInfo", "describe_store", "recorded_ids"]


@dataclass(frozen=True)
class StoreInfo:
    """What a store is; without a document, ``format`` and ``size`` are None.

    Attributes:
        url: a path, or a URL without a password.
        label: the same, and the key or table where that is a default.
        format: the version of the document's form.
        size: of the document, in bytes.
        revision: a number in Redis and PostgreSQL, the ETag in S3, None for a file.
        lock: the lock in the document of a shared store.
        holder: who holds the lock, for people.
        records: instances that are recorded.
        pending: operations that are open.
    """

    url: str
    label: str
    kind: str
    format: int | None
    size: int | None
    revision: int | str | None
    lineage: str | None
    lock: JSONObject | None
    holder: str | None
    records: int
    pending: int

    def to_json(self) -> JSONObject:
        """What ``--json`` prints of it."""
        keys = ("url", "kind", "format", "size", "revision", "lineage", "lock")
        return {key: getattr(self, key) for key in keys}


def describe_store(store: Store) -> StoreInfo:
    """Read a store and say what it is.

    Raises:
        StoreError: it is not ours, or cannot be read.
    """
    document, version = store.load()
    tables = document.tables or {}
    state, about, lock = store.check(document), tables.get("store", {}), lock_of(tables)
    holder = (
        describe_holder(store.storage.path) if isinstance(store.storage, FileStorage) else describe_lock(lock) if lock else None
    )
    numbered = store.storage.kind in ("redis", "postgresql")
    revision = None if version is None or not store.storage.shared else int(version) if numbered else version
    return StoreInfo(
        url=store.storage.address,
        label=store.storage.label,
        kind=store.storage.kind,
        format=about.get("format", {}).get("version"),
        size=len(document.content) if document.content is not None else None,
        revision=revision,
        lineage=about.get("lineage", {}).get("id"),
        lock=lock,
        holder=holder,
        records=len(state.records),
        pending=len(state.pending),
    )


def recorded_ids(tables: Tables | None) -> set[str]:
    """The ids of all instances of a valid store, those at other locations too."""
    found = entries(tables, "assistants").values()
    return {each["id"] for record in found for each in (record, *record.get("elsewhere", {}).values())}
