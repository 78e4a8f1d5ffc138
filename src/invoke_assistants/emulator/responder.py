"""Who answers in a session: what it is told, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..types import JSONObject

__all__ = ["Conversation", "Failed", "FunctionCall", "Responder", "ResponderAnswer"]


class Failed(Exception):
    """There is no answer; ``code`` is one of ``openai.types.beta.SessionTurnError``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Conversation:
    """What an answer is made from.

    Attributes:
        agent: the session's agent: ``model``, ``instructions``, ``text`` and ``tools`` as the API has them.
        items: messages, function calls and their outputs so far, oldest first; the last message is the user's.
        turn: the number of this turn in the session, from 1.
    """

    agent: JSONObject
    items: tuple[JSONObject, ...]
    turn: int

    @property
    def schema(self) -> JSONObject | None:
        """The JSON schema that the answer must hold, or None where it is text."""
        form = self.agent["text"]["format"]
        schema: JSONObject | None = form["schema"] if form["type"] == "json_schema" else None
        return schema

    @property
    def prompt(self) -> str:
        """What the user said last, as text."""
        said = [item for item in self.items if item["type"] == "message" and item["role"] == "user"]
        here = [part for item in said if item["turn_id"] == said[-1]["turn_id"] for part in item["content"]]
        return " ".join(part["text"] for part in here if part["type"] == "input_text")

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
    """An answer, of which the text was told already: it is whole, unless it ends in calls whose outputs it needs."""

    input_tokens: int
    output_tokens: int
    calls: tuple[FunctionCall, ...] = ()


class Responder(Protocol):
    """Something that answers; called from several threads at once."""

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """Answer, or call functions, giving each piece of text to ``on_text`` as it comes.

        Raises:
            Failed: there is no answer. What ``on_text`` raises is passed on: the turn was cancelled. With no text, it only
                tells that.
        """
        ...
