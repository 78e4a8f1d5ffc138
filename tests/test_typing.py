"""What a user's editor knows."""

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


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_an_output_is_revealed_as_the_apps_type(tmp_path: Path, checker: str) -> None:
    """mypy and pyright both say TriviaGame for the output of a run, and nothing is wrong with the rest."""
    file = tmp_path / "probe.py"
    file.write_text(CODE)
    command = {"mypy": ["mypy", "--strict"], "pyright": ["pyright", "--pythonpath", sys.executable]}[checker]
    done = subprocess.run([sys.executable, "-m", *command, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "TriviaGame" in next(line for line in done.stdout.splitlines() if "Revealed" in line or 'is "' in line), done.stdout
    assert done.returncode == 0, done.stdout
