"""What a process keeps between questions: settings and store, clients, conversations, the warnings given."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from .conversations import Conversations
from .instance import Instance, Snapshot

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .clients import Clients

__all__ = ["ProcessCache", "afind_instance", "find_instance", "process_cache"]

Whereabouts = tuple[str | int | None, ...]


class ProcessCache:
    """What a process keeps between questions; all threads share it."""

    def __init__(self) -> None:
        self._snapshots: dict[Whereabouts, Snapshot] = {}
        self._locks: dict[Whereabouts, threading.Lock] = {}  # each held by the thread that reads
        self._reads: dict[Whereabouts, Future[Snapshot]] = {}  # those that event loops wait for
        self._clients_lock = threading.Lock()
        self._clients: Clients | None = None
        self.conversations = Conversations()
        self.warned: set[tuple[str, str, str]] = set()  # assistant, environment and digest of each SchemaWarning given

    def snapshot(self, root: Path | None) -> Snapshot:
        """The settings and the store of the project at a root, or of the one that the process runs in.

        Raises:
            AsstError: one of them is wrong, or cannot be read.
        """
        where = (str(root),) if root else _whereabouts()
        snapshot = self._snapshots.get(where)
        if snapshot is not None and snapshot.is_current():
            return self._look_again(where, snapshot) if snapshot.look_is_due() else snapshot
        with self._locks.setdefault(where, threading.Lock()):
            snapshot = self._snapshots.get(where)
            if snapshot is None or not snapshot.is_current():
                snapshot = self._snapshots[where] = Snapshot.read(root, snapshot)
        return snapshot

    async def asnapshot(self, root: Path | None) -> Snapshot:
        """As ``snapshot``; what must be read is read in another thread, one for all tasks, so that the event loop goes on.

        It is a thread of its own: those of the app may all be waiting for an answer.
        """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        where = (str(root),) if root else _whereabouts()
        snapshot = self._snapshots.get(where)
        while snapshot is None or not snapshot.is_current() or snapshot.look_is_due():
            read = self._reads.get(where)
            if read is None or read.done():
                thread = ThreadPoolExecutor(1, "asst-store")
                read = self._reads[where] = thread.submit(self.snapshot, root)
                thread.shutdown(wait=False)
            elif snapshot is not None and snapshot.is_current():
                return snapshot
            snapshot = await asyncio.shield(asyncio.wrap_future(read))
            if snapshot.is_current():
                return snapshot
        return snapshot

    def _look_again(self, where: Whereabouts, known: Snapshot) -> Snapshot:
        """Look at the store at a URL again; while another thread does, what is known stays."""
        lock = self._locks.setdefault(where, threading.Lock())
        if not lock.acquire(blocking=False):
            return known
        try:
            snapshot = self._snapshots[where]
            if snapshot is known:
                snapshot = self._snapshots[where] = known.look_again()
            return snapshot
        finally:
            lock.release()

    def clients(self) -> Clients:
        """The openai clients of this process; openai is imported at the first call."""
        if self._clients is None:
            from .clients import Clients

            with self._clients_lock:
                self._clients = self._clients or Clients()
        return self._clients


_state = ProcessCache()
_of_parents: list[ProcessCache] = []  # kept, so that a child does not close its parent's connections by collecting them


def process_cache() -> ProcessCache:
    """The state of this process."""
    return _state


def find_instance(name: str, environment: str | None, root: Path | None = None) -> Instance:
    """The instance of an assistant in an environment, or in the current one.

    Raises:
        NotCreated: there is no such instance.
        AsstError: the settings or the store are wrong.
    """
    return _state.snapshot(root).instance(name, environment)


async def afind_instance(name: str, environment: str | None, root: Path | None = None) -> Instance:
    """As ``find_instance``, without blocking the running event loop."""
    return (await _state.asnapshot(root)).instance(name, environment)


def _start_over() -> None:
    global _state
    _of_parents.append(_state)
    _state = ProcessCache()


os.register_at_fork(after_in_child=_start_over)


def _whereabouts() -> Whereabouts:
    """What names the project that the process runs in; of the store, which may be a URL with a password, the hash."""
    root = os.environ.get("ASST_ROOT")
    return root, hash(os.environ.get("ASST_STORE")), None if root and os.path.isabs(root) else os.getcwd()  # noqa: PTH109, PTH117 - a Path would cost more than the calls
