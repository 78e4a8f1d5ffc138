"""The difference between two values, as lines of plain text that hold every edited word. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from ..text import printable

__all__ = ["diff_lines"]

MAX_WHOLE = 100  # characters of a text that is shown whole
CONTEXT = 40  # characters shown before and after an edit of a longer text
MAX_COMPARISONS = 20_000_000  # comparisons; with more, frequent words and lines are no anchors, so that no text takes minutes
# A word and the white space behind it; scripts without spaces are compared character by character.
_WORD = re.compile(r"(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)\s*|\s+")


def diff_lines(before: Any, after: Any) -> Iterator[str]:
    """The lines from one JSON value to another: ``-`` before, ``+`` after, without a sign the context.

    Texts of several lines are compared by lines. Everything else, and long lines, are compared by words.
    """
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield from _diff_by_lines(before.split("\n"), after.split("\n"))
    else:
        yield from _diff_by_words(_quoted(before), _quoted(after), "- ", "+ ")


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

    both = escape("\\")
    if not set(both[0]).isdisjoint(both[1]):  # one of them holds the text of an escape in the other
        both = escape(r"\\")
    for sign, lines in zip((minus, plus), both, strict=True):
        yield from (sign + line for line in lines)
