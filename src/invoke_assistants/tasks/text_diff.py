"""The difference between two values, as lines of plain text that hold every edited word. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any
from unicodedata import normalize

from ..text import printable
from ..types import Change

__all__ = ["change_lines", "diff_lines", "mark_edits"]

ABSENT = "(absent)"
MAX_WHOLE = 100  # characters of a text that is shown whole
CONTEXT = 40  # characters shown before and after an edit of a longer text
MAX_COMPARISONS = 20_000_000  # comparisons; with more, frequent words and lines are no anchors, so that no text takes minutes
# A word and the white space behind it; scripts without spaces are compared character by character.
_WORD = re.compile(r"(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)\s*|\s+")
# What is marked within a line: a word, a run of white space, a character that is neither.
_PART = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|\s+|[^\w\s]")
ALIKE = 0.3  # the share of letters in common from which on marks help; with less, nearly everything would be marked

Spans = list[tuple[int, int]]  # where the marked parts of a line start and end


def change_lines(change: Change) -> Iterator[str]:
    """The lines of one difference, as ``diff_lines``; a field that is not there is ``(absent)``, and a null is ``null``."""
    gone = {"- null": change.before is None, "+ null": change.after is None}
    item = change.field.endswith("]")  # of a list, of which none is absent: there, None is a null
    for line in diff_lines(change.before, change.after):
        yield f"{line[:2]}{ABSENT}" if gone.get(line) and not item else line


def diff_lines(before: Any, after: Any) -> Iterator[str]:
    """The lines from one JSON value to another: ``-`` before, ``+`` after, without a sign the context.

    Texts of several lines are compared by lines. Everything else, and long lines, are compared by words.
    """
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        both_end = before.endswith("\n") and after.endswith("\n")
        yield from _diff_by_lines(*(text.removesuffix("\n" if both_end else "").split("\n") for text in (before, after)))
    elif (before is None or after is None) and len(_quoted(before) + _quoted(after)) > MAX_WHOLE:
        yield from _signed(_indented(before), _indented(after), "- ", "+ ")  # all of it came or went
    else:
        yield from _diff_by_words(_quoted(before), _quoted(after), "- ", "+ ")


def mark_edits(lines: Iterable[str]) -> Iterator[tuple[str, Spans]]:
    """Each line of ``diff_lines`` with where the words are that differ between ``-`` lines and the ``+`` lines behind them.

    What is not marked is the same on both sides. Nothing is marked where the sides have little in common, or one is missing.
    """
    old: list[str] = []
    for sign, group in groupby(lines, key=lambda line: line[0]):
        run = list(group)
        if sign == "-":
            old = run
            continue
        both = [*old, *run]
        yield from zip(both, _edited_parts(old, run) if sign == "+" and old else [[]] * len(both), strict=True)
        old = []
    yield from ((line, []) for line in old)


def _edited_parts(old: Sequence[str], new: Sequence[str]) -> list[Spans]:
    """The edited parts of each old line, then of each new one."""
    sides = [[part for line in lines for part in (*_PART.findall(line[1:]), "\n")] for lines in (old, new)]
    codes = _match(*sides).get_opcodes()
    edits = [each for each in codes if each[0] != "equal"]
    same = sum(_letters(sides[0][start:end]) for kind, start, end, _, _ in codes if kind == "equal")
    if 2 * same < ALIKE * (_letters(sides[0]) + _letters(sides[1])):
        return [[] for _ in (*old, *new)]
    return [
        *_spans(sides[0], [(start, end) for _, start, end, _, _ in edits]),
        *_spans(sides[1], [(start, end) for _, _, _, start, end in edits]),
    ]


def _letters(parts: Iterable[str]) -> int:
    """How many letters and digits there are, which is what people compare."""
    return sum(len(part) for part in parts if part[0].isalnum())


def _spans(parts: Sequence[str], edits: Sequence[tuple[int, int]]) -> list[Spans]:
    """The edited parts as positions in their lines, each of which ends with a line break."""
    edited = {index for start, end in edits for index in range(start, end)}
    spans: list[Spans] = []
    line: Spans = []
    at = 1  # behind the sign
    for index, part in enumerate(parts):
        if part == "\n":
            spans.append(line)
            line, at = [], 1
            continue
        if index in edited:
            begins = line.pop()[0] if line and line[-1][1] == at else at
            line.append((begins, at + len(part)))
        at += len(part)
    return spans


def _indented(value: Any) -> list[str]:
    text = _quoted(value) if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return text.split("\n")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _diff_by_lines(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for group in _match(before, after).get_grouped_opcodes(1):
        first, last = group[0], group[-1]
        yield f"@@ -{first[1] + 1},{last[2] - first[1]} +{first[3] + 1},{last[4] - first[3]} @@"
        for kind, start, end, new_start, new_end in group:
            old, new = before[start:end], after[new_start:new_end]
            if kind == "equal":
                yield from (printable(f" {line[:MAX_WHOLE]}{'…' if len(line) > MAX_WHOLE else ''}") for line in old)
            elif kind == "replace" and any(len(line) > MAX_WHOLE for line in (*old, *new)):
                yield from _diff_by_words("\n".join(old), "\n".join(new), "-", "+")
            else:
                yield from _signed(old, new, "-", "+")


def _diff_by_words(before: str, after: str, minus: str, plus: str) -> Iterator[str]:
    """The whole texts if they are short, else a pair of lines for each place where words differ."""
    whole = len(before) <= MAX_WHOLE and len(after) <= MAX_WHOLE
    for old, new in [(before, after)] if whole else _hunks(_WORD.findall(before), _WORD.findall(after)):
        yield from _signed(old.split("\n"), new.split("\n"), minus, plus)


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each run of edited words, old and new, with its context; edits close to each other are one run."""
    edited: list[tuple[int, int, int, int]] = []
    for kind, start, end, new_start, new_end in _match(before, after).get_opcodes():
        if kind != "equal":
            close = edited and sum(map(len, before[edited[-1][1] : start])) <= 2 * CONTEXT
            first, new_first = (edited[-1][0], edited.pop()[2]) if close else (start, new_start)
            edited.append((first, end, new_first, new_end))
    ends = [0, *(end for _, end, _, _ in edited)]
    starts = [*(start for start, _, _, _ in edited), len(before)]
    for index, (start, end, new_start, new_end) in enumerate(edited):
        lead = _tail("".join(before[ends[index] : start]), begins=index == 0)
        trail = _head("".join(before[end : starts[index + 1]]), ends=index + 1 == len(edited))
        old, new = "".join(before[start:end]), "".join(after[new_start:new_end])
        yield f"{lead}{old}{trail}", f"{lead}{new}{trail}"


