"""What a command prints: progress, the steps at its end, or its error, as text or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from invoke.exceptions import Exit

from ..errors import AsstError, Refused
from ..text import printable
from .command_span import describe_steps
from .exit_codes import PENDING, discard_output, exit_code_of, format_error, print_document
from .output import json_document, print_steps
from .spelling import spell_commands
from .summary import Scope, split_errors, summarize
from .terminal import Terminal, confirm, has_person

if TYPE_CHECKING:
    from ..reconcile.reporter import Confirm
    from ..types import Step

__all__ = ["CommandOutput"]


class CommandOutput:
    """What a command prints: progress while its block runs, at the end the steps that the block sets, or its error.

    Leaving the block raises ``Exit`` where the exit code is not 0.

    Args:
        planned: the command only looks.
        check: pending changes and steps with errors make an exit code.
        markdown: stdout holds the plan as Markdown, and nothing else.
    """

    def __init__(self, command: str, json: bool, *, planned: bool = False, check: bool = False, markdown: bool = False) -> None:
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
        names = (only,) if isinstance(only, str) else tuple(only) if isinstance(only, Sequence) else ()
        self.scope = Scope(names, env, tuple(more), later, saved, tuple(deploy))

    def confirm(self, yes: bool) -> Confirm | None:
        """Who is asked before something is lost: the person at the terminal, or nobody."""
        return None if yes or self._json else self._ask

    def _ask(self, question: str, steps: Sequence[Step]) -> bool:
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
        if error and self._command == "check" and not raised:
            return summarize(self._command, self.steps, planned=True)  # each error stands at its row
        if self._declined and code == Refused.exit_code:
            return error if error and error.startswith("not confirmed") else "not confirmed: nothing was written"
        return split_errors(error, self.steps) if error else None

    def _print(self, error: str | None, last: str | None, code: int, *, raised: bool) -> None:
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
            print_document(json_document(self._command, self.steps, error, code in (0, PENDING), **self.more))
        if self._markdown:
            from .markdown import markdown_plan

            print(markdown_plan(self.steps, error if raised else None), flush=True)

    def _join_errors(self) -> str | None:
        named = self._command == "check"  # its errors do not name the assistant
        errors: Iterable[str] = (f"{step.title}: {step.error}" if named else step.error for step in self.steps if step.error)
        return spell_commands("; ".join(dict.fromkeys(errors))) or None
