"""What a process keeps between questions: settings and store, clients, conversations, the warnings given."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..declare.declaration import Declaration
from .conversations import Conversations
from .instance import Instance, Snapshot
from .watched import EnvironmentVariables

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .clients import Clients

__all__ = ["ProcessCache", "process_cache", "replace_process_cache"]

Whereabouts = tuple[str | bytes | int | None, ...]


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

    def instance(self, assistant: Declaration[Any], environment: str | None, root: Path | None) -> Instance:
        """The instance of an assistant in an environment, or in the current one, of the project at a root, or of this process.

        Raises:
            NotCreated: there is no such instance.
            AsstError: the settings or the store are wrong.
        """
        return self.snapshot(root).instance(assistant.name, environment)

    async def ainstance(self, assistant: Declaration[Any], environment: str | None, root: Path | None) -> Instance:
        """As ``instance``, without blocking the running event loop."""
        return (await self.asnapshot(root)).instance(assistant.name, environment)

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
            with self._clients_lock:
                self._clients = self._clients or self.make_clients()
        return self._clients

    def make_clients(self) -> Clients:
        """Make the clients, for the first call of ``clients``."""
        from .clients import Clients

        return Clients()

    async def aclose(self) -> None:
        """Close all connections of the running event loop, which goes on."""
        if self._clients is not None:
            await self._clients.aclose()

    def close(self) -> None:
        """Close the connections of all threads."""
        if self._clients is not None:
            self._clients.close()

    def renewed(self) -> ProcessCache:
        """The state of a forked child, which shares no connection with its parent."""
        return ProcessCache()


_state = ProcessCache()
_replacements: tuple[ProcessCache, ...] = ()  # what stands for the state of this process; the last one counts
_of_parents: list[ProcessCache] = []  # kept, so that a child does not close its parent's connections by collecting them


def process_cache() -> ProcessCache:
    """The state of this process, or what stands for it."""
    replacements = _replacements
    return replacements[-1] if replacements else _state


@contextmanager
def replace_process_cache(replacement: ProcessCache) -> Generator[None]:
    """Let another state stand for that of this process, in all threads, until the block ends."""
    global _replacements
    with _replacing:
        _replacements = (*_replacements, replacement)
    try:
        yield
    finally:
        with _replacing:
            _replacements = tuple(each for each in _replacements if each is not replacement)


_replacing = threading.Lock()  # blocks may begin and end in several threads


def _start_over() -> None:
    global _state, _replacements, _replacing
    _of_parents.extend((_state, *_replacements))
    _state, _replacements = _state.renewed(), tuple(each.renewed() for each in _replacements)
    _replacing = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_start_over)


_place = EnvironmentVariables(["ASST_ROOT", "ASST_STORE"])


def _whereabouts() -> Whereabouts:
    """What names the project that the process runs in; of the store, which may be a URL with a password, the hash."""
    root, store = _place.read()
    return root, hash(store), None if root and os.path.isabs(root) else os.getcwd()  # noqa: PTH109, PTH117 - a Path would cost more than the calls
