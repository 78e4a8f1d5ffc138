"""The repository's own tasks, and beside them the plugin's, as any project would add them."""

from __future__ import annotations

import sys

from invoke import Collection, Context, task

from invoke_assistants.tasks import ns as asst


@task
def test(c: Context) -> None:
    """Run the tests."""
    c.run(f"{sys.executable} -m pytest -q -rs -n 2")


@task
def check(c: Context) -> None:
    """Run the linters and the type checkers."""
    for tool in ("ruff check .", "ruff format --check .", "mypy", f"pyright --pythonpath {sys.executable}"):
        c.run(f"{sys.executable} -m {tool}")


@task(name="format")
def format_(c: Context) -> None:
    """Format the code."""
    for tool in ("ruff check --fix-only --quiet .", "ruff format ."):
        c.run(f"{sys.executable} -m {tool}")


ns = Collection(asst, test, check, format_)
