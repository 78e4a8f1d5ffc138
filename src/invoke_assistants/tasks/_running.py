"""The task that asks an assistant."""

from __future__ import annotations

import sys
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..ending import told
from ..errors import AnswerError
from ..turns import PASSING
from ._task import JSON, is_dry, root, task

__all__ = ["run"]


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
    from .. import render
    from ..runtime import run as verb

    shown = sys.stdout.isatty() and not json
    try:
        with render.waiting(f"asking {name}") as show:
            row, reply, output = verb(
                root(c), name, prompt, env=env, session=session, show=show if shown else None, dry=is_dry(c, False)
            )
    except (Exception, KeyboardInterrupt) as raised:
        error, code = told(raised)
        answer = raised.answer if isinstance(raised, AnswerError) else None
        if json:
            print(render.document("run", [], error, False, output=None, session=None, usage=None, answer=answer), flush=True)
        elif answer:
            render.raw_answer(answer)
        raise Exit(error, code) from None
    if json:
        usage = vars(reply.usage) if reply and reply.usage else None
        session = None if reply is None or reply.session.startswith(PASSING) else reply.session
        print(render.document("run", [row], None, True, output=output, session=session, usage=usage, answer=None), flush=True)
    elif reply is None:
        print(f"would ask {row.name} in {row.environment}, {row.id}; nobody was asked")
    else:
        render.reply(row, reply, output, shown=bool(shown))
    return reply
