"""The declaration as the app uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Generic

from .declare.declaration import Declaration, Output
from .errors import AsstError
from .text import did_you_mean
from .types import JSONObject

if TYPE_CHECKING:
    from .ask.reply import Reply

__all__ = ["Assistant", "ReplyStream"]


class Assistant(Declaration[Output]):
    """An assistant, declared once in the app's code: see ``Declaration`` for what it takes.

    ``Assistant[TriviaGame]`` is what a declaration with ``output=TriviaGame`` is; without ``output`` it is
    ``Assistant[str]``, which is also what ``Assistant`` alone means; ``list[Assistant[Any]]`` holds several outputs.
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
        """What is configured remotely in one environment, as plain JSON.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .declare.payload import build_payload

        return build_payload(self, environment)

    def digest(self, environment: str) -> str:
        """``sha256:`` and the digest of the payload in one environment, in hex.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .declare.digest import digest

        return digest(self.payload(environment))

    def id(self, environment: str | None = None) -> str:
        """The id of the instance that the store names for an environment, or for the current one; no request is made.

        Raises:
            NotCreated: there is none.
            AsstError: the settings or the store are wrong.
        """
        from .ask.runtime import instance

        return instance(self, environment)[2].id

    def run(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> Reply[Output]:
        """Ask the assistant and wait for its answer.

        Args:
            prompt: what the user says.
            session: ``reply.session`` of an earlier reply, to go on in the same conversation.
            environment: whose instance is asked; by default the one that ``ASST_ENV`` or ``APP_ENV`` names, else the first.

        Raises:
            NotCreated: there is no instance in this environment.
            AnswerRefused, AnswerIncomplete, AnswerInvalid: what came is no answer; it is kept on ``.answer``.
            PlatformError: a request or the turn failed, or it took longer than ``ASST_TIMEOUT`` says.
            AsstError: the settings or the store are wrong, or the session is another assistant's or environment's.
        """
        return self.stream(prompt, session=session, environment=environment)._ended(shown=False)

    async def arun(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> Reply[Output]:
        """As ``run``, on the running event loop."""
        return await self.stream(prompt, session=session, environment=environment)._aended(shown=False)

    def stream(self, prompt: str, *, session: str | None = None, environment: str | None = None) -> ReplyStream[Output]:
        """The answer's text as it comes, with ``for`` or ``async for``; then its ``reply`` is what ``run`` would return.

        Nothing is asked before the first step. Arguments are those of ``run``, and so is what iterating raises. It can be
        looped over once: a second loop would ask again, and raises ``AsstError``.
        """
        return ReplyStream(self, prompt, session, environment)


class ReplyStream(Generic[Output]):
    """One answer as it comes: an iterator and an async iterator of pieces of text; ``reply`` once they have ended."""

    def __init__(self, declaration: Declaration[Output], prompt: str, session: str | None, environment: str | None) -> None:
        self._asked = declaration, prompt, session, environment
        self._begun = False
        self._reply: Reply[Output] | None = None

    @property
    def reply(self) -> Reply[Output]:
        """The reply, once the text has ended.

        Raises:
            AsstError: it has not.
        """
        if self._reply is None:
            raise AsstError(f"{self._asked[0].name}: the answer has not ended: loop over the stream to its end first")
        return self._reply

    def __iter__(self) -> Iterator[str]:
        return self._pieces(shown=True)

    def __aiter__(self) -> AsyncIterator[str]:
        return self._apieces(shown=True)

    def _pieces(self, *, shown: bool) -> Iterator[str]:
        from .ask.runtime import replied

        self._begin()
        for piece in replied(*self._asked, shown=shown):
            if isinstance(piece, str):
                yield piece
            else:
                self._reply = piece

    def _begin(self) -> None:
        if self._begun:
            raise AsstError(f"{self._asked[0].name}: this stream was looped over already: call stream again to ask again")
        self._begun = True

    async def _apieces(self, *, shown: bool) -> AsyncIterator[str]:
        from .ask.runtime import areplied

        self._begin()
        async for piece in areplied(*self._asked, shown=shown):
            if isinstance(piece, str):
                yield piece
            else:
                self._reply = piece

    def _ended(self, *, shown: bool) -> Reply[Output]:
        for _ in self._pieces(shown=shown):
            pass
        return self.reply

    async def _aended(self, *, shown: bool) -> Reply[Output]:
        async for _ in self._apieces(shown=shown):
            pass
        return self.reply
