"""A turn has a time limit; a turn that is broken off ends at the platform, in functions and in this process's threads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from compatible import Compatible, ModelAnswer
from conftest import MODELS, Host, as_another_process
from loopback import Fault, Loopback

from invoke_assistants import Assistant, PlatformError, SettingsError, commands
from invoke_assistants.ask.process_cache import process_cache
from invoke_assistants.config.project import Project
from invoke_assistants.config.settings import Settings
from invoke_assistants.emulator.responder import Conversation, ResponderAnswer
from invoke_assistants.sdk import time_limit
from invoke_assistants.sdk.deadline import Deadline

APP = (
    MODELS
    + '''
import asyncio
import threading
ENTERED = threading.Event()
LET_GO = threading.Event()

def block() -> str:
    """Waits for long."""
    ENTERED.set()
    LET_GO.wait(20)
    return "blocked"

async def wait() -> str:
    """Waits for long, too."""
    ENTERED.set()
    await asyncio.sleep(20)
    return "waited"

async def cancelled() -> str:
    """Waits for something that is cancelled."""
    task = asyncio.ensure_future(asyncio.sleep(20))
    task.cancel()
    await task
    return "never"

def cancelling() -> str:
    """The same, without a loop."""
    raise asyncio.CancelledError

def leave() -> str:
    """Ends the process."""
    raise SystemExit(3)

ASSISTANTS = [
    Assistant("talker", model="m", instructions="Talk."),
    Assistant("helper", model="m", tools=[block, wait, cancelled, cancelling, leave]),
]
'''
)
LATE = r"^{} in development: no answer within 1 s, the limit of a turn \(ASST_TIMEOUT\)"


class Slow:
    """A model that writes something, and then nothing more until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        on_text("Well, ")
        while not self.go.wait(0.02):
            on_text("")  # notices that it is cancelled
        on_text("yes.")
        return ResponderAnswer(1, 1)


@pytest.fixture
def compatible() -> Iterator[Compatible]:
    server = Compatible(lambda asked: ModelAnswer("Yes."))
    yield server
    server.hang.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["local", "agents", "responses", "chat"])
def slow(
    request: pytest.FixtureRequest, tmp_path: Path, server: Loopback, compatible: Compatible, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[dict[str, Assistant[Any]], Callable[[], list[str]]]]:
    """Assistants on a platform whose model does not answer within a second, and a function that lists the turns begun."""
    envs = {"local": {"ASST_PLATFORM": "local"}, "agents": server.env()}
    env = envs.get(request.param, compatible.env())
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    host = Host(tmp_path / "host", env)
    host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    as_another_process(monkeypatch)
    commands.create(host.root)
    declared: Any = Project.load(host.root, ()).declared
    compatible.lacks = "/responses" if request.param == "chat" else ""
    warm_up(declared["talker"])
    model = Slow()
    compatible.hang.clear()
    compatible.seen.clear()
    service = server.service
    if request.param == "local":
        [(transport, _)] = process_cache().clients()._embedded.values()
        service = transport.service
    service._sessions._responder = model
    monkeypatch.setenv("ASST_TIMEOUT", "1")

    def turns() -> list[str]:
        if request.param in ("responses", "chat"):
            return [f"{method} {path}" for method, path in compatible.seen]
        sessions = service.handle("GET", "/agents/sessions", {"order": "asc"}, b"")[1]["data"]  # type: ignore[call-overload, index]
        return [
            turn["status"]
            for session in sessions
            for turn in service.handle("GET", f"/agents/sessions/{session['id']}/turns", {}, b"")[1]["data"]  # type: ignore[call-overload, index]
        ]

    begun = len(turns())
    yield declared, lambda: turns()[begun:]
    model.go.set()
    compatible.hang.set()


def warm_up(assistant: Assistant[Any]) -> None:
    """Load what the first question in a process loads: that takes time, which counts."""
    assistant.run("Hello.")
    asyncio.run(assistant.arun("Hello."))


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether a condition becomes true within ten seconds."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def ways(assistant: Assistant[Any], prompt: str, **options: Any) -> dict[str, Callable[[], Any]]:
    """Every way to ask."""

    async def streamed() -> list[str]:
        return [piece async for piece in assistant.stream(prompt, **options)]

    return {
        "run": lambda: assistant.run(prompt, **options),
        "arun": lambda: asyncio.run(assistant.arun(prompt, **options)),
        "stream": lambda: list(assistant.stream(prompt, **options)),
        "async stream": lambda: asyncio.run(streamed()),
    }


