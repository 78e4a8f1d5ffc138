"""The repository's own tasks, and beside them the plugin's, as any project would add them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from invoke_assistants import AsstError
from invoke_assistants.tasks import ns as asst

CHECKS = ["ruff check .", "ruff format --check .", "mypy", f"pyright --pythonpath {shlex.quote(sys.executable)}"]

ROOT = Path(__file__).parent


class ValuesNeeded(Task):  # type: ignore[type-arg]  # invoke's Task is generic only in its stubs
    """A task whose repeatable flags need a value each, which Invoke does not see to."""

    def get_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke's arguments."""
        arguments = super().get_arguments(*args, **kwargs)
        for argument in arguments:
            if argument.kind is list:
                argument.raw_value = None
        return arguments


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
    c.run(f"{sys.executable} -m pytest -q -rs -n 6 --dist worksteal")


@task(help={"rounds": "of each kind", "seed": "of the first round; a random one if not given", "kind": "this kind alone"})
def soak(c: Context, rounds: int = 50, seed: str = "", kind: str = "") -> None:
    """Run the long random tests: kills, interruptions, races, lost answers."""
    given = [f"--{name} {shlex.quote(value)}" for name, value in (("seed", seed), ("kind", kind)) if value]
    c.run(" ".join([sys.executable, "tests/soak.py", f"--rounds {rounds}", *given]))


@task(
    klass=ValuesNeeded,
    iterable=["only"],
    help={
        "only": "this part alone, of listing, offline, noop, create, update, sweep, transactions, growth, id, run, tab, stores,"
        " peers; may be given several times",
        "peers": "measure other tools too, which npm and pip install into a temporary folder",
        "rounds": "rounds of each pair; 7 unless given",
        "out": "folder for the figures, the pictures, and the tables of its speed.md; not with --only, but for --only peers",
    },
)
def bench(c: Context, only: list[str], peers: bool = False, rounds: str = "", out: str = "") -> None:
    """Measure the speed of the commands, as ratios to a floor; benchmarks/README.md says how to read it.

    It takes the place of this process, so that signals reach it alone: a task named after it does not run.
    """
    given = [f"--{name}={value}" for name, value in (("rounds", rounds), ("out", out)) if value]
    given += [f"--only={part}" for part in only] + ["--peers"] * peers
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, str(ROOT / "benchmarks" / "run.py"), *given])


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
    for script in ("docs/rooms.py", "docs/reference.py", "docs/compatibility.py"):
        c.run(f"{sys.executable} {script}")
    c.run(f"{sys.executable} -m zensical build --strict")


@task(help={"out": "folder for the two files"})
def build(c: Context, out: str = "dist") -> None:
    """Build the sdist, and from it the wheel, and check both."""
    c.run(f"{sys.executable} -m build -q -o {shlex.quote(out)} {shlex.quote(str(ROOT))}")
    files = f"{shlex.quote(out)}/invoke_assistants-{version_of(ROOT)}"
    c.run(f"{sys.executable} -m twine --no-color check --strict {files}.tar.gz {files}-py3-none-any.whl")
    c.run(f"{sys.executable} -m check_wheel_contents {files}-py3-none-any.whl")


@task
def release(c: Context) -> None:
    """Build this version and try it; print the command that uploads it, and upload nothing."""
    if found := obstacles(ROOT):
        raise Exit("\n".join(found), 1)
    out = ROOT / "dist"
    build(c, str(out))
    version = version_of(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        c.run(f"{sys.executable} -m venv {folder}")
        c.run(f"{python} -m pip install -q --disable-pip-version-check {out}/invoke_assistants-{version}-py3-none-any.whl")
        c.run(f"{sys.executable} {ROOT}/.ci/smoke.py {python}")
    print("Nothing is uploaded yet. To release, type:")
    print(f"git tag v{version} && git push origin v{version} && python -m twine upload dist/invoke_assistants-{version}[-.]*")


def version_of(root: Path) -> str:
    """The version in ``pyproject.toml``."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def obstacles(root: Path) -> list[str]:
    """A sentence for each thing that must be put right before a release; none where there is nothing."""
    version = version_of(root)
    found: list[str] = []
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", (root / "CHANGELOG.md").read_text(), re.M):
        found.append(f"CHANGELOG.md has no dated section for {version}: write '## [{version}] - YYYY-MM-DD' over its entries")
    if changed := git(root, "status", "--porcelain"):
        found.append(f"these files are not committed: commit them, or stash them with git stash -u\n{changed}")
    if git(root, "tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} exists: raise the version in pyproject.toml")
    return found


def git(root: Path, *args: str) -> str:
    """What git prints in a folder."""
    return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True).stdout.rstrip()


ns = Collection(asst, play, test, soak, bench, check, pictures, format_, docs, build, release)
