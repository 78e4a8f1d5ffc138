"""The store: read as plain values, and changed one transaction and one write at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from tinydb import TinyDB
from tinydb.table import Document, Table

from ..declare.digest import digest as digest_of
from ..errors import StoreError
from ..types import Edits, JSONObject, Key, Location, PendingOperation, Record, State, Tables
from .entries import InvalidEntry, Slot, documents, dump_pending, dump_record, parse_pending, parse_record
from .file_storage import FileStorage, MemoryStorage

__all__ = ["Store"]

VERSION = 1
_TABLES = frozenset({"assistants", "payloads", "pending", "store"})


class _NamedTable(Table):
    document_id_class = str  # type: ignore[assignment]  # tinydb types it as int; ids are names here

    def replace(self, documents: Mapping[str, Mapping[str, Any]], gone: Iterable[str] = ()) -> None:
        """Replace whole documents by id and remove those that are gone: one removal and one insertion."""
        ids: Any = {*gone, *documents}  # tinydb types an id as int
        self.remove(doc_ids=ids)
        self.insert_multiple(Document(dict(value), doc_id=cast("int", key)) for key, value in documents.items())

    def by_id(self) -> dict[str, JSONObject]:
        """Every document by its id."""
        return {str(document.doc_id): dict(document) for document in self}


class _Database(TinyDB):
    table_class = _NamedTable

    @classmethod
    def of(cls, tables: Tables | None) -> _Database:
        """A database in memory that holds these tables."""
        return cls(storage=MemoryStorage, tables=tables)

    def named(self, name: str) -> _NamedTable:
        """The table of that name."""
        return cast("_NamedTable", self.table(name))


class Store:
    """The store of one project.

    Args:
        storage: where it is kept, a TinyDB storage.
        project: the namespace of our tags; the store of another project is refused.
    """

    def __init__(self, storage: FileStorage, project: str) -> None:
        self.storage = storage
        self.project = project
        self._checked: set[str] = set()  # payloads whose digest this process has verified

    def read(self) -> State:
        """Everything recorded, as plain values; takes no lock and writes nothing.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        return self._state(_Database.of(self.storage.read()))

    def tables(self) -> Tables | None:
        """Everything recorded, as plain JSON that is as valid as ``read`` requires; None where there is no file yet.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        tables = self.storage.read()
        self._state(_Database.of(tables))
        return tables

    def replace(self, tables: Tables) -> None:
        """Replace everything by these tables, whatever the file holds, in one write. The lock must be held.

        Raises:
            StoreError: they are not valid, or cannot be written; the store is then as it was.
        """
        self._state(_Database.of(tables))
        self.storage.write(tables)

    def commit(
        self,
        records: Mapping[Key, Record] | None = None,
        payloads: Iterable[tuple[str, JSONObject]] = (),
        pending: Mapping[tuple[Key, Location], PendingOperation | None] | None = None,
        forget: Mapping[Key, Location] | None = None,
    ) -> None:
        """Make one transaction: read afresh, change, write once. The lock must be held.

        Args:
            records: what instances are now; their records at other locations stay.
            payloads: those that the records and open requests name; what nothing names is dropped.
            pending: requests that are open now, or closed where None.
            forget: instances to forget, each at a location.

        Raises:
            StoreError: the store is not ours, or cannot be written; it is then as it was.
        """
        self.transact(lambda _: (records or {}, pending or {}, forget or {}), payloads)

    def transact(self, decide: Callable[[State], Edits], payloads: Iterable[tuple[str, JSONObject]]) -> None:
        """Make a transaction like ``commit``, with edits decided on the state that it reads."""
        tables = self.storage.read()
        database = _Database.of(tables)
        before = self._state(database)
        records, pending, forget = decide(before)
        after = dict(before.records)
        for key, record in records.items():
            after[key] = after[key].succeeded_by(record) if key in after else record
        for key, location in forget.items():
            if key in after and (left := after.pop(key).without(location)):
                after[key] = left
        open_ = {key: operation for key, operation in {**before.pending, **pending}.items() if operation}
        recorded = documents({Slot(*key): dump_record(record) for key, record in after.items()})
        operations = documents({Slot(*key, at): dump_pending(operation) for (key, at), operation in open_.items()})
        _put_entries(database, "assistants", recorded)
        _put_entries(database, "pending", operations)
        named = {operation.digest for operation in open_.values()}.union(*(record.digests() for record in after.values()))
        _put_payloads(database, {**dict(payloads), **before.payloads}, named)
        database.named("store").replace({"format": {"project": self.project, "version": VERSION}})
        if after or open_ or tables is not None:
            self.storage.write(database.storage.read() or {})

    def _state(self, database: _Database) -> State:
        """Check all tables and return what they hold."""
        if not database.tables():
            return State()
        self._check_format(database)
        payloads = database.named("payloads").by_id()
        for digest, payload in payloads.items():
            if digest not in self._checked and digest_of(payload) != digest:
                raise self._invalid(digest, f"the payload {digest[:80]} is not what it was when it was recorded")
        self._checked.update(payloads)
        try:
            records = {
                (name, environment): parse_record(Slot(name, environment), value, payloads)
                for name, document in database.named("assistants").by_id().items()
                for environment, value in document.items()
            }
            pending = dict(
                parse_pending(name, label, value, payloads)
                for name, document in database.named("pending").by_id().items()
                for label, value in document.items()
            )
        except InvalidEntry as error:
            raise self._invalid(error.needle, str(error)) from None
        return State(records, payloads, pending)

    def _check_format(self, database: _Database) -> None:
        form = database.named("store").by_id().get("format", {})
        version, project = form.get("version"), form.get("project")
        if not isinstance(version, int) or isinstance(version, bool) or not isinstance(project, str):
            raise StoreError(f"{self.storage.locate('store')}: not a store of assistants; bring it back with git")
        if version > VERSION:
            raise StoreError(
                f"{self.storage.locate('version')}: written by a newer version of invoke-assistants (format {version}):"
                " pip install --upgrade invoke-assistants"
            )
        if unknown := database.tables() - _TABLES:
            raise self._invalid(min(unknown), f"table {min(unknown)!r:.80} is not ours")
        if project != self.project:
            raise StoreError(
                f"{self.storage.locate('project')}: the store is of project {project!r:.80}, this project is"
                f" {self.project!r:.80}: set project in [tool.asst], or another store"
            )

    def _invalid(self, needle: str, reason: str) -> StoreError:
        return StoreError(f"{self.storage.locate(json.dumps(needle))}: {reason}; bring the file back with git")


def _put_entries(database: _Database, name: str, by_name: Mapping[str, JSONObject]) -> None:
    """Replace all documents of a table; a ``pending`` table without any is dropped."""
    if name == "pending" and not by_name:
        database.drop_table(name)
        return
    table = database.named(name)
    table.replace(by_name, gone=table.by_id())


def _put_payloads(database: _Database, payloads: Mapping[str, JSONObject], named: set[str]) -> None:
    """Add the payloads that are named and not held yet; remove those that nothing names."""
    table = database.named("payloads")
    held = set(table.by_id())
    table.replace({digest: payloads[digest] for digest in named - held}, gone=held - named)
