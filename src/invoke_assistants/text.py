"""Text that is not ours, as people may see it: what would steer a terminal or a CI's log is shown, not obeyed.

Answers, errors, names and metadata that a service sends can hold anything: escape sequences that set the title, clear the
screen or hide a link, marks that reorder a line, commands that CI reads from its log.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable

__all__ = ["PrintableStream", "count", "did_you_mean", "escape_unencodable", "join_errors", "one_line", "printable"]

# GitHub reads its commands at the start of a line, its older ones, Azure's and TeamCity's begin with ## anywhere in it.
_GITHUB = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output"
    "|stop-commands|warning"
)
_COMMAND = re.compile(rf"^(\s*):(?=:(?:{_GITHUB})\b)|()#(?=#\w*\[)", re.M | re.I)
_UNDECIDED = re.compile(r"(?:\r|^[^\S\n]*(?::(?::[a-z-]*)?)?|##?\w*)\Z", re.M | re.I)
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, formats, surrogates, separators of lines and paragraphs
# Of the printable ones those that show nothing: fillers, blanks, joiners and selectors of a variant.
_UNSEEN = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_PROSE = frozenset("\n\t\u200c\u200d")  # the last two join the letters of some scripts and the parts of an emoji


def printable(text: str, *, prose: bool = False) -> str:
    r"""A text in which what must not reach a terminal or a log stands as its escape: ``\x1b``, ``\u202e``, ``\x3a:error::``.

    Args:
        prose: what people read as it is, like an answer: its line breaks, tabs, joiners and spaces of all scripts stay.
            Without it they are escaped, too, so that no two different texts look the same.
    """
    stays, parts = (_is_prose, text.split("\r\n")) if prose else (_is_seen, [text])
    shown = "\r\n".join(_escaped(part, stays) for part in parts)
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\x{ord(found[0][-1]):02x}", shown)


def one_line(text: str) -> str:
    """A message of one line: white space of any kind becomes a single space, the rest is as ``printable`` has it."""
    return printable(" ".join(text.split()))


def escape_unencodable() -> None:
    """From here on, stdout and stderr write what their encoding has not as its escape, where printing would raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="backslashreplace")


class PrintableStream:
    """Prose that comes in pieces; the end of a piece is kept back while the next one may make a command of it."""

    def __init__(self) -> None:
        self._kept = ""
        self._inside = False  # a line, of which something was given out

    def take(self, piece: str) -> str:
        """What can be printed now."""
        text = self._kept + piece
        undecided = _UNDECIDED.search(text)
        end = undecided.start() if undecided else len(text)
        self._kept = text[end:]
        return self._shown(text[:end])

    def rest(self) -> str:
        """What was kept back, once nothing more comes."""
        text, self._kept = self._kept, ""
        return self._shown(text)

    def _shown(self, text: str) -> str:
        before = "." if self._inside else ""
        self._inside = not text.endswith("\n") if text else self._inside
        return printable(before + text, prose=True)[len(before) :]


def _escaped(text: str, stays: Callable[[str], bool]) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if stays(each) else each.encode("unicode_escape").decode() for each in text)


def _is_seen(character: str) -> bool:
    return character.isprintable() and not _UNSEEN.match(character)


def _is_prose(character: str) -> bool:
    if character.isprintable() or character in _PROSE:
        return True
    import unicodedata  # not for those who only list tasks

    return unicodedata.category(character) not in _STEERING


def join_errors(errors: Iterable[str | None]) -> str:
    """The errors on one line, each once, at most six in full."""
    each = list(dict.fromkeys(error for error in errors if error))
    return "; ".join(each[:6]) + (f"; and {len(each) - 6} more" if len(each) > 6 else "")


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'X'?`` where one of the known names is close, else nothing."""
    from difflib import get_close_matches

    names = list(known)
    lower = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    starts = [candidate for candidate in names if name and candidate.startswith(name.lower())]
    match = starts[0] if starts else lower[close[0]] if close else None
    return f"; did you mean {match!r}?" if match else ""
