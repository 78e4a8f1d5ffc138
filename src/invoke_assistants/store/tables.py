"""The store's tables: checked and read as plain values, and edited by a transaction; TinyDB in memory."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from tinydb import Storage, TinyDB
from tinydb.table import Document as Row
from tinydb.table import Table

from ..declare.digest import SchemaTexts
from ..declare.digest import digest as digest_of
from ..errors import StoreError
from ..types import Edits, JSONObject, Record, State, Tables
from .document import Document
from .entries import InvalidEntry, Slot, documents, dump_pending, dump_record, parse_pending, parse_record
from .remarks import add_evals, dump_evals, dump_reader, parse_evals, parse_reader

__all__ = ["Change", "edit_tables", "is_empty", "parse_state", "store_format", "with_lineage", "without_lock"]

VERSION = 1
_TABLES = frozenset({"assistants", "evals", "payloads", "pending", "readers", "store"})
_LINEAGE = re.compile(r"[0-9a-f]{32}")
_LOCK = ("id", "who", "host", "command", "since", "renewed", "job")


class Change(NamedTuple):
    """What a store is to hold: its tables, and the same as plain values where those are at hand."""

    tables: Tables
    state: State | None = None


class _MemoryStorage(Storage):
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


class _NamedTable(Table):
    document_id_class = str  # type: ignore[assignment]  # tinydb types it as int; ids are names here

    def replace(self, documents: Mapping[str, Mapping[str, Any]], gone: Iterable[str] = ()) -> None:
        """Replace whole documents by id and remove those that are gone: one removal and one insertion."""
        ids: Any = {*gone, *documents}  # tinydb types an id as int
        self.remove(doc_ids=ids)
        self.insert_multiple(Row(dict(value), doc_id=cast("int", key)) for key, value in documents.items())

    def by_id(self) -> dict[str, JSONObject]:
        """Every document by its id."""
        return {str(document.doc_id): dict(document) for document in self}


class _Database(TinyDB):
    table_class = _NamedTable

    @classmethod
    def of(cls, tables: Tables | None) -> _Database:
        """A database in memory that holds these tables."""
        return cls(storage=_MemoryStorage, tables=tables)

    def named(self, name: str) -> _NamedTable:
        """The table of that name."""
        return cast("_NamedTable", self.table(name))


def with_lineage(tables: Tables) -> Tables:
    """The tables with a new lineage, where they have none."""
    return {**tables, "store": {"lineage": {"id": secrets.token_hex(16)}, **tables["store"]}}


def store_format(project: str) -> JSONObject:
    """The entry of table ``store`` that says whose store it is, and of which version."""
    return {"project": project, "version": VERSION}


def edit_tables(
    tables: Tables | None, before: State, edits: Edits, payloads: Mapping[str, JSONObject], project: str
) -> Change | None:
    """The store after a transaction; None where there is nothing yet and nothing to write.

    Args:
        tables: as they were read.
        before: the same as plain values.
        payloads: those that the edits name.
    """
    after = dict(before.records)
    for key, record in edits.records.items():
        record = _as_read(record)
        after[key] = after[key].succeeded_by(record) if key in after else record
    for key, location in edits.forget.items():
        if key in after and (left := after.pop(key).without(location)):
            after[key] = left
    open_ = {key: operation for key, operation in {**before.pending, **edits.pending}.items() if operation}
    if not after and not open_ and tables is None:
        return None
    database = _Database.of(tables)
    recorded = documents({Slot(*key): dump_record(record) for key, record in after.items()})
    operations = documents({Slot(*key, at): dump_pending(operation) for (key, at), operation in open_.items()})
    _put_entries(database, "assistants", recorded)
    _put_entries(database, "pending", operations)
    recorded_digests = set[str]().union(*(record.digests() for record in after.values()))
    named = recorded_digests.union(*(operation.digests() for operation in open_.values()))
    known = {**payloads, **before.payloads}
    held = {digest: known[digest] for digest in named}
    _put_payloads(database, held)
    readers = {digest: reader for digest, reader in {**before.readers, **edits.readers}.items() if reader and digest in named}
    _put_entries(database, "readers", {digest: dump_reader(reader) for digest, reader in readers.items()})
    found = add_evals(before.evals, edits.evals)
    evals = {digest: results for digest, results in found.items() if digest in recorded_digests}
    _put_entries(database, "evals", {digest: dump_evals(results) for digest, results in evals.items()})
    database.named("store").replace({"format": store_format(project)})
    return Change(database.storage.read() or {}, State(after, held, open_, readers, evals))


def _as_read(record: Record) -> Record:
    """A record as it is read back: its tag stands there only where it is not the digest."""
    elsewhere = {location: _as_read(other) for location, other in record.elsewhere.items()}
    return replace(record, tag=None if record.tag == record.digest else record.tag, elsewhere=elsewhere)


def parse_state(document: Document, project: str | None, checked: set[str]) -> State:
    """Check all tables of a document and return what they hold.

    Args:
        project: whose store it must be; None accepts any.
        checked: payloads whose digest was verified before; those that are verified now join them.

    Raises:
        StoreError: it is not a store of this project; the message names its place and line.
    """
    database = _Database.of(document.tables)
    if not database.tables():
        return State()
    _check_format(document, database, project)
    payloads = database.named("payloads").by_id()
    texts: SchemaTexts = {}
    for digest, payload in payloads.items():
        if digest not in checked and digest_of(payload, texts) != digest:
            raise _invalid(document, [digest], f"the payload {digest[:80]} is not what it was when it was recorded")
    checked.update(payloads)
    try:
        records = {
            (name, environment): parse_record(Slot(name, environment), value, payloads)
            for name, row in database.named("assistants").by_id().items()
            for environment, value in row.items()
        }
        pending = dict(
            parse_pending(name, label, value, payloads)
            for name, row in database.named("pending").by_id().items()
            for label, value in row.items()
        )
        readers = {digest: parse_reader(digest, value) for digest, value in database.named("readers").by_id().items()}
        evals = {digest: parse_evals(digest, value) for digest, value in database.named("evals").by_id().items()}
    except InvalidEntry as error:
        raise _invalid(document, error.needles, str(error)) from None
    return State(records, payloads, pending, readers, evals)


def is_empty(tables: Tables | None) -> bool:
    """Whether nothing was ever recorded there: no document, or what the lock of a run that made nothing has left."""
    return tables is None or (tables.keys() == {"store"} and "lineage" not in tables["store"])


def without_lock(tables: Mapping[str, Mapping[str, Any]]) -> Tables:
    """The tables as copies, revisions and recovery files hold them."""
    about = {key: value for key, value in tables["store"].items() if key != "lock"}
    return {**{name: dict(table) for name, table in tables.items()}, "store": about}


def _check_format(document: Document, database: _Database, project: str | None) -> None:
    about = database.named("store").by_id()
    version, owner = about.get("format", {}).get("version"), about.get("format", {}).get("project")
    if not isinstance(version, int) or isinstance(version, bool) or not isinstance(owner, str):
        raise StoreError(f"{document.locate('store')}: not a store of assistants; {document.remedy}")
    if version > VERSION:
        raise StoreError(
            f"{document.locate('version')}: written by a newer version of invoke-assistants (format {version}):"
            " pip install --upgrade invoke-assistants"
        )
    if unknown := database.tables() - _TABLES:
        raise _invalid(document, [min(unknown)], f"table {min(unknown)!r:.80} is not ours")
    if project is not None and owner != project:
        raise StoreError(
            f"{document.locate('project')}: the store is of project {owner!r:.80}, this project is"
            f" {project!r:.80}: set project in [tool.asst], or another store"
        )
    lineage, lock = about.get("lineage"), about.get("lock")
    if lineage is not None and not _LINEAGE.fullmatch(str(lineage.get("id"))):
        raise _invalid(document, ["lineage"], "the lineage is not 32 hex digits")
    if lock is not None and (not lock.get("id") or not all(isinstance(lock.get(key), str | None) for key in _LOCK)):
        raise _invalid(document, ["lock"], "the lock is not ours")


def _invalid(document: Document, needles: Sequence[str], reason: str) -> StoreError:
    return StoreError(f"{document.locate(*map(json.dumps, needles))}: {reason}; {document.remedy}")


def _put_entries(database: _Database, name: str, by_name: Mapping[str, JSONObject]) -> None:
    """Replace all documents of a table; without any, only ``assistants`` stays."""
    if name != "assistants" and not by_name:
        database.drop_table(name)
        return
    table = database.named(name)
    table.replace(by_name, gone=table.by_id())


def _put_payloads(database: _Database, payloads: Mapping[str, JSONObject]) -> None:
    """Add the payloads that are not there yet; remove all others."""
    table = database.named("payloads")
    there = table.by_id().keys()
    table.replace({digest: payloads[digest] for digest in payloads.keys() - there}, gone=there - payloads.keys())
