"""One question to an instance, one answer: on whichever platform it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..config.settings import Environment, Settings
from ..errors import PlatformError
from ..types import Recorded
from .turn import Answer, Turn

if TYPE_CHECKING:
    from ..sdk.error_translator import Failures
    from .clients import Clients

__all__ = ["aask", "ask"]


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
            from . import responses_api as responses

            yield from responses.ask(client, failures, clients.served(environment), turn)
        else:
            from . import agents_api as sessions

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
        from . import responses_api as responses

        pieces = responses.aask(client, failures, clients.served(environment), turn)
    else:
        from . import agents_api as sessions

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
    from ..sdk.error_translator import Failures

    api = "Responses API" if environment.place.platform == "responses" else "Agents API"
    host = environment.base_url.split("/")[2]
    return Failures(environment.credentials().key, host, api, turn.where, environment.key_variable())
