"""The terminal while a command runs: messages, a progress bar, a spinner, a question."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from ..text import PrintableStream, one_line
from ..types import Step
from .output import print_steps
from .printer import console
from .spelling import spell_commands

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Terminal", "ask", "confirm", "has_person", "waiting", "warn"]


class Terminal:
    """A reporter on stderr: lines, and on a terminal a progress bar for work that takes longer than a second."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._printed: set[str] = set()

    def say(self, message: str) -> None:
        """Print one line, unless it was printed before: a loop that waits says so once."""
        line = spell_commands(one_line(message))
        if line not in self._printed:
            self._printed.add(line)
            with contextlib.suppress(BrokenPipeError, ValueError):  # a pipe or a stream that is closed: no reason to stop
                print(line, file=sys.stderr, flush=True)

    def start(self, label: str, total: int) -> None:
        """Begin a stage. Its bar appears after a second, and only on a terminal."""
        self.stop()
        if sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty() or total < 2:  # the app can close it
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        bar = Progress(*columns, console=console(sys.stderr), transient=True)
        self._progress, self._task = bar, bar.add_task(label, total=total)
        self._timer = threading.Timer(1.0, bar.start)
        self._timer.daemon = True
        self._timer.start()

    def advance(self) -> None:
        """Count one part of the stage as done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def stop(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._timer.cancel()
            self._progress.stop()
            self._progress = None


@functools.cache
def warn(problem: str) -> None:
    """Print a warning: once, however many commands this process runs."""
    Terminal().say(f"warning: {problem}")


@contextlib.contextmanager
def waiting(label: str) -> Generator[Callable[[str], None]]:
    """Show a spinner on a terminal until the block ends, or until the yielded function prints the first piece of text."""
    spinner = console(sys.stderr).status(label) if sys.stderr.isatty() else None
    stream = PrintableStream()
    if spinner:
        spinner.start()

    def show(text: str) -> None:
        if spinner:
            spinner.stop()
        print(stream.take(text), end="", flush=True)

    try:
        yield show
    finally:
        if spinner:
            spinner.stop()
        print(stream.rest(), end="", flush=True)


def confirm(command: str, question: str, steps: Sequence[Step]) -> bool:
    """Show the steps and ask the person at the terminal; no answer means no."""
    print_steps(command, steps, sys.stderr, planned=True)
    return ask(question)


def has_person() -> bool:
    """Whether somebody at a terminal can be asked."""
    streams = (sys.stdin, sys.stderr)  # None where whoever started this process closed it
    return all(stream is not None and stream.isatty() for stream in streams)


def ask(question: str) -> bool:
    """Ask the person at the terminal; anything but a yes means no. Ctrl-C gets through at once."""
    if threading.current_thread() is not threading.main_thread():
        return _ask(question)
    # asyncio's own handler would wait for the answer before it lets Ctrl-C through.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _ask(question)
    finally:
        signal.signal(signal.SIGINT, before)


def _ask(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        print(file=sys.stderr, flush=True)  # behind the ^C that the terminal shows
        raise
