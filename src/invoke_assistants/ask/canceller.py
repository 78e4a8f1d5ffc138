"""Cancels turns whose reader went away without waiting for the service."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Canceller"]


class Canceller:
    """A thread that cancels turns, for code that may run in the middle of a garbage collection."""

    def __init__(self) -> None:
        self._cancels: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="asst-canceller", daemon=True).start()

    def put(self, cancel: Callable[[], None]) -> None:
        """Have a turn cancelled; this neither waits nor takes a lock."""
        self._cancels.put(cancel)

    def close(self) -> None:
        """End the thread once it has cancelled all that was put before."""
        self._cancels.put(None)

    def _run(self) -> None:
        while cancel := self._cancels.get():
            with contextlib.suppress(Exception):  # nobody is left to be told
                cancel()
