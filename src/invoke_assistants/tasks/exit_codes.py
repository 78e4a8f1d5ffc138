"""How a command ends: its exit code, its one line for people, and the signals that end it early."""

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

from ..errors import AsstError
from ..text import one_line

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["PENDING", "exit_code_of", "format_error", "interruptible"]

PENDING = 2  # the exit code of changes that are pending
INTERRUPTED, TERMINATED = 130, 143

_terminated = threading.Event()


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """SIGINT and SIGTERM both end as KeyboardInterrupt, so that what is in flight gets recorded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        _terminated.set()
        signal.raise_signal(signal.SIGINT)

    def again(swallowed: sys.UnraisableHookArgs) -> None:
        """An interrupt that strikes in a finalizer is swallowed there: it comes again once the finalizer is over."""
        if swallowed.exc_type is not KeyboardInterrupt:
            hook(swallowed)
            return
        later = threading.Timer(0.01, signal.raise_signal, [signal.SIGINT])
        later.daemon = True
        later.start()

    # A shell starts background jobs with SIGINT ignored; asyncio only takes over Python's own handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGTERM, terminate)
    hook, sys.unraisablehook = sys.unraisablehook, again

    def end_at_once(*_: object) -> None:
        """A second signal, while the process is on its way out: the same exit code, not a death by the signal."""
        os._exit(TERMINATED if _terminated.is_set() else INTERRUPTED)

    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) in (INTERRUPTED, TERMINATED):
            before = end_at_once, end_at_once
            atexit.register(_ignore_signals)
        raise
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _ignore_signals() -> None:
    """The interpreter's own end takes handlers away, but for those that ignore."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def format_error(error: BaseException) -> tuple[str, int]:
    """One line for people and the exit code."""
    if isinstance(error, AsstError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the same command goes on from here", TERMINATED if _terminated.is_set() else INTERRUPTED
    logging.getLogger(__name__).debug("unexpected", exc_info=error)
    return one_line(f"unexpected {type(error).__name__}: {error}; inv --debug shows where"), AsstError.exit_code


def exit_code_of(rows: Iterable[Step]) -> tuple[int, str | None]:
    """The exit code of a plan: refused, failed, pending or nothing to do."""
    rows = list(rows)
    errors = "; ".join(dict.fromkeys(row.error for row in rows if row.error)) or None
    if any(row.needs_confirmation for row in rows):
        return 3, errors
    if errors:
        return 1, errors
    return (PENDING if any(row.action != "none" for row in rows) else 0), None
