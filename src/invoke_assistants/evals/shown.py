"""Answers and reasons as a report shows them: short, and safe for a terminal."""

from __future__ import annotations

import json
from typing import Any

from ..ask.parsing import dump_output
from ..text import printable

__all__ = ["shorten", "show_answer"]

SHOWN = 300  # characters of an answer, and of a reason


def shorten(text: str) -> str:
    """The beginning of a text that is long."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def show_answer(model: type[Any] | None, output: Any) -> str:
    """What an assistant answered, its lines made safe; an empty text where there is nothing to show.

    Args:
        model: the output model; None where an output is a text.

    Raises:
        Exception: whatever the app's model raises when it is dumped.
    """
    plain = output if isinstance(output, str) else dump_output(model, output)
    answer = shorten(plain if isinstance(plain, str) else json.dumps(plain, indent=2, ensure_ascii=False))
    return "\n".join(map(printable, answer.split("\n")))  # each by itself, which keeps the breaks between them
