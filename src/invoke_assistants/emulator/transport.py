"""An httpx2 transport to the embedded API: the openai SDK talks to it without a socket."""

from __future__ import annotations

import asyncio

import httpx2

from .api import EmbeddedAPI
from .event_stream import EventStream

__all__ = ["Transport"]


class Transport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Sends requests to an embedded API in this process, for sync and async clients."""

    def __init__(self, service: EmbeddedAPI) -> None:
        self.service = service

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request in a thread, since the file's lock and the disk would block the event loop."""
        await request.aread()
        return await asyncio.to_thread(self._answer, request)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        url, headers = request.url, dict(request.headers)
        status, answer = self.service.handle(request.method, url.path, dict(url.params), request.content, headers)
        if isinstance(answer, EventStream):
            return httpx2.Response(status, headers={"Content-Type": "text/event-stream"}, stream=answer, request=request)
        return httpx2.Response(status, json=answer, request=request)
