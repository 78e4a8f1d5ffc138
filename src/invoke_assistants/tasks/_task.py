"""What the tasks share: how one is made, what a command prints at its end, the help of the flags."""

from __future__ import annotations

import atexit
import copy
import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from ..errors import AsstError, Refused
from ..text import escape_unencodable, printable
from .exit_codes import PENDING, discard_output, end_at_next_signal, exit_code_of, format_error, interruptible
from .spelling import spell_commands
from .task_arguments import CommandArgument, OptionalPositional, Positional, Repeatable

if TYPE_CHECKING:
    from ..reconcile.reporter import Confirm
    from ..types import Step
    from .summary import Scope

__all__ = [
    "ALLOW_BREAKING", "DRY", "ENV", "JSON", "ONLY", "OUT", "OVERWRITE", "PLAN", "RECREATE", "RESUME", "SKIP_EVALS", "WRITE",
    "YES", "AsstTask", "CommandOutput", "find_root", "is_dry_run", "task",
]  # fmt: skip

ONLY = "act on this assistant only; may be given several times"
ENV = "act on this environment only"
JSON = "print one JSON document on stdout, everything else on stderr"
DRY = "write nothing; exit with 2 if something would be written"
YES = "do not ask; --overwrite and --recreate are still needed"
OVERWRITE = "overwrite remote changes with the declared values"
ALLOW_BREAKING = "NAME or NAME:PATH: let through what the running app may not read; repeatable"
SKIP_EVALS = "go on without a pass of required evals, and record that"
WRITE = {"only": ONLY, "env": ENV, "json": JSON, "dry-run": DRY, "yes": "do not ask; --overwrite is still needed"}
OUT = "save the plan to this file, for asst.deploy --plan"
PLAN = "do the plan in this file; refuse if anything in it has changed"
RECREATE = "create an environment anew if all its instances are gone"
RESUME = "go forward again where a rollback holds an environment"

COLLECT = (50_000, 50, 100)  # the garbage collector's thresholds while a command runs
NAMES: set[str] = set()  # of all tasks of ours


class AsstTask(Task):  # type: ignore[type-arg]  # invoke's Task is generic only in its stubs
    """A task whose errors end in one line and an exit code, from the command line and from another task alike."""

    argspec = functools.cache(Task.argspec)  # Invoke asks for it three times

    def __deepcopy__(self, memo: object) -> AsstTask:
        """A copy with lists and dicts of its own: Invoke copies every task of every collection when it starts."""
        copied = object.__new__(type(self))
        for name, value in vars(self).items():
            setattr(copied, name, copy.copy(value) if isinstance(value, list | dict) else value)
        return copied

    def get_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke's arguments, of our own kinds."""
        help, self.help = self.help, dict(self.help)  # which Invoke empties: whoever asks again wants the same answer
        arguments = super().get_arguments(*args, **kwargs)
        self.help = help
        return [self._kind(each)(self.name, each) for each in arguments]

    def _kind(self, argument: Argument) -> type[CommandArgument]:
        if not argument.positional:
            return Repeatable if argument.kind is list else CommandArgument
        needed = self.argspec(self.body).parameters[argument.name or ""].default is inspect.Signature.empty
        return Positional if needed else OptionalPositional

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body.

        Raises:
            Exit: instead of every error of ours, an interruption, a closed pipe, and what nobody foresaw.
        """
        escape_unencodable()
        from .command_span import command_span  # listing the tasks needs no spans

        # What a command loads stays until its end: to look through all of it again and again finds nothing to free.
        before = gc.get_threshold()
        if before[0]:
            gc.set_threshold(*COLLECT)
        _freeze_at_exit()
        try:
            with command_span(self.name):
                return self._call(*args, **kwargs)
        finally:
            gc.set_threshold(*before)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with interruptible():
                if any(name.startswith("ASST_") for name in os.environ):
                    from .terminal import warn_of_misspelt_settings

                    warn_of_misspelt_settings()
                return super().__call__(*args, **kwargs)
        except Exit:
            raise
        except BrokenPipeError:  # head has read enough
            discard_output()
            raise Exit(None, AsstError.exit_code) from None
        except KeyboardInterrupt as error:  # a second one, which struck between two lines of the first one's handling
            end_at_next_signal()
            raise Exit(*format_error(error, self.name)) from None
        except Exception as error:
            raise Exit(*format_error(error, self.name)) from None


@functools.cache
def _freeze_at_exit() -> None:
    """Spare the process the search through all that it has loaded when it ends anyway: a tenth of a short command's time."""
    atexit.register(gc.freeze)


