"""Host projects in temporary folders, and a loopback server for them."""

from __future__ import annotations

import gc
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from copies import create_or_copy
from forking import Forked, Forking, Written
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none
from loopback import Loopback

from invoke_assistants import commands
from invoke_assistants.ask import process_cache

ROOT = Path(__file__).parent.parent
CANARY = "sk-canary-0000000000"  # the key of every client; it must be in no output and no file
READ_AT_THE_START = ("PYTHON", "OPENAI_LOG", "LANG", "LC_", "LD_")  # variables that a running process reads no more
FOREIGN = ("OPENAI_", "ASST_", "APP_ENV", "ACTION", "INVOKE_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")

MODELS = '''
from pydantic import BaseModel, Field
from invoke_assistants import Assistant

class Step(BaseModel):
    """One step."""
    title: str = Field(description="In a few words.")
    minutes: int

class Plan(BaseModel):
    """A plan of steps."""
    goal: str
    steps: list[Step]

class Verdict(BaseModel):
    good: bool
    why: str | None

TOOLS = [
    {"type": "function", "name": "look_up", "description": "Looks a word up.",
     "parameters": {"type": "object", "properties": {"word": {"type": "string"}, "language": {"type": "string"}}}},
    {"type": "web_search", "context_size": "low"},
]
'''

THREE = (
    MODELS
    + """
ASSISTANTS = [
    Assistant("planner", output=Plan, model="gpt-6-luna", instructions="Plan it.", tools=TOOLS),
    Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.", metadata={"team": "blue"},
              environments={"production": {"model": "gpt-6-astra"}}),
    Assistant("talker", model="gpt-6-luna", instructions="Talk.", verbosity="low", reasoning={"effort": "low"}),
]
"""
)

TASKS = '''
"""Tasks of a host project."""

from invoke import Collection, task

from invoke_assistants import tasks as asst_tasks
from invoke_assistants.tasks import ns as asst


@task
def hello(c):
    """Say hello."""
    print("hello")


@task
def ship(c):
    """Deploy from another task."""
    rows = asst_tasks.deploy(c)
    print(f"shipped {len(rows)}")


@task(pre=[asst_tasks.update])
def after(c):
    """Something after an update."""
    print("after")


ns = Collection(asst, hello, ship, after)
'''

MEMORY = Path("/dev/shm")
WAITING = {"test_faults", "test_open_creates", "test_shared_lock", "test_shared_store", "test_soak", "test_time_limit"}


def pytest_configure() -> None:
    """Prepare for a machine that is slow or busy, and for a script that starts the tests in the background.

    Temporary folders are in memory where it has room and runs programs: on a disk, half of the time is waiting for fsync.
    No random test fails by its time. What a script starts with ``&`` inherits that Ctrl-C is ignored, which many tests send.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("suite")
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 1 << 30 and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the compiled tests, whatever PYTHONDONTWRITEBYTECODE says: compiling them is most of what a process does first.

    What is imported meanwhile stays, so the garbage collector does not look for what could go: an eighth of the time.
    """
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        sys.dont_write_bytecode = kept


