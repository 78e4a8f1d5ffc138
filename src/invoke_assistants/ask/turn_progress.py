"""What the events of a turn in a session of the Agents API tell: text, the end, the answer or what went wrong."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from openai.lib.beta.agents import AgentTurnResult, AgentTurnResultError

from ..errors import AnswerRefused, AsstError, PlatformError
from ..sdk.error_translator import ErrorTranslator
from ..sdk.sdk_errors import SDK_ERRORS, is_busy
from .reply import Usage
from .turn import Answer, Turn

__all__ = ["TURN_ERRORS", "TurnProgress"]

TURN_ERRORS = (AgentTurnResultError, PlatformError, RuntimeError, ValueError, *SDK_ERRORS)  # RuntimeError, ValueError: the SDK's
CUT_OFF = frozenset({"max_output_tokens", "context_length_exceeded"})  # codes of openai.types.beta.SessionTurnError
POLICY = frozenset({"cyber_policy", "misalignment_policy_violation"})
LAST_EVENTS = frozenset({"agent.session.turn.completed", "agent.session.turn.failed", "agent.session.turn.cancelled"})


class TurnProgress:
    """Follows the events of one turn.

    Attributes:
        session: the session's id, once it is known.
        begun: whether the turn is known to have begun.
        turn_ended: whether the turn has ended at the service.
        over: whether nothing more is to be read; a turn that waits for a function that nobody has is over, but not ended.
    """

    def __init__(self, turn: Turn, tool_names: Collection[str]) -> None:
        self.session = turn.session
        self.begun = False
        self.turn_ended = False
        self.over = False
        self._turn = turn
        self._tool_names = tool_names
        self._turn_id: str | None = None  # a subagent's turns have other ids
        self._commentary: set[str] = set()  # messages that comment on the work and are no part of the answer
        self._incomplete = False
        self._text = ""

    def text_of(self, event: Any) -> str:
        """The piece of the answer that an event brings; empty where it brings none."""
        kind = event.type
        if kind == "agent.session.created":
            self.session = event.session.id
        elif kind == "agent.session.turn.created" and self._turn_id is None and event.turn.subagent_id is None:
            self._turn_id, self.session = event.turn_id, event.session_id
        elif kind == "agent.session.turn.item.added" and getattr(event.item, "phase", None) == "commentary":
            self._commentary.add(event.item.id)
        elif kind == "agent.session.turn.item.done" and event.item.turn_id == self._turn_id:
            self._incomplete = self._incomplete or getattr(event.item, "status", None) == "incomplete"
        elif kind == "agent.session.turn.output_text.delta" and self._is_of_answer(event):
            self._text += event.delta
            return str(event.delta)
        self.turn_ended = self.turn_ended or (kind in LAST_EVENTS and event.turn_id == self._turn_id)
        self.over = self._is_last(event)
        return ""

    def _is_of_answer(self, event: Any) -> bool:
        return event.turn_id == self._turn_id and event.item_id not in self._commentary

    def _is_last(self, event: Any) -> bool:
        kind = event.type
        if kind == "agent.session.requires_action":
            actions = event.session.required_actions
            return any(action.type != "function_call" or action.name not in self._tool_names for action in actions)
        if kind == "agent.session.budget_reached":
            return self.turn_ended or self._turn_id is None
        return kind == "agent.session.failed" or (kind == "agent.session.idle" and self.turn_ended)

    def answer(self, result: AgentTurnResult[Any]) -> Answer:
        """The answer of a turn that completed.

        Raises:
            AnswerIncomplete: its message did not complete.
        """
        text = result.output_text
        if not text and self._incomplete:
            raise self._turn.cut_off(self._text, self.session)
        used = result.turn.usage
        usage = Usage(used.input_tokens, used.output_tokens, used.total_tokens) if used else None
        return Answer(text, result.session_id, usage, result.turn.agent_id)

    def error(self, error: Exception, translator: ErrorTranslator) -> AsstError:
        """The error for what ended the turn, one of ``TURN_ERRORS``."""
        if isinstance(error, AgentTurnResultError):
            return self._unfinished(error, translator)
        if is_busy(error):
            return translator.error(
                f"session {self.session} is busy with another turn: wait for it, or begin a new session", transient=True
            )
        if isinstance(error, SDK_ERRORS):
            error = translator.translate(error)
        if not isinstance(error, PlatformError):
            return translator.error(f"the stream of events ended early ({error})", unknown=True)
        if error.status == 404 and self._turn.session:
            return translator.error(f"there is no session {self.session} here (another platform or key, or too old?)", status=404)
        if error.status == 404:
            return translator.error(f"{self._turn.instance_id} is not there; look with inv asst.status", status=404)
        return error

    def _unfinished(self, error: AgentTurnResultError, translator: ErrorTranslator) -> AsstError:
        where, session = self._turn.where, error.session_id or self.session
        problem = error.turn.error if error.turn else None
        if problem and problem.code in CUT_OFF:
            return self._turn.cut_off(self._text, session, problem.code)
        if problem and problem.code in POLICY:
            return AnswerRefused(f"{where}: refused ({problem.code}): {problem.message}", answer=problem.message, session=session)
        if problem:
            return translator.error(f"the turn failed ({problem.code}): {problem.message}", code=problem.code)
        if error.reason == "requires_action":
            names = ", ".join(getattr(action, "name", action.type) for action in error.required_actions)
            return translator.error(
                f"session {session} waits for {names}: give the Python function in tools=, then run inv asst.update"
            )
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        return translator.error(f"the turn did not complete: {error.reason}{cause}", unknown=True)
