"""The game in a terminal: it asks, judges, counts, and goes on with new questions as long as the player likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.assistants import create_trivia_game, judge_answer
from app.trivia.models import TriviaGame, TriviaQuestion
from invoke_assistants import printable

__all__ = ["Round", "play"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
FULL = 2  # points of a right answer, as in AnswerVerdict


@dataclass
class Round:
    """What has been asked so far, and how many points were given for it."""

    asked: list[str] = field(default_factory=list)
    points: int = 0

    def new(self, game: TriviaGame) -> Iterator[TriviaQuestion]:
        """The questions of a game that were not asked before, each noted as asked."""
        for question in game.questions:
            if _folded(question.question) not in map(_folded, self.asked):
                self.asked.append(question.question)
                yield question


def play(read: Callable[[str], str], say: Callable[[str], None]) -> Round:
    """Play until the player has had enough.

    Args:
        read: shows a prompt and returns a line; EOFError ends the game.
        say: shows a line.

    Raises:
        AsstError: an assistant could not be asked, or gave no answer.
    """
    so_far = Round()
    say = _harmless(say)
    try:
        topic = read("A topic, or Enter for a surprise: ").strip()
        reply = create_trivia_game.run(f"Create a new trivia game{f' about {topic}' if topic else ''}.")
        while True:
            say(f"\nThe topic: {reply.output.topic}")
            for question in so_far.new(reply.output):
                _ask(question, so_far, read, say)
            say(f"\n{so_far.points} of {FULL * len(so_far.asked)} points so far.")
            if read("Another game? [y/N] ").strip().lower() not in ("y", "yes"):
                break
            count = len(so_far.asked)
            reply = create_trivia_game.run("Another, with new questions.", session=reply.session)
            if all(_folded(each.question) in map(_folded, so_far.asked) for each in reply.output.questions):
                known = "\n".join(f"- {each}" for each in so_far.asked)
                reply = create_trivia_game.run(f"Those were asked already. Ask none of these:\n{known}", session=reply.session)
            if not any(_folded(each.question) not in map(_folded, so_far.asked) for each in reply.output.questions):
                say(f"After {count} questions no new ones came.")
                break
    except EOFError:
        say("")
    say(f"You have {so_far.points} of {FULL * len(so_far.asked)} points. Goodbye!")
    return so_far


def _harmless(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, but what a model wrote cannot steer the terminal."""
    return lambda line: say(printable(line, prose=True))


def _ask(question: TriviaQuestion, so_far: Round, read: Callable[[str], str], say: Callable[[str], None]) -> None:
    say(f"\n{len(so_far.asked)}. {question.question} ({question.difficulty})")
    for letter, choice in zip(LETTERS, question.choices, strict=False):
        say(f"   {letter}) {choice}")
    answered = read("A letter, or the answer in your own words: ").strip()
    points, comment = _judged(question, answered)
    so_far.points += points
    say(f"   {comment}")
    if points < FULL:
        say(f"   The answer: {question.answer}")
    if question.explanation:
        say(f"   {question.explanation}")


def _judged(question: TriviaQuestion, answered: str) -> tuple[int, str]:
    """The points and a comment: a choice is judged here, an answer in the player's own words by an assistant."""
    chosen = dict(zip(LETTERS, question.choices, strict=False)).get(answered.lower(), answered)
    if not chosen:
        return 0, "No answer."
    if _folded(chosen) == _folded(question.answer):
        return FULL, "Right!"
    if _folded(chosen) in map(_folded, question.choices):
        return 0, "Wrong."
    verdict = judge_answer.run(f"Question: {question.question}\nRight answer: {question.answer}\nThe player answered: {answered}")
    return verdict.output.points, verdict.output.comment


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
