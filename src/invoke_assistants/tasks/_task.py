"""What the tasks share: how one is made, how its errors end it, the help of the flags."""

from __future__ import annotations

import atexit
import copy
import functools
import gc
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from .task_arguments import CommandArgument, OptionalPositional, Positional, Repeatable

__all__ = [
    "ALLOW_BREAKING", "DRY", "ENV", "JSON", "ONLY", "OUT", "OVERWRITE", "PLAN", "RECREATE", "RESUME", "SKIP_EVALS", "WRITE",
    "YES", "AsstTask", "find_root", "is_dry_run", "task",
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

if {"--list", "-l", "--complete"}.intersection(sys.argv):
    # Whoever asks Invoke what tasks there are waits for one search for garbage at the end, not for two.
    atexit.register(gc.disable)


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
        from ..text import escape_unencodable
        from .command_span import command_span  # late, as all that listing the tasks needs not

        escape_unencodable()

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
        from ..errors import AsstError
        from .exit_codes import discard_output, document_printed, end_at_next_signal, interruptible

        document_printed.clear()
        try:
            with interruptible():
                from ..config.misspelt import hear_of_misspelt

                with hear_of_misspelt(_warn):
                    return super().__call__(*args, **kwargs)
        except Exit:
            raise
        except BrokenPipeError:  # head has read enough
            discard_output()
            raise Exit(None, AsstError.exit_code) from None
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):  # before the body began, or between two lines of an earlier one's handling
                end_at_next_signal()
            raise self._ended_by(error, json=kwargs.get("json")) from None

    def _ended_by(self, error: BaseException, *, json: object) -> Exit:
        """How the command ends with what its body left to nobody; with ``--json``, a document of its own says it."""
        from .exit_codes import document_printed, format_error, print_document

        message, code = format_error(error, self.name)
        if json and not document_printed.is_set():
            from .output import json_document

            print_document(json_document(self.name, [], message, False))
        return Exit(message, code)


def _warn(problem: str) -> None:
    from .terminal import warn

    warn(problem)


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
