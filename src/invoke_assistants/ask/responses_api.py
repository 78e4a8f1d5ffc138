"""Asks a pinned configuration: it is sent to the Responses API, or to chat completions where that cannot be used.

``model_turn`` decides what is asked next; ``ask`` and ``aask`` only send it, with a sync and an async client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk

from ..sdk.chat_chunks import CompletionBuilder
from ..sdk.error_translator import ErrorTranslator
from ..sdk.time_limit import DeadlineTimeout
from .chat_fallback import model_turn
from .model_requests import Sender
from .server_capabilities import ServerCapabilities
from .tool_handlers import Handler, async_handlers, sync_handlers
from .turn import Answer, Turn
from .turn_requests import TurnRequests

__all__ = ["ResponsesAPI"]

LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True)
class ResponsesAPI:
    """A server of the Responses API or of chat completions, and what is known about it."""

    server: ServerCapabilities
    translator: ErrorTranslator

    def ask(self, client: openai.OpenAI, turn: Turn) -> Iterator[str | Answer]:
        """The text as it comes, then the answer.

        Raises:
            AnswerRefused, AnswerIncomplete: there is no usable answer.
            PlatformError: a request failed.
            AsstError: the session is another assistant's, or another environment's.
        """
        sender = _sender(client, turn, sync_handlers(turn))
        requests = TurnRequests(model_turn(turn, self.server, self.translator), self.translator, turn.deadline)
        text_came = False
        while (request := requests.current) is not None:
            with requests.attempt():
                requests.value = request.send(sender)
                if request.streamed:
                    collected = _StreamedResponse()
                    with requests.value as events:
                        for event in events:
                            if text := collected.text_of(event):
                                text_came = True
                                yield text
                    requests.value = collected.result()
            if pause := requests.advance():  # even sleep(0) gives the processor away
                time.sleep(pause)
        if turn.streamed and not text_came:
            yield requests.result.text
        yield requests.result

    async def aask(self, client: openai.AsyncOpenAI, turn: Turn) -> AsyncGenerator[str | Answer]:
        """As ``ask``, on the running event loop."""
        sender = _sender(client, turn, async_handlers(turn))
        requests = TurnRequests(model_turn(turn, self.server, self.translator), self.translator, turn.deadline)
        text_came = False
        while (request := requests.current) is not None:
            with requests.attempt():
                requests.value = await request.send(sender)
                if request.streamed:
                    collected = _StreamedResponse()
                    async with requests.value as events:
                        async for event in events:
                            if text := collected.text_of(event):
                                text_came = True
                                yield text
                    requests.value = collected.result()
            await asyncio.sleep(requests.advance())
        if turn.streamed and not text_came:
            yield requests.result.text
        yield requests.result


def _sender(client: openai.OpenAI | openai.AsyncOpenAI, turn: Turn, handlers: dict[str, Handler]) -> Sender:
    # The SDK's own retries are off: they could ask a model twice.
    return Sender(client.with_options(max_retries=0, timeout=DeadlineTimeout(turn.deadline)), handlers)


class _StreamedResponse:
    """What a stream has brought so far: the last event of the Responses API holds all of it, chunks of chat are joined."""

    def __init__(self) -> None:
        self._chunks = CompletionBuilder()
        self._response: Any = None

    def text_of(self, event: Any) -> str:
        """The piece of text that an event brings; empty where it brings none."""
        if isinstance(event, ChatCompletionChunk):
            return self._chunks.add(event)
        if event.type in LAST_EVENTS:
            self._response = event.response
        return str(event.delta) if event.type == "response.output_text.delta" else ""

    def result(self) -> Any:
        """The response or the completion; None where the stream ended before it was complete."""
        return self._response or self._chunks.build()
