"""The README and the docs say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from docs.pictures import copy_example
from invoke_assistants import tasks
from invoke_assistants.config import sources
from invoke_assistants.config.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_command_and_flag_is_in_the_table() -> None:
    """Each command has a row in the README, with each of its flags."""
    for name, task in tasks.ns.tasks.items():
        [row] = re.findall(rf"^\| `inv asst\.{name}(?: [A-Z ]+)?` \|(.*)$", README, re.M)
        flags = {f"--{argument.name.replace('_', '-')}" for argument in task.get_arguments()} - {"--only"}
        named = set(re.findall(r"--[\w-]+", row.rsplit("|", 2)[1]))
        assert named == flags or "all of these" in row, name


def test_every_setting_is_in_the_table() -> None:
    """The README names each key of [tool.asst] and each variable that is read from a file."""
    for key in sources._KEYS:
        assert re.search(rf"^\| `{key}` \|", README, re.M), key
    for variable in {*sources._OUR_VARIABLES, *sources._OPENAI}:
        assert f"`{variable}`" in README, variable


def test_the_defaults_in_the_table_are_the_defaults(tmp_path: Path) -> None:
    """A project that sets nothing has what the table says."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    settings = Settings.load(tmp_path, {})
    assert f"`{settings.assistants}`" in README
    assert f"`{settings.store.name}`" in README
    assert f"`{settings.concurrency}`" in README
    assert f"| `timeout` | `ASST_TIMEOUT` | `{settings.timeout:g}` seconds" in README
    assert f"`{settings.environments[0].base_url}`" in README


def test_the_shown_output_of_create_is_what_it_prints(tmp_path: Path) -> None:
    """The block after the first command is, line for line, what a clone prints."""
    shown = README.partition("inv asst.create\n")[2].partition("```")[0]
    copy_example(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "asst.create"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == shown


def test_the_changelog_has_an_entry() -> None:
    """Keep a Changelog: what is not released yet stands at the top."""
    assert "## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_tests_named_in_the_docs_exist() -> None:
    """Each test that docs/reliability.md names exists."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "reliability.md").read_text()))
    defined = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert named - defined == set()
    assert len(named) > 40


def test_the_counts_in_the_docs_are_those_of_the_suite(request: pytest.FixtureRequest) -> None:
    """The numbers of tests in docs/reliability.md are right, in the rows whose tests are all collected."""
    here = Counter(item.originalname for item in request.session.items if isinstance(item, pytest.Function))
    wrong: list[str] = []
    for said, tests in re.findall(r"\| (\d+), (`test_.*) \|$", (ROOT / "docs" / "reliability.md").read_text(), re.M):
        counts = [here[name] for name in re.findall(r"`(test_\w+)`", tests)]
        if all(counts) and sum(counts) != int(said):
            wrong.append(f"{sum(counts)}, not {said}: {tests}")
    assert not wrong


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "docs/reliability.md"])
def test_the_files_named_in_the_docs_exist(page: str) -> None:
    """A path in code quotes leads to a file of the repository or of the package; a NAME in it stands for a new one."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", (ROOT / page).read_text())
    missing = [
        each
        for each in named
        if "NAME" not in each and not any((root / each).exists() for root in (ROOT, ROOT / "src" / "invoke_assistants"))
    ]
    assert missing == []
    assert named
