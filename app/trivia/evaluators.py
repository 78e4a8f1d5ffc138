"""What every answer is checked for, as plain Python. The datasets beside this file name these functions."""

from __future__ import annotations

from app.trivia.models import AnswerVerdict, TriviaGame

__all__ = [
    "answer_among_choices",
    "distinct_choices",
    "easy_to_hard",
    "expected_verdict",
    "new_questions",
    "points_fit_the_verdict",
    "question_count",
    "short_comment",
]

SAMPLE = "sample "  # how the texts of a sample begin, which no model has written


def question_count(output: TriviaGame, count: int) -> tuple[bool, str]:
    """The game has so many questions."""
    return len(output.questions) == count, f"{len(output.questions)} questions"


def new_questions(output: TriviaGame) -> bool:
    """No question is asked twice."""
    asked = [each.question.casefold() for each in output.questions]
    return len(set(asked)) == len(asked)


def distinct_choices(output: TriviaGame, count: int = 4) -> tuple[bool, str]:
    """Each question has so many choices, no two alike."""
    for each in output.questions:
        if len({choice.casefold() for choice in each.choices}) != count:
            return False, f"{each.question}: {', '.join(each.choices)}"
    return True, ""


def answer_among_choices(output: TriviaGame) -> tuple[bool, str]:
    """The answer of each question is one of its choices, letter by letter."""
    odd = [f"{each.answer} is none of {', '.join(each.choices)}" for each in output.questions if each.answer not in each.choices]
    return not odd, "; ".join(odd)


def easy_to_hard(output: TriviaGame) -> bool:
    """No question is easier than the one before it."""
    order = ["easy", "medium", "hard"]
    levels = [order.index(each.difficulty) for each in output.questions]
    return levels == sorted(levels)


def expected_verdict(output: AnswerVerdict, expected_output: AnswerVerdict) -> tuple[bool, str] | dict[str, bool]:
    """The verdict is the right one. A sample, which has understood nothing, is not judged."""
    if output.comment.startswith(SAMPLE):
        return {}
    return output.verdict == expected_output.verdict, f"{output.verdict}, not {expected_output.verdict}"


def points_fit_the_verdict(output: AnswerVerdict) -> tuple[bool, str] | dict[str, bool]:
    """There are 2 points for right, 1 for close, 0 for wrong. A sample is not judged."""
    if output.comment.startswith(SAMPLE):
        return {}
    points = {"right": 2, "close": 1, "wrong": 0}[output.verdict]
    return output.points == points, f"{output.points} points for {output.verdict}"


def short_comment(output: AnswerVerdict, characters: int = 200) -> tuple[bool, str]:
    """The comment says something, in one line, and is short."""
    comment = output.comment.strip()
    return 0 < len(comment) <= characters and "\n" not in comment, f"{len(comment)} characters"
