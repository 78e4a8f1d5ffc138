"""Reading the store into plain values and committing changes to it, one transaction and one write at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

from tinydb import TinyDB
from tinydb.table import Document, Table

from ..declare.digest import digest as digest_of
from ..errors import StoreError
from ..types import DIGEST, ID, NONCE, SLUG, Edits, JSONObject, Key, Location, PendingOperation, Record, State, Tables
from .file_storage import FileStorage, MemoryStorage

__all__ = ["Store"]

VERSION = 1
_TABLES = frozenset({"assistants", "payloads", "pending", "store"})


class _Named(Table):
    document_id_class = str  # type: ignore[assignment]  # tinydb types it as int; ids are names here

    def replace(self, documents: Mapping[str, Mapping[str, Any]], gone: Iterable[str] = ()) -> None:
        """Put whole documents in place of what stands under their ids; one removal and one insertion."""
        ids: Any = {*gone, *documents}  # tinydb types an id as int
        self.remove(doc_ids=ids)
        self.insert_multiple(Document(dict(value), doc_id=cast("int", key)) for key, value in documents.items())

    def named(self) -> dict[str, JSONObject]:
        """Every document by its id."""
        return {str(document.doc_id): dict(document) for document in self}


class _Database(TinyDB):
    table_class = _Named

    def of(self, name: str) -> _Named:
        """The table of that name."""
        return cast("_Named", self.table(name))


class Store:
    """The store of one project.

    Args:
        storage: the place, a TinyDB storage.
        project: the namespace of our tags; a store of another project is refused.
    """

    def __init__(self, storage: FileStorage, project: str) -> None:
        self.storage = storage
        self.project = project
        self._checked: set[str] = set()  # payloads whose digest was found right, once in this process

    def lock(self, command: str, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Hold the store for a whole run; ``say`` is told whom it waits for."""
        return self.storage.lock(command, say)

    def read(self) -> State:
        """Everything recorded, as plain values; takes no lock and writes nothing.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        return self._recorded(_Database(storage=MemoryStorage, tables=self.storage.read()))

    def tables(self) -> Tables | None:
        """Everything recorded as plain JSON, or None where there is no file yet; as valid as what ``read`` returns.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        tables = self.storage.read()
        self._recorded(_Database(storage=MemoryStorage, tables=tables))
        return tables

    def replace(self, tables: Tables) -> None:
        """Put these tables in place of everything, whatever the file holds, in one write. The lock must be held.

        Raises:
            StoreError: they are not valid, or cannot be written; the store is then as it was.
        """
        self._recorded(_Database(storage=MemoryStorage, tables=tables))
        self.storage.write(tables)

    def commit(
        self,
        records: Mapping[Key, Record] | None = None,
        payloads: Iterable[tuple[str, JSONObject]] = (),
        pending: Mapping[tuple[Key, Location], PendingOperation | None] | None = None,
        forget: Mapping[Key, Location] | None = None,
    ) -> None:
        """One transaction: read afresh, change, write once. The lock must be held.

        Args:
            records: what instances are now; their records at other places stay.
            payloads: those that the records and intents name; what nothing names is dropped.
            intents: opened, or dropped where None.
            forget: instances that are no more at a place.

        Raises:
            StoreError: the store is not ours or cannot be written; it is then as it was.
        """
        self.transact(lambda _: (records or {}, pending or {}, forget or {}), payloads)

    def transact(self, decide: Callable[[State], Edits], payloads: Iterable[tuple[str, JSONObject]]) -> None:
        """As ``commit``, with what is to be changed decided on what the store holds at that moment."""
        tables = self.storage.read()
        database = _Database(storage=MemoryStorage, tables=tables)
        before = self._recorded(database)
        records, pending, forget = decide(before)
        after = dict(before.records)
        for key, record in records.items():
            after[key] = after[key].succeeded_by(record) if key in after else record
        for key, location in forget.items():
            if key in after and (left := after.pop(key).without(location)):
                after[key] = left
        open_ = {key: intent for key, intent in {**before.pending, **pending}.items() if intent}
        assistants = database.of("assistants")
        assistants.replace(_by_name({key: _dump(record) for key, record in after.items()}), gone=assistants.named())
        self._put_pending(database, open_)
        named = {digest for record in after.values() for digest in record.digests()} | {i.digest for i in open_.values()}
        self._put_payloads(database, {**dict(payloads), **before.payloads}, named)
        database.of("store").replace({"format": {"project": self.project, "version": VERSION}})
        if after or open_ or tables is not None:
            self.storage.write(database.storage.read() or {})

    def _put_pending(self, database: _Database, open_: Mapping[tuple[Key, Location], PendingOperation]) -> None:
        if not open_:
            database.drop_table("pending")
            return
        entries = {
            (name, f"{environment} {location}"): {"digest": intent.digest, "kind": intent.kind}
            | ({"nonce": intent.nonce} if intent.nonce else {})
            for ((name, environment), location), intent in open_.items()
        }
        table = database.of("pending")
        table.replace(_by_name(entries), gone=table.named())

    def _put_payloads(self, database: _Database, payloads: Mapping[str, JSONObject], named: set[str]) -> None:
        table = database.of("payloads")
        held = set(table.named())
        table.replace({digest: payloads[digest] for digest in named - held}, gone=held - named)

    def _recorded(self, database: _Database) -> State:
        if not database.tables():
            return State()
        self._check_format(database)
        payloads = database.of("payloads").named()
        for digest, payload in payloads.items():
            if digest not in self._checked and digest_of(payload) != digest:
                raise self._broken(digest, f"the payload {digest[:80]} is not what it was when it was recorded")
        self._checked.update(payloads)
        records = {
            (name, environment): self._load(name, environment, value, payloads)
            for name, document in database.of("assistants").named().items()
            for environment, value in document.items()
        }
        pending = {}
        for name, document in database.of("pending").named().items():
            for where, value in document.items():
                key, intent = self._load_intent(name, where, value, payloads)
                pending[key] = intent
        return State(records, payloads, pending)

    def _check_format(self, database: _Database) -> None:
        form = database.of("store").named().get("format", {})
        version, project = form.get("version"), form.get("project")
        if not isinstance(version, int) or isinstance(version, bool) or not isinstance(project, str):
            raise StoreError(f"{self.storage.where('store')}: not a store of assistants; bring it back with git")
        if version > VERSION:
            raise StoreError(
                f"{self.storage.where('version')}: written by a newer version of invoke-assistants (format {version}):"
                " pip install --upgrade invoke-assistants"
            )
        if unknown := database.tables() - _TABLES:
            raise self._broken(min(unknown), f"table {min(unknown)!r:.80} is not ours")
        if project != self.project:
            raise StoreError(
                f"{self.storage.where('project')}: the store is of project {project!r:.80}, this project is"
                f" {self.project!r:.80}: set project in [tool.asst], or another store"
            )

    def _broken(self, needle: str, reason: str) -> StoreError:
        return StoreError(f"{self.storage.where(json.dumps(needle))}: {reason}; bring the file back with git")

    def _load(
        self, name: str, environment: str, value: Any, payloads: Mapping[str, JSONObject], *, nested: bool = False
    ) -> Record:
        where = f"{name} in {environment}"
        if not SLUG.fullmatch(name) or not SLUG.fullmatch(environment) or not isinstance(value, dict):
            raise self._broken(name, f"{where!r:.160} is no record of an assistant")
        known = {"id", "platform", "origin", "digest", "tag", "history", "elsewhere"}
        texts = [value.get("id"), value.get("platform"), value.get("origin"), value.get("digest")]
        history, others = value.get("history", []), value.get("elsewhere", {})
        if not all(isinstance(text, str) for text in texts) or not isinstance(history, list) or value.keys() - known:
            raise self._broken(name, f"the record of {where} is not ours")
        if not isinstance(others, dict) or (nested and others):
            raise self._broken("elsewhere", f"the record of {where} is not ours")
        if not ID.fullmatch(value["id"]):
            raise self._broken(name, f"the id of {where} is none that the service gives (3 to 128 letters, digits, '_', '-')")
        tag = value.get("tag")
        if tag is not None and not (isinstance(tag, str) and DIGEST.fullmatch(tag)):
            raise self._broken(name, f"the tag of {where} is no digest")
        for digest in (value["digest"], *history):
            if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or digest not in payloads:
                raise self._broken(str(digest)[:80], f"the record of {where} names a payload that is not there")
        location = Location(value["platform"], value["origin"])
        elsewhere = {at: self._load(name, environment, other, payloads, nested=True) for at, other in others.items()}
        if any(str(record.location) != at for at, record in elsewhere.items()):
            raise self._broken("elsewhere", f"the record of {where} is not ours")
        return Record(value["id"], location, value["digest"], tag, tuple(history), elsewhere)

    def _load_intent(
        self, name: str, where: str, value: Any, payloads: Mapping[str, JSONObject]
    ) -> tuple[tuple[Key, Location], PendingOperation]:
        parts = where.split(" ")
        if (
            len(parts) != 3
            or not isinstance(value, dict)
            or value.get("kind") not in ("create", "update", "delete")
            or not isinstance(value.get("digest"), str)
            or value["digest"] not in payloads
            or bool(NONCE.fullmatch(str(value.get("nonce", "")))) is not (value["kind"] == "create")
        ):
            raise self._broken("pending", f"the open request of {name!r:.80} is not ours")
        environment, platform, origin = parts
        return ((name, environment), Location(platform, origin)), PendingOperation(
            value["kind"], value["digest"], value.get("nonce")
        )


def _by_name(entries: Mapping[tuple[str, str], JSONObject]) -> dict[str, JSONObject]:
    out: dict[str, JSONObject] = {}
    for (name, inner), value in entries.items():
        out.setdefault(name, {})[inner] = value
    return out


def _dump(record: Record) -> JSONObject:
    out: JSONObject = {
        "digest": record.digest,
        "id": record.id,
        "origin": record.location.origin,
        "platform": record.location.platform,
    }
    if record.tag and record.tag != record.digest:
        out["tag"] = record.tag
    if record.history:
        out["history"] = list(record.history)
    if record.elsewhere:
        out["elsewhere"] = {location: _dump(other) for location, other in record.elsewhere.items()}
    return out
