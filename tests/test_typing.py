"""The types that a user's editor sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = """
from app.assistants import create_trivia_game
reveal_type(create_trivia_game.run("…").output)
"""


MIXED = """
from typing import Any
from app.assistants import create_trivia_game, judge_answer
from invoke_assistants import Assistant

plain = Assistant("plain", model="m")
ASSISTANTS = [create_trivia_game, judge_answer, plain]
annotated: list[Assistant[Any]] = [create_trivia_game, judge_answer, plain]
by_name: dict[str, Assistant[Any]] = {"create_trivia_game": create_trivia_game, "plain": plain}

def shown(assistants: list[Assistant[Any]]) -> list[str]:
    return [str(each.run("…").output) for each in assistants]

shown(annotated)
"""


def command_of(checker: str) -> list[str]:
    return {"mypy": ["mypy", "--strict"], "pyright": ["pyright", "--pythonpath", sys.executable]}[checker]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_list_of_assistants_of_several_outputs(tmp_path: Path, checker: str) -> None:
    """A list of assistants with several outputs needs no annotation, and accepts the one that the docs name."""
    assert "`list[Assistant[Any]]`" in (ROOT / "docs" / "reference" / "assistant.md").read_text()
    file = tmp_path / "mixed.py"
    file.write_text(MIXED)
    done = subprocess.run(
        [sys.executable, "-m", *command_of(checker), str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_an_output_is_revealed_as_the_apps_type(tmp_path: Path, checker: str) -> None:
    """mypy and pyright reveal TriviaGame as the output of a run, without an error."""
    file = tmp_path / "probe.py"
    file.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-m", *command_of(checker), str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "TriviaGame" in next(line for line in done.stdout.splitlines() if "Revealed" in line or 'is "' in line), done.stdout
    assert done.returncode == 0, done.stdout
