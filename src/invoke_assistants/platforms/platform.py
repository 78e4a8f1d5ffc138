"""One small protocol over every platform, and opening the one of an environment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from ..config.environment import Environment
from ..config.settings import Settings
from ..types import JSONObject, State

__all__ = ["Platform", "connect"]


class Platform(Protocol):
    """One API with one set of credentials. Every method raises ``PlatformError``."""

    async def page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """At most 100 objects after an id, newest first, and whether there are more, or may be."""
        ...

    async def retrieve(self, id: str) -> JSONObject | None:
        """One object, or None where the service says that there is none."""
        ...

    async def create(self, body: JSONObject) -> JSONObject:
        """Make an object; one request, never sent twice."""
        ...

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """Change an object; safe to send again, so it is retried."""
        ...

    async def delete(self, id: str) -> None:
        """Delete an object, one short request; one that is gone already is no error."""
        ...


@asynccontextmanager
async def connect(
    settings: Settings, environment: Environment, recorded: State, say: Callable[[str], None], *, write: bool
) -> AsyncGenerator[Platform]:
    """Open the platform of an environment; on ``local``, first put back what its file lacks of the store's records.

    Args:
        write: into the file; else it only looks so.

    Raises:
        SettingsError: there is no usable key.
    """
    if environment.location.platform == "responses":
        from .pinned import PinnedPlatform

        yield PinnedPlatform(recorded, settings.project)
        return
    from .agents import AgentsPlatform

    credentials = environment.credentials()
    transport = None
    if environment.location.platform == "local":
        from ..emulator.api import EmbeddedAPI
        from ..emulator.transport import Transport

        service = EmbeddedAPI(settings.local_file)
        for line in service.put_back(recorded, settings.project, write=write):
            say(line)
        transport = Transport(service)
    async with AgentsPlatform.open(
        credentials, transport, where=environment.name, variable=environment.key_variable(), say=say,
        concurrency=settings.concurrency,
    ) as platform:  # fmt: skip
        yield platform
