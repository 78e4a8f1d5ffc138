"""What the assistants answer in, and what the game works with: the same Pydantic models."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["AnswerVerdict", "Difficulty", "TriviaGame", "TriviaQuestion"]


class Difficulty(StrEnum):
    """How hard a question is."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class TriviaQuestion(BaseModel):
    """One multiple choice question."""

    question: str = Field(description="The question, in one sentence, without the choices.")
    choices: list[str] = Field(description="Four answers to choose from, of which one is right.", min_length=4, max_length=4)
    answer: str = Field(description="The right answer, spelled exactly as in the choices.")
    difficulty: Difficulty = Field(description="How hard the question is for an adult without special knowledge.")
    explanation: str | None = Field(description="Why the answer is right, in a sentence; null where it is obvious.")


class TriviaGame(BaseModel):
    """A game of trivia questions around one topic."""

    topic: str = Field(description="The topic, in a few words.")
    questions: list[TriviaQuestion] = Field(description="The questions, from easy to hard.", min_length=3, max_length=3)


class AnswerVerdict(BaseModel):
    """The judgement of one free-text answer."""

    verdict: Literal["right", "close", "wrong"] = Field(description="'close' where only a detail or the spelling is off.")
    points: int = Field(description="2 for right, 1 for close, 0 for wrong.", ge=0, le=2)
    comment: str = Field(description="One friendly sentence to the player.")
