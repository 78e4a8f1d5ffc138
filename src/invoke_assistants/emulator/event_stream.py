"""Publish the events of sessions to listeners, as server-sent events that are streamed as they come."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from queue import Empty, SimpleQueue

import httpx2

from ..types import JSONObject

__all__ = ["EventStream", "Listeners"]

KEEP_ALIVE = 15.0  # seconds without an event before a comment is sent, which detects a listener that is gone
POLL = 0.01  # seconds; an event loop polls, since a thread for each listener would fill its pool


class EventStream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The events of one session from now on, as server-sent events; iterating waits for the next one.

    Args:
        last: the type of the event that ends the stream; None if only its reader ends it.
    """

    def __init__(self, last: str | None) -> None:
        self._queue: SimpleQueue[JSONObject | None] = SimpleQueue()
        self._last = last
        self.closed = False

    def put(self, event: JSONObject | None) -> None:
        """Add an event; None ends the stream."""
        self._queue.put(event)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the frames in a thread."""
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
        """Yield the frames in an event loop."""
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
        """End the stream, also for a reader that waits for the next event.

        This takes no lock: the garbage collector closes forgotten streams in any thread, while ``Listeners`` holds its lock too.
        """
        self.closed = True
        self._queue.put(None)

    async def aclose(self) -> None:
        """Close in an event loop."""
        self.close()


class Listeners:
    """The open streams of the sessions in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, list[EventStream]] = {}

    def listen(self, session_id: str, last: str | None = None) -> EventStream:
        """Return a new stream of a session's events from now on, until an event of type ``last``."""
        stream = EventStream(last)
        with self._lock:
            self._streams = {id: left for id, streams in self._streams.items() if (left := _open_streams(streams))}
            self._streams.setdefault(session_id, []).append(stream)
        return stream

    def publish(self, session_id: str, event: JSONObject | None) -> None:
        """Put an event into the session's streams; None ends them."""
        with self._lock:
            for stream in _open_streams(self._streams.get(session_id, ())):
                stream.put(event)


def _open_streams(streams: Iterable[EventStream]) -> list[EventStream]:
    return [stream for stream in streams if not stream.closed]


def _frame(event: JSONObject) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
