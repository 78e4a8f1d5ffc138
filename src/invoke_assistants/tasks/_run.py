"""The task that asks an assistant."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..ask.turn import TEMPORARY_PREFIX
from ..errors import AnswerError, SchemaWarning
from ..text import one_line
from ._task import JSON, find_root, is_dry_run, task
from .exit_codes import format_error
from .spelling import spell_commands

__all__ = ["run"]


@contextmanager
def _plain_warnings() -> Generator[None]:
    """Print our warnings as one line on stderr, without the line of source that Python adds."""
    with warnings.catch_warnings():
        python = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, SchemaWarning):
                print(f"warning: {spell_commands(one_line(str(message)))}", file=sys.stderr, flush=True)
            else:
                python(message, category, *where, **more)

        warnings.showwarning = show
        yield


@task(
    help={
        "name": "the assistant",
        "prompt": "what to say to it",
        "env": "whose instance to ask, by default what ASST_ENV or APP_ENV says, else the first environment's",
        "session": "go on in this conversation",
        "json": JSON,
    }
)
def run(c: Context, name: str, prompt: str, env: str | None = None, session: str | None = None, json: bool = False) -> Any:
    """Ask an assistant, and print its answer."""
    from ..ask import by_name
    from .output import json_document, print_raw_answer, print_reply
    from .terminal import waiting

    streams = sys.stdout.isatty() and not json
    try:
        with _plain_warnings(), waiting(f"asking {name}") as show:
            question = by_name.named_question(find_root(c), name, prompt, session, env)
            result = by_name.run(question, show if streams else None, dry=is_dry_run(c))
    except (Exception, KeyboardInterrupt) as raised:
        error, code = format_error(raised)
        if isinstance(raised, KeyboardInterrupt):
            error = "interrupted"
        if not json:
            error = error.replace("; .answer holds it as it came", "")  # it is printed here
        answer = raised.answer if isinstance(raised, AnswerError) else None
        if json:
            print(json_document("run", [], error, False, output=None, session=None, usage=None, answer=answer), flush=True)
        elif answer:
            print_raw_answer(answer)
        raise Exit(error, code) from None
    step, reply = result.step, result.reply
    if json:
        usage = vars(reply.usage) if reply and reply.usage else None
        session = None if reply is None or reply.session.startswith(TEMPORARY_PREFIX) else reply.session
        print(
            json_document("run", [step], None, True, output=result.output, session=session, usage=usage, answer=None), flush=True
        )
    elif reply is None:
        print(f"would ask {step.name} in {step.environment}, {step.id}; nobody was asked")
    else:
        print_reply(step, reply, result.output, printed=streams)
    return reply
