"""The public ``Assistant``: a declaration that can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import fields
from functools import cache, wraps
from typing import TYPE_CHECKING, Generic

from .declare.declaration import Declaration, Output
from .errors import AsstError
from .text import did_you_mean
from .types import JSONObject

if TYPE_CHECKING:
    from .ask.process_cache import ProcessCache
    from .ask.question import Question
    from .ask.reply import Reply

__all__ = ["Assistant", "ReplyStream"]


class Assistant(Declaration[Output]):
    """An assistant, declared once in the app's code; ``Declaration`` describes the arguments.

    A declaration with ``output=TriviaGame`` is an ``Assistant[TriviaGame]``, one without ``output`` an ``Assistant[str]``.
    ``Assistant`` alone means ``Assistant[str]``; ``list[Assistant[Any]]`` holds assistants of several outputs.
    """

    if not TYPE_CHECKING:  # type checkers see the declaration's own

        @wraps(Declaration.__init__)
        def __init__(self, *args, **options):
            known = [each.name for each in fields(Declaration)]
            if odd := next((name for name in options if name not in known), None):
                raise TypeError(f"Assistant() got an unexpected keyword argument {odd!r}{did_you_mean(odd, known)}")
            if "model" not in options:
                raise TypeError("Assistant() needs a model: Assistant('name', model='…')")
            super().__init__(*args, **options)

    def payload(self, environment: str) -> JSONObject:
        """The configuration of the instance in one environment, as plain JSON.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .declare.declaration import plain
        from .declare.payload import build_payload

        payload: JSONObject = plain(build_payload(self, environment))  # the caller's own
        return payload

    def digest(self, environment: str) -> str:
        """The digest of the payload in one environment: ``sha256:`` and 64 hex digits.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .declare.digest import digest
        from .declare.payload import build_payload

        return digest(build_payload(self, environment))

    def id(self, environment: str | None = None) -> str:
        """The id of the recorded instance in an environment, or in the current one; no request is made.

        Raises:
            NotCreated: there is no such instance.
            AsstError: the settings or the store are wrong.
        """
        return _find_process_cache()().instance(self, environment, None).record.id

    def run(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> Reply[Output]:
        """Ask the assistant and wait for its answer.

        Args:
            prompt: what the user says.
            session: ``reply.session`` of an earlier reply, to go on in the same conversation.
            environment: whose instance is asked; by default the one that ``ASST_ENV`` or ``APP_ENV`` names, else the first.

        Raises:
            NotCreated: there is no instance in this environment.
            AnswerRefused, AnswerIncomplete, AnswerInvalid: there is no usable answer; what came is on ``.answer``.
            PlatformError: a request or the turn failed, or it took longer than ``ASST_TIMEOUT`` says.
            AsstError: the settings or the store are wrong, or the session is another assistant's or environment's.
        """
        stream = self._reply_stream(prompt, session, environment)
        for _ in stream:
            pass
        return stream.reply

    async def arun(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> Reply[Output]:
        """As ``run``, on the running event loop."""
        stream = self._reply_stream(prompt, session, environment)
        async for _ in stream:
            pass
        return stream.reply

    def stream(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> ReplyStream[Output]:
        """Ask the assistant and get the answer's text as it comes, with ``for`` or ``async for``.

        Nothing is asked before the first step. At the end of the text, ``reply`` is what ``run`` would return. A stream takes
        the arguments of ``run`` and raises what ``run`` raises. A second loop over it would ask again, and raises ``AsstError``.
        """
        return self._reply_stream(prompt, session, environment, streamed=True)

    def _reply_stream(
        self, prompt: str, session: str | None, environment: str | None, *, streamed: bool = False
    ) -> ReplyStream[Output]:
        from .ask.question import Question  # declaring an assistant needs none

        return ReplyStream(Question(self, prompt, session, environment, streamed))


@cache
def _find_process_cache() -> Callable[[], ProcessCache]:
    """What gives the state of this process: imported at the first call, and kept, since an import costs each time."""
    from .ask.process_cache import process_cache

    return process_cache


class ReplyStream(Generic[Output]):
    """One answer as it comes: pieces of text for ``for`` or ``async for``, and the ``reply`` at their end."""

    def __init__(self, question: Question[Output]) -> None:
        self._question = question
        self._started = False
        self._reply: Reply[Output] | None = None

    @property
    def reply(self) -> Reply[Output]:
        """The reply, once the text has ended.

        Raises:
            AsstError: it has not ended.
        """
        if self._reply is None:
            raise AsstError(f"{self._question.assistant.name}: the answer has not ended: loop over the stream to its end first")
        return self._reply

    def __iter__(self) -> Iterator[str]:
        from .ask.ask import ask

        self._start()
        for piece in ask(self._question):
            if isinstance(piece, str):
                yield piece
            else:
                self._reply = piece

    async def __aiter__(self) -> AsyncIterator[str]:
        from .ask.ask import aask

        self._start()
        async for piece in aask(self._question):
            if isinstance(piece, str):
                yield piece
            else:
                self._reply = piece

    def _start(self) -> None:
        if self._started:
            name = self._question.assistant.name
            raise AsstError(f"{name}: this stream was looped over already: call stream again to ask again")
        self._started = True
