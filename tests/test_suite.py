"""What the suite holds itself to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, forking

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

ENDS = {  # what a command does, as the last thing
    "nothing": "print('said', end='')",
    "a number": "import sys; print('said'); sys.exit(3)",
    "no number": "import sys; sys.exit(None)",
    "words": "import sys; sys.exit('why')",
    "an error": "print('said'); 1 / 0",
    "an interrupt": "raise KeyboardInterrupt",
    "a signal": "import os; os.kill(os.getpid(), 15)",
    "what is registered": "import atexit; atexit.register(print, 'first'); atexit.register(print, 'last'); print('said')",
    "a thread": "import threading; threading.Timer(0.1, print, ['later']).start(); print('said')",
    "a daemon": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); print('said')",
    "a pool": "from concurrent.futures import ThreadPoolExecutor as Pool; Pool(1).submit(print, 'said')",
    "a closed stream": "import sys; print('said'); sys.stdout.close()",
    "a full disk": "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print('said')",
    "a file of its own": "file = open('left', 'w'); file.write('left')",
    "a file of a module": "import made; made.file.write('left')",
    "what is in a circle": "class It:\n  def __del__(self): print('gone')\nit = It(); it.it = it; del It, it",
    "what is never awaited": "async def never(): pass\nleft = never()",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_a_forked_command_ends_as_any_process(code: str, tmp_path: Path) -> None:
    """Its exit code, its output, what it says is wrong, and what it leaves in files are those of a new Python."""
    ends: list[tuple[object, ...]] = []
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name in ("forked", "new"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "made.py").write_text("file = open('left', 'w')")
        if name == "new":
            process = subprocess.Popen(
                [sys.executable, "-c", code], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        else:
            process = forking.start(("-c", code), folder, env)
        out, err = process.communicate(timeout=60)
        left = {path.name: path.read_text() for path in folder.iterdir() if path.name == "left"}
        ends.append((process.returncode, out, re.findall(r"\w*(?:Error|Interrupt|Warning|why).*", err)[:1], left))
    assert ends[0] == ends[1]


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
