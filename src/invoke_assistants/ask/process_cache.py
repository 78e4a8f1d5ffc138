"""What a process keeps between questions: settings and store, clients, conversations, the warnings given."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .conversations import Conversations
from .instance import Instance, Snapshot

if TYPE_CHECKING:
    from .clients import Clients

__all__ = ["ProcessCache", "find_instance", "process_cache"]


Whereabouts = tuple[str | int | None, ...]


class ProcessCache:
    """What a process keeps between questions; all threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looking = threading.Lock()  # held by the one thread that looks at a store at a URL again
        self._snapshots: dict[Whereabouts, Snapshot] = {}
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
        if snapshot is None or not snapshot.is_current():
            with self._lock:
                snapshot = self._snapshots.get(where)
                if snapshot is None or not snapshot.is_current():
                    snapshot = self._snapshots[where] = Snapshot.read(root, snapshot)
        if time.monotonic() >= snapshot.due and self._looking.acquire(blocking=False):
            try:
                snapshot = self._snapshots[where] = snapshot.refreshed()
            finally:
                self._looking.release()
        return snapshot

    async def look(self, root: Path | None) -> None:
        """Read what ``snapshot`` would have to read, in another thread: the event loop goes on meanwhile.

        Raises:
            AsstError: as ``snapshot``.
        """
        snapshot = self._snapshots.get((str(root),) if root else _whereabouts())
        if snapshot is None or time.monotonic() >= snapshot.due:
            import asyncio  # loaded by whoever has an event loop
            from concurrent.futures import ThreadPoolExecutor

            pool = ThreadPoolExecutor(1)  # of its own: the app's threads may all be waiting for an answer
            try:
                await asyncio.get_running_loop().run_in_executor(pool, self.snapshot, root)
            finally:
                pool.shutdown(wait=False)

    def clients(self) -> Clients:
        """The openai clients of this process; openai is imported at the first call."""
        if self._clients is None:
            from .clients import Clients

            with self._lock:
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


def _start_over() -> None:
    global _state
    _of_parents.append(_state)
    _state = ProcessCache()


os.register_at_fork(after_in_child=_start_over)


def _whereabouts() -> Whereabouts:
    """What names the project that the process runs in; of the store, which may be a URL with a password, the hash."""
    root = os.environ.get("ASST_ROOT")
    return root, hash(os.environ.get("ASST_STORE")), None if root and os.path.isabs(root) else os.getcwd()  # noqa: PTH109, PTH117 - a Path would cost more than the calls
