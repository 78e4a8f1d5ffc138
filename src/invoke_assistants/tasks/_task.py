"""What the tasks share: how one is made, what a command prints at its end, the help of the flags."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from ..errors import AsstError, Refused
from ..text import escape_unencodable, printable
from .command_span import command_span, describe_steps
from .exit_codes import PENDING, discard_output, end_at_next_signal, exit_code_of, format_error, interruptible
from .spelling import spell_commands

if TYPE_CHECKING:
    from ..reconcile.reporter import Confirm
    from ..types import Step
    from .summary import Scope

__all__ = [
    "DRY", "ENV", "JSON", "ONLY", "OVERWRITE", "RECREATE", "WRITE", "YES", "AsstTask", "CommandOutput", "find_root", "is_dry_run",
    "task",
]  # fmt: skip

ONLY = "act on this assistant only; may be given several times"
ENV = "act on this environment only"
JSON = "print one JSON document on stdout, everything else on stderr"
DRY = "write nothing; exit with 2 if something would be written"
YES = "do not ask; --overwrite and --recreate are still needed"
OVERWRITE = "overwrite remote changes with the declared values"
WRITE = {"only": ONLY, "env": ENV, "json": JSON, "dry-run": DRY, "yes": YES}
RECREATE = "if all instances of an environment are gone, create them anew"

NAMES: set[str] = set()  # of all tasks of ours


class _Positional(Argument):
    """An argument without a flag, of a command. Invoke would take the ``--help`` of ``inv asst.run --help`` as its value."""

    def __init__(self, command: str, plain: Argument) -> None:
        super().__init__(names=plain.names, kind=plain.kind, help=plain.help, positional=True, attr_name=plain.attr_name)
        self._command = command

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take the value.

        Raises:
            ParseError: it is the flag that asks for help.
        """
        if value in ("-h", "--help"):
            command = f"asst.{self._command}"
            raise ParseError(
                spell_commands(f"inv {command} takes arguments before its flags: inv --help {command} shows its help")
            )
        super().set_value(value, cast)


class AsstTask(Task):  # type: ignore[type-arg]  # invoke's Task is generic only in its stubs
    """A task whose errors end in one line and an exit code, from the command line and from another task alike."""

    def get_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke's arguments, except that a repeatable one needs a value: a bare ``--only`` must not mean all."""
        help = dict(self.help)
        arguments = super().get_arguments(*args, **kwargs)
        self.help = help  # which Invoke has emptied: whoever asks again wants the same answer
        for argument in arguments:
            if argument.kind is list:
                argument.raw_value = None
        return [_Positional(self.name, each) if each.positional else each for each in arguments]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body.

        Raises:
            Exit: instead of every error of ours, an interruption, a closed pipe, and what nobody foresaw.
        """
        escape_unencodable()
        with command_span(self.name):
            return self._call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with interruptible():
                return super().__call__(*args, **kwargs)
        except Exit:
            raise
        except BrokenPipeError:  # head has read enough
            discard_output()
            raise Exit(None, AsstError.exit_code) from None
        except KeyboardInterrupt as error:  # a second one, which struck between two lines of the first one's handling
            end_at_next_signal()
            raise Exit(*format_error(error)) from None
        except Exception as error:
            raise Exit(*format_error(error)) from None


def task(**options: Any) -> Callable[[Callable[..., Any]], AsstTask]:
    """Invoke's decorator, without short flags, which would change with every new parameter."""
    decorate: Callable[[Callable[..., Any]], AsstTask] = invoke_task(klass=AsstTask, auto_shortflags=False, **options)

    def made(body: Callable[..., Any]) -> AsstTask:
        NAMES.add(body.__name__)
        return decorate(body)

    return made


