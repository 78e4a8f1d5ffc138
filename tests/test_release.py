"""What ``inv release`` refuses, and the constraints that installations are tried on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Host

from tasks import obstacles

DATED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n### Added\n\n- All of it.\n"


def git(root: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@x", *args], check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with nothing in the way of releasing 1.2.3."""
    root = tmp_path / "repository"
    root.mkdir()
    shutil.copy(ROOT / "tasks.py", root)
    (root / ".gitignore").write_text("__pycache__/\n")
    (root / "pyproject.toml").write_text('[project]\nname = "invoke-assistants"\nversion = "1.2.3"\n')
    (root / "CHANGELOG.md").write_text(DATED)
    git(root, "init", "-q")
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x")


def test_nothing_is_in_the_way(repository: Path) -> None:
    """A dated section, a clean tree and no tag of this version: other versions' tags and sections do not count."""
    git(repository, "tag", "v1.2.30")
    assert obstacles(repository) == []


@pytest.mark.parametrize(
    "changelog",
    [
        pytest.param(DATED.replace(" - 2026-11-29", ""), id="no date"),
        pytest.param(DATED.replace("1.2.3", "1.2.30"), id="another version"),
        pytest.param(DATED.replace("1.2.3", "1x2.3"), id="a dot is a dot"),
        pytest.param(DATED.replace("## [1.2.3]", "### [1.2.3]"), id="another level"),
    ],
)
def test_the_changelog_needs_a_dated_section(repository: Path, changelog: str) -> None:
    """The section's heading holds exactly the version and a date; the message says what to write."""
    (repository / "CHANGELOG.md").write_text(changelog)
    commit(repository)
    [said] = obstacles(repository)
    assert "write '## [1.2.3] - YYYY-MM-DD'" in said


def test_the_tree_must_be_clean(repository: Path) -> None:
    """A changed file and one that git does not know are both named."""
    (repository / "tasks.py").write_text("")
    (repository / "new.py").touch()
    [said] = obstacles(repository)
    assert "tasks.py" in said
    assert "new.py" in said


def test_a_tag_is_not_made_twice(repository: Path) -> None:
    """A version that is tagged already is refused."""
    git(repository, "tag", "v1.2.3")
    [said] = obstacles(repository)
    assert "v1.2.3 exists" in said


def test_a_refused_release_builds_nothing(repository: Path, tmp_path: Path) -> None:
    """``inv release`` says all that is in the way at once, with exit code 1 and no folder made."""
    git(repository, "tag", "v1.2.3")
    (repository / "CHANGELOG.md").write_text("# Changelog\n")
    host = Host.__new__(Host)
    host.root, host.env = repository, {"HOME": str(tmp_path)}
    result = host.inv("release")
    assert result.code == 1
    assert re.findall("dated section|not committed|tag v1.2.3 exists", result.err) == [
        "dated section", "not committed", "tag v1.2.3 exists",
    ]  # fmt: skip
    assert not (repository / "dist").exists()


def test_the_lowest_of_every_dependency_is_known() -> None:
    """``.ci/constraints.py`` has a line for each dependency, and no address."""
    done = subprocess.run([sys.executable, ROOT / ".ci" / "constraints.py"], capture_output=True, text=True, check=True)
    dependencies = re.findall(
        r'^    "([\w-]+)>=', (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("\n]")[0], re.M
    )
    assert [line.split("==")[0] for line in done.stdout.splitlines()] == dependencies
    assert "://" not in done.stdout
