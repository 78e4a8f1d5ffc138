"""The types that a user's editor sees."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from invoke.context import Context

from invoke_assistants.tasks._init import init

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


@pytest.fixture
def told(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """By file, what a checker in strict mode says of the code above, of the README's ``tasks.py`` and of what ``init`` writes
    into a folder called shop, from one run of it: most of its time goes to the packages that all of these import."""
    blocks = re.findall(r"^( *)```python.*?\n(.*?)^\1```", (ROOT / "README.md").read_text(), re.M | re.S)
    shown = next(code for _, code in blocks if "from invoke_assistants.tasks import ns as asst" in code)
    for name, code in {"probe": CODE, "mixed": MIXED, "shown": textwrap.dedent(shown)}.items():
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    init(Context(), package="desk", yes=True)
    (tmp_path / "pyproject.toml").write_text(f'[tool.pyright]\ntypeCheckingMode = "strict"\nextraPaths = ["{ROOT}"]\n')
    command = {
        "mypy": ["mypy", "--strict", *map(str, tmp_path.glob("*.py")), *map(str, tmp_path.glob("shop/**/*.py"))],
        "pyright": ["pyright", "--project", str(tmp_path), "--pythonpath", sys.executable],
    }[request.param]
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return {name: [line for line in lines if name in line] for name in ("probe.py:", "mixed.py:", "shown.py:", "/shop/")}


@pytest.mark.parametrize("told", ["mypy", "pyright"], indirect=True)
def test_a_users_code_has_the_right_types_and_no_errors(told: dict[str, list[str]]) -> None:
    """An output is revealed as the app's type; a list of assistants of several outputs needs no annotation, and accepts the one
    that the docs name; a new project's ``tasks.py``, copied from the README, is clean, and so is all that ``init`` generates."""
    assert "`list[Assistant[Any]]`" in (ROOT / "docs" / "reference" / "assistant.md").read_text()
    assert told["mixed.py:"] == told["shown.py:"] == told["/shop/"] == []
    [revealed] = told["probe.py:"]
    assert "TriviaGame" in revealed
    assert "error" not in revealed
