"""The types that a user's editor sees."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
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
    """A list of assistants with several outputs needs no annotation, and accepts the one that the README names."""
    assert "`list[Assistant[Any]]`" in (ROOT / "README.md").read_text()
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


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_tasks_that_the_readme_shows_have_no_type_error(tmp_path: Path, checker: str) -> None:
    """A new project's ``tasks.py``, copied from the README, is clean in strict mode of both type checkers."""
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```", (ROOT / "README.md").read_text(), re.M | re.S)
    shown = next(code for _, code in blocks if "from invoke_assistants.tasks import ns as asst" in code)
    (tmp_path / "shown.py").write_text(textwrap.dedent(shown))
    (tmp_path / "pyproject.toml").write_text('[tool.pyright]\ntypeCheckingMode = "strict"\n')
    project = ["--project", str(tmp_path)] if checker == "pyright" else []
    done = subprocess.run(
        [sys.executable, "-m", *command_of(checker), *(project or [str(tmp_path / "shown.py")])],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
