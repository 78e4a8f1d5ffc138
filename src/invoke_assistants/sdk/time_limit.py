"""The time limit of a turn, applied to its requests: each must have its whole response by the turn's deadline."""

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
from .request_log import LoggedRequest

__all__ = ["DeadlineTimeout", "HTTPClient", "limit_rest"]

MIN_TIMEOUT = 0.001  # seconds; 0 makes a socket non-blocking, which fails with another error
CONNECT_TIMEOUT = 5.0  # seconds


class DeadlineTimeout(httpx2.Timeout):
    """A timeout that shrinks with the deadline: each request, the SDK's own and its retries too, gets the time that is left."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    @property
    def connect(self) -> float:  # type: ignore[override]
        """Seconds to connect."""
        return min(CONNECT_TIMEOUT, self._deadline.left)

    @property
    def read(self) -> float:  # type: ignore[override]
        """Seconds for one read."""
        return self._deadline.left

    @property
    def write(self) -> float:  # type: ignore[override]
        """Seconds for one write."""
        return self._deadline.left

    @property
    def pool(self) -> float:  # type: ignore[override]
        """Seconds to wait for a free connection."""
        return self._deadline.left


def _check_deadline(request: httpx2.Request) -> None:
    """Send no request after the deadline."""
    left = request.extensions["timeout"]["read"]
    if left == 0:
        raise httpx2.ReadTimeout("the time of the turn is over", request=request)
    request.extensions["asst.deadline"] = _sending.until = time.monotonic() + left


def _limit_body(response: httpx2.Response) -> None:
    """End the response's body at the deadline: a timeout alone limits each read, not the whole."""
    if response.is_closed:
        return  # it has been read already, as those of the embedded API
    assert isinstance(response.stream, httpx2.SyncByteStream)
    left = response.request.extensions["asst.deadline"] - time.monotonic()
    network = response.extensions.get("network_stream")
    interrupt = _read_interrupter(network) if network else response.stream.close
    response.stream = _LimitedStream(response.stream, max(0.0, left), interrupt)


class _Sending(threading.local):
    """When the request that this thread is sending must have the head of its response."""

    until: float | None = None


_sending = _Sending()


class _LimitedNetwork:
    """A network backend or one of its streams; its reads end at the deadline of the request that is being sent."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *args: Any, **options: Any) -> _LimitedNetwork:
        """Open a stream."""
        return _LimitedNetwork(self._inner.connect_tcp(*args, **options))

    def start_tls(self, *args: Any, **options: Any) -> _LimitedNetwork:
        """Encrypt the stream."""
        return _LimitedNetwork(self._inner.start_tls(*args, **options))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the next bytes."""
        if _sending.until is not None:
            left = max(MIN_TIMEOUT, _sending.until - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        content: bytes = self._inner.read(max_bytes, timeout)
        return content


HOOKS: dict[str, list[Callable[..., Any]]] = {"request": [_check_deadline], "response": [_limit_body]}


class HTTPClient(openai.DefaultHttpxClient):
    """A sync client with the SDK's defaults whose responses end at the deadline; it closes when it is collected."""

    def __init__(self, transport: httpx2.BaseTransport | None) -> None:
        super().__init__(transport=transport, event_hooks=HOOKS, follow_redirects=False)
        for each in (self._transport, *self._mounts.values()):
            if (pool := getattr(each, "_pool", None)) is not None:  # no public name leads to the reads of a response's head
                pool._network_backend = _LimitedNetwork(pool._network_backend)

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, and log it; reads until the head of its response end at the deadline."""
        try:
            with LoggedRequest(request) as logged:
                logged.response = super().send(request, **options)
                return logged.response
        finally:
            _sending.until = None

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at the interpreter's end, modules such as contextlib may be gone
            self.close()
        except Exception:  # noqa: S110 - nobody is left to handle it
            pass


class _LimitedStream(httpx2.SyncByteStream):
    """A body that is interrupted after so many seconds unless it is closed before."""

    def __init__(self, stream: httpx2.SyncByteStream, seconds: float, interrupt: Callable[[], None]) -> None:
        self._stream = stream
        # Not a Timer: its lock would block the garbage collector, which may close this stream in the Timer's own thread.
        self._limits: SimpleQueue[float | None] = SimpleQueue()
        threading.Thread(target=_interrupt_after, args=(self._limits, seconds, interrupt), daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def limit(self, seconds: float) -> None:
        """Interrupt it after so many seconds from now, if it is not to be interrupted earlier."""
        self._limits.put(seconds)

    def close(self) -> None:
        self._limits.put(None)
        self._stream.close()


def _interrupt_after(limits: SimpleQueue[float | None], seconds: float, interrupt: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    try:
        while (limit := limits.get(timeout=max(0.0, until - time.monotonic()))) is not None:
            until = min(until, time.monotonic() + limit)
    except Empty:
        interrupt()


def limit_rest(response: httpx2.Response, seconds: float) -> None:
    """Interrupt what is left of a streamed body after so many seconds, in the thread that waits for its end anyway."""
    if isinstance(response.stream, _LimitedStream):
        response.stream.limit(seconds)


def _read_interrupter(network_stream: Any) -> Callable[[], None]:
    """Return a function that ends a read of a network stream in another thread."""
    socket = network_stream.get_extra_info("socket")

    def interrupt() -> None:
        with contextlib.suppress(OSError):
            socket.shutdown(SHUT_RDWR)

    return interrupt
