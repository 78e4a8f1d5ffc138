"""The lock of a shared store: a record in its document, taken, renewed and released by compare-and-set.

No clock of another machine is compared with ours. A run that waits may take the lock over once it has seen the same lock, not
renewed, for ``STALE_AFTER`` seconds of its own clock. A holder counts on its lock for a shorter time after each renewal
(``lease.CONFIRMED_FOR``), and asks the store before a remote write that comes later.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Generator

from ..errors import StoreError
from ..types import JSONObject
from .document import Document
from .lease import Lease, clock, describe_lock, lock_of
from .storage import Unreachable
from .store import PATIENCE, Store
from .tables import Change, store_format, without_lock

__all__ = ["lock_shared", "unlock"]

WAIT = 60.0  # seconds that a run waits for the lock
STALE_AFTER = 20.0  # seconds without a renewal after which a waiting run takes a lock over
RENEW_EVERY = 5.0  # seconds
LONGEST_PAUSE = 2.0  # seconds between two looks of a run that waits
SAFE = "that is safe once its process has ended"


@contextlib.contextmanager
def lock_shared(store: Store, command: str, say: Callable[[str], None]) -> Generator[None]:
    """Hold the lock of a shared store.

    Raises:
        StoreError: another run holds it all the time, the server cannot be reached, or, at the end, it was taken over.
    """
    lease = _acquire(store, command, say)
    stop = threading.Event()
    renewer = threading.Thread(target=_renew_until, args=(store, stop), daemon=True, name="store-lock")
    renewer.start()
    try:
        yield
    finally:
        stop.set()
        renewer.join()
        released = _release(store, lease)
        store.lease = None
        if not released:
            say(f"the lock {lease.id} could not be released: the next run takes it over after {STALE_AFTER:.0f} s")
    if lease.lost:
        raise StoreError(_overtaken(lease))


def unlock(store: Store, id: str) -> JSONObject:
    """Release the lock of another run; return it.

    Raises:
        StoreError: that lock is not held, or the store cannot be written.
    """
    found: list[JSONObject | None] = []

    def released(document: Document) -> Change | None:
        store.check(document)
        found[:] = [lock_of(document.tables or {})]
        ours = document.tables and found[0] and found[0]["id"] == id
        return Change(without_lock(document.tables), document.state) if document.tables and ours else None

    store.change(released, keep=False)
    if not found[0]:
        raise StoreError(f"{store.storage.label}: nobody holds the lock")
    if found[0]["id"] != id:
        raise StoreError(f"{store.storage.label}: there is no lock {id[:40]!r}; it is {describe_lock(found[0])}")
    return found[0]


def _acquire(store: Store, command: str, say: Callable[[str], None]) -> Lease:
    lease, began = Lease(command), clock()
    seen: tuple[str, str] | None = None
    seen_since, answered, told, pause = began, began, False, 0.2
    while True:
        stale = seen if clock() - seen_since >= STALE_AFTER else None
        try:
            holder = _take(store, lease, stale)
        except Unreachable:  # a server that restarts is waited for, one that was never there is not
            if seen is None or clock() - answered >= PATIENCE:
                raise
            time.sleep(pause)
            continue
        answered = clock()
        if holder is None:
            return lease
        if seen != (now := (holder["id"], str(holder.get("renewed")))):
            seen, seen_since = now, clock()
        if not told:
            say(f"waiting for the store: {describe_lock(holder)}")
            told = True
        if clock() - began >= WAIT:
            raise StoreError(
                f"{store.storage.label} is still locked after {WAIT:.0f} s: {describe_lock(holder)}; it is taken over where it"
                f" is not renewed for {STALE_AFTER:.0f} s, or release it with inv asst.store --unlock {holder['id']}: {SAFE}"
            )
        pause = min(LONGEST_PAUSE, pause * 1.5)  # the many that wait must not keep the holder from the server
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret


def _take(store: Store, lease: Lease, stale: tuple[str, str] | None) -> JSONObject | None:
    """Take the lock where nobody holds it, or where it is still the stale one; else return the lock that is held."""
    holder: list[JSONObject | None] = [None]

    def taken(document: Document) -> Change | None:
        store.check(document)
        tables = document.tables or {"store": {"format": store_format(store.owner)}}
        holder[0] = lock = lock_of(tables)
        if lock and lock["id"] == lease.id:  # the answer of the write was lost
            holder[0] = None
            return None
        if lock and (lock["id"], str(lock.get("renewed"))) != stale:
            return None
        holder[0] = None
        return Change({**tables, "store": {**tables["store"], "lock": lease.entry()}}, document.state)

    began = clock()
    store.change(taken, keep=False)
    if holder[0] is None:
        lease.confirm(began)
        store.hold(lease)
    return holder[0]


def _renew_until(store: Store, stop: threading.Event) -> None:
    if hasattr(signal, "pthread_sigmask"):  # an interrupt must wake the main thread
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    pause = RENEW_EVERY
    while not stop.wait(pause):
        try:
            store.renew(patience=0)
            pause = RENEW_EVERY
        except StoreError:  # the run itself finds out when it writes next
            pause = 1.0


def _release(store: Store, lease: Lease) -> bool:
    """Take the lock out of the document, unless it is another run's by now; return whether it is out."""

    def released(document: Document) -> Change | None:
        lock = lock_of(document.tables or {})
        ours = lock and lock["id"] == lease.id
        return Change(without_lock(document.tables), document.state) if document.tables and ours else None

    store.lease = None
    try:
        store.change(released, keep=False)
    except StoreError:
        return False
    return True


def _overtaken(lease: Lease) -> str:
    return f"{lease.lost}; what this run made is recorded: run the same command again"
