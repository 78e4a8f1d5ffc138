"""What differs between two values, as lines of plain text in which every edited word stands. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from ..text import printable

__all__ = ["edits"]

WHOLE = 100  # characters up to which a text is shown whole
AROUND = 40  # characters shown before and after an edit in a longer one
COSTLY = 20_000_000  # comparisons; beyond, frequent words or lines are no anchors, so that no text takes minutes
# A word and the white space behind it; scripts that are written without spaces go character by character.
_WORD = re.compile(r"(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)\s*|\s+")


def edits(before: Any, after: Any) -> Iterator[str]:
    """The lines that show how one JSON value became another: ``-`` what was, ``+`` what is, without a sign what surrounds.

    Texts of several lines are compared by lines, everything else, and long lines, by words.
    """
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield from _by_lines(before.split("\n"), after.split("\n"))
    else:
        yield from _by_words(_quoted(before), _quoted(after), "- ", "+ ")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _by_lines(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for group in _compared(before, after).get_grouped_opcodes(1):
        first, last = group[0], group[-1]
        yield f"@@ -{first[1] + 1},{last[2] - first[1]} +{first[3] + 1},{last[4] - first[3]} @@"
        for kind, start, end, new_start, new_end in group:
            old, new = before[start:end], after[new_start:new_end]
            if kind == "equal":
                yield from (printable(f" {line[:WHOLE]}{'…' if len(line) > WHOLE else ''}") for line in old)
            elif kind == "replace" and any(len(line) > WHOLE for line in (*old, *new)):
                yield from _by_words("\n".join(old), "\n".join(new), "-", "+")
            else:
                yield from _shown(old, new, "-", "+")


def _by_words(before: str, after: str, minus: str, plus: str) -> Iterator[str]:
    """The texts whole where they are short, else a pair of lines for each place where words differ."""
    whole = len(before) <= WHOLE and len(after) <= WHOLE
    for old, new in [(before, after)] if whole else _hunks(_WORD.findall(before), _WORD.findall(after)):
        yield from _shown(old.split("\n"), new.split("\n"), minus, plus)


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each run of edited words, old and new, with what surrounds it; edits close to each other are one run."""
    edited: list[tuple[int, int, int, int]] = []
    for kind, start, end, new_start, new_end in _compared(before, after).get_opcodes():
        if kind != "equal":
            close = edited and sum(map(len, before[edited[-1][1] : start])) <= 2 * AROUND
            first, new_first = (edited[-1][0], edited.pop()[2]) if close else (start, new_start)
            edited.append((first, end, new_first, new_end))
    ends = [0, *(end for _, end, _, _ in edited)]
    starts = [*(start for start, _, _, _ in edited), len(before)]
    for index, (start, end, new_start, new_end) in enumerate(edited):
        lead = _tail("".join(before[ends[index] : start]), begins=index == 0)
        rest = _head("".join(before[end : starts[index + 1]]), ends=index + 1 == len(edited))
        old, new = "".join(before[start:end]), "".join(after[new_start:new_end])
        yield f"{lead}{old}{rest}", f"{lead}{new}{rest}"


def _compared(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher[str]:
    counts = Counter(after)
    comparisons = sum(many * counts[each] for each, many in Counter(before).items())
    return SequenceMatcher(None, before, after, autojunk=comparisons > COSTLY)


def _tail(text: str, *, begins: bool) -> str:
    """The end of what stands before an edit, from the beginning of a word; whole where the text begins and it is short."""
    if len(text) <= AROUND:
        return text if begins else f"…{text}"
    return "…" + re.sub(r"^\S*\s+(?=\S)", "", text[-AROUND:])


def _head(text: str, *, ends: bool) -> str:
    """The beginning of what stands behind an edit, up to the end of a word; whole where the text ends and it is short."""
    if len(text) <= AROUND:
        return text if ends else f"{text}…"
    return re.sub(r"(?<=\S)\s+\S*$", "", text[:AROUND]) + "…"


def _shown(old: Sequence[str], new: Sequence[str], minus: str, plus: str) -> Iterator[str]:
    """Lines with their sign, in which spaces that no eye would see are written as escapes."""
    blank = r" +$| {2,}" if "\n".join(old).split() == "\n".join(new).split() else r" +$"

    def shown(backslash: str) -> list[list[str]]:
        escaped = [[printable(f"-{line}".replace("\\", backslash))[1:] for line in lines] for lines in (old, new)]
        return [[re.sub(blank, lambda found: r"\x20" * len(found[0]), line) for line in lines] for lines in escaped]

    both = shown("\\")
    if not set(both[0]).isdisjoint(both[1]):  # one of them holds what stands for an escape in the other
        both = shown(r"\\")
    for sign, lines in zip((minus, plus), both, strict=True):
        yield from (sign + line for line in lines)
