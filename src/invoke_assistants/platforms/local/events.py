"""What happens in sessions, told to whoever listens: events as lazy server-sent streams."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import httpx2

from ...records import JSONObject

__all__ = ["EventStream", "Listeners"]

KEEP_ALIVE = 15.0  # seconds without an event after which a comment is sent, so that a listener that is gone is noticed
POLL = 0.01  # seconds; a loop looks so often, since a thread for each listener would fill its pool


class EventStream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The events of one session from now on, as server-sent events; iterating waits for the next one.

    Args:
        last: the event that ends it, where it isn't its reader who does.
        close: called once, however it ends.
    """

    def __init__(self, last: str | None, close: Callable[[EventStream], None]) -> None:
        self._queue: SimpleQueue[JSONObject | None] = SimpleQueue()
        self._last = last
        self._close = close

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
        """Listen no more; whoever waits for the next event is let go."""
        self._close(self)
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

        def forget(stream: EventStream) -> None:
            with self._lock:
                left = [one for one in self._streams.get(session_id, ()) if one is not stream]
                self._streams[session_id] = left
                if not left:
                    del self._streams[session_id]

        stream = EventStream(last, forget)
        with self._lock:
            self._streams.setdefault(session_id, []).append(stream)
        return stream

    def tell(self, session_id: str, event: JSONObject | None) -> None:
        """Put an event into the session's streams; None ends them."""
        with self._lock:
            for stream in self._streams.get(session_id, ()):
                stream.put(event)


def _frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
