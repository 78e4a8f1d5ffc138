"""The lines that show an edit: every edited word, with a few words of context, as plain text."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_assistants.tasks.text_diff import change_lines, diff_lines, mark_edits
from invoke_assistants.types import Change

VOCABULARY = [f"word{number}" for number in range(400)]
PROMPT = " ".join(random.Random(1).choices(VOCABULARY, k=1400))  # about 10,000 characters


def sides(before: Any, after: Any) -> tuple[list[str], list[str]]:
    """The lines of before and of after, without their signs."""
    lines = list(diff_lines(before, after))
    return [line[1:].strip() for line in lines if line[0] == "-"], [line[1:].strip() for line in lines if line[0] == "+"]


def replaced(text: str, *locations: tuple[int, str]) -> str:
    words = text.split(" ")
    for index, word in locations:
        words[index] = word
    return " ".join(words)


def test_every_edit_of_a_long_line_is_shown() -> None:
    """Edits at the start, in the middle and at the end make a hunk of a few words each, in order."""
    before = f"Never offer a refund. {PROMPT} Be brief. {PROMPT} The end."
    after = f"Always offer a refund. {PROMPT} Be very brief. {PROMPT} The start."
    old, new = sides(before, after)
    assert len(old) == len(new) == 3
    assert old[0].startswith('"Never offer a refund. word')
    assert new[0].startswith('"Always offer a refund. word')
    assert " Be brief. " in old[1]
    assert " Be very brief. " in new[1]
    assert old[2].endswith('The end."')
    assert new[2].endswith('The start."')
    assert all(len(line) < 150 for line in (*old, *new))
    assert all(line.startswith("…") for line in (*old[1:], *new[1:]))


def test_edits_close_to_each_other_are_one_hunk() -> None:
    """Edits two words apart share a hunk; those far apart have one each."""
    old, new = sides(PROMPT, replaced(PROMPT, (700, "first"), (703, "second")))
    assert len(old) == len(new) == 1
    assert re.search(r" first \w+ \w+ second ", new[0])
    assert len(sides(PROMPT, replaced(PROMPT, (700, "first"), (730, "second")))[0]) == 2


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a b", "a  b", ('"a b"', r'"a\x20\x20b"')),
        ("a\tb", "a b", (r'"a\tb"', '"a b"')),
        ("a\xa0b", "a b", (r'"a\xa0b"', '"a b"')),
        ("a b ", "a b", ('"a b "', '"a b"')),
        ("one\ntwo ", "one\ntwo", (r"two\x20", "two")),
        ("one\n  two", "one\n   two", (r"\x20\x20two", r"\x20\x20\x20two")),
        ("one\r\ntwo\n", "one\ntwo\n", (r"one\r", "one")),
    ],
)
def test_white_space_alone_is_seen(before: str, after: str, shown: tuple[str, str]) -> None:
    """An edit of spaces, tabs or line ends makes two lines that look different."""
    old, new = sides(before, after)
    assert ([shown[0]], [shown[1]]) == (old, new)
    long_old, long_new = sides(f"{PROMPT} {before} {PROMPT}", f"{PROMPT} {after} {PROMPT}")
    assert long_old != long_new


def test_texts_of_lines_are_compared_by_lines() -> None:
    """Edited lines are whole, with one line of context, which is cut short; a long line is shown where it differs."""
    before = f"Intro.\n{PROMPT}\nOne.\nTwo.\nThree.\nFour."
    after = f"Intro.\n{replaced(PROMPT, (3, 'early'), (1300, 'late'))}\nOne.\nTwo.\n3.\nThree and a half.\nFour."
    lines = list(diff_lines(before, after))
    assert lines[:2] == ["@@ -1,6 +1,7 @@", " Intro."]
    old, new = sides(before, after)
    assert " early " in new[0]
    assert " late " in new[1]
    assert (old[2:], new[2:]) == (["Three."], ["3.", "Three and a half."])
    assert all(len(line) < 150 for line in lines)
    assert list(diff_lines(f"{PROMPT}\na", f"{PROMPT}\nb"))[1] == f" {PROMPT[:100]}…"


def test_json_is_compared_by_words() -> None:
    """An added property or a changed bound shows in full, however large the schema is."""
    schema: dict[str, Any] = {"properties": {f"field{index}": {"type": "string"} for index in range(90)}}
    wider = {"properties": {**schema["properties"], "field40": {"type": "integer", "maximum": 7}, "new": {"type": "null"}}}
    old, new = sides(schema, wider)
    assert len(old) == len(new) == 2
    assert '"field40": {"type": "string"}' in old[0]
    assert '"field40": {"type": "integer", "maximum": 7}' in new[0]
    assert '"new": {"type": "null"}' in new[1]
    assert sides(None, schema)[1] == [line.strip() for line in json.dumps(schema, indent=2).split("\n")]
    assert sides(3, "3") == (["3"], ['"3"'])
    assert sides(True, None) == (["true"], ["null"])


def test_what_is_not_there_is_no_null() -> None:
    """A field without a value on one side is absent; a null in a list, or in a value, is a null."""
    assert list(change_lines(Change("a", None, "(absent)"))) == ["- (absent)", '+ "(absent)"']
    assert list(change_lines(Change("a", [None], None))) == ["- [null]", "+ (absent)"]
    assert list(change_lines(Change("a", "x" * 200, None)))[-1] == "+ (absent)"
    assert list(change_lines(Change("enum[1]", "a", None))) == ['- "a"', "+ null"]


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    """A long Japanese text shows the edited part, not all of it."""
    text = "簡潔に答えてください。" * 300
    _, new = sides(text, f"{text[:1500]}必ず{text[1500:]}")
    assert "必ず" in new[0]
    assert len(new[0]) < 150


def test_what_a_text_holds_does_not_steer_the_terminal() -> None:
    """Each line is printable, and none is a command of a CI."""
    for line in diff_lines("a\n::error::x\nb\n", "a\n::error::x\n\x1b[2Jc\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")


def test_a_text_of_one_word_takes_no_minutes() -> None:
    """A text that repeats a word thousands of times, so that every word matches every other, takes no minutes."""
    before = time.perf_counter()
    assert "different" in sides("same " * 50_000, "same " * 25_000 + "different " + "same " * 25_001)[1][0]
    assert time.perf_counter() - before < 10


words = st.sampled_from(["refund", "never", "always", "a", "the", "漢字", "x,", "\ttab", '"quoted"', "end."])
gaps = st.sampled_from([" ", " ", " ", "  ", "\n"])


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and the same with words replaced, removed and added in a few places."""
    before = draw(st.lists(words | st.sampled_from(VOCABULARY), min_size=1, max_size=60)) * draw(st.integers(1, 6))
    after = list(before)
    for _ in range(draw(st.integers(1, 5))):
        location = draw(st.integers(0, len(after)))
        after[location : location + draw(st.integers(0, 3))] = draw(st.lists(words, max_size=3))
    gap = draw(gaps)
    return gap.join(before), gap.join(after)


