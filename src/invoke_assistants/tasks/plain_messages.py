"""What is said beside an answer, as plain lines on stderr: warnings without their source line, failures without a traceback."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import SchemaWarning
from ..text import one_line
from .spelling import spell_commands

__all__ = ["plain_messages"]


@contextmanager
def plain_messages() -> Generator[None]:
    """Print our warnings and what we log as one line each on stderr, until the block ends.

    A host project that configured logging gets the log as it wants it, tracebacks included.
    """
    log, lines = logging.getLogger("invoke_assistants"), _Lines()
    with warnings.catch_warnings():
        python = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, SchemaWarning):
                _print(f"warning: {message}")
            else:
                python(message, category, *where, **more)

        warnings.showwarning = show
        if not log.hasHandlers():
            log.addHandler(lines)
        try:
            yield
        finally:
            log.removeHandler(lines)


class _Lines(logging.Handler):
    """Prints each record as one line; of an exception, its type and its text."""

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info[1] if record.exc_info else None
        with suppress(OSError, ValueError):  # a closed stream is no reason to stop
            _print(record.getMessage() + (f": {type(raised).__name__}: {raised}" if raised else ""))


def _print(message: str) -> None:
    print(spell_commands(one_line(message)), file=sys.stderr, flush=True)
