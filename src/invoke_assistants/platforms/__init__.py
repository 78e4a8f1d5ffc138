"""Where instances live: one small protocol over the Agents API; the only package that imports openai."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from ..errors import PlatformError
from ..records import JSONObject, Recorded
from ..settings import Environment, Settings
from ..turns import Answer, Turn

if TYPE_CHECKING:
    from .clients import Clients
    from .failures import Failures

__all__ = ["Platform", "aask", "ask", "connect"]


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
    settings: Settings, environment: Environment, recorded: Recorded, say: Callable[[str], None], *, write: bool
) -> AsyncGenerator[Platform]:
    """Open the platform of an environment; on ``local``, first put back what its file lacks of the store's records.

    Args:
        write: into the file; else it only looks so.

    Raises:
        SettingsError: there is no usable key.
    """
    if environment.place.platform == "responses":
        from .releases import ReleasesPlatform

        yield ReleasesPlatform(recorded, settings.project)
        return
    from .agents import AgentsPlatform

    credentials = environment.credentials()
    transport = None
    if environment.place.platform == "local":
        from .local import Service, Transport

        service = Service(settings.local_file)
        for line in service.put_back(recorded, settings.project, write=write):
            say(line)
        transport = Transport(service)
    async with AgentsPlatform.open(
        credentials, transport, where=environment.name, variable=environment.key_variable(), say=say,
        concurrency=settings.concurrency,
    ) as platform:  # fmt: skip
        yield platform


def ask(clients: Clients, settings: Settings, environment: Environment, recorded: Recorded, turn: Turn) -> Iterator[str | Answer]:
    """Carry out one turn: the text as it comes, then the answer.

    Raises:
        AnswerError: what came is no answer.
        PlatformError: a request failed, or the turn took too long.
        SettingsError: there is no usable key.
        AsstError: the session is another assistant's, or another environment's.
    """
    client = clients.of_process(settings, environment, recorded)
    failures = _failures(environment, turn)
    try:
        if environment.place.platform == "responses":
            from . import responses

            yield from responses.ask(client, failures, clients.served(environment), turn)
        else:
            from . import sessions

            yield from sessions.ask(client, failures, recorded, turn)
    except PlatformError:
        if not turn.deadline.over:
            raise
        raise _late(failures, turn) from None


async def aask(
    clients: Clients, settings: Settings, environment: Environment, recorded: Recorded, turn: Turn
) -> AsyncIterator[str | Answer]:
    """As ``ask``, on the running event loop."""
    client = await clients.of_loop(settings, environment, recorded)
    failures = _failures(environment, turn)
    if environment.place.platform == "responses":
        from . import responses

        pieces = responses.aask(client, failures, clients.served(environment), turn)
    else:
        from . import sessions

        pieces = sessions.aask(client, failures, recorded, turn)
    async with aclosing(pieces):
        while True:
            try:
                async with asyncio.timeout(turn.deadline.left):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except (TimeoutError, PlatformError):
                if not turn.deadline.over:
                    raise
                raise _late(failures, turn) from None
            yield piece


def _late(failures: Failures, turn: Turn) -> PlatformError:
    return failures.error(
        f"no answer within {turn.deadline.seconds:g} s, the limit of a turn (ASST_TIMEOUT): it was given up, and nothing is"
        " asked again",
        unknown=True,
    )


def _failures(environment: Environment, turn: Turn) -> Failures:
    from .failures import Failures

    api = "Responses API" if environment.place.platform == "responses" else "Agents API"
    host = environment.base_url.split("/")[2]
    return Failures(environment.credentials().key, host, api, turn.where, environment.key_variable())