def task(**options: Any) -> Callable[[Callable[..., Any]], AsstTask]:
    """Invoke's decorator, without short flags, which would change with every new parameter."""
    decorate: Callable[[Callable[..., Any]], AsstTask] = invoke_task(klass=AsstTask, auto_shortflags=False, **options)

    def made(body: Callable[..., Any]) -> AsstTask:
        found = decorate(body)
        NAMES.add(found.name)
        return found

    return made


class CommandOutput:
    """What a command prints: progress while its block runs, at the end the steps that the block sets, or its error.

    Leaving the block raises ``Exit`` where the exit code is not 0.

    Args:
        planned: the command only looks.
        check: pending changes and steps with errors make an exit code.
        markdown: stdout holds the plan as Markdown, and nothing else.
    """

    def __init__(self, command: str, json: bool, *, planned: bool = False, check: bool = False, markdown: bool = False) -> None:
        from .terminal import Terminal

        self.steps: list[Step] = []
        self.lines: list[str] | None = None  # what is printed for people in the place of the steps
        self.printer: Callable[[IO[str]], None] | None = None  # prints for people in the place of the steps
        self.more: dict[str, Any] = {}  # keys that this command adds to the JSON document
        self.scope: Scope | None = None  # what the next command is narrowed to; without it, none is named
        self.terminal = Terminal()
        self._refused = False  # nothing was written
        self._declined = False  # somebody saw the steps and said no
        self._command = command
        self._json = json
        self._planned = planned
        self._check = check
        self._markdown = markdown and not json

    def narrow(
        self, only: Iterable[str] | None = None, env: str | None = None, more: Sequence[str] = (), later: bool = False,
        saved: str | None = None, deploy: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Let the end name the next command, narrowed to the same assistants and environment.

        Args:
            more: other flags to repeat.
            later: whether there are environments after the first.
            saved: the file that the plan was saved to.
            deploy: flags that a deploy needs as well.
        """
        from .summary import Scope

        names = (only,) if isinstance(only, str) else tuple(only) if isinstance(only, Sequence) else ()
        self.scope = Scope(names, env, tuple(more), later, saved, tuple(deploy))

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
            error, code = format_error(raised, self._command)
            self.steps = list(raised.rows) if isinstance(raised, AsstError) else []
            self._refused = isinstance(raised, Refused) and not (self._planned or raised.promoted)
        elif self._check:
            error, code = self._join_errors(), exit_code_of(self.steps)
        from .command_span import describe_steps

        describe_steps(self.steps, planned=self._planned)
        last = self._last_line(error, code, raised=raised is not None)
        try:
            self._print(error, last, code, raised=raised is not None)
            sys.stdout.flush()
        except BrokenPipeError:  # head has read enough: what was done, and the exit code, stay
            discard_output(last)
            last = None
        except OSError as full:  # a disk that is full
            discard_output()
            last, code = f"the output cannot be written: {full.strerror}", code or AsstError.exit_code
        if code:
            raise Exit(last, code) from None

    def _last_line(self, error: str | None, code: int, *, raised: bool) -> str | None:
        """What people read of an error at the end; what they have read already is not said again."""
        from .summary import split_errors, summarize

        if error and self._command == "check" and not raised:
            return summarize(self._command, self.steps, planned=True)  # each error stands at its row
        if self._declined and code == Refused.exit_code:
            return error if error and error.startswith("not confirmed") else "not confirmed: nothing was written"
        return split_errors(error, self.steps) if error else None

    def _print(self, error: str | None, last: str | None, code: int, *, raised: bool) -> None:
        from .output import json_document, print_steps

        stream = sys.stderr if self._json or self._markdown else sys.stdout
        if self.lines is not None:
            print("\n".join(spell_commands(printable(line)) for line in self.lines), file=stream, flush=True)
        elif self.printer is not None:
            self.printer(stream)
        elif (self.steps or not error) and not (self._declined and self._refused):
            print_steps(
                self._command, self.steps, stream, planned=self._planned, refused=self._refused, error=last, scope=self.scope
            )  # fmt: skip
        if self._json:
            print(json_document(self._command, self.steps, error, code in (0, PENDING), **self.more), flush=True)
        if self._markdown:
            from .markdown import markdown_plan

            print(markdown_plan(self.steps, error if raised else None), flush=True)

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
