"""Asking an instance of the Agents API: one turn of a session, through the SDK's own streams and tool handlers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

import openai
from openai.lib.beta.agents import AgentTurnResult, AgentTurnResultError

from ..errors import AnswerIncomplete, AnswerRefused, AsstError
from ..sdk.error_translator import RETRIES, SDK_ERRORS, ErrorTranslator
from ..sdk.time_limit import DeadlineTimeout, read_interrupter
from ..types import State
from .conversations import refuse_other, tagged
from .reply import Usage
from .tool_handlers import Handler, async_handlers, handlers
from .turn import Answer, Owner, Turn

__all__ = ["aask", "ask"]

NO_ENVIRONMENT: Any = {"type": "none"}  # the turn needs no machine to run commands on
CANCEL: Any = {"type": "agent.session.input.cancel"}
GRACE = 2.0  # seconds for a turn that is broken off to be cancelled
LINGER = 0.1  # seconds for the end of a stream of which everything that counts has come
CUT_OFF = frozenset({"max_output_tokens", "context_length_exceeded"})  # of openai.types.beta.SessionTurnError
POLICY = frozenset({"cyber_policy", "misalignment_policy_violation"})
TERMINAL = frozenset({"agent.session.turn.completed", "agent.session.turn.failed", "agent.session.turn.cancelled"})


def ask(client: openai.OpenAI, translator: ErrorTranslator, recorded: State, turn: Turn) -> Iterator[str | Answer]:
    """The text as it comes, then the answer; a turn that is broken off is cancelled.

    Raises:
        AnswerRefused, AnswerIncomplete: what came is no answer.
        PlatformError: a request or the turn failed.
        AsstError: the session is another assistant's, or another environment's.
    """
    called = handlers(turn.functions, turn.where, turn.deadline)
    seen = _Seen(turn, called)
    try:
        with contextlib.closing(_opened(client, seen, called, translator, recorded)) as events:
            seen.begun = True
            events.with_result_collection()
            for event in events:
                if text := seen.text_of(event):
                    yield text
                if seen.over:
                    break
            if seen.ended:
                _drain(events)
            result = events.get_final_result()
    except (AgentTurnResultError, RuntimeError, ValueError, *SDK_ERRORS) as error:
        if turn.deadline.over:
            _cancel(client, seen)
        raise seen.failed(error, translator) from None
    except GeneratorExit:
        raise  # the reader went away, maybe in the middle of a garbage collection: nothing may be waited for
    except BaseException:
        _cancel(client, seen)
        raise
    yield seen.answer(result)


async def aask(
    client: openai.AsyncOpenAI, translator: ErrorTranslator, recorded: State, turn: Turn
) -> AsyncGenerator[str | Answer]:
    """As ``ask``, on the running event loop."""
    called = async_handlers(turn.functions, turn.where)
    seen = _Seen(turn, called)
    # Not cut short where this task is cancelled: what was begun without our knowing could not be cancelled.
    opening = asyncio.ensure_future(_aopened(client, seen, called, translator, recorded))
    try:
        events = await asyncio.shield(opening)
        try:
            async for event in events:
                if text := seen.text_of(event):
                    yield text
                if seen.over:
                    break
            if seen.ended:
                await _adrain(events)
            result = await events.get_final_result()
        finally:
            await events.close()
    except (AgentTurnResultError, RuntimeError, ValueError, *SDK_ERRORS) as error:
        if turn.deadline.over:
            await _acancel(client, seen, opening)
        del opening  # it shows its error, in which a service may repeat the key, to a traceback with local variables
        raise seen.failed(error, translator) from None
    except BaseException:
        await _acancel(client, seen, opening)
        raise
    yield seen.answer(result)


def _cancel(client: openai.OpenAI, seen: _Seen) -> None:
    """Let a turn that was broken off end at the service, too: it would go on there, or wait for a function for ever."""
    if seen.begun and seen.session and not seen.ended:
        with contextlib.suppress(*SDK_ERRORS):
            events = client.with_options(max_retries=0, timeout=GRACE).beta.agents.sessions.events
            events.create(seen.session, events=[CANCEL])


async def _acancel(client: openai.AsyncOpenAI, seen: _Seen, opening: asyncio.Future[Any]) -> None:
    with contextlib.suppress(TimeoutError, AsstError, RuntimeError, ValueError, *SDK_ERRORS):
        async with asyncio.timeout(GRACE):
            await opening
            if seen.session and not seen.ended:
                await client.with_options(max_retries=0).beta.agents.sessions.events.create(seen.session, events=[CANCEL])


def _drain(events: Any) -> None:
    """Read a creation's stream to its end, so that its connection is used again; one that is kept open is given up."""
    response = getattr(events, "response", None)
    if response is None:
        return  # the SDK closes the stream of a later turn by itself
    network = response.extensions.get("network_stream")
    timer = threading.Timer(LINGER, read_interrupter(network) if network else response.close)
    timer.start()
    try:
        with contextlib.suppress(*SDK_ERRORS):
            for _ in events:
                pass
    finally:
        timer.cancel()


