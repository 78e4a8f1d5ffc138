"""The repository's own tasks, and beside them the plugin's, as any project would add them."""

from __future__ import annotations

from invoke import Collection, Context, task

from invoke_assistants.tasks import ns as asst


@task
def test(c: Context) -> None:
    """Run the tests."""
    c.run("python -m pytest -q -n 2", pty=False)


@task
def check(c: Context) -> None:
    """Run the linters and the type checkers."""
    c.run("python -m ruff check .")
    c.run("python -m ruff format --check .")
    c.run("python -m mypy")
    c.run("python -m pyright")


@task(name="format")
def format_(c: Context) -> None:
    """Format the code."""
    c.run("python -m ruff check --fix-only --quiet .")
    c.run("python -m ruff format .")


ns = Collection(asst, test, check, format_)
