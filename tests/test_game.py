"""The trivia game in the terminal: against answers that the tests give, and against samples of the embedded platform."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Host

from app.assistants import create_trivia_game, judge_answer
from app.trivia.game import play
from app.trivia.models import AnswerVerdict, Difficulty, TriviaGame, TriviaQuestion
from invoke_assistants import AnswerRefused, NotCreated, commands
from invoke_assistants.testing import Answers

NEARLY = AnswerVerdict(verdict="close", points=1, comment="Nearly.")


def game_of(*questions: str) -> TriviaGame:
    """A game with these questions, to all of which the answer is Rome."""
    choices = ["Paris", "Rome", "Oslo", "Bonn"]
    return TriviaGame(
        topic="Capitals",
        questions=[
            TriviaQuestion(question=each, choices=choices, answer="Rome", difficulty=Difficulty.EASY, explanation=None)
            for each in questions
        ],
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The example in a folder of its own; no assistant is created."""
    root = tmp_path / "example"
    shutil.copytree(ROOT / "app", root / "app")
    for name in ("pyproject.toml", "tasks.py"):
        shutil.copy(ROOT / name, root / name)
    monkeypatch.setenv("ASST_ROOT", str(root))
    host = Host.__new__(Host)
    host.root, host.env = root, {"ASST_PLATFORM": "local"}
    return host


def played(*lines: str) -> tuple[int, list[str], list[str]]:
    """The points, the questions and all output of a game in which the player types these lines."""
    said: list[str] = []
    typed = iter(lines)

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    result = play(read, said.append)
    return result.points, result.asked, said


def test_the_game_asks_judges_and_counts(asst_answers: Answers) -> None:
    """The game judges letters and choices itself, the assistant other words."""
    asst_answers.once(create_trivia_game, "Create a new trivia game about capitals.").give(game_of("One?", "Two?", "Three?"))
    asst_answers.once(judge_answer, re.compile("The player answered: the eternal city")).give(NEARLY)
    points, asked, said = played("capitals", "b", "rome", "the eternal city", "n")
    assert points == 2 + 2 + 1
    assert asked == ["One?", "Two?", "Three?"]
    assert "   Nearly." in said
    assert said[-1] == "You have 5 of 6 points. Goodbye!"


def test_another_game_repeats_no_question(asst_answers: Answers) -> None:
    """Rounds go on in one conversation and ask only new questions; where none come, the assistant is asked once more."""
    asst_answers.once(create_trivia_game).give(game_of("One?", "Two?", "Three?"))
    asst_answers.once(create_trivia_game).give(game_of("Two?", "FOUR?", "one?"))
    asst_answers.always(create_trivia_game).give(game_of("Four?", "Two?", "One?"))
    _, asked, said = played("", "a", "a", "a", "y", "a", "y")
    assert asked == ["One?", "Two?", "Three?", "FOUR?"]
    assert said[-2:] == ["After 4 questions no new ones came.", "You have 0 of 8 points. Goodbye!"]
    assert [each.prompt.splitlines()[0] for each in asst_answers.asked] == [
        "Create a new trivia game.",
        "Another, with new questions.",
        "Another, with new questions.",
        "Those were asked already. Ask none of these:",
    ]
    assert len({each.session for each in asst_answers.asked}) == 1


def test_a_refused_topic_ends_the_game(asst_answers: Answers) -> None:
    """The refusal reaches whoever started the game, with its words."""
    asst_answers.once(create_trivia_game).refuse("Not about that.")
    with pytest.raises(AnswerRefused) as refused:
        played("secrets")
    assert refused.value.answer == "Not about that."


def test_what_a_model_says_does_not_steer_the_terminal(asst_answers: Answers) -> None:
    """Control characters in topic, questions, choices and comments are escaped."""
    nasty = "\x1b]0;owned\x07\n::error::x\u202e"
    game = game_of(f"One?{nasty}", "Two?", "Three?")
    game.topic += nasty
    for question in game.questions:
        question.explanation, question.choices = nasty, [f"Rome{nasty}", "Paris", "Oslo", "Bonn"]
    asst_answers.once(create_trivia_game).give(game)
    asst_answers.always(judge_answer).give(NEARLY.model_copy(update={"comment": nasty}))
    _, _, said = played("", "the eternal city", "a", "")
    text = "\n".join(said)
    assert text.count("owned") > 8
    assert not any(each in text for each in "\x1b\x07\u202e")
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_samples_can_be_won_by_letter(project: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the embedded platform, each question has a right letter, and not always the same."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    commands.create(project.root)
    won = {letter: played("", *letter * 3, "y", *letter * 3, "n")[0] for letter in "abcd"}
    assert sum(won.values()) == 2 * 6
    assert max(won.values()) < 2 * 6


def test_the_end_of_the_input_ends_the_game(project: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The game prints the points so far and ends."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    commands.create(project.root)
    points, asked, said = played("", "", "")
    assert points == 0
    assert len(asked) == 3
    assert said[-1] == "You have 0 of 6 points. Goodbye!"


def test_where_nothing_is_created_the_command_to_type_is_named(project: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a created assistant, the game raises the error that names the command."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    with pytest.raises(NotCreated, match="create_trivia_game is not created in development on local: run inv asst.create"):
        played("")
