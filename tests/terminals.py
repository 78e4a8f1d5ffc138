"""Commands on a terminal of their own, and commands that read from a pipe."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import tempfile
import time
from collections.abc import Callable
from types import TracebackType

from conftest import Host, Result

# At the top of a host's tasks.py: makes the terminal the process's own, so that Ctrl-C typed there is a signal.
OWN_TERMINAL = """
import fcntl, os, termios
if os.isatty(0):
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""


def read_to_end(terminal: int) -> bytes:
    """All that a terminal still shows, until nobody has it open any more."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells the end
        while part := os.read(terminal, 65536):
            shown += part
    return shown


class Terminal:
    """A command on a terminal; leaving the block ends it.

    Attributes:
        shown: everything that the terminal has shown.
    """

    def __init__(self, host: Host, *args: str, env: dict[str, str] | None = None) -> None:
        tasks = host.root / "tasks.py"
        if OWN_TERMINAL not in tasks.read_text():
            tasks.write_text(OWN_TERMINAL + tasks.read_text())
        self._main, side = pty.openpty()
        self.process = host.start_on([side] * 3, *args, env={"TERM": "xterm-256color", "COLUMNS": "200", **(env or {})})
        os.close(side)
        self.shown = ""
        self._read_to = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self._main)

    def type(self, text: str | bytes) -> None:
        """Type text; ``\\r`` is the return key."""
        os.write(self._main, text if isinstance(text, bytes) else text.encode())

    def expect(self, text: str, seconds: float = 20) -> str:
        """Wait until the terminal has shown a text after the one expected last; return what it showed before."""
        end = time.monotonic() + seconds
        while (at := self.shown.find(text, self._read_to)) < 0:
            assert self._read(end), f"no {text!r} in {self.shown[self._read_to :]!r}"
        before, self._read_to = self.shown[self._read_to : at], at + len(text)
        return before

    def interrupt_prompt(self, until: str) -> None:
        """Type Ctrl-C at a prompt until the terminal shows a text: Python misses one that strikes just before it waits."""
        for _ in range(20):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                self.expect(until, seconds=1)
                return
        raise AssertionError(self.shown)

    def read_for(self, seconds: float) -> None:
        """Take what the terminal shows until nothing came for so long."""
        while self._read(time.monotonic() + seconds):
            pass

    def end(self) -> int:
        """Wait for the command to end; return its exit code."""
        self.read_for(20)
        assert "Traceback" not in self.shown, self.shown
        return self.process.wait(20)

    def _read(self, end: float) -> bool:
        if not select.select([self._main], [], [], max(0, end - time.monotonic()))[0]:
            return False
        try:
            part = os.read(self._main, 65536)
        except OSError:  # Linux, where nobody has the terminal any more
            return False
        self.shown += part.decode(errors="replace")
        return bool(part)


def inv_with_input(host: Host, given: bytes, *args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command that reads ``given`` from a pipe."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reading, writing = os.pipe()
        process = host.start_on([reading, out.fileno(), err.fileno()], *args, env=env)
        os.close(reading)
        os.write(writing, given)
        os.close(writing)
        code = process.wait(60)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    assert "Traceback" not in texts[1], texts[1]
    return Result(code, *texts)


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is so, which another process brings about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)
