"""The trivia game in the terminal, against assistants of the embedded platform and a scripted model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import ROOT, Host

from app.trivia.game import play
from invoke_assistants import NotCreated, commands


def questions(*texts: str) -> str:
    each = {"choices": ["Paris", "Rome", "Oslo", "Bonn"], "answer": "Rome", "difficulty": "easy", "explanation": None}
    return json.dumps({"topic": "Capitals", "questions": [{"question": text, **each} for text in texts]})


@pytest.fixture
def model() -> Iterator[Compatible]:
    games = iter([questions("One?", "Two?", "Three?"), questions("Two?", "FOUR?", "one?"), questions("Four?", "Two?", "One?")])

    def answer(asked: ModelRequest) -> ModelAnswer:
        if asked.schema and "verdict" in asked.schema["properties"]:
            return ModelAnswer(json.dumps({"verdict": "close", "points": 1, "comment": "Nearly."}))
        return ModelAnswer(next(games, questions("One?", "Two?", "Three?")))

    server = Compatible(answer)
    yield server
    server.shutdown()
    server.server_close()


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


def test_the_game_asks_judges_counts_and_repeats_nothing(
    project: Host, model: Compatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The game judges letters and choices itself, the assistant other words; a second round asks only new questions."""
    for name, value in model.env().items():
        monkeypatch.setenv(name, value)
    commands.create(project.root)
    points, asked, said = played("capitals", "b", "rome", "the eternal city", "y", "a", "y")
    assert points == 2 + 2 + 1 + 0
    assert asked == ["One?", "Two?", "Three?", "FOUR?"]
    assert "   Nearly." in said
    assert "\n5 of 6 points so far." in said
    assert said[-2:] == ["After 4 questions no new ones came.", "You have 5 of 8 points. Goodbye!"]
    assert "capitals" in model.asked[0].prompts[0]
    assert "The player answered: the eternal city" in model.asked[1].prompts[0]


def test_what_a_model_says_does_not_steer_the_terminal(project: Host, model: Compatible, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters in topic, questions, choices and comments are escaped."""
    nasty = "\x1b]0;owned\x07\n::error::x\u202e"
    game = json.loads(questions(f"One?{nasty}", "Two?", "Three?"))
    game["topic"] += nasty
    for question in game["questions"]:
        question |= {"explanation": nasty, "choices": [f"Rome{nasty}", "Paris", "Oslo", "Bonn"]}
    verdict = {"verdict": "close", "points": 1, "comment": nasty}
    model.model = lambda asked: ModelAnswer(json.dumps(verdict if "verdict" in asked.schema["properties"] else game))
    for name, value in model.env().items():
        monkeypatch.setenv(name, value)
    commands.create(project.root)
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
