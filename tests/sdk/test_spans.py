"""Spans for OpenTelemetry: around commands, turns and the app's functions; nothing confidential in them, nothing without it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from compatible import Compatible, ModelAnswer
from conftest import CANARY, MODELS, Host
from invoke import Context
from invoke.exceptions import Exit
from loopback import Loopback
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from invoke_assistants import AnswerInvalid, AnswerRefused, Assistant, AsstError, PlatformError, commands
from invoke_assistants import tasks as asst_tasks
from invoke_assistants.config.project import Project
from invoke_assistants.reconcile.reporter import QUIET
from invoke_assistants.sdk import spans

PROMPT = "call it: a prompt of nobody else"
SECRET = "the secret of the app"
TOOLED = (
    MODELS
    + f'''
import asyncio
from opentelemetry import trace

def current() -> str:
    """The name of the current span."""
    return getattr(trace.get_current_span(), "name", "none")

def noon() -> str:
    """Noon."""
    return current()

async def dusk() -> str:
    """Dusk."""
    await asyncio.sleep(0)
    return current()

def broken() -> str:
    """Fails."""
    raise LookupError("{SECRET}")

ASSISTANTS = [
    Assistant("clock", model="gpt-6-luna", instructions="Tell the time.", tools=[noon, dusk, broken]),
    Assistant("judge", output=Verdict, model="gpt-6-luna"),
]
'''
)
FUNCTIONS = ("noon", "dusk", "broken")
Ask = Callable[..., Any]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where all spans of a test arrive."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # its setter works once in a process
    yield exporter
    provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def is_child(span: ReadableSpan, of: ReadableSpan) -> bool:
    return span.parent is not None and of.context is not None and span.parent.span_id == of.context.span_id


def is_failed(span: ReadableSpan) -> bool:
    return span.status.status_code is trace.StatusCode.ERROR


def assert_confidential(exporter: InMemorySpanExporter, *more: str) -> None:
    """No span holds the key, what was asked, answered or declared, or an error's text."""
    text = "".join(span.to_json() for span in exporter.get_finished_spans())
    for secret in (CANARY, PROMPT, SECRET, "Tell the time.", *more):
        assert secret not in text
    for span in exporter.get_finished_spans():
        assert not span.events
        assert span.status.description is None


async def adrain(stream: Any) -> Any:
    async for _ in stream:
        pass
    return stream.reply


def drain(stream: Any) -> Any:
    for _ in stream:
        pass
    return stream.reply


async def in_a_loop(assistant: Assistant[Any], prompt: str, options: dict[str, Any]) -> Any:
    return assistant.run(prompt, **options)


WAYS: dict[str, Ask] = {
    "run in a loop": lambda assistant, prompt, **options: asyncio.run(in_a_loop(assistant, prompt, options)),
    "run": lambda assistant, prompt, **options: assistant.run(prompt, **options),
    "arun": lambda assistant, prompt, **options: asyncio.run(assistant.arun(prompt, **options)),
    "stream": lambda assistant, prompt, **options: drain(assistant.stream(prompt, **options)),
    "async stream": lambda assistant, prompt, **options: asyncio.run(adrain(assistant.stream(prompt, **options))),
}


