"""Asks an instance of the Agents API: one turn of a session, with the SDK's streams and tool handlers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

import openai

from ..errors import AsstError, PlatformError
from ..sdk.error_translator import ErrorTranslator
from ..sdk.sdk_errors import SDK_ERRORS
from ..sdk.time_limit import DeadlineTimeout, limit_rest
from ..types import State
from .canceller import Canceller
from .conversations import check_owner, owner_of
from .tool_handlers import Handler, async_handlers, sync_handlers
from .turn import Answer, Owner, Turn
from .turn_progress import TURN_ERRORS, TurnProgress
from .turn_requests import TurnRequests

__all__ = ["AgentsAPI"]

NO_ENVIRONMENT: Any = {"type": "none"}  # the turn needs no machine to run commands on
CANCEL: Any = {"type": "agent.session.input.cancel"}
CANCEL_SECONDS = 2.0  # for cancelling a turn that is broken off
REST_SECONDS = 0.1  # for the rest of a stream after the last event that matters

Request = Callable[[Any], Any]  # sends itself with the client's ``beta.agents``; awaitable from an async client


@dataclass(frozen=True)
class AgentsAPI:
    """The Agents API, the instances that are recorded, and what cancels the turns of streams that are left early."""

    recorded: State
    translator: ErrorTranslator
    canceller: Canceller | None

    def ask(self, client: openai.OpenAI, turn: Turn) -> Iterator[str | Answer]:
        """The text as it comes, then the answer; a turn that is broken off is cancelled.

        Raises:
            AnswerRefused, AnswerIncomplete: there is no usable answer.
            PlatformError: a request or the turn failed.
            AsstError: the session is another assistant's, or another environment's.
        """
        handlers = sync_handlers(turn)
        progress = TurnProgress(turn, handlers)
        try:
            with contextlib.closing(self._begin(client, turn, handlers)) as events:
                progress.begun = True
                events.with_result_collection()
                for event in events:
                    if text := progress.text_of(event):
                        yield text
                    if progress.over:
                        break
                if progress.turn_ended:
                    _read_rest(events)
                result = events.get_final_result()
        except TURN_ERRORS as error:
            if turn.deadline.over:
                _cancel(client, progress)
            raise progress.error(error, self.translator) from None
        except GeneratorExit:  # the reader went away, maybe in the middle of a garbage collection: nothing may wait here
            if self.canceller:
                self.canceller.put(partial(_cancel, client, progress))
            raise
        except BaseException:
            _cancel(client, progress)
            raise
        yield progress.answer(result)

    async def aask(self, client: openai.AsyncOpenAI, turn: Turn) -> AsyncGenerator[str | Answer]:
        """As ``ask``, on the running event loop."""
        handlers = async_handlers(turn)
        progress = TurnProgress(turn, handlers)
        # Shielded where this task is cancelled: a turn whose session is not known yet could not be cancelled.
        beginning = asyncio.ensure_future(self._abegin(client, turn, handlers, progress))
        try:
            events = await asyncio.shield(beginning)
            try:
                async for event in events:
                    if text := progress.text_of(event):
                        yield text
                    if progress.over:
                        break
                if progress.turn_ended:
                    await _aread_rest(events)
                result = await events.get_final_result()
            finally:
                await events.close()
        except TURN_ERRORS as error:
            if turn.deadline.over:
                await _acancel(client, progress, beginning)
            del beginning  # it shows its error, in which a service may repeat the key, to a traceback with local variables
            raise progress.error(error, self.translator) from None
        except BaseException:
            await _acancel(client, progress, beginning)
            raise
        yield progress.answer(result)

    def _begin(self, client: openai.OpenAI, turn: Turn, handlers: Mapping[str, Handler]) -> Any:
        """Begin the turn and return the stream of its events."""
        beginning = _beginning(turn, handlers, self, methodcaller("__enter__"))
        requests = TurnRequests(beginning, self.translator, turn.deadline)
        agents = client.with_options(max_retries=0).beta.agents
        while (request := requests.current) is not None:
            with requests.attempt():
                requests.value = request(agents)
            if pause := requests.advance():  # even sleep(0) gives the processor away
                time.sleep(pause)
        return requests.result

    async def _abegin(
        self, client: openai.AsyncOpenAI, turn: Turn, handlers: Mapping[str, Handler], progress: TurnProgress
    ) -> Any:
        """As ``_begin``; the stream is read until the session is known."""
        beginning = _beginning(turn, handlers, self, methodcaller("__aenter__"))
        requests = TurnRequests(beginning, self.translator, turn.deadline)
        agents = client.with_options(max_retries=0).beta.agents
        while (request := requests.current) is not None:
            with requests.attempt():
                requests.value = await request(agents)
            await asyncio.sleep(requests.advance())
        events = requests.result.with_result_collection()
        while progress.session is None and (event := await anext(events, None)) is not None:
            progress.text_of(event)
        return events

    def owner_of_agent(self, agent_id: str, project: str) -> Owner | None:
        """The assistant and environment that an agent is recorded for, or None where it is not recorded."""
        keys = [key for key, record in self.recorded.records.items() if agent_id in record.ids()]
        return Owner(project, *keys[0]) if keys else None


def _beginning(
    turn: Turn, handlers: Mapping[str, Handler], api: AgentsAPI, enter: Callable[[Any], Any]
) -> Generator[Request, Any, Any]:
    """The requests that begin a turn, the last of which gives the stream of its events."""
    timeout = DeadlineTimeout(turn.deadline)
    session = turn.session
    if session is None:
        return (
            yield lambda agents: agents.sessions.create(
                agent_id=turn.instance_id, environment=NO_ENVIRONMENT, input=turn.prompt, metadata=turn.owner.tags, stream=True,
                tool_handlers=handlers, timeout=timeout,
            )
        )  # fmt: skip
    if not turn.owner_known:
        found = yield lambda agents: agents.sessions.retrieve(session, timeout=timeout)
        unsure = _check_session(found, turn, api)
        if unsure is not None:
            try:
                agent = yield lambda agents: agents.retrieve(unsure, timeout=timeout)
            except PlatformError as error:
                if error.status != 404:  # deleted since: its name is all that is left
                    raise
            else:
                _check_agent(agent, turn)
    return (
        yield lambda agents: enter(agents.sessions.stream(session, input=turn.prompt, tool_handlers=handlers, timeout=timeout))
    )


def _check_session(session: Any, turn: Turn, api: AgentsAPI) -> str | None:
    """Refuse a session of another assistant or environment, by its metadata or by the agent that it runs.

    The instance may have been made anew since; a session without our metadata keeps the name that its agent then had.

    Returns:
        The id of the agent to look at where only its name speaks for it, else None.
    """
    agent = getattr(session, "agent", None)
    if agent is None:
        raise api.translator.unexpected_response("a session without an agent")
    owner = owner_of(session.metadata)
    if agent.id == turn.instance_id or owner == turn.owner:
        return None
    owner = owner or api.owner_of_agent(agent.id, turn.owner.project)
    if owner is None and agent.name == f"{turn.owner.name}_{turn.owner.environment}":
        return str(agent.id)
    check_owner(turn, owner or f"{agent.name or agent.id!r:.80}")
    return None


def _check_agent(agent: Any, turn: Turn) -> None:
    """Refuse where an agent of the right name is another project's, or nobody's: a name is no tag."""
    check_owner(turn, owner_of(agent.metadata) or f"the agent {agent.id}, which is not this project's")


def _cancel(client: openai.OpenAI, progress: TurnProgress) -> None:
    """Cancel a turn that was broken off; at the service it would go on, or wait for a function for ever."""
    if progress.begun and progress.session and not progress.turn_ended:
        with contextlib.suppress(*SDK_ERRORS):
            events = client.with_options(max_retries=0, timeout=CANCEL_SECONDS).beta.agents.sessions.events
            events.create(progress.session, events=[CANCEL])


async def _acancel(client: openai.AsyncOpenAI, progress: TurnProgress, beginning: asyncio.Future[Any]) -> None:
    with contextlib.suppress(TimeoutError, AsstError, RuntimeError, ValueError, *SDK_ERRORS):
        async with asyncio.timeout(CANCEL_SECONDS):
            await beginning
            if progress.session and not progress.turn_ended:
                await client.with_options(max_retries=0).beta.agents.sessions.events.create(progress.session, events=[CANCEL])


def _read_rest(events: Any) -> None:
    """Read a new session's stream to its end, so that its connection is used again; give up one that stays open."""
    response = getattr(events, "response", None)
    if response is None:
        return  # the SDK closes the stream of a later turn by itself
    limit_rest(response, REST_SECONDS)
    with contextlib.suppress(*SDK_ERRORS):
        for _ in events:
            pass


async def _aread_rest(events: Any) -> None:
    """As ``_read_rest``."""
    if getattr(events, "response", None) is not None:
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(REST_SECONDS):
                async for _ in events:
                    pass
