"""A key for a server on this machine never goes to a proxy: a real one listens and gets nothing."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from compatible import Compatible, ModelAnswer
from conftest import CANARY, Host
from loopback import Fault, Loopback

from invoke_assistants import Assistant, PlatformError, SettingsError, commands
from invoke_assistants.config.base_url import is_loopback
from invoke_assistants.config.project import Project
from invoke_assistants.sdk.connections import async_client, sync_client
from invoke_assistants.sdk.http_client import management_client


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that notes what it gets, and refuses it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.sent = b""
        super().__init__(("127.0.0.1", 0), _Noted)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def env(self) -> dict[str, str]:
        """The variables that send every client to this proxy."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return dict.fromkeys([*names, *map(str.lower, names)], url)


class _Noted(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.sent += self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    server = Proxy()
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def talker(host: Host, monkeypatch: pytest.MonkeyPatch) -> Assistant[str]:
    """An assistant of the host project, as its app sees it."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    return Assistant("talker", model="gpt-6-luna", instructions="Talk.", verbosity="low", reasoning={"effort": "low"})


def test_the_agents_of_this_machine_are_reached_without_a_proxy(host: Host, talker: Assistant[str], proxy: Proxy) -> None:
    """Managing, and asking in a thread and in a loop, connect directly."""
    host.create()
    commands.delete(host.root, env="production", yes=True)
    assert talker.run("Hello.").output
    assert asyncio.run(talker.arun("Hello.")).output
    assert proxy.sent == b""


def test_a_server_of_this_machine_is_reached_without_a_proxy(
    host: Host, talker: Assistant[str], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds on ``responses``."""
    model = Compatible(lambda asked: ModelAnswer("Hello."))
    try:
        for name, value in model.env().items():
            monkeypatch.setenv(name, value)
        commands.create(host.root)
        assert talker.run("Hello.").output == asyncio.run(talker.arun("Hello.")).output == "Hello."
    finally:
        model.shutdown()
        model.server_close()
    assert proxy.sent == b""


def test_other_servers_are_reached_through_the_proxy(
    host: Host, server: Loopback, talker: Assistant[str], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every client uses a configured proxy for other hosts, through a tunnel that hides the key."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example/v1")
    with pytest.raises(PlatformError):
        commands.create(host.root, only=["talker"], env="development")
    assert proxy.sent.startswith(b"CONNECT api.example:443 ")
    monkeypatch.setenv("ASST_PLATFORM", "responses")
    commands.create(host.root, only=["talker"])
    for ask in (talker.run, lambda prompt: asyncio.run(talker.arun(prompt))):
        proxy.sent = b""
        with pytest.raises(PlatformError):
            ask("Hello.")
        assert proxy.sent.startswith(b"CONNECT api.example:443 ")
    assert CANARY.encode() not in proxy.sent


@pytest.mark.parametrize("platform", ["agents", "responses", "local"])
def test_a_redirect_is_not_followed(
    host: Host, server: Loopback, talker: Assistant[str], monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    """Prompt, key and headers go to the host of the base URL alone; the error names the other host, in a thread and in a loop."""
    other = Proxy()
    where = f"127.0.0.1:{other.server_address[1]}"
    monkeypatch.setenv("ASST_PLATFORM", platform)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Api-Key: {CANARY}")
    if platform == "local":
        monkeypatch.setenv("ASST_LOCAL_MODEL", server.url)
    host.create()
    server.faults.append(lambda _: Fault(status=307, headers={"Location": f"http://{where}/v1"}))
    try:
        for ask in (talker.run, lambda prompt: asyncio.run(talker.arun(prompt))):
            with pytest.raises(PlatformError, match=f"307 the server redirects to {where}: .* make it the base URL"):
                ask("Hello.")
    finally:
        other.shutdown()
        other.server_close()
    assert other.sent == b""


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1/v1", True), ("http://127.8.9.10/v1", True), ("http://[::1]/v1", True), ("http://LOCALHOST/v1", True),
        ("http://127.evil.example/v1", False), ("http://127.0.0.1.evil.example/v1", False),
        ("http://localhost.evil.example", False),
        ("http://127.1/v1", False), ("http://0.0.0.0/v1", False), ("http://[::2]/v1", False), ("http://10.0.0.1/v1", False),
        ("http://[::ffff:127.0.0.1]/v1", False), ("http://localhost:1@evil.example", False), ("http://[broken", False),
        ("local", False),
    ],
)  # fmt: skip
def test_only_addresses_of_this_machine_and_localhost_are_this_machine(url: str, loopback: bool) -> None:
    """A host name that begins like an address of this machine may be anybody's."""
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(("variable", "value"), [("SSL_CERT_FILE", "/nowhere.pem"), ("HTTPS_PROXY", "gopher://127.0.0.1:9")])
def test_unusable_http_settings_of_the_environment_are_named(
    host: Host, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The commands and a run fail with one line that names the variables; nothing is asked."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.create()
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example/v1")
    if variable == "SSL_CERT_FILE":
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    declared: Any = Project.load(host.root, ()).declared["talker"]
    with pytest.raises(SettingsError, match="no HTTP client can be made: .* SSL_CERT_FILE"):
        commands.create(host.root)
    monkeypatch.setenv("ASST_PLATFORM", "responses")
    commands.create(host.root)
    with pytest.raises(SettingsError, match="no HTTP client can be made"):
        declared.run("Hello.")


def test_a_server_over_http_needs_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are loaded for https alone: a client for plain http is made where there are none."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    def clients(url: str) -> list[Callable[[], httpx2.Client | httpx2.AsyncClient]]:
        return [
            lambda: sync_client(url, None),
            lambda: async_client(url, None),
            lambda: management_client(url, None, 5, 16),
        ]

    for make in clients("https://127.0.0.1:9/v1"):
        with pytest.raises(SettingsError, match="no HTTP client can be made"):
            make()
    for make in clients("http://127.0.0.1:9/v1"):
        make()
