"""Text for people: foreign text made safe to print, and the phrases that messages share.

Answers, errors, names and metadata from a service can hold anything: escape sequences that set the title, clear the screen
or hide a link, marks that reorder a line, commands that CI reads from its log. They are shown escaped, never obeyed.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable

__all__ = ["PrintableStream", "count", "did_you_mean", "escape_unencodable", "join_errors", "join_notes", "one_line", "printable"]

# GitHub's commands stand at the start of a line; its older ones, Azure's and TeamCity's begin with ## anywhere in it.
_GITHUB = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output"
    "|stop-commands|warning"
)
# The patterns are compiled at their first use: to list the tasks needs none.
_COMMAND = rf"(?im)^(\s*):(?=:(?:{_GITHUB})\b)|()#(?=#\w*\[)"
_UNDECIDED = r"(?im)(?:\r|^[^\S\n]*(?::(?::[a-z-]*)?)?|##?\w*)\Z"
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, formats, surrogates, line and paragraph separators
# Characters that count as printable and show nothing: fillers, blanks, joiners, variation selectors.
_INVISIBLE = frozenset(
    [
        *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0",
        *map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))),
    ]
)
_PROSE = frozenset("\n\t\u200c\u200d")  # the last two join letters in some scripts, and the parts of an emoji


def printable(text: str, *, prose: bool = False) -> str:
    r"""Escape what must not reach a terminal or a log: ``\x1b``, ``\u202e``, ``\x3a:error::``.

    Args:
        prose: keep the line breaks, tabs, joiners and spaces of all scripts, for text such as an answer. Without it they
            are escaped, too, so that no two different texts look the same.
    """
    is_safe, parts = (_is_prose, text.split("\r\n")) if prose else (_is_visible, [text])
    shown = "\r\n".join(_escape(part, is_safe) for part in parts)
    if "::" not in shown and "##" not in shown:
        return shown
    return re.sub(_COMMAND, lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", shown)


def one_line(text: str) -> str:
    """Make a message of one line: each run of white space becomes a space, and ``printable`` escapes the rest."""
    return printable(" ".join(text.split()))


def escape_unencodable() -> None:
    """From here on, let stdout and stderr escape characters that their encoding lacks, instead of raising.

    Where one of them was closed by whoever started this process, what is written to it is dropped.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="backslashreplace")


class PrintableStream:
    """Prose that arrives in pieces; the end of a piece is held back while the next one may turn it into a command."""

    def __init__(self) -> None:
        self._held = ""
        self._mid_line = False  # whether the last line returned has no end yet

    def take(self, piece: str) -> str:
        """Add a piece and return the text that can be printed now."""
        text = self._held + piece
        undecided = re.search(_UNDECIDED, text)
        end = undecided.start() if undecided else len(text)
        self._held = text[end:]
        return self._printable(text[:end])

    def rest(self) -> str:
        """Return the text held back, once no more pieces come."""
        text, self._held = self._held, ""
        return self._printable(text)

    def _printable(self, text: str) -> str:
        before = "." if self._mid_line else ""
        self._mid_line = not text.endswith("\n") if text else self._mid_line
        return printable(before + text, prose=True)[len(before) :]


def _escape(text: str, is_safe: Callable[[str], bool]) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if is_safe(each) else each.encode("unicode_escape").decode() for each in text)


def _is_visible(character: str) -> bool:
    return character.isprintable() and character not in _INVISIBLE


def _is_prose(character: str) -> bool:
    if character.isprintable() or character in _PROSE:
        return True
    import unicodedata  # here, so that listing the tasks does not load it

    return unicodedata.category(character) not in _STEERING


def join_errors(errors: Iterable[str | None]) -> str:
    """Join errors on one line: each once, the first six in full."""
    each = list(dict.fromkeys(error for error in errors if error))
    return "; ".join(each[:6]) + (f"; and {len(each) - 6} more" if len(each) > 6 else "")


def join_notes(*notes: str | None) -> str | None:
    """Remarks on one line; None where there is none."""
    return "; ".join(note for note in notes if note) or None


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'X'?`` for the closest of the known names, or an empty text where none is close."""
    from difflib import get_close_matches

    names = list(known)
    lower = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.7 if len(name) > 3 else 0.66)  # of 3 letters, one may be wrong
    starts = [candidate for candidate in names if name and candidate.startswith(name.lower())]
    match = starts[0] if starts else lower[close[0]] if close else None
    return f"; did you mean {match!r}?" if match else ""
