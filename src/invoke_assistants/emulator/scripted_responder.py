"""Answers that are given beforehand: function calls first, then a text, a sample or a failure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..types import JSONObject
from .responder import Conversation, FunctionCall, ResponderAnswer, ResponderError, count_input, write_answer
from .sample_responder import SampleResponder
from .validation import RequestError

__all__ = ["Failure", "Rule", "ScriptedResponder", "ScriptedTurn"]


@dataclass(frozen=True)
class Failure:
    """How a turn fails: with an HTTP response of this status, or without one after it has begun."""

    message: str
    code: str
    status: int | None = None


@dataclass
class ScriptedTurn:
    """What happens in one turn, and what has happened.

    Attributes:
        calls: the functions that are called first, one after the other.
        text: the answer, or its beginning where the turn fails; None is a sample.
        failure: how the turn ends, if not well.
        written: the text so far.
        called: the calls that have ended, each with ``name``, ``arguments`` and ``output``.
    """

    calls: tuple[FunctionCall, ...] = ()
    text: str | None = ""
    failure: Failure | None = None
    written: str = ""
    called: list[JSONObject] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Rule:
    """An answer to the questions of a kind.

    Attributes:
        prompt: the whole prompt, a pattern to find in it, or what says yes to it; None means any.
        repeated: it answers all of them, not one.
    """

    assistant: str
    prompt: str | re.Pattern[str] | Callable[[str], bool] | None
    repeated: bool
    turn: ScriptedTurn

    def matches(self, prompt: str) -> bool:
        """Whether a question is one of its kind."""
        if self.prompt is None or isinstance(self.prompt, str):
            return self.prompt in (None, prompt)
        return bool(self.prompt.search(prompt) if isinstance(self.prompt, re.Pattern) else self.prompt(prompt))

    def shown(self) -> str:
        """The kind of questions and the answer, for a message."""
        kind = "any prompt" if self.prompt is None else f"prompt {self.prompt!r:.80}"
        answer = "a sample" if self.turn.text is None else repr(self.turn.text)
        answer = self.turn.failure.message if self.turn.failure else answer
        return f"{kind}: {answer if len(answer) <= 80 else f'{answer[:79]}…'}"


class ScriptedResponder:
    """Answers each turn as it is scripted, once it was accepted.

    Args:
        script: returns what happens in a new turn.
    """

    def __init__(self, script: Callable[[Conversation], ScriptedTurn]) -> None:
        self._script = script
        self._turns: dict[str, ScriptedTurn] = {}
        self._samples = SampleResponder()

    def accept(self, conversation: Conversation) -> None:
        """Look up what happens in a new turn.

        Raises:
            RequestError: the request for the turn is refused.
        """
        turn = self._turns[conversation.turn_id] = self._script(conversation)
        if turn.failure and turn.failure.status is not None:
            raise RequestError(turn.failure.status, turn.failure.message, code=turn.failure.code)

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """See ``Responder``."""
        turn = self._turns[conversation.turn_id]
        turn.called = _ended_calls(conversation)
        if len(turn.called) < len(turn.calls):
            call = turn.calls[len(turn.called)]
            return ResponderAnswer(count_input(conversation), 1 + len(str(call.arguments).split()), (call,))

        def write(piece: str) -> None:
            turn.written += piece
            on_text(piece)

        if turn.text is None:
            return self._samples.answer(conversation, write)
        answer = write_answer(turn.text, conversation, write)
        if turn.failure:
            raise ResponderError(turn.failure.code, turn.failure.message)
        return answer


def _ended_calls(conversation: Conversation) -> list[JSONObject]:
    items = conversation.turn_items
    calls = {item["call_id"]: item for item in items if item["type"] == "function_call"}
    outputs = [item for item in items if item["type"] == "function_call_output"]
    return [
        {"name": calls[each["call_id"]]["name"], "arguments": calls[each["call_id"]]["arguments"], "output": each["output"]}
        for each in outputs
    ]
