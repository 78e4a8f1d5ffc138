"""From an app's question to its reply, whichever platform the instance lives on."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..declare.declaration import Declaration
from ..declare.digest import canonical
from ..declare.function_tools import tool_functions
from ..declare.payload import build_payload
from ..errors import AnswerError, AnswerInvalid, AsstError, PlatformError, SchemaWarning
from ..sdk.deadline import Deadline
from ..types import short
from .conversations import check_owner
from .instance import Instance
from .parsing import ParseError, has_structure, parse_answer
from .process_cache import ProcessCache, process_cache
from .question import Question
from .reply import Reply
from .turn import Answer, Owner, Turn
from .turn_span import atraced, start_turn_span, traced

if TYPE_CHECKING:
    import openai

    from .agents_api import AgentsAPI
    from .responses_api import ResponsesAPI

__all__ = ["aask", "ask", "holds_another_schema"]

# The characters that a path of a URL holds as they are (RFC 3986, 3.3): no session leads to a request of another path.
SESSION = re.compile(r"(?!\.+\Z)[A-Za-z0-9._~!$&'()*+,;=:@-]{1,1024}")


def ask(question: Question[Any]) -> Iterator[str | Reply[Any]]:
    """Ask an assistant: the text as it comes, then the reply.

    Raises:
        NotCreated: there is no instance.
        AnswerError: there is no answer that the app can use.
        PlatformError: a request failed, or the turn took too long.
        AsstError: the settings or the store are wrong, or the session is another assistant's or environment's.
    """
    process = process_cache()
    instance = process.instance(question.assistant, question.environment, question.root)
    prepared = _PreparedQuestion(question, instance, process)
    client = process.clients().sync_client(instance)
    pieces, span = prepared.ask(client), start_turn_span(instance, prepared.turn)
    yield from pieces if span is None else traced(pieces, span, process.clients().canceller())


async def aask(question: Question[Any], process: ProcessCache | None = None) -> AsyncIterator[str | Reply[Any]]:
    """As ``ask``, on the running event loop.

    Args:
        process: keeps settings, store and connections between questions; by default what the whole process shares.
    """
    process = process or process_cache()
    instance = await process.ainstance(question.assistant, question.environment, question.root)
    prepared = _PreparedQuestion(question, instance, process)
    client = await process.clients().async_client(instance)
    pieces, span = prepared.aask(client), start_turn_span(instance, prepared.turn)
    async with aclosing(pieces if span is None else atraced(pieces, span)) as steps:
        async for piece in steps:
            yield piece


class _PreparedQuestion:
    """A question that can be asked: the instance it goes to, the turn, and the API that carries it out."""

    def __init__(self, question: Question[Any], instance: Instance, process: ProcessCache) -> None:
        self.process = process
        self.instance = instance
        self.turn = self._turn(question)
        self.api = self._api()
        self._output: type[Any] | None = question.assistant.output

    def _turn(self, question: Question[Any]) -> Turn:
        deadline = Deadline(self.instance.settings.timeout)
        environment = self.instance.environment.name
        owner = Owner(self.instance.settings.project, question.assistant.name, environment)
        _check_question(question, owner)
        _warn_of_schema(question, self.instance, self.process.warned)
        known_owner = self.process.conversations.owner(question.session)
        turn = Turn(
            owner=owner,
            instance_id=self.instance.record.id,
            payload=self.instance.recorded.payloads[self.instance.record.digest],
            prompt=question.prompt,
            session=question.session,
            owner_known=known_owner is not None,
            functions=tool_functions(question.assistant, environment),
            has_structure=lambda text: has_structure(question.assistant.output, text),
            streamed=question.streamed,
            deadline=deadline,
            on_call=question.on_call,
        )
        check_owner(turn, known_owner)
        return turn

    def _api(self) -> AgentsAPI | ResponsesAPI:
        from ..sdk.sdk_errors import SDKErrorTranslator

        environment = self.instance.environment
        pinned = environment.location.platform == "responses"
        translator = SDKErrorTranslator(
            credentials=environment.credentials(),
            host=environment.base_url.split("/")[2],
            api="Responses API" if pinned else "Agents API",
            where=self.turn.where,
            variable=environment.key_variable(),
        )
        if pinned:
            from .responses_api import ResponsesAPI

            return ResponsesAPI(self.process.clients().capabilities(environment.base_url), translator)
        from .agents_api import AgentsAPI

        canceller = self.process.clients().canceller() if self.turn.streamed else None
        return AgentsAPI(self.instance.recorded, translator, canceller)

    def ask(self, client: openai.OpenAI) -> Generator[str | Reply[Any]]:
        """The text as it comes, then the reply."""
        with self._errors():
            for piece in self.api.ask(client, self.turn):
                yield self._reply(piece) if isinstance(piece, Answer) else piece

    async def aask(self, client: openai.AsyncOpenAI) -> AsyncGenerator[str | Reply[Any]]:
        """As ``ask``, on the running event loop."""
        with self._errors():
            async with aclosing(self.api.aask(client, self.turn)) as pieces:
                while True:
                    async with asyncio.timeout(self.turn.deadline.left):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    yield self._reply(piece) if isinstance(piece, Answer) else piece

    @contextlib.contextmanager
    def _errors(self) -> Generator[None]:
        """Remember a conversation that goes on after an error, and say so where the limit of the turn struck."""
        try:
            yield
        except AnswerError as error:
            self.process.conversations.remember(error.session, self.turn.owner)
            raise
        except (TimeoutError, PlatformError):
            if not self.turn.deadline.over:
                raise
            raise self.api.translator.error(
                f"no answer within {self.turn.deadline.seconds:g} s, the limit of a turn (ASST_TIMEOUT): it was given up, and"
                " nothing is asked again",
                unknown=True,
            ) from None

    def _reply(self, answer: Answer) -> Reply[Any]:
        """The reply with an answer's output.

        Raises:
            AnswerInvalid: the answer does not fit the output model.
            PlatformError: the service named the conversation like the key, which would be shown.
        """
        if self.api.translator.credentials.mask(answer.session) != answer.session:
            raise self.api.translator.unexpected_response("a conversation with the key as its id")
        self.process.conversations.remember(answer.session, self.turn.owner)
        try:
            output = parse_answer(self._output, answer.text)
        except ParseError as error:
            name = self._output.__name__ if self._output else "text"
            more = f" (and {len(error.problems) - 3} more)" if len(error.problems) > 3 else ""
            raise AnswerInvalid(
                f"{self.turn.where}: the answer does not fit {name}: {error}{more}; .answer holds it as it came",
                answer=answer.text, session=answer.session,
            ) from error.__cause__  # fmt: skip
        return Reply(output, answer.session, answer.usage, answer.instance_id)


def _check_question(question: Question[Any], owner: Owner) -> None:
    """Refuse a prompt or a session that nothing can be asked with."""
    prompt, session = question.prompt, question.session
    if not isinstance(prompt, str) or not prompt.strip():
        raise AsstError(f"{owner}: the prompt is empty, or not text")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise AsstError(f"{owner}: the prompt holds bytes that are not UTF-8") from None
    if session is None:
        return
    if not isinstance(session, str):
        raise AsstError(f"{owner}: session is {type(session).__name__}; give the session of a reply, which is a string")
    if not session.strip():
        raise AsstError(f"{owner}: session is empty: give the session of a reply, or leave it out to begin a new conversation")
    if not SESSION.fullmatch(session):
        raise AsstError(f"{owner}: session {session!r:.80} cannot be a session's id: give the session of a reply, unchanged")


def holds_another_schema(assistant: Declaration[Any], instance: Instance) -> bool:
    """Whether a saved instance holds the model to another schema than the app's."""
    declared = build_payload(assistant, instance.environment.name)["text"]["format"]
    return canonical(declared) != canonical(instance.recorded.payloads[instance.record.digest]["text"]["format"])


def _warn_of_schema(question: Question[Any], instance: Instance, warned: set[tuple[str, str, str]]) -> None:
    """Warn where the saved instance holds the model to another schema than the app's, once as ``warned`` knows."""
    assistant, here, digest = question.assistant, instance.environment, instance.record.digest
    if (assistant.name, here.name, digest) in warned:
        return
    warned.add((assistant.name, here.name, digest))
    if holds_another_schema(assistant, instance):
        name = assistant.output.__name__ if assistant.output else "text"
        message = (
            f"{assistant.name} in {here.name}: the saved instance ({short(digest)}) holds the model to another schema"
            f" than {name} of this code: run inv {'asst.deploy' if here.position else 'asst.update'}"
        )
        warnings.warn(message, SchemaWarning, stacklevel=_app_stacklevel())


def _app_stacklevel() -> int:
    """The ``stacklevel`` that, in the calling function, stands for the app's nearest line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("invoke_assistants", "asyncio"):
        level, frame = level + 1, frame.f_back
    return level
