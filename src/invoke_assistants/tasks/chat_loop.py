"""The conversation behind ``asst.chat``: lines in, commands and questions, answers out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from invoke.exceptions import Exit

from ..ask.dialogue import Dialogue
from ..ask.question import Question, ToolCall
from ..errors import AnswerError, AsstError, PlatformError, SettingsError
from ..reconcile.rows import json_value
from ..text import count, did_you_mean, one_line
from .exit_codes import is_terminated
from .output import describe_answer_error, print_answer, print_raw_answer, tell_how_to_go_on
from .printer import console
from .spelling import spell_commands
from .terminal import waiting

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["ChatLoop"]

ESCAPE = "// sends a line that begins with a slash"
SHOWN = 60  # characters of a function's arguments, and of its output
HELP = r"""/new         begin a new conversation
/env [NAME]  ask another environment's instance, in a new conversation
/json        switch between JSON and text answers
/help        list this
/quit        end, as Ctrl-D does
//text       send a line that begins with a slash: /text
text\        go on with the same prompt in the next line
Ctrl-C       cancel the answer that is coming, or clear the line"""


class Lines(Protocol):
    """Where the lines come from."""

    def read(self, prompt: str) -> str | None:
        """The next line, or None at the end."""


class ChatLoop:
    """Asks an assistant line by line, until the lines end. Making one raises ``AsstError`` where there is no instance.

    Args:
        question: whom to ask, where, and in which conversation.
        on_terminal: a person types the lines. Without one, a command that is wrong ends the loop: the lines after it rely on it.
    """

    def __init__(self, question: Question[Any], lines: Lines, on_terminal: bool) -> None:
        self._dialogue = Dialogue(replace(question, on_call=self._show_call))
        self._lines = lines
        self._on_terminal = on_terminal
        self._json = False
        self._ended = False
        self._turns = self._failed = 0
        self._instance: Step = self._dialogue.instance()
        self._shown = ""  # of the answer that is coming
        self._line_is_open = False  # whether the piece shown last ended in the middle of a line
        self._commands: dict[str, Callable[[str], None]] = {
            "/new": self._begin_anew,
            "/env": self._change_environment,
            "/json": self._toggle_json,
            "/help": self._help,
            "/quit": self._quit,
        }

    def print_instance(self) -> None:
        """Say who would be asked."""
        print(f"would talk with {self._where()}; nobody was asked")

    def run(self) -> None:
        """Talk until the lines end.

        Raises:
            AsstError: there is no instance any more, or the settings or the store are wrong.
            Exit: a turn failed, and nobody types the lines.
            KeyboardInterrupt: the process is to end.
        """
        if self._on_terminal:
            _say(f"{self._where()}: /help lists the commands, Ctrl-D ends")
        elif sys.stdin.isatty():
            _say("reading prompts from the terminal, one a line, until Ctrl-D")
        try:
            while not self._ended:
                self._next()
        finally:
            if how := self._how_to_go_on():
                tokens = f"{self._dialogue.tokens} tokens; " if self._dialogue.tokens else ""
                _say(f"{self._instance.id}: {tokens}{how}")
        if self._failed and not self._on_terminal:
            raise Exit(f"{self._failed} of {count(self._turns, 'turn')} failed", AsstError.exit_code)

    def _next(self) -> None:
        """Read one prompt or command, and do what it says."""
        try:
            text = self._read()
            if text is None:
                self._ended = True
                if self._on_terminal:
                    print()
            elif text.startswith("/") and not text.startswith("//"):
                self._command(text)
            elif text:
                self._ask(text.removeprefix("/"))
        except KeyboardInterrupt:
            if self._must_end():
                raise
            print()

    def _must_end(self) -> bool:
        """Whether an interruption ends the whole, and not what is going on alone."""
        return is_terminated() or not self._on_terminal

    def _read(self) -> str | None:
        """The next prompt; a line that ends in a backslash is followed by more of it."""
        line = self._lines.read(f"{self._instance.name} {self._instance.environment}> ")
        parts = []
        while line is not None and line.endswith("\\"):
            parts.append(line[:-1])
            line = self._lines.read("... ")
        if line is None and not parts:
            return None
        return "\n".join([*parts, line or ""]).strip()

    def _ask(self, prompt: str) -> None:
        """Ask, and print the answer; the errors of one turn are printed, and the conversation goes on."""
        self._turns += 1
        self._shown, self._line_is_open = "", False
        streams = self._dialogue.answers_text and sys.stdout.isatty() and not self._json
        try:
            with waiting(f"asking {self._dialogue.name}") as show:

                def show_piece(text: str) -> None:
                    self._shown += text
                    self._line_is_open = not text.endswith("\n")
                    show(text)

                with (
                    nullcontext() if streams else redirect_stdout(sys.stderr)
                ):  # what the app's functions print is not the answer
                    result = self._dialogue.ask(prompt, show_piece if streams else None)
        except KeyboardInterrupt:
            if self._must_end():
                self._end_line()
                raise
            print(flush=True)  # the terminal has shown ^C
            goes_on = "the conversation goes on" if self._dialogue.session else "the next line begins a new conversation"
            _say(f"cancelled; {goes_on}")
            return
        except (AnswerError, PlatformError) as error:
            self._failed += 1
            self._end_line()
            _say(describe_answer_error(spell_commands(str(error))))
            if isinstance(error, AnswerError) and error.answer and error.answer != self._shown:
                print_raw_answer(error.answer)
            return
        self._instance = result.step
        if self._json:
            print(json_value(result.output, 2 if self._on_terminal else None), flush=True)
        elif streams:
            self._end_line()
        else:
            print_answer(result.output)

    def _show_call(self, call: ToolCall) -> None:
        """Print one of the app's functions as the model called it, and what it got."""
        from rich.text import Text

        self._end_line()
        line = f"{call.name}({_short(_arguments(call.arguments))}) -> {_short(call.output)}"
        console(sys.stderr).print(Text(one_line(line), style="dim"), soft_wrap=True)

    def _end_line(self) -> None:
        """End the line that pieces of the answer were printed on."""
        if self._line_is_open:
            self._line_is_open = False
            print(flush=True)

    def _command(self, text: str) -> None:
        name, _, argument = text.partition(" ")
        try:
            if name not in self._commands:
                hint = did_you_mean(name, self._commands) or f"; {ESCAPE}"
                raise SettingsError(f"no command {name!r:.80}; there are {', '.join(self._commands)}{hint}")
            if argument.strip() and name != "/env":
                raise SettingsError(f"{name} takes nothing behind it; {ESCAPE}")
            self._commands[name](argument.strip())
        except AsstError as error:
            if not self._on_terminal:
                raise
            _say(spell_commands(str(error)))

    def _begin_anew(self, _: str) -> None:
        if how := self._how_to_go_on():
            _say(f"the conversation so far: {how}")
        self._dialogue.begin_anew()
        _say("a new conversation")

    def _change_environment(self, name: str) -> None:
        if not name:
            _say(f"{self._where()}; /env NAME asks another environment's instance")
            return
        how = self._how_to_go_on()
        self._instance = self._dialogue.move_to(name)
        if how:
            _say(f"the conversation so far: {how}")
        _say(f"{self._where()}: a new conversation, since each belongs to one environment")

    def _toggle_json(self, _: str) -> None:
        self._json = not self._json
        _say("answers are printed as JSON" if self._json else "answers are printed as text")

    def _help(self, _: str) -> None:
        _say(HELP)

    def _quit(self, _: str) -> None:
        self._ended = True

    def _where(self) -> str:
        step = self._instance
        return f"{step.name} in {step.environment}, {step.id} on {step.platform}"

    def _how_to_go_on(self) -> str:
        """The flags that continue this conversation; empty where it has not begun."""
        chosen, session = self._dialogue.chosen_environment, self._dialogue.session
        return tell_how_to_go_on(session, f"--env {chosen} " if chosen else "") if session else ""


def _say(text: str) -> None:
    """Print on stderr, which holds all but the answers."""
    print(text, file=sys.stderr, flush=True)


def _arguments(given: Any) -> str:
    """The arguments of a call as in Python: ``word='tree', times=2``; what is no JSON object is shown as it is."""
    try:
        found = json.loads(given) if isinstance(given, str) else given
        return ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in found.items())
    except (ValueError, AttributeError):
        return str(given)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
