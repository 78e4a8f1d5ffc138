"""The span of a turn, after OpenTelemetry's conventions for generative AI. It holds no prompt, no answer and no key."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..errors import AnswerError, PlatformError
from ..sdk.spans import Attributes, Span, start_span
from .canceller import Canceller
from .instance import Instance
from .reply import Reply
from .turn import Turn

__all__ = ["atraced", "start_turn_span", "traced"]

Pieces = Generator[str | Reply[Any]]
AsyncPieces = AsyncGenerator[str | Reply[Any]]


def start_turn_span(instance: Instance, turn: Turn) -> Span | None:
    """Start the span of a turn; None where the process does not trace."""
    here = instance.environment
    embedded = here.location.platform == "local"
    url = urlsplit(here.base_url)
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "local" if embedded else "openai",
        "gen_ai.agent.name": turn.owner.name,
        "gen_ai.agent.id": turn.instance_id,
        "gen_ai.request.model": str(turn.payload["model"]),
        "gen_ai.conversation.id": turn.session,
        "asst.environment": here.name,
        "server.address": None if embedded else url.hostname,
        "server.port": None if embedded else url.port or {"https": 443, "http": 80}[url.scheme],
    }
    return start_span(f"invoke_agent {turn.owner.name}", attributes, remote=not embedded)


def traced(pieces: Pieces, span: Span, canceller: Canceller) -> Pieces:
    """The pieces of a turn. Its span is the current one while they are made, and ends with the reply, an error or the reader.

    Args:
        canceller: ends the span of a reader that went away, maybe in the middle of a garbage collection.
    """
    with closing(pieces):
        try:
            while True:
                with span.current():  # not over a yield: it would become the reader's
                    piece = next(pieces)
                if isinstance(piece, Reply):
                    break
                yield piece
        except GeneratorExit:
            canceller.put(partial(span.end, time.time_ns()))
            raise
        except BaseException as error:
            _end_failed(span, error)
            raise
        _end(span, piece)
        yield piece


async def atraced(pieces: AsyncPieces, span: Span) -> AsyncPieces:
    """As ``traced``, on the running event loop, which closes what its reader left."""
    async with aclosing(pieces):
        try:
            while True:
                with span.current():
                    piece = await anext(pieces)
                if isinstance(piece, Reply):
                    break
                yield piece
        except GeneratorExit:
            span.end()
            raise
        except BaseException as error:
            _end_failed(span, error)
            raise
        _end(span, piece)
        yield piece


def _end(span: Span, reply: Reply[Any]) -> None:
    usage = reply.usage
    span.set(
        {
            "gen_ai.conversation.id": reply.session,
            "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
            "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        }
    )
    span.end()


def _end_failed(span: Span, error: BaseException) -> None:
    if isinstance(error, AnswerError):
        span.set({"gen_ai.conversation.id": error.session})
    status = error.status if isinstance(error, PlatformError) else None
    span.fail(str(status) if status else type(error).__qualname__)  # not the service's code, which can be any text
    span.end()