def created(host: Host, monkeypatch: pytest.MonkeyPatch) -> dict[str, Assistant[Any]]:
    """The assistants of a project, created."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.declare(TOOLED)
    commands.create(host.root)
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


@pytest.fixture
def model(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compatible]:
    """A server for platform ``responses``, whose model calls every function that the prompt names, then says what they gave."""
    server = Compatible(lambda _: ModelAnswer("Good day."))
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_and_its_functions_are_spans(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A turn is a child of the app's span, each function of the turn; a function sees its own span as the current one."""
    clock = created(local_host, monkeypatch)["clock"]
    exporter.clear()
    with trace.get_tracer("app").start_as_current_span("app") as app:
        replies = [WAYS[way](clock, f"{PROMPT} {name}") for name in FUNCTIONS]
        assert trace.get_current_span() is app
    [outer] = named(exporter, "app")
    for name, turn, reply in zip(FUNCTIONS, named(exporter, "invoke_agent clock"), replies, strict=True):
        [tool] = named(exporter, f"execute_tool {name}")
        assert is_child(tool, turn)
        assert is_child(turn, outer)
        assert (tool.kind, turn.kind) == (trace.SpanKind.INTERNAL, trace.SpanKind.INTERNAL)
        assert attributes(tool) == {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
        } | ({"error.type": "LookupError"} if name == "broken" else {})
        assert (is_failed(tool), is_failed(turn)) == (name == "broken", False)
        assert attributes(turn) == {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "local",
            "gen_ai.agent.name": "clock",
            "gen_ai.agent.id": reply.id,
            "gen_ai.request.model": "gpt-6-luna",
            "gen_ai.conversation.id": reply.session,
            "gen_ai.usage.input_tokens": reply.usage.input_tokens,
            "gen_ai.usage.output_tokens": reply.usage.output_tokens,
            "asst.environment": "development",
        }
    assert_confidential(exporter, replies[0].output)
    said = "".join(path.read_text() for path in (local_host.root / ".asst" / "sessions").rglob("*.json"))
    assert "execute_tool noon" in said
    assert "execute_tool dusk" in said


