"""Asking an instance of the Agents API: one turn of a session, through the SDK's own streams and tool handlers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from socket import SHUT_RDWR
from typing import Any

import openai
from openai.lib.beta.agents import AgentTurnResult, AgentTurnResultError

from ..errors import AnswerIncomplete, AnswerRefused, AsstError, PlatformError
from ..replies import Usage
from ..turns import Answer, Turn
from .failures import FAILURES, LONGEST_WAIT, Failures
from .handlers import Handler, async_handlers, handlers

__all__ = ["aask", "ask"]

NO_ENVIRONMENT: Any = {"type": "none"}  # the turn needs no machine to run commands on
RETRIES = 2  # of a session's creation, where it was surely not begun
LINGER = 0.1  # seconds for the end of a stream of which everything that counts has come
CUT_OFF = frozenset({"max_output_tokens", "context_length_exceeded"})  # of openai.types.beta.SessionTurnError
POLICY = frozenset({"cyber_policy", "misalignment_policy_violation"})
TERMINAL = frozenset({"agent.session.turn.completed", "agent.session.turn.failed", "agent.session.turn.cancelled"})


def ask(client: openai.OpenAI, failures: Failures, turn: Turn) -> Iterator[str | Answer]:
    """The text as it comes, then the answer.

    Raises:
        AnswerRefused, AnswerIncomplete: what came is no answer.
        PlatformError: a request or the turn failed.
    """
    called = handlers(turn.functions, turn.where)
    seen = _Seen(turn, called)
    try:
        with _opened(client, turn, called, failures) as events:
            events.with_result_collection()
            for event in events:
                if text := seen.text_of(event):
                    yield text
                if seen.over:
                    break
            if seen.ended:
                _drain(events)
            result = events.get_final_result()
    except (AgentTurnResultError, RuntimeError, ValueError, *FAILURES) as error:
        raise seen.failed(error, failures) from None
    yield seen.answer(result)


async def aask(client: openai.AsyncOpenAI, failures: Failures, turn: Turn) -> AsyncIterator[str | Answer]:
    """As ``ask``, on the running event loop."""
    called = async_handlers(turn.functions, turn.where)
    seen = _Seen(turn, called)
    try:
        async with await _aopened(client, turn, called, failures) as events:
            events.with_result_collection()
            async for event in events:
                if text := seen.text_of(event):
                    yield text
                if seen.over:
                    break
            if seen.ended:
                await _adrain(events)
            result = await events.get_final_result()
    except (AgentTurnResultError, RuntimeError, ValueError, *FAILURES) as error:
        raise seen.failed(error, failures) from None
    yield seen.answer(result)


def _drain(events: Any) -> None:
    """Read a creation's stream to its end, so that its connection is used again; one that is kept open is given up."""
    response = getattr(events, "response", None)
    if response is None:
        return  # the SDK closes the stream of a later turn by itself
    network = response.extensions.get("network_stream")
    socket = network.get_extra_info("socket") if network else None
    timer = threading.Timer(LINGER, _shut, [socket])
    if socket:
        timer.start()
    try:
        with contextlib.suppress(*FAILURES):
            for _ in events:
                pass
    finally:
        timer.cancel()


def _shut(socket: Any) -> None:
    """End a read that waits in another thread."""
    with contextlib.suppress(OSError):
        socket.shutdown(SHUT_RDWR)


async def _adrain(events: Any) -> None:
    if getattr(events, "response", None) is not None:
        with contextlib.suppress(TimeoutError, *FAILURES):
            async with asyncio.timeout(LINGER):
                async for _ in events:
                    pass


def _opened(client: openai.OpenAI, turn: Turn, called: Mapping[str, Handler], failures: Failures) -> Any:
    """The events of the turn, begun; a new session is not asked for twice unless it surely was not begun."""
    if turn.session is not None:
        return client.beta.agents.sessions.stream(turn.session, input=turn.prompt, tool_handlers=called)
    sessions = client.with_options(max_retries=0).beta.agents.sessions
    for attempt in range(RETRIES + 1):
        try:
            return sessions.create(
                agent_id=turn.instance, environment=NO_ENVIRONMENT, input=turn.prompt, stream=True, tool_handlers=called
            )
        except FAILURES as error:
            wait = _pause(failures.of(error), attempt)
            if wait is None:
                raise
            time.sleep(wait)
    raise AssertionError("unreachable")


