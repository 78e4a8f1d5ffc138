"""The store: read as plain values, and changed one transaction and one write at a time."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..errors import StoreError
from ..types import Edits, Evaluations, JSONObject, Key, Location, PendingOperation, Record, State, Tables
from .document import Document, PayloadTexts, dump_tables
from .lease import Lease, clock
from .storage import Conflict, Storage, Unreachable
from .tables import Change, edit_tables, is_empty, parse_state, with_lineage

__all__ = ["PATIENCE", "Store"]

PATIENCE = 10.0  # seconds that a run goes on trying to write, where others write too or the server does not answer


class Store:
    """The store of one project.

    Args:
        storage: where it is kept.
        project: the namespace of our tags; the store of another project is refused. None takes the store's own.

    Attributes:
        lease: the lock that this process holds in the document of a shared store, while it does.
    """

    def __init__(self, storage: Storage, project: str | None) -> None:
        self.storage = storage
        self.project = project
        self.lease: Lease | None = None
        self._mutex = threading.RLock()  # a run's own renewal never comes between its read and its write
        self._checked: set[str] = set()  # payloads whose digest this process has verified
        self._known: Document | None = None  # the last one that was read or written
        self._at_lock: Document | None = None  # what taking the lock has read, until something else is
        self._texts: PayloadTexts = {}

    def read(self) -> State:
        """Everything recorded, as plain values; takes no lock and writes nothing.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        with self._mutex:
            document = self._at_lock or self.load()[0]
            self._at_lock = None
        state = self.check(document)
        if not self.storage.shared:  # a file is at hand; its bytes and tables take more memory than all else of a run
            self._known = None
        return state

    def hold(self, lease: Lease) -> None:
        """Note that this process has just taken the lock: what it read for that is what the first ``read`` returns."""
        self.lease, self._at_lock = lease, self._known

    def tables(self) -> Tables | None:
        """Everything recorded, as plain JSON that is as valid as ``read`` requires; None where there is nothing yet.

        Raises:
            StoreError: the store is not ours, or cannot be read.
        """
        document, _ = self.load()
        self.check(document)
        return document.tables

    def replace(self, tables: Tables) -> None:
        """Replace everything by these tables, whatever is there, in one write. The lock must be held.

        Raises:
            StoreError: they are not valid, or cannot be written; the store is then as it was.
        """
        self.check(self._document(dump_tables(tables)))
        self.change(lambda _: Change(tables))

    def commit(
        self,
        records: Mapping[Key, Record] | None = None,
        payloads: Iterable[tuple[str, JSONObject]] = (),
        pending: Mapping[tuple[Key, Location], PendingOperation | None] | None = None,
        forget: Mapping[Key, Location] | None = None,
        evals: Evaluations | None = None,
    ) -> None:
        """Make one transaction: read afresh, change, write once. The lock must be held.

        Args:
            records: what instances are now; their records at other locations stay.
            payloads: those that the records and open requests name; what nothing names is dropped.
            pending: requests that are open now, or closed where None.
            forget: instances to forget, each at a location.
            evals: what evals found of digests that are recorded.

        Raises:
            StoreError: the store is not ours, or cannot be written; it is then as it was.
        """
        edits = Edits(records or {}, pending or {}, forget or {}, evals=evals or {})
        self.transact(lambda _: edits, payloads)

    def transact(self, decide: Callable[[State], Edits], payloads: Iterable[tuple[str, JSONObject]]) -> None:
        """Make a transaction like ``commit``, with edits decided on the state that it reads.

        ``decide`` is called again where another write came between the read and the write.
        """
        named = dict(payloads)
        self._checked |= named.keys()  # their digests were made of them in this process

        def edited(document: Document) -> Change | None:
            before = self.check(document)
            return edit_tables(document.tables, before, decide(before), named, self.owner)

        self.change(edited)

    def edited(self, decide: Callable[[State], Edits], payloads: Mapping[str, JSONObject]) -> tuple[Tables | None, Tables | None]:
        """What this process last knew the store to hold, and the same with edits: nothing is read or written."""
        base = self._known.tables if self._known else None
        before = self.check(self._known) if self._known else State()
        change = edit_tables(base, before, decide(before), payloads, self.owner)
        return base, change and change.tables

    def close(self) -> None:
        """Close the connection to a server, if there is one."""
        self.storage.close()

    def change(self, change: Callable[[Document], Change | None], *, keep: bool = True, patience: float | None = None) -> None:
        """Read, change and write once; again where another write came between. What is as it was is not written.

        Args:
            change: from the document to what it is to hold, or to None where nothing is to be written.
            keep: keep the document that is replaced as a revision.
            patience: seconds to go on trying, by default ``PATIENCE``; without a lock, only where another write came between.

        Raises:
            StoreError: the store is not ours, or cannot be written; it is then as it was.
        """
        patience = PATIENCE if patience is None else patience
        deadline, pauses = clock() + patience, _pauses()
        with self._mutex:
            while True:
                try:
                    if self._try_change(change, keep=keep):
                        return
                    problem = StoreError(f"{self.storage.label}: other writes came between, for {patience:.0f} s: run it again")
                except Unreachable as error:
                    if self.lease is None:
                        raise
                    problem = error
                if clock() >= deadline:
                    raise problem
                time.sleep(next(pauses))

    def renew(self, patience: float | None = None) -> None:
        """Renew the lock that this process holds; where it was lost, the lease says so from here on.

        Raises:
            StoreError: the store cannot be written.
        """

        def renewed(document: Document) -> Change | None:
            tables = document.tables or {}
            about = tables["store"]
            return Change({**tables, "store": about | self.lease.renewed(about)}, document.state) if self.lease else None

        self.change(renewed, keep=False, patience=patience)

    def require_lock(self) -> None:
        """Make sure that nobody has taken over the lock of this process: before a remote write.

        Raises:
            StoreError: somebody has, or the store cannot be asked.
        """
        if self.lease and not self.lease.confirmed:
            if not self.lease.lost:
                try:
                    self.renew()
                except StoreError as error:  # said once: each request in flight would wait as long
                    self.lease.lost = f"{error}; whether this run still holds the lock is not known"
            if self.lease.lost:
                raise StoreError(f"{self.lease.lost}: nothing more was sent; run the same command again")

    @property
    def overtaken(self) -> bool:
        """Whether the lock of this process was lost."""
        return self.lease is not None and self.lease.lost is not None

    def _try_change(self, change: Callable[[Document], Change | None], *, keep: bool) -> bool:
        """Read, change and write once; return whether the document is as it should be."""
        began = clock()
        document, version = self.load()
        if self.lease:
            self.lease.look(document)
        changed = change(document)
        if changed is None:
            return True
        tables = changed.tables
        content = dump_tables(tables, self._texts) if document.may_hold(tables) else None
        if content is not None and content == document.content:
            return True
        complete = with_lineage(tables) if keep else tables
        if self.lease:
            complete = {**complete, "store": complete["store"] | self.lease.renewed(complete["store"])}
        if content is None or complete != tables:
            content = dump_tables(complete, self._texts)
        try:
            keep = keep and self.storage.shared and not is_empty(document.tables)
            self.storage.compare_and_set(content, version, keep=keep)
        except Conflict:
            return False
        except Unreachable:
            if self.storage.load().content != content:  # else the write got through, and its answer was lost
                raise
        self._known = Document(self.storage.label, content, self.storage.remedy, complete, changed.state)
        if self.lease:
            self.lease.confirm(began)
        return True

    def load(self) -> tuple[Document, str | None]:
        """The document as it is, not checked, and its version.

        Raises:
            StoreError: it cannot be read.
        """
        with self._mutex:
            self._at_lock = None
            stored = self.storage.load()
            if stored.content is None:
                return self._document(None), stored.version
            if self._known is None or stored.content != self._known.content:  # the same bytes are parsed and checked once
                self._known = self._document(stored.content)
            return self._known, stored.version

    @property
    def owner(self) -> str:
        """The project whose store this is, once it is known."""
        assert self.project is not None  # only reading does without it
        return self.project

    def _document(self, content: bytes | None) -> Document:
        return Document(self.storage.label, content, self.storage.remedy)

    def check(self, document: Document) -> State:
        """The state that a document of this store holds.

        Raises:
            StoreError: it is not a store of this project.
        """
        if document.state is None:
            document.state = parse_state(document, self.project, self._checked)
            if self.project is None and document.tables:
                self.project = document.tables["store"]["format"]["project"]
        return document.state


def _pauses() -> Iterator[float]:
    """Seconds to wait between tries: longer and longer up to 1, each with jitter, so that two writers part."""
    return (random.uniform(0.5, 1) * min(0.02 * 2**tries, 1.0) for tries in itertools.count())  # noqa: S311 - no secret