@given(edited())
def test_every_edited_word_is_found_in_the_lines(texts: tuple[str, str]) -> None:
    """A word that one side has more often than the other is in the lines of that side."""
    before, after = texts
    old, new = (" ".join(lines) for lines in sides(before, after))
    was, is_ = Counter(before.split()), Counter(after.split())
    assert all(word in old for word in was - is_)
    assert all(word in new for word in is_ - was)


@given(st.lists(st.sampled_from(VOCABULARY), min_size=30, max_size=300, unique=True), st.data())
def test_the_lines_make_the_one_text_of_the_other(words: list[str], data: st.DataObject) -> None:
    """Putting each ``+`` line in the place of its ``-`` line makes the new text of the old one."""
    before, after = " ".join(words), list(words)
    for location in data.draw(st.lists(st.integers(0, len(words) - 1), min_size=1, max_size=5)):
        after[location] = data.draw(st.sampled_from(["other", "", "two words", after[location] + "."]))
    made = f'"{before}"'
    for old, new in zip(*sides(before, " ".join(after)), strict=True):
        plain_old, plain_new = (text.replace(r"\x20", " ").strip("…") for text in (old, new))
        assert made.count(plain_old) == 1
        made = made.replace(plain_old, plain_new)
    assert made == f'"{" ".join(after)}"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\x1b", r"a\x1b"), ("\\\x1b", r"\\x1b"), ("end ", r"end\x20"), ("a\u202eb", r"a\u202eb"), ("x\ufe0f", "x"),
        ("a", "a\u3164"),
        ("a b", "a\u2800b"), ("a\u034fb", "ab"), ("obey", "obey\U000e0100\U000e01ef"), ("a\u00adb", "ab"),
        ("one\na\x1b", "one\na\\x1b"),
    ],
)  # fmt: skip
def test_two_texts_never_look_the_same(before: str, after: str) -> None:
    """Invisible characters are escaped, and a text that holds an escape differs from the character itself."""
    lines = list(diff_lines(before, after))
    assert [line[1:] for line in lines if line.startswith("-")] != [line[1:] for line in lines if line.startswith("+")]
    assert all(line.isprintable() for line in lines)


