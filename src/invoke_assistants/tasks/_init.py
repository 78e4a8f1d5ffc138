"""The task that makes what a project lacks; it is there only as ``python -m invoke_assistants init``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from ..config import root as project_root
from ..errors import AsstError, Refused, SettingsError
from ..store.atomic_write import read_bytes, write_atomic
from ..text import count, printable
from ._task import is_dry_run, task
from .exit_codes import PENDING

if TYPE_CHECKING:
    from .scaffold import Edit, Scaffold

__all__ = ["init"]


@task(
    help={
        "package": "declare the assistants in PACKAGE/assistants.py; created if missing",
        "dry-run": "show the files, write nothing; exit with 2 if any would be written",
        "yes": "write without asking",
    }
)
def init(c: Context, package: str | None = None, dry_run: bool = False, yes: bool = False) -> None:
    """Set up this folder for its first assistant: settings, tasks, an example.

    It shows each change first, then creates files or adds lines. Every line
    that is there stays. Assistants go into the project's package, or into a new
    one, app. A second run writes only what is still missing.

    Example: python -m invoke_assistants init --package shop
    """
    from .scaffold import plan_scaffold

    root = _find_folder()
    scaffold = plan_scaffold(root, os.environ, package)
    _print_diff(scaffold)
    if scaffold.edits and is_dry_run(c, dry_run):
        print("\n".join(map(printable, scaffold.notes)), end="\n" if scaffold.notes else "", flush=True)
        raise Exit(f"{_files(scaffold)} to write", PENDING)
    if scaffold.edits:
        if not yes:
            _confirm(scaffold)
            if plan_scaffold(root, os.environ, package) != scaffold:
                raise Refused("the files were changed while the question waited, nothing was written: run the same command again")
        _write(root, scaffold)
    _print_end(scaffold)


def _find_folder() -> Path:
    """The folder to set up: the current one.

    Raises:
        SettingsError: it is inside of a project, which has its root elsewhere.
    """
    here = Path.cwd().resolve()
    above = project_root.find_root(here, needed=False)
    if above not in (None, here):
        raise SettingsError(f"this folder is part of the project in {above}: run this there, or make a pyproject.toml here first")
    return here


def _print_diff(scaffold: Scaffold) -> None:
    """Print each file as a unified diff; in colour on a terminal."""
    from rich.text import Text

    from .printer import console

    out = console(sys.stdout)
    styles = {"-": "red", "+": "green", "@": "cyan"}
    with out.capture() as captured:
        for edit in scaffold.edits:
            for number, line in enumerate(_diff(edit)):
                style = "bold" if number < 2 else styles.get(line[:1], "")
                out.print(Text(printable(line), style=style), soft_wrap=True)
            out.print()
    print(captured.get(), end="", flush=True)  # in one piece: rich would exit by itself on a closed pipe


def _diff(edit: Edit) -> Iterator[str]:
    before, after = ((side or b"").decode(errors="replace").splitlines() for side in (edit.before, edit.after))
    old = "/dev/null" if edit.before is None else f"a/{edit.path}"
    context = 0 if edit.path == ".env" else 3  # what stands beside a new line there may be a secret
    return unified_diff(before, after, old, f"b/{edit.path}", lineterm="", n=context)


def _confirm(scaffold: Scaffold) -> None:
    from .terminal import ask, has_person

    if not has_person():
        raise Refused(f"nothing was written: there is no terminal to ask at; --yes writes {_files(scaffold)}")
    if not ask(f"Write {_files(scaffold)}?"):
        raise Refused("nothing was written")


def _write(root: Path, scaffold: Scaffold) -> None:
    for number, edit in enumerate(scaffold.edits):
        try:
            _write_edit(root / edit.path, edit)
        except AsstError as error:
            written = ", ".join(each.path for each in scaffold.edits[:number])
            raise SettingsError(f"{error}; {f'written so far: {written}' if written else 'nothing was written'}") from None


def _write_edit(path: Path, edit: Edit) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{path.parent} cannot be made: {error.strerror}") from None
    if read_bytes(path) != edit.before:
        raise SettingsError(f"{edit.path} was changed meanwhile: run the same command again")
    write_atomic(path, edit.after)


def _print_end(scaffold: Scaffold) -> None:
    paths = ", ".join(edit.path for edit in scaffold.edits)
    lines = [f"written: {paths}" if paths else "nothing to write: everything is there", *scaffold.notes]
    print("\n".join(map(printable, [*lines, "next:", *(f"    {command}" for command in scaffold.commands)])), flush=True)


def _files(scaffold: Scaffold) -> str:
    return count(len(scaffold.edits), "file")