def pytest_collection_finish() -> None:
    """The garbage collector looks no more at what was imported so far: a fifteenth of the time of all tests."""
    given(none())(lambda _: None)()  # Hypothesis looks, once, for who refers to its random numbers, but not among the frozen
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait more than they compute come first: the other processes of xdist's compute meanwhile, not at the end.

    Before them comes the longest: where mypy has no cache yet, it computes for half a minute, in one process.
    """
    items.sort(key=lambda item: (item.path.stem != "test_typing", item.path.stem not in WAITING))


def examples(many: int) -> int:
    """How many examples a property is tried on: so many with THOROUGH=1, as in ``.ci/run``, else a quarter."""
    return many if os.environ.get("THOROUGH") else max(many // 4, 20)


_numbers = itertools.count()
forking = Forking()
inv_script = forking.script


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["name"], row["environment"]): row for row in self.json["rows"]}


class Host:
    """A project that uses the plugin, made from scratch."""

    def __init__(self, root: Path, env: dict[str, str], server: Loopback | None = None) -> None:
        self.root = root
        self.env = env
        self.server = server
        root.mkdir(parents=True, exist_ok=True)
        (root / "tasks.py").write_text(TASKS)
        self.declare(THREE)

    def declare(self, source: str, asst: str = "") -> None:
        """Write these declarations, each time to a module of a new name, so that this process imports it anew."""
        module = f"hosted_{os.getpid()}_{next(_numbers)}"
        (self.root / f"{module}.py").write_text(source)
        self.source = source
        text = f'[project]\nname = "host"\n[tool.asst]\nassistants = "{module}:ASSISTANTS"\n{asst}'
        (self.root / "pyproject.toml").write_text(text)

    def edit(self, before: str, after: str) -> None:
        """Edit the declarations."""
        [module] = [
            line.split('"')[1].split(":")[0]
            for line in (self.root / "pyproject.toml").read_text().splitlines()
            if "ASSISTANTS" in line
        ]
        source = (self.root / f"{module}.py").read_text()
        assert before in source
        self.declare(
            source.replace(before, after), "".join((self.root / "pyproject.toml").read_text().partition(':ASSISTANTS"\n')[2:])
        )

    def inv(self, *args: str, env: dict[str, str] | None = None, timeout: float = 60) -> Result:
        """Run ``inv ARGS`` as a user would, with no terminal."""
        process = self.start(*args, env=env)
        try:
            out, err = process.communicate(timeout)
        except BaseException:  # one that hangs must not go on after its test
            process.kill()
            raise
        result = Result(process.returncode or 0, out, err)
        assert "Traceback" not in result.err, result.err
        assert CANARY not in result.out + result.err
        return result

    def start(self, *args: str, env: dict[str, str] | None = None) -> Written | subprocess.Popen[str]:
        """Start ``inv ARGS``: forked, or a new Python where a variable is read at its start."""
        environ = self.environ(env)
        if not any(name.startswith(READ_AT_THE_START) for name in {**self.env, **(env or {})}):
            return forking.start(args, self.root, environ)
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *args], cwd=self.root, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start_on(self, streams: list[int], *args: str, env: dict[str, str] | None = None) -> Forked:
        """Start ``inv ARGS`` with these file descriptors as stdin, stdout and stderr."""
        return forking.start_on(streams, args, self.root, self.environ(env))

    def environ(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {**clean, "HOME": str(self.root), **self.env, **(extra or {})}

    @property
    def path(self) -> Path:
        return self.root / "assistants_store.json"

    @property
    def store(self) -> Any:
        return json.loads(self.path.read_text())

    def ids(self) -> dict[tuple[str, str], str]:
        assistants = self.store["assistants"]
        return {(name, env): record["id"] for name, records in assistants.items() for env, record in records.items()}

    def create(self) -> None:
        """Come to where ``asst.create`` comes: for the first test with these files and settings by that command, then by a copy.

        A project that is not new, or a service that has seen anything, gets the command itself.
        """
        there = self.server
        if self.path.exists() or (there and (there.seen or there.faults or there.objects or there.taken or there.lag)):
            commands.create(self.root)
        else:
            create_or_copy(self, {(name, value) for name, value in os.environ.items() if name.startswith(FOREIGN)})


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees settings of the machine that it runs on."""
    for name in os.environ:
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])  # apps put their folders there: each import to come would look into all
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # no certificates: loading them is most of what a short run computes


@pytest.fixture(autouse=True)
def own_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a runtime of its own. Its connections are closed here: collected later, they would warn in another test."""
    as_another_process(monkeypatch)
    yield
    _close_connections()


def as_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process knows about servers and sessions."""
    _close_connections()
    monkeypatch.setattr(process_cache, "_state", process_cache.ProcessCache())


def _close_connections() -> None:
    process_cache.process_cache().close()


@pytest.fixture
def server() -> Iterator[Loopback]:
    """The Agents API on a socket of its own."""
    loopback = Loopback()
    yield loopback
    loopback.shutdown()
    loopback.server_close()


@pytest.fixture
def host(tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A project with three assistants on the loopback server, also for this process. No file may get the key."""
    for name, value in server.env(CANARY).items():
        monkeypatch.setenv(name, value)
    yield Host(tmp_path / "host", server.env(CANARY), server)
    assert CANARY.encode() not in server.objects
    assert CANARY not in json.dumps(server.sessions)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), f"{path} holds the key"


@pytest.fixture
def local_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project with three assistants on the embedded platform, without a key."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    return Host(tmp_path / "host", {"ASST_PLATFORM": "local"})