def without(line: str, spans: list[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        line = line[:start] + line[end:]
    return line[1:]


@given(edited())
def test_what_is_not_marked_is_the_same_on_both_sides(texts: tuple[str, str]) -> None:
    """The lines are those of the difference; taking the marked words out of ``-`` and ``+`` lines leaves the same text."""
    marked = list(mark_edits(diff_lines(*texts)))
    assert [line for line, _ in marked] == list(diff_lines(*texts))
    assert all(not spans for line, spans in marked if line[0] not in "-+")
    for edit in re.findall(r"(-+)(\++)", "".join(line[0] for line, _ in marked)):
        old, marked = marked_run(marked, "-", len(edit[0]))
        new, marked = marked_run(marked, "+", len(edit[1]))
        if any(spans for _, spans in (*old, *new)):
            assert "".join(without(*each) for each in old) == "".join(without(*each) for each in new)


def marked_run(marked: list[Any], sign: str, many: int) -> tuple[list[Any], list[Any]]:
    """The next lines of a sign, and the lines behind them."""
    start = next(index for index, (line, _) in enumerate(marked) if line[0] == sign)
    return marked[start : start + many], marked[start + many :]


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("Be kind.", "Be very kind.", [], ["very "]),
        ("Be kind. Be brief.", "Be cruel. Be brief.", ["kind"], ["cruel"]),
        (["easy", "hard"], ["easy", "harder"], ["hard"], ["harder"]),
        ("one\ntwo three four\n", "one\ntwo 3 four\n", ["three"], ["3"]),
        ("簡潔に答えてください。", "必ず簡潔に答えてください。", [], ["必ず"]),
        ("nothing in common", "other words here", [], []),
        (None, "new", [], []),
    ],
)
def test_the_words_that_differ_are_marked(before: Any, after: Any, old: list[str], new: list[str]) -> None:
    """Those words and no other; none where nearly everything differs, or a side is missing."""
    found: dict[str, list[str]] = {"-": [], "+": []}
    for line, spans in mark_edits(diff_lines(before, after)):
        found.get(line[0], []).extend(line[start:end] for start, end in spans)
    assert [text.strip() for text in found["-"]] == [text.strip() for text in old]
    assert [text.strip() for text in found["+"]] == [text.strip() for text in new]


def test_a_final_line_break_on_both_sides_is_no_line() -> None:
    """No empty line of context is shown for it; where it came or went, it is."""
    assert list(diff_lines("one\ntwo\n", "one\n2\n"))[-1] == "+2"
    assert list(diff_lines("one\n", "one")) != []


def test_texts_that_look_the_same_are_told_apart() -> None:
    """The same letter in two encodings of Unicode is written as what it is."""
    before, after = list(diff_lines("e\u0301t\u00e9", "\u00e9t\u00e9"))
    assert before.removeprefix("-") != after.removeprefix("+")
    assert "\\u0301" in before
