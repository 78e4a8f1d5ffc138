"""The openai clients of a process, made at first use and kept: one for all threads, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import openai

from ..config.credentials import Credentials
from ..config.environment import Environment
from ..config.settings import Settings
from ..emulator.api import EmbeddedAPI
from ..emulator.transport import Transport
from ..sdk import connections
from ..types import LocalModel, State
from .responses_api import ServerCapabilities

__all__ = ["Clients"]

Account = tuple[Credentials, Path | None, LocalModel | None]  # of ``local``, the file and the model belong to it, too


class Clients:
    """Clients and the embedded platforms behind some of them; their connections are kept and used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[Account, openai.OpenAI] = {}
        self._loops: dict[asyncio.AbstractEventLoop, dict[Account, tuple[openai.AsyncOpenAI, AsyncGenerator[None]]]] = {}
        self._served: dict[str, ServerCapabilities] = {}
        self._services: dict[Account, tuple[EmbeddedAPI, State]] = {}

    def of_process(self, settings: Settings, environment: Environment, recorded: State) -> openai.OpenAI:
        """The client that all threads share.

        Raises:
            SettingsError: there is no usable key.
        """
        account = _account(settings, environment)
        with self._lock:
            transport = self._transport(account, settings, recorded)
            if account not in self._clients:
                http = connections.sync_client(account[0].base_url, transport)
                self._clients[account] = openai.OpenAI(http_client=http, **_options(account[0]))
            return self._clients[account]

    async def of_loop(self, settings: Settings, environment: Environment, recorded: State) -> openai.AsyncOpenAI:
        """The client of the running event loop; it is closed when the loop shuts its generators down, as asyncio.run does.

        Raises:
            SettingsError: there is no usable key.
        """
        account = _account(settings, environment)
        with self._lock:
            transport = self._transport(account, settings, recorded)
            self._loops = {loop: clients for loop, clients in self._loops.items() if not loop.is_closed()}
            clients = self._loops.setdefault(asyncio.get_running_loop(), {})
            if account in clients:
                return clients[account][0]
            http = connections.async_client(account[0].base_url, transport)
            client = openai.AsyncOpenAI(http_client=http, **_options(account[0]))
            closing = _closed_at_shutdown(client)
            clients[account] = client, closing
        await anext(closing)
        return client

    def served(self, environment: Environment) -> ServerCapabilities:
        """What this process has learnt about the server of an environment."""
        return self._served.setdefault(environment.base_url, ServerCapabilities(environment.base_url))

    def _transport(self, account: Account, settings: Settings, recorded: State) -> Transport | None:
        if account[1] is None:
            return None
        service, known = self._services.get(account, (None, None))
        if service is None or known is not recorded:
            service = service or EmbeddedAPI(account[1], local_model=account[2])
            service.restore_agents(recorded, settings.project)
            self._services[account] = service, recorded
        return Transport(service)


async def _closed_at_shutdown(client: openai.AsyncOpenAI) -> AsyncGenerator[None]:
    """Once begun, it is the loop's: at its end the loop closes the generators that it began, and so the client."""
    try:
        yield
    finally:
        await client.close()


def _account(settings: Settings, environment: Environment) -> Account:
    local = environment.location.platform == "local"
    return environment.credentials(), settings.local_file if local else None, settings.local_model if local else None


def _options(credentials: Credentials) -> dict[str, Any]:
    return {
        "api_key": credentials.key.reveal(),
        "base_url": connections.parse_base_url(credentials.base_url),
        "project": credentials.project,
        "organization": credentials.organization,
    }
