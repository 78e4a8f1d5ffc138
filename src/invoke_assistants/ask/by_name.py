"""Asking a declared assistant by its name, as the command line does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config.project import Project
from ..errors import AnswerInvalid
from ..types import Step
from .ask import ask
from .parsing import dump_output
from .process_cache import process_cache
from .question import Question
from .reply import Reply

__all__ = ["RunResult", "named_question", "run"]


@dataclass(frozen=True)
class RunResult:
    """What a run gave: the instance that answered, as a step; the reply; its output as plain JSON.

    A dry run has the step alone. ``shown`` says whether the text was shown as it came.
    """

    step: Step
    reply: Reply[Any] | None = None
    output: Any = None
    shown: bool = False


def named_question(root: Path, name: str, prompt: str, session: str | None, environment: str | None) -> Question[Any]:
    """A question to a declared assistant.

    Raises:
        AsstError: the settings or the app are wrong, or there is no such assistant.
    """
    assistant = Project.load(root, [name]).selected()[0]
    return Question(assistant, prompt, session, environment, root=root)


def run(question: Question[Any], show: Callable[[str], None] | None = None, *, dry: bool = False) -> RunResult:
    """Ask a question and wait for the reply.

    Args:
        show: is given the text of an assistant without an output model as it comes.
        dry: find the instance that would be asked, and ask nothing.

    Raises:
        AsstError: as ``ask``.
    """
    instance = process_cache().instance(question.assistant, question.environment, question.root)
    here, record, output = instance.environment, instance.record, question.assistant.output
    step = Step(question.assistant.name, here.name, here.location.platform, None, id=record.id, digest=record.digest)
    if dry:
        return RunResult(step)
    streamed = show is not None and (output is None or output is str)
    for piece in ask(replace(question, streamed=streamed)):
        if not isinstance(piece, str):
            return RunResult(replace(step, id=piece.id), piece, _plain(question, piece), streamed)
        if show and streamed:
            show(piece)
    raise AssertionError("unreachable")


def _plain(question: Question[Any], reply: Reply[Any]) -> Any:
    try:
        return dump_output(question.assistant.output, reply.output)
    except ValueError as error:
        message = f"{question.assistant.name}: the output cannot be shown as JSON: {error}"
        raise AnswerInvalid(message, answer=repr(reply.output), session=reply.session) from error