async def _adrain(events: Any) -> None:
    if getattr(events, "response", None) is not None:
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(LINGER):
                async for _ in events:
                    pass


def _opened(
    client: openai.OpenAI, seen: _Seen, called: Mapping[str, Handler], translator: ErrorTranslator, recorded: State
) -> Any:
    """The events of the turn, begun; nothing is asked for twice unless it surely was not begun, or is only looked at."""
    turn, timeout = seen.turn, DeadlineTimeout(seen.turn.deadline)
    agents = client.with_options(max_retries=0).beta.agents
    sessions = agents.sessions
    for attempt in range(RETRIES + 1):
        try:
            if turn.session is None:
                return sessions.create(**_creation(turn), stream=True, tool_handlers=called, timeout=timeout)
            if not turn.known:
                unsure = _check_owner(sessions.retrieve(turn.session, timeout=timeout), turn, recorded, translator)
                if unsure:
                    with contextlib.suppress(openai.NotFoundError):  # deleted since: its name is all that is left
                        _check_agent(agents.retrieve(unsure, timeout=timeout), turn)
            stream = sessions.stream(turn.session, input=turn.prompt, tool_handlers=called, timeout=timeout)
            return stream.__enter__()
        except SDK_ERRORS as error:
            wait = translator.retry_delay(translator.translate(error), attempt, repeatable=_looked(error))
            if wait is None or wait > turn.deadline.left:
                raise
            time.sleep(wait)
    raise AssertionError("unreachable")


async def _aopened(
    client: openai.AsyncOpenAI, seen: _Seen, called: Mapping[str, Handler], translator: ErrorTranslator, recorded: State
) -> Any:
    """As ``_opened``, a stream of which the session is known."""
    turn, timeout = seen.turn, DeadlineTimeout(seen.turn.deadline)
    agents = client.with_options(max_retries=0).beta.agents
    sessions = agents.sessions
    for attempt in range(RETRIES + 1):
        try:
            if turn.session is not None:
                if not turn.known:
                    unsure = _check_owner(await sessions.retrieve(turn.session, timeout=timeout), turn, recorded, translator)
                    if unsure:
                        with contextlib.suppress(openai.NotFoundError):  # deleted since: its name is all that is left
                            _check_agent(await agents.retrieve(unsure, timeout=timeout), turn)
                stream = sessions.stream(turn.session, input=turn.prompt, tool_handlers=called, timeout=timeout)
                return await stream.with_result_collection().__aenter__()
            events: Any = await sessions.create(**_creation(turn), stream=True, tool_handlers=called, timeout=timeout)
        except SDK_ERRORS as error:
            wait = translator.retry_delay(translator.translate(error), attempt, repeatable=_looked(error))
            if wait is None or wait > turn.deadline.left:
                raise
            await asyncio.sleep(wait)
        else:
            events.with_result_collection()
            while seen.session is None and (event := await anext(events, None)) is not None:
                seen.text_of(event)
            return events
    raise AssertionError("unreachable")


def _looked(error: Exception) -> bool:
    """Whether it was a look that failed, which begins nothing."""
    return isinstance(error, openai.APIStatusError | openai.APIConnectionError) and error.request.method == "GET"


