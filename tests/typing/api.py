"""What type checkers must see; nothing here is run."""

from __future__ import annotations

from typing import assert_type

from app.assistants import create_trivia_game, judge_answer
from app.trivia.models import AnswerVerdict, TriviaGame
from invoke_assistants import Assistant

assert_type(create_trivia_game, Assistant[TriviaGame])
assert_type(judge_answer, Assistant[AnswerVerdict])
assert_type(Assistant("plain", model="m"), Assistant[str])
anything: Assistant[object] = create_trivia_game  # covariant


def look_up(word: str) -> str:
    return word


async def wait(seconds: float) -> None: ...


assert_type(Assistant("tools", model="m", tools=[look_up, wait, {"type": "web_search"}]), Assistant[str])
differing = Assistant("tools", model="m", environments={"production": {"tools": [look_up]}})
