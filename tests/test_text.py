"""Foreign text: nothing in it controls a terminal or a CI's log, and prose stays readable."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_assistants import AnswerInvalid, PlatformError, printable
from invoke_assistants.text import PrintableStream, one_line

NASTY = [
    "\x1b]0;owned\x07", "\x1b[2J", "\x9b31m",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\", "\u202e", "\u2066", "\u200b",
    "\r", "\x08", "\x00", "\ud800", "\u2028", "\U000e0041", "\n::error::x", "::warning file=a::x", "  ::add-mask::x", "##vso[x]",
    "##[error]", "##teamcity[x]", "\n", "\r\n", "\t", "word", " ",
]  # fmt: skip
STEERS = re.compile(r"^\s*::(?:error|warning|add-mask)\b|##\w*\[", re.M)
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=3)).map("".join)


def steering(text: str) -> set[str]:
    """The characters of a text that a terminal obeys."""
    return {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@given(texts)
def test_nothing_steers(text: str) -> None:
    """None of the three forms lets a control character, a direction mark or a CI command through; one line is one line."""
    prose, value, line = printable(text, prose=True), printable(text), one_line(text)
    assert steering(prose.replace("\r\n", "\n")) <= set("\n\t\u200c\u200d")
    assert value.isprintable()
    assert line.isprintable()
    assert "  " not in line
    assert not STEERS.search(prose)
    assert not STEERS.search(value)
    assert not STEERS.search(line)
    prose.encode()
    assert printable(prose, prose=True) == prose


@pytest.mark.parametrize(
    "text",
    [
        "Tabs\tand\r\nline breaks\n\n  stay.\n",
        "👩\u200d👩\u200d👧 می\u200cخواهم\u3000全角\xa0%",
        r"a \x1b as text",
        "::testing::Init();",
    ],
)
def test_prose_stays_as_it_is(text: str) -> None:
    """The characters of an answer, in any script, are kept."""
    assert printable(text, prose=True) == text


def test_a_value_looks_like_no_other() -> None:
    """A character that looks like another one, or is invisible, is escaped, so that values can be compared."""
    assert printable("a\tb\xa0c\u200dd\u3000") == r"a\tb\xa0c\u200dd\u3000"


@given(texts, st.data())
def test_a_stream_is_as_harmless_as_the_whole(text: str, data: st.DataObject) -> None:
    """However an answer is cut into pieces, together they print as the whole would."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    stream = PrintableStream()
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*map(stream.take, pieces), stream.rest()]) == printable(text, prose=True)


def test_a_stream_keeps_nothing_back_that_is_plain() -> None:
    """Words are returned at once: only what may become a command waits for the next piece."""
    stream = PrintableStream()
    assert [stream.take(piece) for piece in ("Once", " upon\n", "a", " time")] == ["Once", " upon\n", "a", " time"]
    assert stream.take("\n::err") == "\n"
    assert stream.take("or::x") == r"\x3a:error::x"


def test_errors_are_one_harmless_line_however_they_are_shown() -> None:
    """An error's message is one harmless line for the app as for the tasks; ``answer`` keeps the text as it came."""
    sent = "no\n::error::x \x1b]0;t\x07"
    assert str(PlatformError(sent, where="development")) == r"development: no ::error::x \x1b]0;t\x07"
    assert PlatformError(sent).detail == r"no ::error::x \x1b]0;t\x07"
    assert str(AnswerInvalid(f"{sent}", answer=sent)) == r"no ::error::x \x1b]0;t\x07"
    assert AnswerInvalid("no", answer=sent).answer == sent