@pytest.mark.parametrize("way", ["run", "arun", "stream", "async stream"])
def test_a_turn_that_takes_too_long_is_given_up(
    slow: tuple[dict[str, Assistant[Any]], Callable[[], list[str]]], request: pytest.FixtureRequest, way: str
) -> None:
    """The error names the limit; nothing is asked again, and the Agents API's turn is cancelled."""
    declared, turns = slow
    begun = time.monotonic()
    with pytest.raises(PlatformError, match=LATE.format("talker")) as late:
        ways(declared["talker"], "Hello.")[way]()
    assert 1 <= time.monotonic() - begun < 6
    assert late.value.unknown
    platform = request.node.callspec.params["slow"]
    asked = {"responses": ["POST /v1/responses"], "chat": ["POST /v1/chat/completions"]}.get(platform, ["cancelled"])
    assert eventually(lambda: turns() == asked), turns()
    time.sleep(0.2)
    assert turns() == asked


def test_a_later_turn_has_the_limit_too(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a session that goes on, whatever hangs or comes byte by byte: the session's retrieval, or the model."""
    talker = on_agents(host, monkeypatch)["talker"]
    session = talker.run("Hello.").session
    monkeypatch.setenv("ASST_TIMEOUT", "1")
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.01)
    server.service._sessions._responder = model = Slow()
    for way in [ways(talker, "Go on.", session=session)[name] for name in ("run", "arun")]:
        with pytest.raises(PlatformError, match=LATE.format("talker")):
            way()
        assert eventually(lambda: server.service.handle("GET", f"/agents/sessions/{session}", {}, b"")[1]["status"] == "idle")  # type: ignore[call-overload, index]
    model.go.set()
    server.drip = 0.05
    for way in [ways(talker, "Go on.", session=session)[name] for name in ("run", "arun")]:
        begun = time.monotonic()
        with pytest.raises(PlatformError, match=LATE.format("talker")):
            way()
        assert time.monotonic() - begun < 6
    server.drip = 0.0
    server.once(Fault(hang=3), method="GET", path=f"/v1/agents/sessions/{session}")
    with pytest.raises(PlatformError, match=LATE.format("talker")):
        talker.run("Go on.", session=session)


@pytest.mark.parametrize("platform", ["agents", "responses"])
@pytest.mark.parametrize("way", ["run", "arun"])
def test_a_wait_that_the_service_asks_for_is_not_longer_than_the_limit(
    host: Host, server: Loopback, compatible: Compatible, monkeypatch: pytest.MonkeyPatch, platform: str, way: str
) -> None:
    """A Retry-After beyond the limit is not waited for, not even before a session goes on."""
    for name, value in compatible.env().items() if platform == "responses" else ():
        monkeypatch.setenv(name, value)
    talker = on_agents(host, monkeypatch)["talker"]
    session = talker.run("Hello.").session
    as_another_process(monkeypatch)
    monkeypatch.setenv("ASST_TIMEOUT", "2")
    compatible.failing = [(429, {"Retry-After": "8"})]
    server.once(Fault(status=429, headers={"Retry-After": "8"}), "GET", "/v1/agents/sessions")
    begun = time.monotonic()
    with pytest.raises(PlatformError, match="^talker in development: "):
        ways(talker, "Go on.", session=session)[way]()
    assert time.monotonic() - begun < 5
    compatible.failing = [(429, {"Retry-After": "0"})]
    server.once(Fault(status=503, headers={"Retry-After": "0"}), "GET", "/v1/agents/sessions")
    monkeypatch.setenv("ASST_TIMEOUT", "20")
    assert ways(talker, "Go on.", session=session)[way]().output


def on_agents(host: Host, monkeypatch: pytest.MonkeyPatch) -> dict[str, Assistant[Any]]:
    host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    as_another_process(monkeypatch)
    host.create()
    declared: Any = Project.load(host.root, ()).declared
    return declared  # type: ignore[no-any-return]


