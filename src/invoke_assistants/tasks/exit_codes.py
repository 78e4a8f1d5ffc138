"""How a command ends: its exit code, its one line for people, the signals and the closed pipe that end it early."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from ..errors import AsstError, Refused
from ..text import one_line
from .spelling import spell_commands

if TYPE_CHECKING:
    from ..types import Step

__all__ = [
    "NOT_DECLARED", "PENDING", "discard_output", "document_printed", "end_at_next_signal", "exit_code_of", "format_error",
    "interruptible", "is_terminated", "print_document",
]  # fmt: skip

PENDING = 2  # changes are pending
NOT_DECLARED = 4  # of a round of asst.watch, and of no command: it was narrowed to a name that is not declared
INTERRUPTED, TERMINATED = 130, 143

_AFTER_INTERRUPT: dict[str | None, str] = {  # where the same command, once all is done, would do more
    "rollback": "inv asst.status shows what was rolled back; the same command finishes what is open, or else goes a digest"
    " further back",
}

document_printed = threading.Event()  # whether the command that runs has printed the document of --json
_terminated = threading.Event()


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, so that what is in flight gets recorded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        _terminated.set()
        signal.raise_signal(signal.SIGINT)

    def repeat_swallowed(swallowed: sys.UnraisableHookArgs) -> None:
        """Python swallows an interrupt that strikes in a finalizer: send it again once the finalizer is over."""
        if swallowed.exc_type is not KeyboardInterrupt:
            hook(swallowed)
            return
        later = threading.Timer(0.01, signal.raise_signal, [signal.SIGINT])
        later.daemon = True
        later.start()

    # A shell starts background jobs with SIGINT ignored, and asyncio takes over Python's own handler only.
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGTERM, terminate)
    hook, sys.unraisablehook = sys.unraisablehook, repeat_swallowed
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) in (INTERRUPTED, TERMINATED):
            end_at_next_signal()
        raise
    finally:
        sys.unraisablehook = hook
        if signal.getsignal(signal.SIGTERM) is terminate:  # else the command was interrupted and is ending
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])


def is_terminated() -> bool:
    """Whether SIGTERM came: then an interruption is no wish of the person at the terminal, and the process ends."""
    return _terminated.is_set()


def end_at_next_signal() -> None:
    """From here on, end at once on a signal, with the exit code of an interruption; its default would be a death by it."""

    if threading.current_thread() is not threading.main_thread():
        return

    def end_at_once(*_: object) -> None:
        os._exit(TERMINATED if _terminated.is_set() else INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_at_once)
    # Python ends ``python -m`` by SIGINT, whatever the exit code, once an interrupt has left an exec'd string, such as that of
    # a dataclass; the next such string makes it forget that.
    exec("")  # noqa: S102
    atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    """Ignore signals while the interpreter ends: it takes other handlers away."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def discard_output(error: str | None = None) -> None:
    """Drop what is still to be written to a closed pipe or a full disk, or the interpreter would complain at its end.

    Args:
        error: goes to stderr, unless that is closed, too.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream, last in ((sys.stdout, None), (sys.stderr, error)):
        try:
            stream.write(f"{last}\n" if last else "")
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_document(document: str) -> None:
    """Print the document of ``--json``, of which a command prints one."""
    document_printed.set()
    print(document, flush=True)


def format_error(error: BaseException, command: str | None = None) -> tuple[str, int]:
    """One line for people, and the exit code; ``command`` is what was running."""
    if isinstance(error, AsstError):
        return spell_commands(str(error)), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        following = _AFTER_INTERRUPT.get(command, "the same command goes on from here")
        return spell_commands(f"interrupted; {following}"), TERMINATED if _terminated.is_set() else INTERRUPTED
    logging.getLogger(__name__).debug("unexpected", exc_info=error)
    message = one_line(f"unexpected {type(error).__name__}: {error}") + spell_commands("; inv --debug shows where")
    return message, AsstError.exit_code


def exit_code_of(steps: Iterable[Step]) -> int:
    """The exit code of a plan: refused, failed, changes pending, or nothing to do."""
    steps = list(steps)
    if any(step.needs_confirmation for step in steps):
        return Refused.exit_code
    if any(step.error for step in steps):
        return AsstError.exit_code
    return PENDING if any(step.action != "none" for step in steps) else 0
