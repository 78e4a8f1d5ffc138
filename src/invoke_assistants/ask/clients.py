"""The openai clients of a process, made at first use and kept: one for all threads, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai

from ..config.credentials import Credentials
from ..sdk import connections
from ..sdk.http_client import parse_base_url
from ..sdk.request_log import show_requests
from ..types import LocalModel, State
from .canceller import Canceller
from .instance import Instance
from .server_capabilities import ServerCapabilities

if TYPE_CHECKING:
    from ..emulator.transport import Transport

__all__ = ["Clients"]

Account = tuple[Credentials, Path | None, LocalModel | None]  # ``local`` adds its file and its model


class Clients:
    """The clients, and the embedded APIs behind some of them; connections are kept and used again.

    Args:
        open_embedded: makes the way to the embedded API of a project from its file and its model.
    """

    def __init__(self, open_embedded: Callable[[Path, LocalModel | None], Transport] | None = None) -> None:
        self._open_embedded = open_embedded or _open_embedded
        self._lock = threading.Lock()
        self._clients: dict[Account, openai.OpenAI] = {}
        self._loops: dict[asyncio.AbstractEventLoop, dict[Account, tuple[openai.AsyncOpenAI, AsyncGenerator[None]]]] = {}
        self._capabilities: dict[str, ServerCapabilities] = {}
        self._embedded: dict[Account, tuple[Transport, State]] = {}
        self._canceller: Canceller | None = None

    def sync_client(self, instance: Instance) -> openai.OpenAI:
        """The client that all threads share.

        Raises:
            SettingsError: there is no usable key.
        """
        account = _account(instance)
        show_requests(instance.settings.log_requests)
        with self._lock:
            transport = self._transport(account, instance)
            if account not in self._clients:
                http = connections.sync_client(account[0].base_url, transport)
                self._clients[account] = openai.OpenAI(http_client=http, **_options(account[0]))
            return self._clients[account]

    async def async_client(self, instance: Instance) -> openai.AsyncOpenAI:
        """The client of the running event loop; the loop closes it when it shuts down its generators, as asyncio.run does.

        Raises:
            SettingsError: there is no usable key.
        """
        account = _account(instance)
        show_requests(instance.settings.log_requests)
        with self._lock:
            transport = self._transport(account, instance)
            self._loops = {loop: clients for loop, clients in self._loops.items() if not loop.is_closed()}
            clients = self._loops.setdefault(asyncio.get_running_loop(), {})
            if account in clients:
                return clients[account][0]
            http = connections.async_client(account[0].base_url, transport)
            client = openai.AsyncOpenAI(http_client=http, **_options(account[0]))
            closing = _close_at_shutdown(client)
            clients[account] = client, closing
        await anext(closing)
        return client

    def capabilities(self, base_url: str) -> ServerCapabilities:
        """What this process has learnt about a server."""
        return self._capabilities.setdefault(base_url, ServerCapabilities(base_url))

    def canceller(self) -> Canceller:
        """What cancels turns whose reader went away."""
        with self._lock:
            self._canceller = self._canceller or Canceller()
            return self._canceller

    def _transport(self, account: Account, instance: Instance) -> Transport | None:
        """The way to the embedded API, with all recorded instances in it; None where requests go over the network."""
        _, file, model = account
        if file is None:
            return None
        transport, restored = self._embedded.get(account, (None, None))
        if transport is None or restored is not instance.recorded:
            transport = transport or self._open_embedded(file, model)
            transport.service.restore_agents(instance.recorded, instance.settings.project)
            self._embedded[account] = transport, instance.recorded
        return transport

    async def aclose(self) -> None:
        """Close all clients of the running event loop, which goes on."""
        with self._lock:
            clients = self._loops.pop(asyncio.get_running_loop(), {})
        for _, closing in clients.values():
            await closing.aclose()
        self.close()

    def close(self) -> None:
        """Close the clients that threads share; an event loop closes its own."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            if self._canceller is not None:
                self._canceller.close()
                self._canceller = None


def _open_embedded(file: Path, model: LocalModel | None) -> Transport:
    from ..emulator.api import EmbeddedAPI, make_responder  # much code, which no other platform needs
    from ..emulator.transport import Transport

    return Transport(EmbeddedAPI(file, responder=make_responder(model)))


async def _close_at_shutdown(client: openai.AsyncOpenAI) -> AsyncGenerator[None]:
    """Close a client at the end of the event loop: it closes the generators that were started in it."""
    try:
        yield
    finally:
        await client.close()


def _account(instance: Instance) -> Account:
    credentials, settings = instance.environment.credentials(), instance.settings
    if instance.environment.location.platform != "local":
        return credentials, None, None
    return credentials, settings.local_file, settings.local_model


def _options(credentials: Credentials) -> dict[str, Any]:
    return {
        "api_key": credentials.key.reveal(),
        "base_url": parse_base_url(credentials.base_url),
        "project": credentials.project,
        "organization": credentials.organization,
    }
