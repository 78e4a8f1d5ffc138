"""Measuring whole processes, and the host projects and the server that they need."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import host

HERE = Path(__file__).parent
INV = (sys.executable, "-m", "invoke")
SIGNS = {"most": "≤", "least": "≥", "exact": "="}
LATENCY = 0.05  # seconds for a request
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR")  # variables that the processes see


@dataclass(frozen=True)
class Process:
    """What one process took: seconds on the clock, of user and system CPU, and the peak of its memory in MB."""

    seconds: float
    cpu: float
    rss: float


@dataclass(frozen=True)
class Row:
    """One figure with its goal; a ratio of ours to the floor where ``unit`` is ``×``.

    Attributes:
        part: what ``--only`` calls it.
        value: the median over the rounds, ``low`` and ``high`` the least and the most.
        ours, floor: what both took, as text.
        kind: whether the goal is the most, the least or the very value.
        raw: what each round measured of both.
    """

    part: str
    name: str
    value: float
    unit: str
    goal: float | None
    ours: str = ""
    floor: str = ""
    low: float | None = None
    high: float | None = None
    kind: Literal["most", "least", "exact"] = "most"
    raw: Sequence[Sequence[float]] = ()

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        return {"exact": self.value == self.goal, "least": self.value >= self.goal, "most": self.value <= self.goal}[self.kind]

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return self.digits(self.value) + (self.unit.removesuffix("s") if self.value == 1 else self.unit)

    @property
    def aim(self) -> str:
        """The goal with its unit; nothing where there is none."""
        if self.goal is None:
            return ""
        return f"{SIGNS[self.kind]} {self.goal:g}{self.unit.removesuffix('s') if self.goal == 1 else self.unit}"

    def digits(self, value: float) -> str:
        """A value with as many digits as its unit deserves."""
        return str(value) if isinstance(value, int) else f"{value:.2f}" if self.unit == "×" else f"{value:.1f}"


Run = Callable[[int], Process]  # takes the number of the round


@dataclass(frozen=True)
class Bench:
    """What the parts share: a folder, the rounds, whether every part is measured, and the server with its URL."""

    work: Path
    rounds: int
    url: str

    def project(self, name: str, assistants: int, environments: Sequence[str] = ("production",)) -> Path:
        """A new host project of this size; an existing one of that name is replaced."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        host.write_project(folder, assistants, environments)
        return folder

    def env(self, **more: str) -> dict[str, str]:
        """The variables of a process that asks the server."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        ours = {"ASST_PLATFORM": "agents", "OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": self.url, "HOME": str(self.work)}
        return kept | ours | more

    def inv(self, folder: Path, *arguments: str, **env: str) -> Process:
        """Run Invoke in a host project."""
        return run([*INV, *arguments], folder, self.env(**env))

    def floor(self, script: str, folder: Path, *arguments: str) -> Process:
        """Run one of the scripts in ``floors``, on a service of its own."""
        own = self.url.removesuffix("/v1") + "/floor/v1"
        return run([sys.executable, str(HERE / "floors" / f"{script}.py"), *arguments], folder, self.env(OPENAI_BASE_URL=own))

    def reset(self) -> None:
        """Make the server forget everything."""
        self._ask("/bench/reset", "POST")

    def set_latency(self, seconds: float) -> None:
        """Make the server wait so long before each answer."""
        self._ask(f"/bench/latency?seconds={seconds}", "POST")

    def requests(self, work: Callable[[], object]) -> dict[str, int]:
        """Do some work, and return the requests that the server got meanwhile, by method and route."""
        before = self._ask("/bench/requests")
        work()
        after = self._ask("/bench/requests")
        return {route: number - before.get(route, 0) for route, number in after.items() if number != before.get(route)}

    def writes(self, folder: Path) -> str:
        """Save what was posted since the last time or reset, for a floor that posts the same; return the file's path."""
        path = folder / "writes.json"
        path.write_text(json.dumps(self._ask("/bench/writes")))
        return str(path)

    def _ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(self.url.removesuffix("/v1") + path, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def pairs(self, ours: Run, floor: Run, rounds: int | None = None) -> list[tuple[Process, Process]]:
        """Run both in turn; each has run before, so that what has to be compiled is."""
        return [(ours(each), floor(each)) for each in range(1, (rounds or self.rounds) + 1)]


@contextmanager
def opened(rounds: int) -> Generator[Bench]:
    """Start the server and make the folder; end and remove both in the end."""
    with tempfile.TemporaryDirectory(prefix="bench") as work:
        command = [sys.executable, str(HERE / "server.py"), "--latency", str(LATENCY)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            yield Bench(Path(work), rounds, server.stdout.readline().strip())
        finally:
            server.terminate()
            server.wait()


def run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Process:
    """Run a process to its end.

    Its peak of memory is at least this process's, whose pages it begins with: this process must stay small.

    It is a group of its own, so that all that it started ends with it where this process is told to end.

    Raises:
        SystemExit: it failed; what it wrote to stderr is shown.
    """
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            process_group=0,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"exit code {process.returncode} of {' '.join(command)} in {folder}:\n{errors.read()[-2000:]}")
    return Process(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2))


def ratio(part: str, name: str, pairs: Sequence[tuple[Process, Process]], goal: float | None, of: str = "seconds") -> Row:
    """The median of the ratios of both, by seconds, CPU or memory."""
    raw = [(getattr(ours, of), getattr(floor, of)) for ours, floor in pairs]
    ratios = [ours / floor for ours, floor in raw]
    form = "{:.0f} MB" if of == "rss" else "{:.2f} s"
    ours, floor = (form.format(statistics.median(column)) for column in zip(*raw, strict=True))
    return Row(part, name, statistics.median(ratios), "×", goal, ours, floor, min(ratios), max(ratios), raw=raw)


def number(part: str, name: str, value: float, unit: str, goal: float | None = None, *, exact: bool = False) -> Row:
    """A figure that is no ratio: its goal is the most, or this very value."""
    return Row(part, name, value, f" {unit}", goal, kind="exact" if exact else "most")
