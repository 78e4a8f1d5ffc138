"""One question to an instance, one answer: on whichever platform it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..config.environment import Environment
from ..config.settings import Settings
from ..errors import PlatformError
from ..types import State
from .turn import Answer, Turn

if TYPE_CHECKING:
    from ..sdk.error_translator import ErrorTranslator
    from .clients import Clients

__all__ = ["aask", "ask"]


def ask(clients: Clients, settings: Settings, environment: Environment, recorded: State, turn: Turn) -> Iterator[str | Answer]:
    """Carry out one turn: the text as it comes, then the answer.

    Raises:
        AnswerError: what came is no answer.
        PlatformError: a request failed, or the turn took too long.
        SettingsError: there is no usable key.
        AsstError: the session is another assistant's, or another environment's.
    """
    client = clients.of_process(settings, environment, recorded)
    translator = _translator(environment, turn)
    try:
        if environment.location.platform == "responses":
            from . import responses_api

            yield from responses_api.ask(client, translator, clients.served(environment), turn)
        else:
            from . import agents_api

            yield from agents_api.ask(client, translator, recorded, turn)
    except PlatformError:
        if not turn.deadline.over:
            raise
        raise _late(translator, turn) from None


async def aask(
    clients: Clients, settings: Settings, environment: Environment, recorded: State, turn: Turn
) -> AsyncIterator[str | Answer]:
    """As ``ask``, on the running event loop."""
    client = await clients.of_loop(settings, environment, recorded)
    translator = _translator(environment, turn)
    if environment.location.platform == "responses":
        from . import responses_api

        pieces = responses_api.aask(client, translator, clients.served(environment), turn)
    else:
        from . import agents_api

        pieces = agents_api.aask(client, translator, recorded, turn)
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
                raise _late(translator, turn) from None
            yield piece


def _late(translator: ErrorTranslator, turn: Turn) -> PlatformError:
    return translator.error(
        f"no answer within {turn.deadline.seconds:g} s, the limit of a turn (ASST_TIMEOUT): it was given up, and nothing is"
        " asked again",
        unknown=True,
    )


def _translator(environment: Environment, turn: Turn) -> ErrorTranslator:
    from ..sdk.error_translator import ErrorTranslator

    api = "Responses API" if environment.location.platform == "responses" else "Agents API"
    host = environment.base_url.split("/")[2]
    return ErrorTranslator(environment.credentials().key, host, api, turn.where, environment.key_variable())
