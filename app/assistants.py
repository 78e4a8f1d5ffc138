"""The app's assistants, declared once. Importing this touches no network and no file."""

from __future__ import annotations

from app.trivia import evaluators
from app.trivia.models import AnswerVerdict, TriviaGame
from app.trivia.prompts import CREATE_GAME, JUDGE_ANSWER
from invoke_assistants import Assistant, Evals

__all__ = ["ASSISTANTS", "create_trivia_game", "judge_answer"]

create_trivia_game = Assistant(
    "create_trivia_game",
    output=TriviaGame,
    model="gpt-6-luna",
    description="Generates trivia game questions.",
    instructions=CREATE_GAME,
    evals=Evals(
        "app/trivia/create_trivia_game.yaml",
        evaluators=[
            evaluators.question_count,
            evaluators.new_questions,
            evaluators.distinct_choices,
            evaluators.answer_among_choices,
            evaluators.easy_to_hard,
        ],
        minimum=0.75,
    ),
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
    evals=Evals(
        "app/trivia/judge_answer.yaml",
        evaluators=[evaluators.expected_verdict, evaluators.points_fit_the_verdict, evaluators.short_comment],
        minimum=0.75,
    ),
)

ASSISTANTS = [create_trivia_game, judge_answer]
