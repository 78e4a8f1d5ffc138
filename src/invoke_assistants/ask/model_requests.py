"""The requests of a turn with a model, and what both of its endpoints have in common."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import AnswerRefused, PlatformError
from ..sdk.error_translator import ErrorTranslator
from ..types import JSONObject
from .reply import Usage
from .server_capabilities import Messages
from .tool_handlers import Handler
from .turn import Answer, Turn

__all__ = [
    "ROUNDS",
    "ModelRequest",
    "ModelTurn",
    "ResponseLookup",
    "Sender",
    "add_usage",
    "call_function",
    "exchange",
    "refused",
    "too_many_rounds",
]

ROUNDS = 50  # of function calls in one turn; a model that calls on and on must end


@dataclass(frozen=True)
class Sender:
    """What requests are sent with: a sync or an async client, and the handlers of that kind."""

    client: Any
    handlers: Mapping[str, Handler]


@dataclass(frozen=True)
class ModelRequest:
    """A request to the model, on chat completions or on the Responses API; its text is streamed where that is wanted."""

    chat: bool
    body: JSONObject
    streamed: bool = False

    def send(self, sender: Sender) -> Any:
        """The response or the stream of it; awaitable from an async client."""
        endpoint = sender.client.chat.completions if self.chat else sender.client.responses
        return endpoint.create(**self.body, stream=True) if self.streamed else endpoint.create(**self.body)


@dataclass(frozen=True)
class ResponseLookup:
    """A look at an earlier response."""

    id: str
    streamed: ClassVar[bool] = False

    def send(self, sender: Sender) -> Any:
        """The response; awaitable from an async client."""
        return sender.client.responses.retrieve(self.id)


@dataclass(frozen=True)
class HandlerCall:
    """A call of one of the app's functions."""

    name: str
    arguments: str
    streamed: ClassVar[bool] = False

    def send(self, sender: Sender) -> Any:
        """The function's output; awaitable from an async handler."""
        return sender.handlers[self.name](self.arguments)


ModelTurn = Generator[ModelRequest | ResponseLookup | HandlerCall, Any, Answer]


def call_function(
    name: str, arguments: str, turn: Turn, translator: ErrorTranslator
) -> Generator[HandlerCall, Any, str | list[Any]]:
    """Call a function that the model asked for, and return its output as both endpoints take it: text, or content parts.

    Raises:
        PlatformError: the app has no such function.
    """
    if name not in turn.functions:
        raise translator.error(f"the model calls {name}: give the Python function in tools=, then run inv asst.update")
    output = yield HandlerCall(name, arguments)
    if isinstance(output, Mapping):
        return json.dumps(dict(output), separators=(",", ":"))
    return "" if output is None else output


def too_many_rounds(translator: ErrorTranslator) -> PlatformError:
    """The error for a model that only calls functions."""
    return translator.error(f"the model called functions {ROUNDS} times in a row without an answer")


def refused(turn: Turn, refusal: str, session: str | None = None) -> AnswerRefused:
    """The error for a model that refused to answer."""
    return AnswerRefused(f"{turn.where}: the model refused: {refusal:.200}", answer=refusal, session=session)


def exchange(turn: Turn, text: str) -> Messages:
    """The messages that a turn adds to its conversation."""
    return [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": text}]


def add_usage(total: Usage | None, usage: Any, sent: str, received: str) -> Usage | None:
    """A turn's usage so far and that of one more request, which an endpoint counts under names of its own."""
    if usage is None:
        return total
    before = total or Usage(0, 0, 0)
    first, second, both = (getattr(usage, name, 0) or 0 for name in (sent, received, "total_tokens"))
    return Usage(before.input_tokens + first, before.output_tokens + second, before.total_tokens + both)