async def _aopened(client: openai.AsyncOpenAI, turn: Turn, called: Mapping[str, Handler], failures: Failures) -> Any:
    if turn.session is not None:
        return client.beta.agents.sessions.stream(turn.session, input=turn.prompt, tool_handlers=called)
    sessions = client.with_options(max_retries=0).beta.agents.sessions
    for attempt in range(RETRIES + 1):
        try:
            return await sessions.create(
                agent_id=turn.instance, environment=NO_ENVIRONMENT, input=turn.prompt, stream=True, tool_handlers=called
            )
        except FAILURES as error:
            wait = _pause(failures.of(error), attempt)
            if wait is None:
                raise
            await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def _pause(failed: PlatformError, attempt: int) -> float | None:
    """Seconds until a session may be asked for again, or None where that is no use or could begin a second one."""
    wait = failed.retry_after
    if attempt == RETRIES or not failed.transient or failed.unknown or (wait or 0) > LONGEST_WAIT:
        return None
    return 0.5 * 2**attempt if wait is None else wait


class _Seen:
    """What a turn's events have told so far."""

    def __init__(self, turn: Turn, called: Mapping[str, Handler]) -> None:
        self._turn = turn
        self._called = called
        self._root: str | None = None  # the id of our turn; a subagent's turns have others
        self._aside: set[str] = set()  # messages that comment on the work and are no answer
        self.ended = False
        self._cut = False
        self._said = ""
        self.session = turn.session
        self.over = False

    def text_of(self, event: Any) -> str:
        """The piece of the answer that an event brings, if it does."""
        kind = event.type
        if kind == "agent.session.created":
            self.session = event.session.id
        elif kind == "agent.session.turn.created" and self._root is None and event.turn.subagent_id is None:
            self._root, self.session = event.turn_id, event.session_id
        elif kind == "agent.session.turn.item.added" and getattr(event.item, "phase", None) == "commentary":
            self._aside.add(event.item.id)
        elif kind == "agent.session.turn.item.done" and event.item.turn_id == self._root:
            self._cut = self._cut or getattr(event.item, "status", None) == "incomplete"
        elif kind == "agent.session.turn.output_text.delta" and event.turn_id == self._root and event.item_id not in self._aside:
            self._said += event.delta
            return str(event.delta)
        self.ended = self.ended or (kind in TERMINAL and event.turn_id == self._root)
        self.over = self._is_over(event)
        return ""

    def _is_over(self, event: Any) -> bool:
        kind = event.type
        if kind == "agent.session.requires_action":
            actions = event.session.required_actions
            return any(action.type != "function_call" or action.name not in self._called for action in actions)
        if kind == "agent.session.budget_reached":
            return self.ended or self._root is None
        return kind == "agent.session.failed" or (kind == "agent.session.idle" and self.ended)

    def answer(self, result: AgentTurnResult[Any]) -> Answer:
        """The answer of a turn that completed.

        Raises:
            AnswerIncomplete: its message did not.
        """
        text = result.output_text
        if not text and self._cut:
            raise AnswerIncomplete(
                f"{self._turn.where}: the answer was cut off after {len(self._said)} characters; ask for less at once",
                answer=self._said, session=self.session,
            )  # fmt: skip
        usage = result.turn.usage
        spent = Usage(usage.input_tokens, usage.output_tokens, usage.total_tokens) if usage else None
        return Answer(text, result.session_id, spent)

    def failed(self, error: Exception, failures: Failures) -> AsstError:
        """The error for what ended the turn."""
        if isinstance(error, AgentTurnResultError):
            return self._unfinished(error, failures)
        if isinstance(error, ValueError) and "idle" in str(error):  # what the SDK raises before it sends anything
            return failures.error(f"session {self.session} is busy with another turn: wait for it, or begin a new session")
        if isinstance(error, FAILURES):
            failed = failures.of(error)
            if failed.status == 404 and self._turn.session:
                return failures.error(
                    f"there is no session {self.session} here (another platform or key, or too old?)", status=404
                )
            if failed.status == 404:
                return failures.error(f"{self._turn.instance} is not there; look with inv asst.status", status=404)
            return failed
        return failures.error(f"the stream of events ended early ({error})", unknown=True)

    def _unfinished(self, error: AgentTurnResultError, failures: Failures) -> AsstError:
        where, session = self._turn.where, error.session_id or self.session
        problem = error.turn.error if error.turn else None
        if problem and problem.code in CUT_OFF:
            return AnswerIncomplete(
                f"{where}: the answer was cut off after {len(self._said)} characters ({problem.code}); ask for less at once",
                answer=self._said, session=session,
            )  # fmt: skip
        if problem and problem.code in POLICY:
            return AnswerRefused(f"{where}: refused ({problem.code}): {problem.message}", answer=problem.message, session=session)
        if problem:
            return failures.error(f"the turn failed ({problem.code}): {problem.message}", code=problem.code)
        if error.reason == "requires_action":
            names = ", ".join(getattr(action, "name", action.type) for action in error.required_actions)
            return failures.error(f"session {session} waits for {names}: give the Python function in tools=, and inv asst.update")
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        return failures.error(f"the turn did not complete: {error.reason}{cause}", unknown=True)
