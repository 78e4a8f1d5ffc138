"""Sessions on disk, one file each, so that they outlive the process that created them; or in memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError
from ..store import atomic_write
from ..store.file_lock import lock_file
from ..types import JSONObject

__all__ = ["MAX_SESSIONS", "SessionFiles", "SessionMemory"]

MAX_SESSIONS = 1000  # when there are more, those used longest ago are deleted
ID = re.compile(r"sess_[0-9a-f]{24}")


class SessionFiles:
    """The sessions in a folder, which is created if it is missing; safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread_lock = threading.Lock()

    def read(self, id: str) -> JSONObject | None:
        """Return the state of a session, or None if there is no such session.

        Raises:
            StoreError: its file cannot be read or is not ours.
        """
        content = atomic_write.read_bytes(self._path(id)) if ID.fullmatch(id) else None
        if content is None:
            return None
        state: JSONObject = {}
        try:
            state = json.loads(content)
            valid = state["version"] == 1 and state["session"]["id"] == id
            valid = valid and all(isinstance(state[key], list) for key in ("items", "turns", "keys"))
        except (ValueError, LookupError, TypeError, RecursionError):
            valid = False
        if not valid:
            raise StoreError(f"{self._path(id)} is not a file of the embedded platform: remove it") from None
        return state

    def ids(self) -> list[str]:
        """Return the id of every session."""
        return [path.stem for path in self._paths()]

    def add(self, state: JSONObject) -> None:
        """Save a new session; delete the oldest ones beyond ``MAX_SESSIONS``."""
        with self._locked():
            self._write(state)
            if len(paths := self._paths()) > MAX_SESSIONS:
                for path in sorted(paths, key=lambda path: path.stat().st_mtime)[:-MAX_SESSIONS]:
                    path.unlink(missing_ok=True)

    @contextmanager
    def transaction(self, id: str) -> Generator[JSONObject | None]:
        """Yield the state of a session under the lock and write it back at the end; None if the session was deleted."""
        with self._locked():
            state = self.read(id)
            yield state
            if state is not None:
                self._write(state)

    def remove(self, id: str) -> None:
        """Delete a session for good."""
        with self._locked():
            self._path(id).unlink(missing_ok=True)

    def _write(self, state: JSONObject) -> None:
        content = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
        atomic_write.write_atomic(self._path(state["session"]["id"]), content.encode(), sync=False, private=True)

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}.json"

    def _paths(self) -> list[Path]:
        return [path for path in self._folder.glob("sess_*.json") if ID.fullmatch(path.stem)]

    @contextmanager
    def _locked(self) -> Generator[None]:
        with self._thread_lock:
            atomic_write.make_private_folder(self._folder.parent)
            atomic_write.make_private_folder(self._folder)
            with lock_file(self._folder, "the embedded platform", lambda _: None, private=True):
                yield


class SessionMemory:
    """The sessions of one process, with the methods of ``SessionFiles``."""

    def __init__(self) -> None:
        self._contents: dict[str, str] = {}
        self._thread_lock = threading.Lock()

    def read(self, id: str) -> JSONObject | None:
        """Return a copy of the state of a session, or None if there is no such session."""
        content = self._contents.get(id)
        return None if content is None else dict(json.loads(content))

    def ids(self) -> list[str]:
        """Return the id of every session."""
        return list(self._contents)

    def add(self, state: JSONObject) -> None:
        """Keep a new session."""
        self._contents[state["session"]["id"]] = json.dumps(state)

    @contextmanager
    def transaction(self, id: str) -> Generator[JSONObject | None]:
        """Yield the state of a session and keep it at the end; None if the session was deleted."""
        with self._thread_lock:
            state = self.read(id)
            yield state
            if state is not None:
                self.add(state)

    def remove(self, id: str) -> None:
        """Delete a session for good."""
        with self._thread_lock:
            self._contents.pop(id, None)
