"""One small protocol for every platform, and opening the platform of an environment; CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..config.environment import Environment
from ..config.settings import Settings
from ..types import JSONObject, State

__all__ = ["Platform", "connect"]


class Platform(Protocol):
    """One API with one set of credentials. Every method raises ``PlatformError``."""

    async def list_page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """Return at most 100 objects after an id, newest first, and whether there may be more."""
        ...

    async def retrieve(self, id: str) -> JSONObject | None:
        """Return one object, or None if the service answers 404."""
        ...

    async def create(self, body: JSONObject) -> JSONObject:
        """Create an object with one request, which is never retried."""
        ...

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """Change an object; the request can be repeated, so it is retried."""
        ...

    async def delete(self, id: str) -> None:
        """Delete an object with one short request; a 404 is no error."""
        ...


Say = Callable[[str], None]


def connect(
    settings: Settings, environment: Environment, recorded: State, say: Say, *, write: bool
) -> AbstractAsyncContextManager[Platform]:
    """Open the platform of an environment.

    Args:
        settings: the project's settings.
        environment: whose platform to open.
        recorded: the store's content.
        say: takes a line for people.
        write: whether ``local`` may write the agents that it restores to its file.

    Raises:
        SettingsError: there is no usable key.
    """
    return OPENERS[environment.location.platform](settings, environment, recorded, say, write)


@asynccontextmanager
async def _open_agents(
    settings: Settings, environment: Environment, _recorded: State, say: Say, _write: bool
) -> AsyncGenerator[Platform]:
    from .agents import AgentsPlatform

    async with AgentsPlatform.open(settings, environment, say) as platform:
        yield platform


@asynccontextmanager
async def _open_local(
    settings: Settings, environment: Environment, recorded: State, say: Say, write: bool
) -> AsyncGenerator[Platform]:
    """Open the embedded Agents API; restore the agents that the store records first."""
    from ..emulator.api import EmbeddedAPI
    from ..emulator.transport import Transport
    from .agents import AgentsPlatform

    service = EmbeddedAPI(settings.local_file)
    for line in service.restore_agents(recorded, settings.project, write=write):
        say(line)
    async with AgentsPlatform.open(settings, environment, say, Transport(service)) as platform:
        yield platform


@asynccontextmanager
async def _open_responses(
    settings: Settings, _environment: Environment, recorded: State, _say: Say, _write: bool
) -> AsyncGenerator[Platform]:
    from .pinned import PinnedPlatform

    yield PinnedPlatform(recorded, settings.project)


Opener = Callable[[Settings, Environment, State, Say, bool], AbstractAsyncContextManager[Platform]]
OPENERS: Mapping[str, Opener] = {"agents": _open_agents, "local": _open_local, "responses": _open_responses}
