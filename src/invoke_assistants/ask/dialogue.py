"""A conversation with a declared assistant, one turn after another, as a person has it in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import AnswerError, PlatformError
from ..types import Step
from .by_name import RunResult, run
from .question import Question

__all__ = ["Dialogue"]

CANCEL_SECONDS = 5.0  # until a service has ended a turn that was cancelled
LOOK_SECONDS = 0.1  # between two looks whether it has


class Dialogue:
    """Asks one assistant again and again; each turn goes on in the conversation of the one before.

    Args:
        question: its assistant is asked in its environment, at first in its session; its prompt is not.

    Attributes:
        session: the conversation that the next turn goes on with, or None where that begins a new one.
        tokens: those of all turns of this conversation that the platform counted.
    """

    def __init__(self, question: Question[Any]) -> None:
        self._question = question
        self.session = question.session
        self.tokens = 0
        self._free_by = 0.0  # on the monotonic clock: when a cancelled turn no longer keeps the conversation busy

    @property
    def name(self) -> str:
        """The assistant's name."""
        return self._question.assistant.name

    @property
    def answers_text(self) -> bool:
        """Whether the answers are text, and not objects of an output model."""
        return self._question.assistant.output in (None, str)

    @property
    def chosen_environment(self) -> str | None:
        """The environment that was asked for; None means the current one."""
        return self._question.environment

    def instance(self) -> Step:
        """The instance that is asked, as a step; nobody is asked.

        Raises:
            NotCreated: there is no such instance.
            AsstError: the settings or the store are wrong.
        """
        return run(self._question, dry=True).step

    def ask(self, prompt: str, show: Callable[[str], None] | None) -> RunResult:
        """Ask, and wait for the reply. After an error or an interruption, the next turn goes on in this conversation.

        Args:
            show: is given the text of an answer without an output model as it comes.

        Raises:
            AsstError: as ``ask.ask``.
        """
        try:
            result = self._ask_when_free(replace(self._question, prompt=prompt, session=self.session), show)
        except AnswerError as error:
            self.session = error.session or self.session
            raise
        except KeyboardInterrupt:
            self._free_by = time.monotonic() + CANCEL_SECONDS
            raise
        reply = result.reply
        if reply is not None:
            self.session = reply.session
            self.tokens += reply.usage.total_tokens if reply.usage else 0
        return result

    def _ask_when_free(self, question: Question[Any], show: Callable[[str], None] | None) -> RunResult:
        """Ask; where a turn that was just cancelled still keeps the conversation busy, so that nothing was sent, ask again."""
        while True:
            try:
                return run(question, show)
            except PlatformError as error:
                if not error.transient or error.unknown or time.monotonic() > self._free_by:
                    raise
            time.sleep(LOOK_SECONDS)

    def begin_anew(self) -> None:
        """Let the next turn begin a new conversation."""
        self.session, self.tokens = None, 0

    def move_to(self, environment: str) -> Step:
        """Ask another environment's instance from here on, in a new conversation; where there is none, all stays as it is.

        Raises:
            NotCreated: there is no such instance.
            AsstError: there is no such environment, or the settings or the store are wrong.
        """
        moved = replace(self._question, environment=environment)
        step = run(moved, dry=True).step
        self._question = moved
        self.begin_anew()
        return step
