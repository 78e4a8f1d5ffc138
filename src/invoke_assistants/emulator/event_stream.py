"""What happens in sessions, told to whoever listens: events as lazy server-sent streams."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import httpx2

from ..types import JSONObject

__all__ = ["EventStream", "Listeners"]

KEEP_ALIVE = 15.0  # seconds without an event after which a comment is sent, so that a listener that is gone is noticed
POLL = 0.01  # seconds; a loop looks so often, since a thread for each listener would fill its pool


class EventStream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The events of one session from now on, as server-sent events; iterating waits for the next one.

    Args:
        last: the event that ends it, where it isn't its reader who does.
    """

    def __init__(self, last: str | None) -> None:
        self._queue: SimpleQueue[JSONObject | None] = SimpleQueue()
        self._last = last
        self.closed = False

    def put(self, event: JSONObject | None) -> None:
        """Add an event; None ends the stream."""
        self._queue.put(event)

    def __iter__(self) -> Iterator[bytes]:
        """The frames, for a thread."""
        try:
            while True:
                try:
                    event = self._queue.get(timeout=KEEP_ALIVE)
                except Empty:
                    yield b": waiting\n\n"
                    continue
                if event is None:
                    return
                yield _frame(event)
                if event["type"] == self._last:
                    return
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The frames, for a loop."""
        try:
            while True:
                try:
                    event = self._queue.get_nowait()
                except Empty:
                    await asyncio.sleep(POLL)
                    continue
                if event is None:
                    return
                yield _frame(event)
                if event["type"] == self._last:
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Listen no more; whoever waits for the next event is let go.

        The garbage collector closes what a reader forgot, in any thread and at any point of ``Listeners``: so no lock here.
        """
        self.closed = True
        self._queue.put(None)

    async def aclose(self) -> None:
        """The same, from a loop."""
        self.close()


class Listeners:
    """Who listens to which session of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, list[EventStream]] = {}

    def listen(self, session_id: str, last: str | None = None) -> EventStream:
        """A new stream of what happens in a session from now on, until the event ``last``."""
        stream = EventStream(last)
        with self._lock:
            self._streams = {id: left for id, streams in self._streams.items() if (left := _open(streams))}
            self._streams.setdefault(session_id, []).append(stream)
        return stream

    def tell(self, session_id: str, event: JSONObject | None) -> None:
        """Put an event into the session's streams; None ends them."""
        with self._lock:
            for stream in _open(self._streams.get(session_id, ())):
                stream.put(event)


def _open(streams: Iterable[EventStream]) -> list[EventStream]:
    return [stream for stream in streams if not stream.closed]


def _frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
