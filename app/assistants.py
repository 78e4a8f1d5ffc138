"""The app's assistants, declared once. Importing this touches no network and no file."""

from __future__ import annotations

from app.trivia.models import AnswerVerdict, TriviaGame
from app.trivia.prompts import CREATE_GAME, JUDGE_ANSWER
from invoke_assistants import Assistant

__all__ = ["ASSISTANTS", "create_trivia_game", "judge_answer"]

create_trivia_game = Assistant(
    "create_trivia_game",
    output=TriviaGame,
    model="gpt-6-luna",
    description="Generates trivia game questions.",
    instructions=CREATE_GAME,
    environments={"production": {"model": "gpt-6-astra"}},
)

judge_answer = Assistant(
    "judge_answer",
    output=AnswerVerdict,
    model="gpt-6-luna",
    description="Judges a free-text answer to a trivia question.",
    instructions=JUDGE_ANSWER,
    reasoning={"effort": "low"},
    verbosity="low",
)

ASSISTANTS = [create_trivia_game, judge_answer]
