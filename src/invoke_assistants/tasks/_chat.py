"""The task that talks with an assistant, line by line."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.exceptions import Exit

from ._task import find_root, is_dry_run, task
from .exit_codes import format_error

__all__ = ["chat"]


@task(
    help={
        "name": "the assistant",
        "env": "ask this environment's instance; default: ASST_ENV, APP_ENV, or the first environment",
        "session": "continue this conversation",
    }
)
def chat(c: Context, name: str, env: str | None = None, session: str | None = None) -> None:
    """Talk with an assistant, line by line; /help lists the commands.

    Ctrl-C cancels an answer, Ctrl-D ends. Without a terminal, each line of stdin
    is a prompt, and a turn that fails makes the exit code 1.

    Example: inv asst.chat judge_answer --env production
    """
    from ..ask.by_name import named_question
    from ..config.settings import Settings
    from .chat_loop import ChatLoop
    from .plain_messages import plain_messages
    from .prompts import PipedLines, TypedLines, is_typed

    root, on_terminal = find_root(c), is_typed() and sys.stdout.isatty()
    with plain_messages():
        question = named_question(root, name, "", session, env)
        lines = TypedLines(Settings.load(root).private_folder) if on_terminal else PipedLines()
        loop = ChatLoop(question, lines, on_terminal)
        if is_dry_run(c):
            loop.print_instance()
            return
        try:
            loop.run()
        except KeyboardInterrupt as stopped:
            raise Exit("interrupted", format_error(stopped)[1]) from None
