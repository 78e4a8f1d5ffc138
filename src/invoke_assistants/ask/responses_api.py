"""Asks a pinned configuration: it is sent to the Responses API, or to chat completions where that cannot be used.

``_model_turn`` decides what is asked next; ``ask`` and ``aask`` only send it, with a sync and an async client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk

from ..errors import PlatformError
from ..sdk.chat_chunks import CompletionBuilder
from ..sdk.error_translator import ErrorTranslator
from ..sdk.time_limit import DeadlineTimeout
from .chat_turn import chat_turn
from .conversations import check_owner, owner_of
from .model_requests import ModelTurn, ResponseLookup, Sender
from .response_turn import response_turn
from .server_capabilities import ServerCapabilities
from .tool_handlers import Handler, async_handlers, sync_handlers
from .turn import TEMPORARY_PREFIX, Answer, Owner, Turn
from .turn_requests import TurnRequests

__all__ = ["ResponsesAPI"]

NO_ENDPOINT = (404, 405, 501)  # how servers answer that have no such endpoint
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
        sender = _sender(client, turn, sync_handlers(turn.functions, turn.where, turn.deadline))
        requests = TurnRequests(_model_turn(turn, self.server, self.translator), self.translator, turn.deadline)
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
            time.sleep(requests.advance())
        if turn.streamed and not text_came:
            yield requests.result.text
        yield requests.result

    async def aask(self, client: openai.AsyncOpenAI, turn: Turn) -> AsyncGenerator[str | Answer]:
        """As ``ask``, on the running event loop."""
        sender = _sender(client, turn, async_handlers(turn.functions, turn.where))
        requests = TurnRequests(_model_turn(turn, self.server, self.translator), self.translator, turn.deadline)
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


def _model_turn(turn: Turn, server: ServerCapabilities, translator: ErrorTranslator) -> ModelTurn:
    """Ask on the Responses API, and once more on chat completions where the answer lacks the schema's structure."""
    model, history = turn.payload["model"], server.history(turn.session)
    if model in server.chat_only or (turn.session or "").startswith(TEMPORARY_PREFIX):
        return (yield from chat_turn(turn, server, translator, history))
    if turn.session and not turn.owner_known:
        check_owner(turn, (yield from _look_up_owner(turn.session)))
    structured = turn.payload["text"]["format"]["type"] == "json_schema"
    streamed = turn.streamed and (server.proven or not structured)
    can_use_chat = not server.trusted and history is not None
    try:
        answer = yield from response_turn(turn, server, translator, history, streamed)
    except PlatformError as error:
        if not can_use_chat or error.status not in NO_ENDPOINT:
            raise
        try:
            answer = yield from chat_turn(turn, server, translator, history)
        except PlatformError as failed:
            raise _both_failed(error, failed, translator) from None
        server.use_chat(model, translator, "has no /responses for it")
        return answer
    if turn.has_structure(answer.text):
        server.proven = server.proven or structured
        return answer
    if not can_use_chat or streamed:
        return answer
    second = yield from chat_turn(turn, server, translator, history)
    if turn.has_structure(second.text):
        server.use_chat(model, translator, "did not hold it to the schema on /responses")
    return second


def _both_failed(responses: PlatformError, chat: PlatformError, translator: ErrorTranslator) -> PlatformError:
    """The error where neither endpoint answered: either may be the one that says why."""
    if responses.detail == chat.detail:
        return chat
    return translator.error(
        f"{chat.detail} (on /chat/completions; on /responses: {responses.detail})", status=chat.status, code=chat.code,
        unknown=chat.unknown, transient=chat.transient, retry_after=chat.retry_after,
    )  # fmt: skip


def _look_up_owner(session: str) -> Generator[ResponseLookup, Any, Owner | None]:
    """The owner of a conversation as the server keeps it; None where it keeps no metadata, or no such response."""
    try:
        response = yield ResponseLookup(session)
    except PlatformError as error:
        if error.status not in (400, 500, *NO_ENDPOINT):  # LiteLLM answers 500 for a response that it does not keep
            raise
        return None
    return owner_of(getattr(response, "metadata", None))
