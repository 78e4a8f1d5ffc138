"""Opening the platform of an environment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ..config.environment import Environment
from ..config.settings import Settings
from ..types import State
from .platform import Platform

if TYPE_CHECKING:
    from httpx2 import AsyncBaseTransport

__all__ = ["connect"]

Say = Callable[[str], None]
BeforeWrite = Callable[[], None] | None


def connect(
    settings: Settings, environment: Environment, recorded: State, say: Say, before_write: BeforeWrite
) -> AbstractAsyncContextManager[Platform]:
    """Open the platform of an environment.

    Args:
        settings: the project's settings.
        environment: whose platform to open.
        recorded: the store's content.
        say: takes a line for people.
        before_write: called before each request that writes; what it raises ends the request. None where nothing is to be
            written, the file of ``local`` included.

    Raises:
        SettingsError: there is no usable key.
    """
    return OPENERS[environment.location.platform](settings, environment, recorded, say, before_write)


@asynccontextmanager
async def _open_agents(
    settings: Settings, environment: Environment, _recorded: State, say: Say, before_write: BeforeWrite
) -> AsyncGenerator[Platform]:
    async with _agents_platform(settings, environment, say, None, before_write) as platform:
        yield platform


@asynccontextmanager
async def _open_local(
    settings: Settings, environment: Environment, recorded: State, say: Say, before_write: BeforeWrite
) -> AsyncGenerator[Platform]:
    """Open the embedded Agents API; restore the agents that the store records first."""
    from ..emulator.api import EmbeddedAPI
    from ..emulator.transport import Transport

    service = EmbeddedAPI(settings.local_file)
    for line in service.restore_agents(recorded, settings.project, write=before_write is not None):
        say(line)
    async with _agents_platform(settings, environment, say, Transport(service), before_write) as platform:
        yield platform


@asynccontextmanager
async def _agents_platform(
    settings: Settings, environment: Environment, say: Say, transport: AsyncBaseTransport | None, before_write: BeforeWrite
) -> AsyncGenerator[Platform]:
    """The Agents API over the network, or over a transport of this process; closed at the end of the block."""
    from ..sdk.error_translator import ErrorTranslator
    from ..sdk.http_client import management_client
    from ..sdk.request_log import show_requests
    from .agents import TIMEOUT, AgentsPlatform

    show_requests(settings.log_requests)
    credentials = environment.credentials()
    async with management_client(credentials.base_url, transport, TIMEOUT, settings.concurrency) as client:
        host, variable = client.base_url.netloc.decode(), environment.key_variable()
        translator = ErrorTranslator(credentials, host, "Agents API", environment.name, variable)
        yield AgentsPlatform(client, credentials, translator, settings.concurrency, say, before_write)


@asynccontextmanager
async def _open_responses(
    settings: Settings, _environment: Environment, recorded: State, _say: Say, _before_write: BeforeWrite
) -> AsyncGenerator[Platform]:
    from .pinned import PinnedPlatform

    yield PinnedPlatform(recorded, settings.project)


Opener = Callable[[Settings, Environment, State, Say, BeforeWrite], AbstractAsyncContextManager[Platform]]


OPENERS: Mapping[str, Opener] = {"agents": _open_agents, "local": _open_local, "responses": _open_responses}
