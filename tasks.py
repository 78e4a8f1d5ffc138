"""The repository's own tasks, and beside them the plugin's, as any project would add them."""

from __future__ import annotations

import shlex
import sys

from invoke import Collection, Context, Exit, task

from invoke_assistants import AsstError
from invoke_assistants.tasks import ns as asst

CHECKS = ["ruff check .", "ruff format --check .", "mypy", f"pyright --pythonpath {shlex.quote(sys.executable)}"]


@task
def play(c: Context) -> None:
    """Play the trivia game in the terminal."""
    from app.trivia.game import play as game

    try:
        game(input, print)
    except AsstError as error:
        raise Exit(str(error), 1) from None
    except KeyboardInterrupt:
        raise Exit("\nGoodbye!", 130) from None


@task
def test(c: Context) -> None:
    """Run the tests."""
    c.run(f"{sys.executable} -m pytest -q -rs -n 4 --dist worksteal")


@task(help={"rounds": "of each kind", "seed": "of the first round; a random one if not given", "kind": "this kind alone"})
def soak(c: Context, rounds: int = 50, seed: str = "", kind: str = "") -> None:
    """Run the long random tests: kills, interruptions, races, lost answers."""
    given = [f"--{name} {shlex.quote(value)}" for name, value in (("seed", seed), ("kind", kind)) if value]
    c.run(" ".join([sys.executable, "tests/soak.py", f"--rounds {rounds}", *given]))


@task
def check(c: Context) -> None:
    """Run the linters and the type checkers."""
    for tool in CHECKS:
        c.run(f"{sys.executable} -m {tool}")


@task
def pictures(c: Context) -> None:
    """Draw the pictures of docs/pictures anew."""
    c.run(f"{sys.executable} docs/pictures.py")


@task(name="format")
def format_(c: Context) -> None:
    """Format the code."""
    for tool in ("ruff check --fix-only --quiet .", "ruff format ."):
        c.run(f"{sys.executable} -m {tool}")


@task
def docs(c: Context) -> None:
    """Bring the generated pages up to date, and build the documentation into site/."""
    for script in ("docs/rooms.py", "docs/reference.py"):
        c.run(f"{sys.executable} {script}")
    c.run(f"{sys.executable} -m zensical build --strict")


ns = Collection(asst, play, test, soak, check, pictures, format_, docs)
