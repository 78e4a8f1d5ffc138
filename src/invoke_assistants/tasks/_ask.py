"""The tasks that ask an assistant: one question, or a talk line by line."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from ..errors import AnswerError
from ._task import JSON, find_root, is_dry_run, task

__all__ = ["chat", "run"]


@task(
    help={
        "name": "the assistant",
        "prompt": "the prompt; - reads stdin, @FILE reads a file; write @@ for one that begins with @",
        "env": "ask this environment's instance; default: ASST_ENV, APP_ENV, or the first environment",
        "session": "continue this conversation",
        "json": JSON,
    }
)
def run(c: Context, name: str, prompt: str, env: str | None = None, session: str | None = None, json: bool = False) -> Any:
    """Ask an assistant, and print its answer.

    Example: inv asst.run judge_answer @answer.txt --env production
    """
    from ..ask import by_name
    from ..ask.turn import TEMPORARY_PREFIX
    from .exit_codes import format_error, print_document
    from .output import describe_answer_error, json_document, print_raw_answer, print_reply
    from .plain_messages import plain_messages
    from .prompts import read_prompt
    from .terminal import waiting

    streams = sys.stdout.isatty() and not json
    try:
        text = read_prompt(prompt)
        with plain_messages(), waiting(f"asking {name}") as show:
            question = by_name.named_question(find_root(c), name, text, session, env)
            with nullcontext() if streams else redirect_stdout(sys.stderr):  # what the app's functions print is not the answer
                result = by_name.run(question, show if streams else None, dry=is_dry_run(c))
    except (Exception, KeyboardInterrupt) as raised:
        error, code = format_error(raised)
        if isinstance(raised, KeyboardInterrupt):
            error = "interrupted"
        if not json:
            error = describe_answer_error(error)
        answer = raised.answer if isinstance(raised, AnswerError) else None
        if json:
            print_document(json_document("run", [], error, False, output=None, session=None, usage=None, answer=answer))
        elif answer:
            print_raw_answer(answer)
        raise Exit(error, code) from None
    step, reply = result.step, result.reply
    if json:
        usage = vars(reply.usage) if reply and reply.usage else None
        session = None if reply is None or reply.session.startswith(TEMPORARY_PREFIX) else reply.session
        print_document(json_document("run", [step], None, True, output=result.output, session=session, usage=usage, answer=None))
    elif reply is None:
        print(f"would ask {step.name} in {step.environment}, {step.id}; nobody was asked")
    else:
        print_reply(step, reply, result.output, printed=result.shown)
    return reply


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
    from .exit_codes import format_error
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
