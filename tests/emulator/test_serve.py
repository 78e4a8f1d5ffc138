"""What the server of the embedded API accepts and refuses, byte by byte over a socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.http_server import Server

AGENT = b'{"model": "m"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(EmbeddedAPI(tmp_path / ".asst" / "local.json"), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(server: Server, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    """Send a request byte by byte; return the status and JSON. Host and Content-Length are added if they are missing."""
    length = {"Content-Length": str(len(body))} if body and "Transfer-Encoding" not in headers else {}
    lines = [f"{name}: {value}" for name, value in ({"Host": "127.0.0.1"} | length | headers).items() if value]
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:  # type: ignore[arg-type]
        connection.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content) if content else None


ROUTES = [
    ("GET", "/v1/agents"), ("POST", "/v1/agents"), ("GET", "/v1/agents/agent_1"), ("POST", "/v1/agents/agent_1"),
    ("DELETE", "/v1/agents/agent_1"), ("POST", "/v1/agents/sessions"), ("DELETE", "/v1/agents/sessions/sess_1"),
    ("POST", "/v1/agents/sessions/sess_1/events"), ("OPTIONS", "/v1/agents"), ("PUT", "/v1/agents"), ("GET", "/elsewhere"),
]  # fmt: skip
STRANGE: list[dict[str, str]] = [
    {"Host": "rebound.example"},
    {"Host": "rebound.example:8787"},
    {"Host": "127.0.0.1.example"},
    {"Host": "127.0.0.1@rebound.example"},
    {"Host": "localhost.example:80"},
    {"Host": ""},
    {"Origin": "https://site.example"},
    {"Origin": "http://localhost.example"},
    {"Origin": "null"},
    {"Origin": "chrome-extension://localhost"},
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_web_page_drives_the_server(server: Server, method: str, path: str) -> None:
    """Every route refuses another name that resolves here, another site's page, and a body that is not declared as JSON."""
    body = AGENT if method in ("POST", "PUT") else b""
    for headers in STRANGE:
        status, answer = send(server, method, path, JSON | headers, body)
        assert (status, answer["error"]["type"]) == (403, "invalid_request_error"), headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", ""):
        assert send(server, method, path, {"Content-Type": kind}, AGENT)[0] == 415, kind
    assert server.service._read()["agents"] == {}


def test_the_address_in_the_request_line_counts_as_the_host(server: Server) -> None:
    """An absolute URL of another host is refused, one of this machine is served; an invalid URL is a 400."""
    assert send(server, "GET", "http://rebound.example/v1/agents", {})[0] == 403
    assert send(server, "GET", "http://localhost:1/v1/agents", {})[0] == 200
    assert send(server, "GET", "http://[/v1/agents", {})[0] == 400


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":8787"])
def test_this_machine_is_served(server: Server, name: str, port: str) -> None:
    """Each name of this machine is accepted, with any port, with a charset, and without a body where none is needed."""
    here = {"Host": name + port, "Origin": f"http://{name}{port}"}
    status, agent = send(server, "POST", "/v1/agents", here | {"Content-Type": "application/json; charset=utf-8"}, AGENT)
    assert status == 200
    assert send(server, "DELETE", f"/v1/agents/{agent['id']}", here)[0] == 200
    assert send(server, "POST", "/v1/agents", here)[0] == 400


def test_the_sdk_is_served_by_every_name(server: Server) -> None:
    """The SDK's client creates, updates, lists and deletes."""
    for base_url in (server.url, server.url.replace("127.0.0.1", "localhost")):
        with openai.OpenAI(api_key="x", base_url=base_url, max_retries=0) as client:
            id = client.beta.agents.create(model="m").id
            assert client.beta.agents.update(id, instructions="Do it.").instructions == "Do it."
            assert [agent.id for agent in client.beta.agents.list()] == [id]
            assert client.beta.agents.delete(id).deleted


def test_an_invalid_content_length_is_refused(server: Server) -> None:
    """A body without a valid length is refused with an answer, and is not read as another request."""
    chunked = JSON | {"Transfer-Encoding": "chunked"}
    assert send(server, "POST", "/v1/agents", chunked, b"e\r\n" + AGENT + b"\r\n0\r\n\r\n")[0] == 411
    for length in ("9" * 5000, "-1", "x", "9" * 9):
        assert send(server, "POST", "/v1/agents", JSON | {"Content-Length": length})[0] == 413
    assert send(server, "GET", "/v1/agents", {})[1]["data"] == []