def _match(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher[str]:
    counts = Counter(after)
    comparisons = sum(many * counts[each] for each, many in Counter(before).items())
    return SequenceMatcher(None, before, after, autojunk=comparisons > MAX_COMPARISONS)


def _tail(text: str, *, begins: bool) -> str:
    """The end of the text before an edit, from the start of a word; all of it if it ``begins`` the text and is short."""
    if len(text) <= CONTEXT:
        return text if begins else f"…{text}"
    return "…" + re.sub(r"^\S*\s+(?=\S)", "", text[-CONTEXT:])


def _head(text: str, *, ends: bool) -> str:
    """The start of the text behind an edit, up to the end of a word; all of it if it ``ends`` the text and is short."""
    if len(text) <= CONTEXT:
        return text if ends else f"{text}…"
    return re.sub(r"(?<=\S)\s+\S*$", "", text[:CONTEXT]) + "…"


def _signed(old: Sequence[str], new: Sequence[str], minus: str, plus: str) -> Iterator[str]:
    """Lines with their sign; spaces that nobody would see are written as escapes."""
    blank = r" +$| {2,}" if "\n".join(old).split() == "\n".join(new).split() else r" +$"

    def escape(backslash: str) -> list[list[str]]:
        escaped = [[printable(f"-{line}".replace("\\", backslash))[1:] for line in lines] for lines in (old, new)]
        return [[re.sub(blank, lambda found: r"\x20" * len(found[0]), line) for line in lines] for lines in escaped]

    if normalize("NFKC", "\n".join(old)) == normalize("NFKC", "\n".join(new)):  # they may look the same
        old, new = ([line.encode("ascii", "backslashreplace").decode() for line in lines] for lines in (old, new))
    both = escape("\\")
    if not set(both[0]).isdisjoint(both[1]):  # one of them holds the text of an escape in the other
        both = escape(r"\\")
    for sign, lines in zip((minus, plus), both, strict=True):
        yield from (sign + line for line in lines)
