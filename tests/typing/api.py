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