def on_local(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> tuple[Assistant[Any], dict[str, Any]]:
    """The assistant with functions, and the globals of their module."""
    helper = on_agents(local_host, monkeypatch)["helper"]
    return helper, helper.tools[0].__globals__  # type: ignore[union-attr]


@pytest.mark.parametrize("tool", ["block", "wait"])
@pytest.mark.parametrize("way", ["run", "arun"])
def test_a_function_that_takes_too_long_ends_the_turn(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, tool: str, way: str
) -> None:
    """The model gets no result; only run waits for a function without async, because nothing can end it."""
    helper, app = on_local(local_host, monkeypatch)
    warm_up(helper)
    monkeypatch.setenv("ASST_TIMEOUT", "1")
    threading.Timer(1.5, app["LET_GO"].set).start()
    with pytest.raises(PlatformError, match=LATE.format("helper")):
        ways(helper, f"Use {tool}, please.")[way]()
    assert eventually(lambda: not turn_threads())


def turn_threads() -> list[str]:
    """The running turns of the embedded platform that this test began."""
    turns = [thread for thread in threading.enumerate() if thread.name.startswith("turn_")]
    return [thread.name for thread in turns if thread not in OTHERS]


OTHERS: list[threading.Thread] = []


@pytest.fixture(autouse=True)
def nothing_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore threads that other tests left."""
    monkeypatch.setattr(sys.modules[__name__], "OTHERS", threading.enumerate())


def test_a_cancelled_run_leaves_nothing_behind(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that is cancelled in a function, or at any moment before, leaves no thread, and its session is idle."""
    helper, app = on_local(local_host, monkeypatch)

    async def cancelled(number: int) -> None:
        app["ENTERED"].clear()
        task = asyncio.create_task(helper.arun("Use wait, please."))
        if number % 2:
            await asyncio.to_thread(app["ENTERED"].wait, 10)
        else:
            await asyncio.sleep(number / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def many() -> None:
        for number in range(40):
            await cancelled(number)

    asyncio.run(many())
    assert eventually(lambda: not turn_threads()), turn_threads()
    [(transport, _)] = process_cache().clients()._embedded.values()
    sessions = transport.service.handle("GET", "/agents/sessions", {"limit": "100"}, b"")[1]["data"]  # type: ignore[call-overload, index]
    assert len(sessions) >= 20
    assert {session["status"] for session in sessions} == {"idle"}


@pytest.mark.parametrize("project", ["host", "local_host"])
@pytest.mark.parametrize("way", ["for", "async for", "collected"])
def test_a_stream_that_its_reader_leaves_is_cancelled(
    request: pytest.FixtureRequest, server: Loopback, monkeypatch: pytest.MonkeyPatch, project: str, way: str
) -> None:
    """A stream that is left early cancels its turn, even if the garbage collector closes it."""
    talker = on_agents(request.getfixturevalue(project), monkeypatch)["talker"]
    monkeypatch.setattr("invoke_assistants.emulator.api.SampleResponder", Slow)
    server.service._sessions._responder = Slow()

    async def one_piece() -> bool:
        async for piece in talker.stream("Hello."):
            assert piece == "Well, "
            assert turn_threads()
            break
        return await asyncio.to_thread(eventually, lambda: not turn_threads())

    if way == "async for":
        assert asyncio.run(one_piece())
        return
    pieces = iter(talker.stream("Hello."))
    assert next(pieces) == "Well, "
    assert turn_threads()
    if way == "collected":
        cycle: list[Any] = [pieces]
        cycle.append(cycle)
        del cycle
    del pieces
    gc.collect()
    assert eventually(lambda: not turn_threads())


@pytest.mark.parametrize("head", [b"X", b"HTTP/1.1 102 Processing\r\n\r\n"])
@pytest.mark.parametrize("way", ["run", "arun", "stream", "async stream"])
def test_an_answer_whose_head_drips_has_the_limit(
    host: Host, compatible: Compatible, monkeypatch: pytest.MonkeyPatch, head: bytes, way: str
) -> None:
    """The limit holds although each byte comes in time: the head never ends."""
    for name, value in compatible.env().items():
        monkeypatch.setenv(name, value)
    talker = on_agents(host, monkeypatch)["talker"]
    monkeypatch.setenv("ASST_TIMEOUT", "1")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Dripping) as dripping:
        dripping.daemon_threads, dripping.head = True, head  # type: ignore[attr-defined]
        threading.Thread(target=dripping.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{dripping.server_address[1]}/v1")
        begun = time.monotonic()
        with pytest.raises(PlatformError, match=LATE.format("talker")):
            ways(talker, "Hello.")[way]()
        assert time.monotonic() - begun < 4
        dripping.shutdown()


class _Dripping(socketserver.BaseRequestHandler):
    """Answers with an endless head."""

    def handle(self) -> None:
        self.request.recv(65536)
        with contextlib.suppress(OSError):
            self.request.sendall(b"" if self.server.head.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")  # type: ignore[attr-defined]
            for _ in range(60):
                self.request.sendall(self.server.head)  # type: ignore[attr-defined]
                time.sleep(0.1)


@pytest.mark.parametrize("moment", range(1, 12))
def test_an_answer_may_be_closed_at_any_moment_of_its_timer(moment: int) -> None:
    """An answer may be closed by a garbage collection in the very thread that ends late answers; the thread still ends."""
    request = httpx2.Request("POST", "http://127.0.0.1/", extensions={"asst.deadline": time.monotonic() + 0.05})
    response = httpx2.Response(200, stream=_Silent(), request=request)
    calls = itertools.count(1)

    def collected(frame: object, event: str, argument: object) -> None:
        if event == "call" and next(calls) == moment:
            response.close()

    before = set(threading.enumerate())
    threading.setprofile(collected)
    try:
        time_limit._limit_body(response)
    finally:
        threading.setprofile(None)
    assert eventually(lambda: not set(threading.enumerate()) - before)


class _Silent(httpx2.SyncByteStream):
    """An empty body."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


@pytest.mark.parametrize("tool", ["cancelled", "cancelling"])
@pytest.mark.parametrize("way", ["run", "arun", "stream", "async stream"])
def test_what_a_function_cancels_is_its_own_failure(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tool: str, way: str
) -> None:
    """A CancelledError that does not cancel the turn is logged as the function's failure, and the model goes on."""
    helper, _ = on_local(local_host, monkeypatch)
    assert ways(helper, f"Use {tool}, please.")[way]()
    [record] = caplog.records
    assert record.getMessage() == f"helper in development: tool {tool} failed"


@pytest.mark.parametrize("way", ["run", "arun"])
def test_a_function_that_ends_the_process_ends_the_turn(local_host: Host, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """SystemExit is raised, and the turn does not wait for a result that cannot come."""
    helper, _ = on_local(local_host, monkeypatch)
    with pytest.raises(SystemExit):
        ways(helper, "Use leave, please.")[way]()
    assert eventually(lambda: not turn_threads())


def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    """The variable overrides the key, which may be a fraction; the default is 600 seconds."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project]\nname = "p"\n')
    assert Settings.load(tmp_path, {}).timeout == 600
    pyproject.write_text('[project]\nname = "p"\n[tool.asst]\ntimeout = 2.5\n')
    assert Settings.load(tmp_path, {}).timeout == 2.5
    assert Settings.load(tmp_path, {"ASST_TIMEOUT": "30"}).timeout == 30
    for bad in ("0", "-1", "soon", "nan", "inf", "1e3", "86401", "٣"):
        with pytest.raises(
            SettingsError, match=r"^timeout \(ASST_TIMEOUT\) must be a number of seconds, above 0 and up to 86400"
        ):
            Settings.load(tmp_path, {"ASST_TIMEOUT": bad})
    pyproject.write_text('[project]\nname = "p"\n[tool.asst]\ntimeout = true\n')
    with pytest.raises(SettingsError, match="timeout"):
        Settings.load(tmp_path, {})


def test_a_turn_starts_one_thread(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that ends a turn's stream in time ends its rest in time as well."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    commands.create(host.root, only=["talker"])
    talker = Assistant("talker", model="gpt-6-luna")
    talker.run("Hello.")
    started: list[str] = []
    start = threading.Thread.start

    def counting(self: threading.Thread) -> None:
        started.append(getattr(self._target, "__module__", ""))  # type: ignore[attr-defined]
        start(self)

    monkeypatch.setattr(threading.Thread, "start", counting)
    for _ in range(10):
        talker.run("Hello.")
    ours = [module for module in started if module.startswith(("invoke_assistants.ask", "invoke_assistants.sdk", "threading"))]
    assert ours == ["invoke_assistants.sdk.time_limit"] * 10


def test_the_rest_of_a_stream_is_given_up(host: Host) -> None:
    """A body that goes on after what matters is interrupted long before the deadline, though its server never ends it."""
    let_go = threading.Event()

    class Endless(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
            let_go.wait(60)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as endless:
        endless.daemon_threads = True
        threading.Thread(target=endless.serve_forever, args=(0.02,), daemon=True).start()
        url, timeout = f"http://127.0.0.1:{endless.server_address[1]}", time_limit.DeadlineTimeout(Deadline(50))
        with time_limit.HTTPClient(None) as client, client.stream("GET", url, timeout=timeout) as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"first"
            time_limit.limit_rest(response, 0.1)
            with pytest.raises(httpx2.HTTPError):
                next(pieces)
            assert not let_go.is_set()
        let_go.set()
        endless.shutdown()
