"""The interface between sessions and responders: a conversation in, an answer or function calls out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..types import JSONObject

__all__ = ["Conversation", "FunctionCall", "Responder", "ResponderAnswer", "ResponderError", "count_input", "write_answer"]

PIECES = 20  # in which an answer is streamed


class ResponderError(Exception):
    """The turn fails without an answer; ``code`` is one of ``openai.types.beta.SessionTurnError``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Conversation:
    """The conversation that a responder goes on with.

    Attributes:
        agent: the session's agent, with ``model``, ``instructions``, ``text`` and ``tools`` in the API's terms.
        items: messages, function calls and their outputs, oldest first; the last message is the user's.
        turn: the number of this turn in the session, from 1.
        session: the session, with ``id`` and ``metadata``.
    """

    agent: JSONObject
    items: tuple[JSONObject, ...]
    turn: int
    session: JSONObject = field(default_factory=dict)

    @property
    def schema(self) -> JSONObject | None:
        """The JSON schema that the answer must match, or None if it is text."""
        form = self.agent["text"]["format"]
        schema: JSONObject | None = form["schema"] if form["type"] == "json_schema" else None
        return schema

    @property
    def prompt(self) -> str:
        """The text of the user's messages in this turn."""
        messages = [item for item in self.items if item["type"] == "message" and item["role"] == "user"]
        parts = [part for item in messages if item["turn_id"] == messages[-1]["turn_id"] for part in item["content"]]
        return " ".join(part["text"] for part in parts if part["type"] == "input_text")

    @property
    def turn_id(self) -> str:
        """The id of this turn."""
        return str(self.items[-1]["turn_id"])

    @property
    def turn_items(self) -> list[JSONObject]:
        """The items of this turn."""
        return [item for item in self.items if item["turn_id"] == self.turn_id]

    @property
    def functions(self) -> list[JSONObject]:
        """The agent's function tools."""
        return [tool for tool in self.agent["tools"] if tool["type"] == "function"]


@dataclass(frozen=True)
class FunctionCall:
    """A call of a function tool."""

    name: str
    arguments: JSONObject


@dataclass(frozen=True)
class ResponderAnswer:
    """The end of an answer, after its text: it is complete, unless there are calls whose outputs the responder needs."""

    input_tokens: int
    output_tokens: int
    calls: tuple[FunctionCall, ...] = ()


class Responder(Protocol):
    """Answers in sessions; called from several threads at once."""

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """Answer, or call functions.

        Args:
            conversation: the conversation so far.
            on_text: takes each piece of text as it comes. It raises once the turn is cancelled, which must be passed on; an
                empty text only checks for that.

        Raises:
            ResponderError: there is no answer.
        """
        ...


def write_answer(text: str, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
    """Write an answer in pieces and return its end; a token is a word."""
    size = math.ceil(len(text) / PIECES) or 1
    for start in range(0, len(text), size):
        on_text(text[start : start + size])
    return ResponderAnswer(count_input(conversation), len(text.split()))


def count_input(conversation: Conversation) -> int:
    """Count the words of what a responder is given."""
    return len(str(conversation.items).split()) + len((conversation.agent["instructions"] or "").split())
