"""Lines of styled text: in colour on a terminal, which takes rich; elsewhere as they are, without it."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ..text import printable
from .table import width_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Printer", "Styled", "console", "printing", "styled"]

Styled = Sequence[tuple[str, str]]  # the parts of a text, each with its style


class Printer:
    """What is printed on a stream, line by line."""

    def __init__(self, stream: IO[str], width: int) -> None:
        self._console = console(stream, width) if _needs_rich(stream) else None
        self._printed = io.StringIO()

    @property
    def text(self) -> str:
        """All that is to be printed."""
        return self._printed.getvalue()

    def line(self, parts: Styled, indent: int = 0) -> None:
        """Print a text on one line, however long: a command in it must be whole when it is copied."""
        if self._console is None:
            self._printed.write(f"{' ' * indent}{''.join(text for text, _ in parts)}\n")
        else:
            self._print(self._console, _text(parts), indent)

    def wrapped(self, parts: Styled, indent: int) -> None:
        """Print a text behind an indent; what does not fit a terminal's line goes to further lines, two columns to the right."""
        room = self._console.width - indent - 2 if self._console and self._console.is_terminal else 0
        if self._console is None or room <= 20:
            self.line(parts, indent)
            return
        for number, line in enumerate(_text(parts).wrap(self._console, room)):
            self._print(self._console, line, indent + 2 * bool(number))

    def _print(self, console: Console, text: Text, indent: int) -> None:
        with console.capture() as captured:
            console.print(" " * indent, text, sep="", soft_wrap=True)
        self._printed.write(captured.get())


@contextmanager
def printing(stream: IO[str]) -> Generator[Printer]:
    """Print what the block prints, in one piece at its end: rich would exit by itself on a closed pipe."""
    out = Printer(stream, width_of(stream))
    yield out
    print(out.text, end="", file=stream, flush=True)


def styled(text: str, style: str = "") -> Styled:
    """A text, made safe, in one style."""
    return [(printable(text), style)]


def console(stream: IO[str], width: int | None = None) -> Console:
    """A rich console that prints text as it is; colours are for terminals."""
    from rich.console import Console

    return Console(file=stream, highlight=False, emoji=False, markup=False, width=width)


def _needs_rich(stream: IO[str]) -> bool:
    """Whether lines may have colours or are wrapped: on a terminal, in a notebook, and where one of rich's variables says so."""
    if "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ or hasattr(builtins, "get_ipython"):
        return True
    isatty = getattr(stream, "isatty", None)  # no stream at all where whoever started this process closed it
    return isatty is not None and isatty()


def _text(parts: Styled) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)
