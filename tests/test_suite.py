"""What the suite holds itself to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

HANGS = """
import threading

def test_that_hangs():
    held = threading.Lock()
    held.acquire()
    threading.Thread(target=held.acquire, name="waits-for-ever", daemon=True).start()
    held.acquire()

def test_that_comes_after():
    pass
"""


def test_every_test_has_a_time_limit(pytestconfig: pytest.Config) -> None:
    """A test that hangs is ended after three minutes at most."""
    assert 0 < float(pytestconfig.getini("timeout")) <= 180


def test_a_test_that_hangs_is_ended_and_its_threads_are_shown(tmp_path: Path) -> None:
    """In a process of xdist's, it fails with the stack of each thread, and the tests after it run."""
    (tmp_path / "test_hangs.py").write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-c", str(ROOT / "pyproject.toml"), "--timeout=0.5"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "test_hangs.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "Timeout (>0.5s)" in done.stdout
    assert "Stack of waits-for-ever" in done.stdout


def test_a_commit_runs_the_checks_of_inv_check() -> None:
    """The hook runs ``inv check``, lists no tool of its own, and needs no network."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"- repo: (.*)", hooks) == ["local"]
    assert re.findall(r"entry: (.*)", hooks) == ["python -m invoke check"]
    assert re.findall(r"language: (.*)", hooks) == ["system"]
