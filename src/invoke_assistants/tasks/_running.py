"""The task that asks an assistant."""

from __future__ import annotations

import sys
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..ending import told
from ..errors import AnswerError
from ._task import JSON, is_dry, root, task

__all__ = ["run"]


@task(
    help={
        "name": "the assistant",
        "prompt": "what to say to it",
        "env": "whose instance to ask, by default the first environment's, or what ASST_ENV says",
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
            print(f"the answer as it came:\n{answer}", file=sys.stderr, flush=True)
        raise Exit(error, code) from None
    if json:
        usage = vars(reply.usage) if reply and reply.usage else None
        session = reply.session if reply else None
        print(render.document("run", [row], None, True, output=output, session=session, usage=usage, answer=None), flush=True)
    elif reply is None:
        print(f"would ask {row.name} in {row.environment}, {row.id}; nobody was asked")
    else:
        render.reply(row, reply, output, shown=bool(shown))
    return reply
