"""The Agents API on a real socket, with the faults of real networks and services."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.event_stream import EventStream
from invoke_assistants.emulator.http_server import send_events


@dataclass
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Fault:
    """What goes wrong with a request; with ``after``, the service carries it out first."""

    after: bool = False
    reset: bool = False  # RST instead of an answer
    truncate: bool = False  # half of the answer
    hang: float = 0.0  # seconds before the answer
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # the body of the answer


class Loopback(ThreadingHTTPServer):
    """A server that asks its ``faults``, in order, what to do with each request; the first answer decides."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.service = EmbeddedAPI(None)  # in memory: each write of a file would take longer than all the rest of a request
        self.seen: list[Seen] = []
        self.faults: list[Callable[[Seen], Fault | None]] = []
        self.taken: Callable[[Any], Any] | None = None  # what the service makes of the body of a write before it carries it out
        self.models: Any = None  # what /v1/models lists, if not the models that the agents name
        self.lag = 0.0  # seconds until a new agent is in the list
        self.drip = 0.0  # seconds between two bytes of an answer
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()  # seconds until it sees a shutdown

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def env(self, key: str = "sk-canary-0000000000") -> dict[str, str]:
        """The environment variables of a client of this server."""
        return {"ASST_PLATFORM": "agents", "OPENAI_API_KEY": key, "OPENAI_BASE_URL": self.url}

    def agents(self) -> dict[str, dict[str, Any]]:
        """Every agent by its id."""
        return self.service._read()["agents"]

    @property
    def objects(self) -> bytes:
        """All agents, to be set again later, or on another server."""
        return self.service._memory or b""

    @objects.setter
    def objects(self, kept: bytes) -> None:
        self.service._memory = kept

    @property
    def sessions(self) -> list[Any]:
        """Every session with its turns."""
        kept = self.service._sessions._files
        return [kept.read(id) for id in kept.ids()]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that no fault affects and ``seen`` does not show."""
        status, answer = self.service.handle(method, path, {}, json.dumps(body).encode())
        assert status == 200, answer
        return answer

    def fill(self, many: int) -> None:
        """Add so many agents of somebody else, newer than all others."""
        with self.service._transaction() as state:
            model = {**next(iter(state["agents"].values())), "name": "foreign", "metadata": {}}
            for index in range(many):
                id = f"agent_foreign{index:06}"
                state["agents"][id] = {
                    **model,
                    "id": id,
                    "name": "foreign",
                    "metadata": {},
                    "created_at": model["created_at"] + 9,
                }

    def edit(self, id: str, **fields: Any) -> None:
        """Edit an agent by hand, as in the dashboard: its tags stay."""
        if "metadata" in fields:
            fields["metadata"] = {**self.agents()[id]["metadata"], **fields["metadata"]}
        self.call("POST", f"/agents/{id}", fields)

    def writes(self) -> list[Seen]:
        """The requests that change something."""
        return [seen for seen in self.seen if seen.method != "GET"]

    def once(self, fault: Fault, method: str = "POST", path: str = "/v1/agents", times: int = 1) -> None:
        """Apply a fault to the next such requests."""
        left = [times]
        lock = threading.Lock()

        def decide(seen: Seen) -> Fault | None:
            with lock:
                if seen.method == method and seen.path.startswith(path) and left[0] > 0:
                    left[0] -= 1
                    return fault
            return None

        self.faults.append(decide)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets; the second would wait 40 ms
    server: Loopback

    def _answer(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        seen = Seen(self.command, url.path, dict(parse_qsl(url.query)), body, {k.lower(): v for k, v in self.headers.items()})
        self.server.seen.append(seen)
        fault = next((found for decide in self.server.faults if (found := decide(seen))), None)
        if fault is None:
            status, answer = self._serve(seen, content)
            if isinstance(answer, EventStream):
                send_events(self, answer)
            else:
                self._send(status, answer)
        else:
            self._fail(fault, seen, content)

    def _serve(self, seen: Seen, content: bytes) -> tuple[int, bytes | EventStream]:
        if seen.path == "/v1/models" and self.server.models is not None:
            return 200, json.dumps({"object": "list", "data": self.server.models}).encode()
        if self.server.taken and seen.method == "POST":
            content = json.dumps(self.server.taken(json.loads(content))).encode()
        status, answer = self.server.service.handle(seen.method, seen.path, seen.query, content, seen.headers)
        if isinstance(answer, EventStream):
            return status, answer
        if self.server.lag and seen.method == "GET" and "data" in answer:
            answer["data"] = [item for item in answer["data"] if time.time() - item["created_at"] > self.server.lag]
        return status, json.dumps(answer).encode()

    def _fail(self, fault: Fault, seen: Seen, content: bytes) -> None:
        """Answer with a fault; of a stream of events, ``truncate`` leaves half of the first frame."""
        status, answer = self._serve(seen, content) if fault.after else (200, b"{}")
        if isinstance(answer, EventStream):
            answer.close()
            answer = next(iter(answer), b"")
        time.sleep(fault.hang)
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault.truncate:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2])
            self.close_connection = True
            return
        self._send(fault.status or status, answer if fault.raw is None else fault.raw, fault.headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for byte in content if self.server.drip else ():
            self.wfile.write(bytes([byte]))
            time.sleep(self.server.drip)
        if not self.server.drip:
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True  # the client went away, or we cut the connection ourselves

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


def error_body(code: str | None, message: str = "no", param: str | None = None) -> bytes:
    """The body of an error in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": "error", "code": code, "param": param}}).encode()