def test_a_turn_at_a_server_is_a_client_span(
    host: Host, server: Loopback, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the server and the provider; a later turn has its conversation from the start."""
    judge = created(host, monkeypatch)["judge"]
    exporter.clear()
    reply = judge.run(PROMPT)
    judge.run(PROMPT, session=reply.session, environment="development")
    for turn in named(exporter, "invoke_agent judge"):
        assert turn.kind is trace.SpanKind.CLIENT
        found = attributes(turn)
        assert found["gen_ai.provider.name"] == "openai"
        assert (found["server.address"], found["server.port"]) == ("127.0.0.1", server.server_address[1])
        assert found["gen_ai.conversation.id"] == reply.session
        assert found["gen_ai.agent.id"] == reply.id
    assert len(exporter.get_finished_spans()) == 2
    assert_confidential(exporter, str(reply.output.why))


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_that_fails_says_of_which_kind(
    host: Host, model: Compatible, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """``error.type`` is the status of the service, else the class of the error; its text is nowhere."""
    declared = created(host, monkeypatch)
    exporter.clear()
    model.failing = [(418, {})]
    with pytest.raises(PlatformError):
        WAYS[way](declared["clock"], PROMPT)
    model.model = lambda _: ModelAnswer(refusal=SECRET)
    with pytest.raises(AnswerRefused) as refused:
        WAYS[way](declared["clock"], PROMPT)
    model.model = lambda _: ModelAnswer(SECRET)
    with pytest.raises(AnswerInvalid) as invalid:
        WAYS[way](declared["judge"], PROMPT)
    turns: Sequence[ReadableSpan] = exporter.get_finished_spans()
    assert [attributes(turn)["error.type"] for turn in turns] == ["418", "AnswerRefused", "AnswerInvalid"]
    assert [attributes(turn).get("gen_ai.conversation.id") for turn in turns] == [
        None,
        refused.value.session,
        invalid.value.session,
    ]
    assert all(map(is_failed, turns))
    assert_confidential(exporter)


def eventually(holds: Callable[[], Any], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(holds())


@pytest.mark.parametrize("way", ["for", "async for", "collected"])
def test_the_span_of_a_stream_ends_when_its_reader_leaves(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Between two pieces the reader's own span is the current one; a stream that is left is no failure."""
    clock = created(local_host, monkeypatch)["clock"]
    exporter.clear()
    before = trace.get_current_span()

    async def one_piece() -> None:
        async for _ in clock.stream("Hello."):
            assert trace.get_current_span() is before
            break

    if way == "async for":
        asyncio.run(one_piece())
    else:
        pieces = iter(clock.stream("Hello."))
        next(pieces)
        assert trace.get_current_span() is before
        assert named(exporter, "invoke_agent clock") == []
        if way == "collected":
            cycle: list[Any] = [pieces]
            cycle.append(cycle)
            del cycle
        del pieces
        gc.collect()
    assert eventually(lambda: named(exporter, "invoke_agent clock"))
    [turn] = named(exporter, "invoke_agent clock")
    assert not is_failed(turn)


def test_turns_at_once_have_their_own_parents(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task's turn is a child of that task's span."""
    clock = created(local_host, monkeypatch)["clock"]
    exporter.clear()

    async def one(number: int) -> None:
        with trace.get_tracer("app").start_as_current_span(f"app {number}"):
            await clock.arun("call noon")

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(5)))

    asyncio.run(all_of_them())
    parents = {span.context.span_id: span.name for span in exporter.get_finished_spans() if span.context}
    turns = named(exporter, "invoke_agent clock")
    assert {parents[turn.parent.span_id] for turn in turns if turn.parent} == {f"app {number}" for number in range(5)}
    tools = named(exporter, "execute_tool noon")
    assert {parents[tool.parent.span_id] for tool in tools if tool.parent} == {"invoke_agent clock"}
    assert len({tool.parent.span_id for tool in tools if tool.parent}) == len(tools) == 5


def run_task(task: Any, host: Host, monkeypatch: pytest.MonkeyPatch, **flags: Any) -> int:
    """The exit code of a task that another task calls."""
    monkeypatch.chdir(host.root)
    try:
        task(Context(), **flags)
    except Exit as ended:
        return int(ended.code)
    return 0


def test_a_command_is_a_span(local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the counts of steps, the environments and the exit code; pending changes are no failure."""
    assert run_task(asst_tasks.create, local_host, monkeypatch) == 0
    [span] = exporter.get_finished_spans()
    assert span.name == "asst.create"
    assert span.kind is trace.SpanKind.INTERNAL
    assert attributes(span) == {
        "asst.planned": False,
        "asst.environments": ("development", "production"),
        "asst.steps.total": 6,
        "asst.steps.create": 6,
        "asst.steps.failed": 0,
        "asst.exit_code": 0,
    }
    local_host.edit("Plan it.", "Plan it well.")
    exporter.clear()
    assert run_task(asst_tasks.deploy, local_host, monkeypatch, dry_run=True, env="development") == 2
    [span] = exporter.get_finished_spans()
    assert not is_failed(span)
    assert attributes(span) == {
        "asst.planned": True,
        "asst.environments": ("development",),
        "asst.steps.total": 3,
        "asst.steps.update": 1,
        "asst.steps.none": 2,
        "asst.steps.failed": 0,
        "asst.exit_code": 2,
    }
    assert_confidential(exporter, "Plan it")


def test_a_command_that_fails_says_of_which_kind(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class of the error that its exit was made of; a task that calls another one holds that one's span."""
    assert run_task(asst_tasks.deploy, local_host, monkeypatch) == 1
    [span] = exporter.get_finished_spans()
    assert is_failed(span)
    assert (attributes(span)["error.type"], attributes(span)["asst.exit_code"]) == ("RowsFailed", 1)
    assert attributes(span)["asst.steps.failed"] == 6
    exporter.clear()
    monkeypatch.setenv("ACTION", "create")
    assert run_task(asst_tasks.admin, local_host, monkeypatch, only=["nobody"]) == 1
    create, admin = exporter.get_finished_spans()
    assert (create.name, admin.name) == ("asst.create", "asst.admin")
    assert is_child(create, admin)
    assert {attributes(span)["error.type"] for span in (create, admin)} == {"NotDeclared"}
    exporter.clear()
    local_host.declare(
        f'from invoke_assistants import Assistant\nASSISTANTS = [Assistant("a", model="m", metadata={{"k": "{"v" * 999}"}})]'
    )
    assert run_task(asst_tasks.check, local_host, monkeypatch) == 1
    [span] = exporter.get_finished_spans()
    assert attributes(span)["error.type"] == "_OTHER"
    assert attributes(span)["asst.steps.failed"] == 2
    assert_confidential(exporter, "no assistant")


def test_a_run_from_the_command_line_is_within_its_command(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn's span is a child of ``asst.run``, and has ended when that ends."""
    created(local_host, monkeypatch)
    exporter.clear()
    assert run_task(asst_tasks.run, local_host, monkeypatch, name="clock", prompt=PROMPT) == 0
    [turn] = named(exporter, "invoke_agent clock")
    [command] = named(exporter, "asst.run")
    assert is_child(turn, command)
    assert exporter.get_finished_spans()[-1] is command
    assert_confidential(exporter)


def test_a_command_in_an_app_s_event_loop_keeps_the_current_span(
    local_host: Host, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works in a thread of its own there, with the app's span as the current one."""
    seen = []

    class Watching(type(QUIET)):  # type: ignore[misc]
        def start(self, label: str, total: int) -> None:
            seen.append(trace.get_current_span())

    async def app() -> None:
        with trace.get_tracer("app").start_as_current_span("app") as span:
            commands.create(local_host.root, reporter=Watching())
            assert set(seen) == {span}

    asyncio.run(app())


WITHOUT = """
import sys
import invoke_assistants.tasks
from invoke_assistants import Assistant
talker = Assistant("talker", model="gpt-6-luna", instructions="Talk.", verbosity="low", reasoning={"effort": "low"})
assert talker.run("Hello.").output
print(json.dumps(sorted(name for name in sys.modules if name.startswith("opentelemetry"))))
"""


def test_a_process_that_does_not_trace_loads_nothing_of_it(local_host: Host) -> None:
    """Neither the tasks nor a run import OpenTelemetry, although it is installed."""
    local_host.create()
    code = f"import json\n{WITHOUT}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=local_host.root, env=local_host.environ(), capture_output=True, text=True
    )
    assert (done.returncode, json.loads(done.stdout or "0")) == (0, []), done.stderr


def test_a_provider_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter) -> None:
    """Where OpenTelemetry loads an SDK at its first use, we are that use; where it is not installed, nothing happens."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # type: ignore[arg-type]  # as Python marks what cannot be imported
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert spans.start_span("a", {}) is None
    monkeypatch.setenv(spans.PROVIDER, "sdk_tracer_provider")
    assert spans.start_span("a", {}) is None
    with spans.span("a", {}) as nothing:
        assert nothing is None
    spans.describe({"a": 1})
    monkeypatch.undo()
    monkeypatch.setenv(spans.PROVIDER, "sdk_tracer_provider")
    started = spans.start_span("a", {})
    assert started is not None
    started.end()


def test_a_block_that_fails_fails_its_span(exporter: InMemorySpanExporter) -> None:
    """The class of the error is kept, and its text is not; the error goes on."""
    with pytest.raises(AsstError), spans.span("block", {"a": 1, "b": None}):
        raise AsstError(SECRET)
    [span] = exporter.get_finished_spans()
    assert attributes(span) == {"a": 1, "error.type": "AsstError"}
    assert_confidential(exporter)


def test_a_provider_that_is_not_installed_stops_nothing(local_host: Host) -> None:
    """A variable that names no provider costs the spans, not the command."""
    code = "import sys; from invoke.main import program; program.run(['inv', 'asst.status', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=local_host.root, capture_output=True, text=True, check=False,
        env={**os.environ, "OTEL_PYTHON_TRACER_PROVIDER": "nonexistent", "ASST_PLATFORM": "local"},
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr
