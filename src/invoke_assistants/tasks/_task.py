"""What every task of ours shares: how one is made, how a verb is called and its rows are shown, the help of the flags."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from ..errors import AsstError
from ..text import escape_unencodable
from .exit_codes import PENDING, exit_code_of, format_error, interruptible

if TYPE_CHECKING:
    from ..types import Step

__all__ = [
    "DRY",
    "ENV",
    "JSON",
    "ONLY",
    "OVERWRITE",
    "RECREATE",
    "WRITE",
    "YES",
    "AsstTask",
    "call",
    "confirm",
    "is_dry",
    "root",
    "task",
]


class AsstTask(Task):  # type: ignore[type-arg]  # invoke's Task is generic only in its stubs
    """A task whose errors end in one line and an exit code, from the command line and from another task alike."""

    def get_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke's arguments, of which a repeatable one demands its value, too: a bare ``--only`` must not mean all."""
        arguments = super().get_arguments(*args, **kwargs)
        for argument in arguments:
            if argument.kind is list:
                argument.raw_value = None
        return arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body.

        Raises:
            Exit: instead of every error of ours, an interruption, and what nobody foresaw.
        """
        escape_unencodable()
        try:
            with interruptible():
                return super().__call__(*args, **kwargs)
        except Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise Exit(*format_error(error)) from None


def task(**options: Any) -> Callable[[Callable[..., Any]], AsstTask]:
    """Invoke's decorator for tasks of ours, without short flags, which would move with every new parameter."""
    decorate: Callable[[Callable[..., Any]], AsstTask] = invoke_task(klass=AsstTask, auto_shortflags=False, **options)
    return decorate


def root(c: Context) -> Path:
    from ..config.settings import find_root

    loaded_from = getattr(c.config, "_project_prefix", None)  # where Invoke found tasks.py; it has no public name
    root = find_root(Path(loaded_from or Path.cwd()))
    assert root is not None
    return root


def call(
    c: Context,
    command: str,
    json: bool,
    verb: Callable[..., list[Step]],
    *,
    planned: bool = False,
    failing: bool = False,
    **options: Any,
) -> list[Step]:
    """Call a verb and show its rows; raise ``Exit`` with the code that the design gives the outcome.

    Args:
        planned: the verb only looked.
        failing: pending changes (and rows with errors) end with an exit code.
    """
    from . import output

    stream = sys.stderr if json else sys.stdout
    reporter = output.Terminal()
    rows: list[Step] = []
    error: str | None = None
    code = 0
    try:
        rows = verb(root(c), reporter=reporter, **options)
    except (Exception, KeyboardInterrupt) as raised:
        error, code = format_error(raised)
        rows = list(raised.rows) if isinstance(raised, AsstError) else []
    finally:
        reporter.stop()
    if not code and failing:
        code, error = exit_code_of(_named(rows) if command == "check" else rows)
    if rows or not error:
        output.show(command, rows, stream, planned=planned, refused=code == 3 and not planned, error=error)
    if json:
        print(output.document(command, rows, error, code in (0, PENDING)), flush=True)
    if code:
        raise Exit(error if code != PENDING else None, code)
    return rows


def _named(rows: Sequence[Step]) -> list[Step]:
    """Check's rows, whose remarks do not say whose they are, as they stand in one line."""
    return [replace(row, error=row.error and f"{row.name} in {row.environment}: {row.error}") for row in rows]


def confirm(command: str, yes: bool, json: bool) -> Callable[[str, Sequence[Step]], bool] | None:
    """Who is asked before something is lost: the person at the terminal, once they have seen the rows."""
    from . import output

    return None if yes or json else functools.partial(output.ask, command)


def is_dry(c: Context, dry_run: bool) -> bool:
    return dry_run or bool(c.config.run.dry)


ONLY = "act on this assistant alone; may be given several times"
ENV = "act on this environment alone"
JSON = "print one JSON document on stdout, everything else on stderr"
DRY = "write nothing; exit with 2 where something would be"
YES = "ask nothing; what has a flag of its own still needs it"
OVERWRITE = "write over what was changed remotely"
WRITE = {"only": ONLY, "env": ENV, "json": JSON, "dry-run": DRY, "yes": YES}
RECREATE = "go on where all instances of an environment are gone"
