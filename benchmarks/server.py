"""A loopback server that costs little, so that a benchmark measures the client: ``python benchmarks/server.py --latency 0.05``.

It prints its base URL (``http://127.0.0.1:PORT/v1``) and answers until it is ended. It keeps agents in memory and answers as the
service does, defaults included, but validates nothing. Each answer waits for the latency, in seconds; any number wait at once.

- ``/v1/agents``: create, list (``limit``, ``after``, ``order``), retrieve, update, delete; ``GET /v1/models``;
- ``POST /v1/agents/sessions``: a session of one turn, answered with a sample, as a stream where ``stream`` is true;
- ``/anthropic/v1/agents`` and ``/elevenlabs/v1/convai/agents``: what two other tools need of their services;
- ``GET /bench/requests``: how many requests there were, as JSON: ``{"POST /v1/agents": 200, "GET /v1/agents/{id}": 3}``;
- ``GET /bench/writes``: the path and body of each POST below ``/v1`` since the last time, for another client to send the same;
- ``POST /bench/reset``: forget every agent, count and write; ``POST /bench/latency?seconds=0.1``: wait so long from now on.

Below ``/floor/v1`` is a second service like the first, for what must not change the first one's agents.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
from collections import Counter
from typing import cast
from urllib.parse import parse_qsl

from agents_api import AgentsAPI
from answers import API, JSON, JSON_TYPE, Answer, error, ok
from peer_apis import ConversationalAPI, ManagedAgentsAPI

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


class Service:
    """What all connections share: the API behind them, the counts, and the latency in seconds."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.reset()

    def reset(self) -> None:
        """Forget every agent and count."""
        self.apis: dict[str, API] = {
            "": AgentsAPI(),
            "floor": AgentsAPI(),
            "anthropic": ManagedAgentsAPI(),
            "elevenlabs": ConversationalAPI(),
        }
        self.counts: Counter[str] = Counter()
        self.writes: list[tuple[str, bytes]] = []

    def answer(self, method: str, target: str, body: bytes) -> tuple[Answer, float]:
        """Answer a request; return the answer and how many seconds it waits."""
        path, _, search = target.partition("?")
        query = dict(parse_qsl(search)) if search else {}
        if path.startswith("/bench/"):
            return self._control(path, query), 0.0
        if method == "POST" and path.startswith("/v1/"):
            self.writes.append((path, body))
        prefix, _, below = path.strip("/").partition("v1")
        parts = below.strip("/").split("/")
        self.counts[f"{method} /{prefix}v1/{'/'.join('{id}' if '_' in part else part for part in parts)}"] += 1
        try:
            answer = self.apis[prefix.rstrip("/")].answer(method, parts, query, body) or error(404, f"Unknown: {method} {path}.")
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            answer = error(400, f"{type(problem).__name__}: {problem}")
        return answer, self.latency

    def _control(self, path: str, query: JSON) -> Answer:
        if path == "/bench/reset":
            self.reset()
        if path == "/bench/latency":
            self.latency = float(query["seconds"])
        if path == "/bench/writes":
            writes = b",".join(b'["%s",%s]' % (path.encode(), body) for path, body in self.writes)
            self.writes = []
            return 200, b"[%s]" % writes, JSON_TYPE
        return ok(dict(self.counts))


class Connection(asyncio.Protocol):
    """One connection: its requests, one after another, each with a ``Content-Length`` or no body."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = head.lower().find(b"\r\ncontent-length:")
            length = int(head[found + 17 :].split(b"\r\n", 1)[0]) if found >= 0 else 0
            start, stop = end + 4, end + 4 + length
            if len(self.buffer) < stop:
                return
            body, self.buffer = self.buffer[start:stop], self.buffer[stop:]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            (status, content, kind), wait = self.service.answer(method, target, body)
            answer = (
                f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            if wait:
                self.loop.call_later(wait, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def serve(port: int, latency: float) -> None:
    """Answer until SIGTERM or SIGINT."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, over.set)
    service = Service(latency)
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await over.wait()
    os._exit(0)  # open connections need no farewell, and a second signal would find a loop that is half closed


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="A loopback Agents API that costs little.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer waits")
    given = parser.parse_args()
    gc.disable()  # no pause in the middle of a measurement; what is kept has no cycles
    asyncio.run(serve(given.port, given.latency))


if __name__ == "__main__":
    main()
