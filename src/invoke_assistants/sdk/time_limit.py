"""The limit of a turn, for its requests: each is given what is left, and its whole answer must have come by then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from socket import SHUT_RDWR
from typing import Any

import httpx2
import openai

from .deadline import Deadline

__all__ = ["HTTPClient", "Left", "shut"]

LEAST = 0.001  # seconds; a socket takes 0 for "do not wait", and says so by another error
CONNECT = 5.0  # seconds until a connection must be made


class Left(httpx2.Timeout):
    """What is left of a turn's time whenever a request is built: the SDK builds some by itself, and some again."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    @property
    def connect(self) -> float:  # type: ignore[override]
        """Seconds until a connection is made."""
        return min(CONNECT, self._deadline.left)

    @property
    def read(self) -> float:  # type: ignore[override]
        """Seconds until something comes."""
        return self._deadline.left

    @property
    def write(self) -> float:  # type: ignore[override]
        """Seconds until something is sent."""
        return self._deadline.left

    @property
    def pool(self) -> float:  # type: ignore[override]
        """Seconds until a connection is free."""
        return self._deadline.left


def _refuse_late(request: httpx2.Request) -> None:
    """Send nothing once the time is over."""
    left = request.extensions["timeout"]["read"]
    if left == 0:
        raise httpx2.ReadTimeout("the time of the turn is over", request=request)
    request.extensions["asst.deadline"] = _sending.until = time.monotonic() + left


def _bound(response: httpx2.Response) -> None:
    """End an answer whose time is over; by themselves, timeouts bound each read and not the whole."""
    if response.is_closed:
        return  # it is here already, as the embedded platform's are
    assert isinstance(response.stream, httpx2.SyncByteStream)
    left = response.request.extensions["asst.deadline"] - time.monotonic()
    network = response.extensions.get("network_stream")
    end = shut(network) if network else response.stream.close
    response.stream = _Bounded(response.stream, max(0.0, left), end)


class _Sending(threading.local):
    """When the request that this thread is sending must have its answer's head."""

    until: float | None = None


_sending = _Sending()


class _Network:
    """A network backend or one of its streams, whose reads take no longer than the request being sent may."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *args: Any, **options: Any) -> _Network:
        """A stream."""
        return _Network(self._inner.connect_tcp(*args, **options))

    def start_tls(self, *args: Any, **options: Any) -> _Network:
        """The stream, encrypted."""
        return _Network(self._inner.start_tls(*args, **options))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What comes next."""
        if _sending.until is not None:
            left = max(LEAST, _sending.until - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        read: bytes = self._inner.read(max_bytes, timeout)
        return read


HOOKS: dict[str, list[Callable[..., Any]]] = {"request": [_refuse_late], "response": [_bound]}  # of a sync client


class HTTPClient(openai.DefaultHttpxClient):
    """The sync client of the SDK's defaults, whose answers end with the turn's time; it is closed with its last user."""

    def __init__(self, transport: httpx2.BaseTransport | None) -> None:
        super().__init__(transport=transport, event_hooks=HOOKS, follow_redirects=False)
        for each in (self._transport, *self._mounts.values()):
            if (pool := getattr(each, "_pool", None)) is not None:  # no public name leads to the reads of an answer's head
                pool._network_backend = _Network(pool._network_backend)

    def send(self, *args: Any, **options: Any) -> httpx2.Response:
        """As the client does; the reads until it returns end with the turn's time."""
        try:
            return super().send(*args, **options)
        finally:
            _sending.until = None

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at the interpreter's end, modules such as contextlib may be gone
            self.close()
        except Exception:  # noqa: S110 - nobody is left whom it would help
            pass


class _Bounded(httpx2.SyncByteStream):
    """A body that is ended so many seconds from now, unless it is closed before."""

    def __init__(self, stream: httpx2.SyncByteStream, seconds: float, end: Callable[[], None]) -> None:
        self._stream = stream
        self._closed: SimpleQueue[None] = SimpleQueue()  # a Timer's lock would stop a collection that closes in its thread
        threading.Thread(target=_end_late, args=(self._closed, seconds, end), daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._closed.put(None)
        self._stream.close()


def _end_late(closed: SimpleQueue[None], seconds: float, end: Callable[[], None]) -> None:
    try:
        closed.get(timeout=seconds)
    except Empty:
        end()


def shut(network: Any) -> Callable[[], None]:
    """What ends a read of a network stream that waits in another thread."""
    socket = network.get_extra_info("socket")

    def end() -> None:
        with contextlib.suppress(OSError):
            socket.shutdown(SHUT_RDWR)

    return end
