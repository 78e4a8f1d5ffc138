"""Calls of a driver that end in time, whatever the network does: a name that does not resolve, a handshake, dripping bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from .storage import Unreachable

__all__ = ["Deadline"]

CONNECT = 5.0  # seconds for a connection, TLS included
OPERATION = 10.0  # seconds for one operation

C = TypeVar("C")
T = TypeVar("T")


class Deadline(Generic[C]):
    """A client of a server, opened at the first call. A call that fails or takes too long drops it.

    Args:
        label: the server, for messages.
        connect: opens a client that is connected.
        disconnect: closes one.
    """

    def __init__(self, label: str, connect: Callable[[], C], disconnect: Callable[[C], None]) -> None:
        self._label = label
        self._connect = connect
        self._disconnect = disconnect
        self._client: C | None = None
        self._calling = threading.Lock()  # a renewal of the lock comes from a thread of its own

    def call(self, work: Callable[[C], T]) -> T:
        """Call something with the client, in another thread; return or raise what it does.

        Raises:
            Unreachable: it took too long; whether it was carried out is not known.
        """
        with self._calling:
            call = _Call(self._client, self._connect, self._disconnect, work)
            self._client = None
            try:
                if not call.connected.wait(CONNECT):
                    raise Unreachable(f"{self._label}: no connection within {CONNECT:.0f} s")
                if not call.ended.wait(OPERATION):
                    raise Unreachable(f"{self._label}: no answer within {OPERATION:.0f} s")
            except BaseException:  # an interrupt, too: nobody knows what the client is doing
                call.abandon()
                raise
            result = call.result()
            self._client = call.client
            return result

    def close(self) -> None:
        """Close the client, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                self._disconnect(client)


class _Call(Generic[C, T]):
    def __init__(
        self, client: C | None, connect: Callable[[], C], disconnect: Callable[[C], None], work: Callable[[C], T]
    ) -> None:
        self.client = client
        self.connected, self.ended = threading.Event(), threading.Event()
        self._connect, self._disconnect, self._work = connect, disconnect, work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._settling = threading.Lock()
        self._abandoned = False
        threading.Thread(target=self._run, daemon=True, name="store-call").start()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]

    def abandon(self) -> None:
        """Leave the client to the thread, which closes it as soon as it can."""
        with self._settling:
            self._abandoned = True
            left = self.ended.is_set()
        if left:
            self._drop()

    def _run(self) -> None:
        try:
            if self.client is None:
                self.client = self._connect()
            self.connected.set()
            self._results.append(self._work(self.client))
        except BaseException as error:
            self._error = error
            self._drop()
        with self._settling:
            self.ended.set()
            self.connected.set()
            abandoned = self._abandoned
        if abandoned:
            self._drop()

    def _drop(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            with contextlib.suppress(Exception):
                self._disconnect(client)