class CommandOutput:
    """What a command prints: progress while its block runs, at the end the steps that the block sets, or its error.

    Leaving the block raises ``Exit`` where the exit code is not 0.

    Args:
        planned: the command only looks.
        check: pending changes and steps with errors make an exit code.
    """

    def __init__(self, command: str, json: bool, *, planned: bool = False, check: bool = False) -> None:
        from .terminal import Terminal

        self.steps: list[Step] = []
        self.lines: list[str] | None = None  # what is printed for people in the place of the steps
        self.more: dict[str, Any] = {}  # keys that this command adds to the JSON document
        self.scope: Scope | None = None  # what the next command is narrowed to; without it, none is named
        self.terminal = Terminal()
        self._declined = False  # somebody saw the steps and said no
        self._command = command
        self._json = json
        self._planned = planned
        self._check = check

    def narrow(
        self, only: Iterable[str] | None = None, env: str | None = None, more: Sequence[str] = (), later: bool = False
    ) -> None:
        """Let the end name the next command, narrowed to the same assistants and environment.

        Args:
            more: other flags to repeat.
            later: whether there are environments after the first.
        """
        from .summary import Scope

        names = (only,) if isinstance(only, str) else tuple(only) if isinstance(only, Sequence) else ()
        self.scope = Scope(names, env, tuple(more), later)

    def confirm(self, yes: bool) -> Confirm | None:
        """Who is asked before something is lost: the person at the terminal, or nobody."""
        return None if yes or self._json else self._ask

    def _ask(self, question: str, steps: Sequence[Step]) -> bool:
        from .terminal import confirm, has_person

        if not has_person():
            return False
        confirmed = confirm(self._command, question, steps)
        self._declined = not confirmed
        return confirmed

    def __enter__(self) -> CommandOutput:
        return self

    def __exit__(self, kind: object, raised: BaseException | None, traceback: TracebackType | None) -> None:
        self.terminal.stop()
        if raised is not None and not isinstance(raised, Exception | KeyboardInterrupt):
            return
        error: str | None = None
        code = 0
        if isinstance(raised, Exception | KeyboardInterrupt):
            error, code = format_error(raised)
            self.steps = list(raised.rows) if isinstance(raised, AsstError) else []
        elif self._check:
            error, code = self._join_errors(), exit_code_of(self.steps)
        describe_steps(self.steps, planned=self._planned)
        last = self._last_line(error, code, raised=raised is not None)
        try:
            self._print(error, last, code)
            sys.stdout.flush()
        except BrokenPipeError:  # head has read enough: what was done, and the exit code, stay
            discard_output(last)
            last = None
        if code:
            raise Exit(last, code) from None

    def _last_line(self, error: str | None, code: int, *, raised: bool) -> str | None:
        """What people read of an error at the end; what they have read already is not said again."""
        from .summary import summarize

        if error and self._command == "check" and not raised:
            return summarize(self._command, self.steps, planned=True)  # each error stands at its row
        if self._declined and code == Refused.exit_code:
            return error if error and error.startswith("not confirmed") else "not confirmed: nothing was written"
        return error

    def _print(self, error: str | None, last: str | None, code: int) -> None:
        from .output import json_document, print_steps

        stream, refused = sys.stderr if self._json else sys.stdout, code == Refused.exit_code and not self._planned
        if self.lines is not None:
            print("\n".join(spell_commands(printable(line)) for line in self.lines), file=stream, flush=True)
        elif (self.steps or not error) and not (self._declined and refused):
            print_steps(
                self._command, self.steps, stream, planned=self._planned, refused=refused, error=last, scope=self.scope
            )  # fmt: skip
        if self._json:
            print(json_document(self._command, self.steps, error, code in (0, PENDING), **self.more), flush=True)

    def _join_errors(self) -> str | None:
        named = self._command == "check"  # its errors do not name the assistant
        errors: Iterable[str] = (f"{step.title}: {step.error}" if named else step.error for step in self.steps if step.error)
        return spell_commands("; ".join(dict.fromkeys(errors))) or None


def find_root(c: Context) -> Path:
    """The project's folder: from where Invoke found ``tasks.py``."""
    from ..config import root

    loaded_from = getattr(c.config, "_project_prefix", None)  # it has no public name
    folder = root.find_root(Path(loaded_from or Path.cwd()))
    assert folder is not None
    return folder


def is_dry_run(c: Context, dry_run: bool = False) -> bool:
    """Whether nothing may be written: by our flag, or by Invoke's own."""
    return dry_run or bool(c.config.run.dry)
