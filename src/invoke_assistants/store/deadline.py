"""Calls of a driver that end in time, whatever the network does: a name that does not resolve, a handshake, dripping bytes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

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
        named_by: what a message about a connection that cannot be made ends with.
    """

    def __init__(self, label: str, connect: Callable[[], C], disconnect: Callable[[C], None], named_by: str = "") -> None:
        self._label = label
        self._named_by = named_by
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
            worker = _idle_worker()
            call = _Call(self._client, self._connect, self._disconnect, work)
            self._client = None
            try:
                worker.make(call)
                call.wait(self._label, self._named_by)
            except BaseException:  # an interrupt, too: nobody knows what the client is doing
                call.abandon()
                worker.end()
                raise
            _keep(worker)
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
        self._connect, self._disconnect, self._work = connect, disconnect, work
        self._connected_at = None if client is None else time.monotonic()
        self._ended = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._settling = threading.Lock()
        self._abandoned = False

    def wait(self, label: str, named_by: str) -> None:
        """Wait until it has ended: once, as a rule, since each wake-up costs as much as a short answer."""
        if self._ended.wait(CONNECT):
            return
        if self._connected_at is None:
            raise Unreachable(f"{label}: no connection within {CONNECT:.0f} s{named_by}")
        if not self._ended.wait(self._connected_at + OPERATION - time.monotonic()):
            raise Unreachable(f"{label}: no answer within {OPERATION:.0f} s")

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]

    def abandon(self) -> None:
        """Leave the client to the thread that makes the call, which closes it as soon as it can."""
        with self._settling:
            self._abandoned = True
            left = self._ended.is_set()
        if left:
            self._drop()

    def make(self) -> None:
        """Make the call, in the thread of a worker."""
        try:
            if self.client is None:
                self.client = self._connect()
                self._connected_at = time.monotonic()
            self._results.append(self._work(self.client))
        except BaseException as error:
            self._error = error
            self._drop()
        with self._settling:
            self._ended.set()
            abandoned = self._abandoned
        if abandoned:
            self._drop()

    def _drop(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            with contextlib.suppress(Exception):
                self._disconnect(client)


class _Worker:
    """A thread that makes one call after the other, until it is ended."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call[Any, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True, name="store-call")
        self._thread.start()

    def make(self, call: _Call[Any, Any]) -> None:
        self._calls.put(call)

    def end(self) -> None:
        """End the thread once it has made its call, whenever that may be."""
        self._calls.put(None)

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # an interrupt must wake the main thread
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        while (call := self._calls.get()) is not None:
            call.make()
            del call  # its client and its result are not kept while nothing is to be done


_idle: list[_Worker] = []  # kept for the next call, whichever client's: a new thread costs as much as a short answer


def _idle_worker() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        return _Worker()


def _keep(worker: _Worker) -> None:
    """Keep a worker that has made its call; one is enough."""
    if _idle:
        worker.end()
    else:
        _idle.append(worker)


def _end_idle() -> None:
    """Be a process of one thread again, as far as it is ours: a fork copies no other, and Python warns of it."""
    while _idle:
        worker = _idle.pop()
        worker.end()
        worker.join()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_end_idle, after_in_child=_idle.clear)  # cleared: another thread may have kept one in between