def _creation(turn: Turn) -> dict[str, Any]:
    """What a new session is asked for with; its metadata says whose it is."""
    return {
        "agent_id": turn.instance, "environment": NO_ENVIRONMENT, "input": turn.prompt, "metadata": turn.owner.tags,
    }  # fmt: skip


def _check_owner(session: Any, turn: Turn, recorded: State, translator: ErrorTranslator) -> str | None:
    """Refuse a session of another assistant or environment: its metadata says so, or the agent that it runs.

    The instance may have been made anew since; a session without our metadata keeps the name that its agent then had.

    Returns:
        The id of the agent to look at where only its name speaks for it, else None.
    """
    agent = getattr(session, "agent", None)
    if agent is None:
        raise translator.unexpected_response("a session without an agent")
    owner: Owner | str | None = tagged(session.metadata)
    if agent.id == turn.instance or owner == turn.owner:
        return None
    if owner is None:
        keys = [key for key, record in recorded.records.items() if agent.id in record.ids()]
        owner = Owner(turn.owner.project, *keys[0]) if keys else None
    if owner is None and agent.name == f"{turn.owner.name}_{turn.owner.environment}":
        return str(agent.id)
    refuse_other(turn, owner or f"{agent.name or agent.id!r:.80}")
    return None


def _check_agent(agent: Any, turn: Turn) -> None:
    """Refuse where an agent of the right name is another project's, or nobody's: a name is no tag."""
    refuse_other(turn, tagged(agent.metadata) or f"the agent {agent.id}, which is not this project's")


class _Seen:
    """What a turn's events have told so far."""

    def __init__(self, turn: Turn, called: Mapping[str, Handler]) -> None:
        self.turn = turn
        self._called = called
        self._root: str | None = None  # the id of our turn; a subagent's turns have others
        self._aside: set[str] = set()  # messages that comment on the work and are no answer
        self.ended = False
        self._cut = False
        self._said = ""
        self.session = turn.session
        self.begun = False
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
                f"{self.turn.where}: the answer was cut off after {len(self._said)} characters; ask for less at once",
                answer=self._said, session=self.session,
            )  # fmt: skip
        usage = result.turn.usage
        spent = Usage(usage.input_tokens, usage.output_tokens, usage.total_tokens) if usage else None
        return Answer(text, result.session_id, spent, result.turn.agent_id)

    def failed(self, error: Exception, translator: ErrorTranslator) -> AsstError:
        """The error for what ended the turn."""
        if isinstance(error, AgentTurnResultError):
            return self._unfinished(error, translator)
        if isinstance(error, ValueError) and "idle" in str(error):  # what the SDK raises before it sends anything
            return translator.error(f"session {self.session} is busy with another turn: wait for it, or begin a new session")
        if isinstance(error, SDK_ERRORS):
            failed = translator.translate(error)
            if failed.status == 404 and self.turn.session:
                return translator.error(
                    f"there is no session {self.session} here (another platform or key, or too old?)", status=404
                )
            if failed.status == 404:
                return translator.error(f"{self.turn.instance} is not there; look with inv asst.status", status=404)
            return failed
        return translator.error(f"the stream of events ended early ({error})", unknown=True)

    def _unfinished(self, error: AgentTurnResultError, translator: ErrorTranslator) -> AsstError:
        where, session = self.turn.where, error.session_id or self.session
        problem = error.turn.error if error.turn else None
        if problem and problem.code in CUT_OFF:
            return AnswerIncomplete(
                f"{where}: the answer was cut off after {len(self._said)} characters ({problem.code}); ask for less at once",
                answer=self._said, session=session,
            )  # fmt: skip
        if problem and problem.code in POLICY:
            return AnswerRefused(f"{where}: refused ({problem.code}): {problem.message}", answer=problem.message, session=session)
        if problem:
            return translator.error(f"the turn failed ({problem.code}): {problem.message}", code=problem.code)
        if error.reason == "requires_action":
            names = ", ".join(getattr(action, "name", action.type) for action in error.required_actions)
            return translator.error(
                f"session {session} waits for {names}: give the Python function in tools=, and inv asst.update"
            )
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        return translator.error(f"the turn did not complete: {error.reason}{cause}", unknown=True)
