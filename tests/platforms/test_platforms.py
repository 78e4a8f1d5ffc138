"""Every platform works the same way: the lifecycle, and asking at run time."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import MODELS, Host, as_another_process
from loopback import Fault, Loopback

from invoke_assistants import (
    AnswerInvalid,
    AnswerRefused,
    Assistant,
    AsstError,
    NotCreated,
    PlatformError,
    SchemaWarning,
    commands,
)
from invoke_assistants.ask import process_cache
from invoke_assistants.config.environment import PLATFORMS
from invoke_assistants.config.project import Project
from invoke_assistants.emulator.responder import Conversation, ResponderError
from invoke_assistants.emulator.sample_responder import SampleResponder
from invoke_assistants.platforms.connect import OPENERS

APP = (
    MODELS
    + '''
import threading
THREADS = []

def look_up(word: str) -> str:
    """Looks a word up."""
    THREADS.append(threading.current_thread())
    return f"{word}: a word"

async def count(word: str) -> int:
    """Counts the letters of a word."""
    return len(word)

def fail(word: str) -> str:
    """Fails."""
    raise RuntimeError("secret of the app")

ASSISTANTS = [
    Assistant("planner", output=Plan, model="gpt-6-luna", instructions="Plan it."),
    Assistant("talker", model="gpt-6-luna", instructions="Talk."),
    Assistant("helper", model="gpt-6-luna", tools=[look_up, count, fail]),
]
'''
)


def sampled(asked: ModelRequest) -> ModelAnswer:
    """A model for the Responses API: it answers with the embedded API's samples, and calls the tool that the prompt names."""
    outputs = [each for each in asked.conversation if each.get("type") == "function_call_output"]
    prompt = asked.prompts[-1]
    tools = [tool["name"] for tool in asked.body.get("tools", []) if tool["name"] in prompt]
    if tools and not outputs:
        return ModelAnswer(calls=((tools[0], {"word": "sample"}),))
    form = {"type": "json_schema", "schema": asked.schema} if asked.schema else {"type": "text"}
    message = {"type": "message", "role": "user", "turn_id": "t", "content": [{"type": "input_text", "text": prompt}]}
    pieces: list[str] = []
    agent = {"model": "m", "instructions": "", "tools": [], "text": {"format": form}}
    SampleResponder().answer(Conversation(agent, (message,), len(asked.prompts)), pieces.append)
    return ModelAnswer("".join(pieces))


@pytest.fixture
def compatible() -> Iterator[Compatible]:
    """A server for the platform ``responses``."""
    compatible = Compatible(sampled)
    yield compatible
    compatible.shutdown()
    compatible.server_close()


@pytest.fixture(params=PLATFORMS)
def platform(
    request: pytest.FixtureRequest, server: Loopback, compatible: Compatible, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment variables of a project on a platform; nothing else differs between platforms."""
    envs = {"local": {"ASST_PLATFORM": "local"}, "agents": server.env(), "responses": compatible.env()}
    for name, value in envs[request.param].items():
        monkeypatch.setenv(name, value)
    return envs[request.param]


@pytest.fixture
def project(tmp_path: Path, platform: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project on the platform with nothing created yet; this process is in it."""
    host = Host(tmp_path / "host", platform)
    host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    return host


@pytest.fixture
def asks(project: Host, platform: dict[str, str], server: Loopback, compatible: Compatible) -> Callable[[], int]:
    """Returns how many turns the platform's models have been asked for."""
    if platform["ASST_PLATFORM"] == "responses":
        return lambda: len(compatible.asked)
    if platform["ASST_PLATFORM"] == "agents":
        return lambda: sum(len(state["turns"]) for state in server.sessions)
    return lambda: sum(len(json.loads(path.read_text())["turns"]) for path in project.root.glob(".asst/sessions/*.json"))


def every_way(assistant: Assistant[Any], *args: Any, **options: Any) -> list[Callable[[], Any]]:
    """Return every way to ask."""

    async def streamed() -> list[str]:
        return [piece async for piece in assistant.stream(*args, **options)]

    return [
        lambda: assistant.run(*args, **options),
        lambda: asyncio.run(assistant.arun(*args, **options)),
        lambda: list(assistant.stream(*args, **options)),
        lambda: asyncio.run(streamed()),
    ]


def declared(host: Host) -> dict[str, Assistant[Any]]:
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


def test_every_platform_has_an_opener() -> None:
    """The table opens each platform that the settings can name."""
    assert set(OPENERS) == set(PLATFORMS)


def test_the_lifecycle_is_the_same(project: Host) -> None:
    """create, create again, an edit, update, deploy and status show the same on each platform."""
    states = lambda rows: [(row.name, row.environment, row.state, row.action) for row in rows]  # noqa: E731
    assert {action for *_, action in states(commands.create(project.root))} == {"create"}
    before = project.path.read_bytes()
    assert {action for *_, action in states(commands.create(project.root))} == {"none"}
    assert project.path.read_bytes() == before
    ids = project.ids()
    project.edit("Plan it.", "Plan it well.")
    assert states(commands.plan(project.root, ["planner"])) == [
        ("planner", "development", "changed", "update"),
        ("planner", "production", "changed", "update"),
    ]
    assert [row.action for row in commands.update(project.root)] == ["update", "none", "none"]
    assert [row.action for row in commands.deploy(project.root, ["planner"])] == ["none", "update"]
    assert {row.state for row in commands.status(project.root)} == {"in_sync"}
    assert project.ids() == ids
    assert project.store.get("pending") is None


def test_an_answer_is_the_apps_type_and_a_session_goes_on(project: Host) -> None:
    """run, arun and stream return the same kind of reply, and go on with each other's sessions."""
    commands.create(project.root)
    planner = declared(project)["planner"]
    first = planner.run("Plan a walk.")
    assert type(first.output).__name__ == "Plan"
    assert first.output.steps
    assert isinstance(first.output.steps[0].minutes, int)
    assert first.id == planner.id() == project.ids()["planner", "development"]
    assert first.usage is not None
    assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens > 0
    second = asyncio.run(planner.arun("Another.", session=first.session))
    assert second.output != first.output
    stream = planner.stream("A third.", session=second.session)
    with pytest.raises(AsstError, match="has not ended"):
        _ = stream.reply
    text = "".join(stream)
    assert type(stream.reply.output).model_validate_json(text) == stream.reply.output


def test_text_is_streamed_to_both_kinds_of_loop(project: Host) -> None:
    """Text comes in pieces, and the reply's output is the whole text."""
    commands.create(project.root)
    talker = declared(project)["talker"]

    async def heard() -> tuple[list[str], str]:
        stream = talker.stream("Tell me something of some length.")
        return [piece async for piece in stream], stream.reply.output

    pieces, whole = asyncio.run(heard())
    assert len(pieces) > 1
    assert "".join(pieces) == whole
    assert "sample" in whole
    assert list(talker.stream("Again."))


@pytest.mark.parametrize("how", ["run", "arun", "run in a loop"])
def test_functions_answer_the_models_calls(project: Host, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """Sync and async functions are called, in a running loop too; a failure is only logged."""
    commands.create(project.root)
    helper = declared(project)["helper"]

    async def inside(prompt: str) -> Any:
        return helper.run(prompt)

    ask = {
        "run": helper.run,
        "arun": lambda prompt: asyncio.run(helper.arun(prompt)),
        "run in a loop": lambda prompt: asyncio.run(inside(prompt)),
    }[how]
    for name in ("look_up", "count"):
        assert ask(f"Use {name}, please.").output
    assert not caplog.records
    assert ask("Use fail, please.").output
    [record] = caplog.records
    assert record.getMessage() == "helper in development: tool fail failed"
    assert record.exc_info is not None


def test_what_is_not_created_is_named(project: Host) -> None:
    """id and run name the assistant, the place and the command that creates it; other environments' instances do not count."""
    talker = declared(project)["talker"]
    with pytest.raises(NotCreated, match=r"^talker is not created in development on .*: run inv asst.create$"):
        talker.id()
    commands.create(project.root, env="development")
    assert talker.id() == project.ids()["talker", "development"]
    with pytest.raises(NotCreated, match="talker is not created in production"):
        talker.run("Hello.", environment="production")


def test_not_created_names_the_platform_and_host(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the platform and its host; local and pinned releases have no host."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    as_another_process(monkeypatch)
    talker: Assistant[str] = Assistant("talker", model="gpt-6-luna")
    commands.create(local_host.root)
    for platform, where in [("agents", "agents at api.openai.com"), ("responses", "responses")]:
        monkeypatch.setenv("ASST_PLATFORM", platform)
        with pytest.raises(NotCreated) as caught:
            talker.run("Hello.")
        expected = f"talker is not created in development on {where} (it is recorded on local): run inv asst.create"
        assert str(caught.value) == expected


def test_a_changed_model_is_warned_of_once(project: Host) -> None:
    """The saved schema holds; one warning says that the app's own schema differs, and names the command that brings it."""
    commands.create(project.root)
    project.edit("    minutes: int", "    minutes: int\n    late: bool")
    planner = declared(project)["planner"]
    warned = r"planner in development: the saved instance .* than Plan of this code: run inv asst.update"
    unfit = r"does not fit Plan: steps.0.late: Field required"
    with pytest.warns(SchemaWarning, match=warned), pytest.raises(AnswerInvalid, match=unfit) as invalid:
        planner.run("Plan a walk.")
    assert json.loads(invalid.value.answer)["steps"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AnswerInvalid):
            planner.run("Plan a walk.")
        commands.update(project.root)
        assert planner.run("Plan a walk.").output.steps[0].late in (True, False)


def test_a_warning_points_at_the_line_that_asks(project: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SchemaWarning of run, arun and stream points at the file and the line of the app."""
    commands.create(project.root)
    project.edit("    minutes: int", "    minutes: int | None")
    planner = declared(project)["planner"]

    async def awaited() -> None:
        await planner.arun("Plan a walk.")

    for way in [*every_way(planner, "Plan a walk."), lambda: asyncio.run(awaited())]:
        as_another_process(monkeypatch)
        with pytest.warns(SchemaWarning) as warned:
            way()
        [warning] = warned
        assert warning.filename == __file__
        line = Path(__file__).read_text().splitlines()[warning.lineno - 1]
        assert any(word in line for word in ("run(", "stream(")), line


def test_threads_and_loops_share_a_process(project: Host) -> None:
    """Ten threads and ten tasks at once each get their own reply; a second loop works like the first."""
    commands.create(project.root)
    talker = declared(project)["talker"]
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda number: talker.run(f"Number {number}."), range(10)))
    assert len({reply.session for reply in replies}) == 10

    async def together() -> list[Any]:
        return await asyncio.gather(*(talker.arun(f"Number {number}.") for number in range(10)))

    for _ in range(2):
        assert len({reply.session for reply in asyncio.run(together())}) == 10


def _ask_in_child(assistant: Any, pipe: Any) -> None:
    pipe.send(assistant.run("Hello from the child.").session)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_uses_no_connection_of_its_parent(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process asks on a connection of its own, even if its parent keeps one open."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    as_another_process(monkeypatch)
    host.create()
    talker = declared(host)["talker"]
    ports: list[int] = []
    handle = server.process_request
    monkeypatch.setattr(server, "process_request", lambda request, address: (ports.append(address[1]), handle(request, address)))
    talker.run("Hello.")
    assert len(ports) == 1
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_ask_in_child, args=(talker, there))
    child.start()
    assert here.poll(20), "the child did not answer"
    child.join(20)
    assert len(ports) == 2
    talker.run("Hello again.")
    assert len(ports) == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_gets_connections_of_its_own(project: Host) -> None:
    """Parent and child ask after a fork, each on connections of its own; neither hangs."""
    commands.create(project.root)
    talker = declared(project)["talker"]
    first = talker.run("Hello.").session
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_ask_in_child, args=(talker, there))
    child.start()
    assert here.poll(20), "the child did not answer"
    second = here.recv()
    child.join(20)
    assert child.exitcode == 0
    assert len({first, second, talker.run("Hello again.").session}) == 3


def test_an_unknown_session_is_named(project: Host) -> None:
    """The error for an unknown session names it."""
    commands.create(project.root)
    with pytest.raises(PlatformError, match="there is no session sess_none here"):
        declared(project)["talker"].run("Go on.", session="sess_none")


def test_a_tool_that_only_the_platform_knows_ends_the_turn(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a call of a tool that is declared as JSON names the tool and what to do; the session is left waiting."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    local_host.create()
    planner = declared(local_host)["planner"]
    with pytest.raises(PlatformError, match="waits for look_up: give the Python function in tools=") as waiting:
        planner.run("Use look_up.")
    [session] = [word for word in str(waiting.value).split() if word.startswith("sess_")]
    with pytest.raises(PlatformError, match=f"session {session} is busy with another turn"):
        planner.run("And?", session=session)


def test_the_command_asks(project: Host) -> None:
    """asst.run prints the answer, goes on in a session, and prints exactly one JSON document, on failure too."""
    commands.create(project.root)
    done = project.inv("asst.run", "planner", "Plan a walk.")
    assert done.code == 0
    assert done.out.startswith("goal: sample goal")
    session = done.err.rsplit("--session ", 1)[1].strip()
    found = project.inv("asst.run", "planner", "Another.", "--session", session, "--json").json
    assert found["ok"]
    assert found["output"]["goal"]
    assert found["session"]
    production = project.inv("asst.run", "planner", "Another.", "--env", "production", "--json").json
    assert production["rows"][0]["environment"] == "production"
    wrong = project.inv("asst.run", "plannr", "Plan a walk.", "--json")
    assert wrong.code == 1
    assert wrong.json["error"] == "no assistant 'plannr'; declared: planner, talker, helper; did you mean 'planner'?"
    other = project.inv("asst.run", "planner", "Another.", "--session", session, "--env", "production")
    assert other.code == 1
    assert f"planner in production: session {session} is a conversation of planner in development" in other.err


def test_a_conversation_of_another_is_refused_before_anything_is_asked(
    project: Host, asks: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another assistant or environment is refused with both names, in the same process and in others."""
    commands.create(project.root)
    talker, helper = declared(project)["talker"], declared(project)["helper"]
    session = talker.run("Hello.").session
    for another in (False, True):
        for way in every_way(talker, "Go on.", session=session, environment="production"):
            with pytest.raises(
                AsstError, match=rf"^talker in production: session {session} is a conv.* of talker in development"
            ):
                way()
            if another:
                as_another_process(monkeypatch)
        with pytest.raises(AsstError, match=rf"^helper in development: session {session} is a conv.* of talker in development"):
            helper.run("Go on.", session=session)
        as_another_process(monkeypatch)
    assert asks() == 1
    assert talker.run("Go on.", session=session).output


def test_a_conversation_goes_on_in_another_process_and_after_changes(
    project: Host, platform: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same assistant goes on after an update and after its instance was recreated; the reply's id is the one that answers."""
    commands.create(project.root)
    talker = declared(project)["talker"]
    first = talker.run("Hello.")
    as_another_process(monkeypatch)
    project.edit("Talk.", "Talk less.")
    commands.update(project.root)
    for way in every_way(declared(project)["talker"], "Go on.", session=first.session):
        way()
        as_another_process(monkeypatch)
    commands.delete(project.root, only=["talker"], env="development", yes=True)
    commands.create(project.root, recreate=True)
    talker = declared(project)["talker"]
    again = talker.run("Go on.", session=first.session)
    assert again.id == first.id
    assert talker.run("Hello.").id == talker.id()
    assert (talker.id() == first.id) == (platform["ASST_PLATFORM"] == "responses")


def test_a_session_that_the_plain_sdk_created_belongs_to_its_agent(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without our metadata, the session's agent decides: it is this instance, another one, or unknown."""
    host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    as_another_process(monkeypatch)
    commands.create(host.root)
    talker = declared(host)["talker"]

    def begun(**agent: Any) -> str:
        with openai.OpenAI() as client:
            stream = client.beta.agents.sessions.create(**agent, environment={"type": "none"}, input="Hello.", stream=True)
            return str(stream.get_final_result().session_id)

    session = begun(agent_id=talker.id())
    assert talker.run("Go on.", session=session).id == talker.id()
    for other, whose in (("production", "talker in production"), ("helper", "helper in development")):
        name, env = ("talker", other) if other == "production" else (other, "development")
        with pytest.raises(AsstError, match=f"is a conversation of {whose}: "):
            talker.run("Go on.", session=begun(agent_id=host.ids()[name, env]))
    with pytest.raises(AsstError, match="is a conversation of 'agent_"):
        talker.run("Go on.", session=begun(agent={"model": "m"}))
    tags = {"asst.project": "other", "asst.name": "talker", "asst.environment": "development"}
    for metadata, whose in ((tags, "talker in development of project 'other'"), ({}, "the agent agent_.*, which is not this")):
        with openai.OpenAI() as client:
            theirs = client.beta.agents.create(model="m", name="talker_development", metadata=metadata).id
        with pytest.raises(AsstError, match=f"is a conversation of {whose}"):
            talker.run("Go on.", session=begun(agent_id=theirs))
        with pytest.raises(AsstError, match=f"is a conversation of {whose}"):
            asyncio.run(talker.arun("Go on.", session=begun(agent_id=theirs)))


def test_the_id_of_a_reply_is_that_of_who_answered(project: Host) -> None:
    """This holds for a first and a later turn, in each environment and each way to ask."""
    commands.create(project.root)
    talker = declared(project)["talker"]
    for environment in ("development", "production"):
        first = talker.run("Hello.", environment=environment)
        second = asyncio.run(talker.arun("Go on.", session=first.session, environment=environment))
        third = talker.run("Go on.", session=second.session, environment=environment)
        assert {first.id, second.id, third.id} == {project.ids()["talker", environment]}


def test_a_stream_is_looped_over_once(project: Host, asks: Callable[[], int]) -> None:
    """A second loop, sync or async, would ask again: it is refused, and the reply stays."""
    commands.create(project.root)
    stream = declared(project)["talker"].stream("Hello.")
    text = "".join(stream)

    async def again() -> None:
        async for _ in stream:
            pass

    for loop in (lambda: list(stream), lambda: asyncio.run(again())):
        with pytest.raises(AsstError, match="talker: this stream was looped over already: call stream again"):
            loop()
    assert stream.reply.output == text
    assert asks() == 1


def test_an_empty_session_is_refused(project: Host) -> None:
    """An empty session is neither a new conversation nor an existing one."""
    commands.create(project.root)
    for way in every_way(declared(project)["talker"], "Hello.", session=" "):
        with pytest.raises(AsstError, match="^talker in development: session is empty"):
            way()


NO_SESSIONS = ["x" * 1025, ".", "..", "...", "a/b", "a?b", "a#b", "a b", "a%2Fb", "a\nb", "é", "\ud800"]


@pytest.mark.parametrize("session", NO_SESSIONS, ids=lambda session: ascii(session[:9]))
def test_a_session_that_no_url_can_name_is_refused(local_host: Host, monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    """Our own error refuses it before anything is asked."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    local_host.declare(MODELS + 'ASSISTANTS = [Assistant("talker", model="m")]\n')
    talker = Assistant("talker", model="m")
    local_host.create()
    for way in every_way(talker, "Hello.", session=session):
        with pytest.raises(
            AsstError, match="^talker in development: session .* cannot be a session's id: give the session of a reply"
        ):
            way()


def test_a_dry_run_asks_nobody(local_host: Host) -> None:
    """inv -R asst.run says who would be asked, or what is wrong, and asks nobody."""
    commands.create(local_host.root, env="development")
    id = local_host.ids()["talker", "development"]
    assert (
        local_host.inv("-R", "asst.run", "talker", "Hello.").out == f"would ask talker in development, {id}; nobody was asked\n"
    )
    found = local_host.inv("-R", "asst.run", "talker", "Hello.", "--json").json
    assert (found["ok"], found["rows"][0]["id"], found["output"], found["session"]) == (True, id, None, None)
    assert "not created in production" in local_host.inv("-R", "asst.run", "talker", "Hello.", "--env", "production").err
    assert not list((local_host.root / ".asst").glob("sessions/*.json"))


def test_a_sync_function_leaves_the_loop_free(project: Host, caplog: pytest.LogCaptureFixture) -> None:
    """While a sync function runs under arun, the loop's other tasks go on."""
    project.edit(
        "    THREADS.append(threading.current_thread())\n",
        "    LOOPS[0].call_soon_threadsafe(FREE.set)\n    assert FREE.wait(5)\n",
    )
    project.edit("THREADS = []", "LOOPS, FREE = [], threading.Event()")
    commands.create(project.root)
    helper = declared(project)["helper"]

    async def asked() -> Any:
        helper.tools[0].__globals__["LOOPS"].append(asyncio.get_running_loop())
        return await helper.arun("Use look_up, please.")

    assert asyncio.run(asked()).output
    assert not caplog.records, "the function waited in vain"


def test_a_run_restores_what_the_embedded_platform_lacks(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fresh clone with a committed store, the app can ask without any command before."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    local_host.create()
    for way in every_way(declared(local_host)["talker"], "Hello."):
        shutil.rmtree(local_host.root / ".asst")
        as_another_process(monkeypatch)
        assert way()


@pytest.mark.parametrize("code", ["cyber_policy", "misalignment_policy_violation"])
def test_a_policy_that_refuses_is_a_refusal(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A turn that failed by a policy raises AnswerRefused with the policy's message and the session."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    as_another_process(monkeypatch)
    host.create()

    class Refusing:
        def answer(self, _: Conversation, on_text: Callable[[str], None]) -> Any:
            raise ResponderError(code, "Not that.")

    server.service._sessions._responder = Refusing()
    for way in every_way(declared(host)["talker"], "Do it."):
        with pytest.raises(AnswerRefused, match=rf"^talker in development: refused \({code}\): Not that.") as refused:
            way()
        assert refused.value.answer == "Not that."
        assert (refused.value.session or "").startswith("sess_")


def _asked_elsewhere(assistant: Any) -> Any:
    return assistant.run("Hello.")


def test_assistants_replies_and_errors_go_to_other_processes(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be pickled and copied with tools and overrides: a pool of processes asks and returns the reply."""
    local_host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    monkeypatch.syspath_prepend(local_host.root)  # a pool's processes import the app as this one does
    commands.create(local_host.root, env="development")
    helper, planner = declared(local_host)["helper"], declared(local_host)["planner"]
    for copied in (copy.deepcopy(helper), pickle.loads(pickle.dumps(helper))):
        assert copied.payload("development") == helper.payload("development")
        assert copied.tools == helper.tools
        assert copied.run("Use look_up, please.").output
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        reply = pool.submit(_asked_elsewhere, planner).result(60)
        assert isinstance(reply.output, planner.output or object)
        assert copy.deepcopy(reply) == reply
        with pytest.raises(NotCreated, match="talker is not created in production"):
            pool.submit(declared(local_host)["talker"].run, "Hello.", environment="production").result(60)
    for error in (
        AnswerInvalid("It does not fit.", answer="{}", session="sess_1"),
        PlatformError("gone", where="talker in development", status=500, unknown=True),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_switching_the_platform_is_one_setting(tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """After create on each platform the app goes on, and back without another create: every id is kept."""
    compatible = Compatible(sampled)
    envs = {"local": {"ASST_PLATFORM": "local"}, "agents": server.env(), "responses": compatible.env()}
    host = Host(tmp_path / "host", {})
    host.declare(APP)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    planner, ids = declared(host)["planner"], {}
    for name in [*envs, *envs]:
        for variable, value in envs[name].items():
            monkeypatch.setenv(variable, value)
        if name not in ids:
            commands.create(host.root)
        reply = planner.run("Plan a walk.")
        assert reply.output.steps
        assert ids.setdefault(name, reply.id) == reply.id
    assert ids["responses"].startswith("rel_")
    assert len(host.store["assistants"]["planner"]["development"]["elsewhere"]) == 2
    compatible.shutdown()
    compatible.server_close()


def test_the_store_is_read_once_and_after_each_change(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known id opens no file; a store that another process wrote is read at the next lookup."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    commands.create(local_host.root, only=["talker"])
    talker, judge = declared(local_host)["talker"], declared(local_host)["judge"]
    talker.id()
    opened: list[Any] = []
    opening = True

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if opening and event == "open":
            opened.append(args[0])

    import sys

    sys.addaudithook(hear)
    for _ in range(100):
        talker.id()
    assert not opened
    opening = False
    local_host.inv("asst.create")
    opening = True
    assert judge.id() == local_host.ids()["judge", "development"]
    assert sum(str(path).endswith("assistants_store.json") for path in opened) == 2  # once here, once by ids() of this test
    opening = False


def test_connections_are_kept(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten runs one after the other use one connection, and so do ten in one loop."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.create()
    talker = declared(host)["talker"]
    ports: list[int] = []
    handle = server.process_request
    monkeypatch.setattr(server, "process_request", lambda request, address: (ports.append(address[1]), handle(request, address)))
    for _ in range(10):
        talker.run("Hello.")
    assert len(ports) == 1

    async def ten() -> None:
        for _ in range(10):
            await talker.arun("Hello.")

    asyncio.run(ten())
    assert len(ports) == 2


def test_a_new_session_is_not_asked_for_twice(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A create whose answer was lost, or cannot be read, is not repeated; one that got a 429 with a short wait is."""
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.create()
    talker = declared(host)["talker"]
    server.once(Fault(status=500, raw=b"{}"), path="/v1/agents/sessions")
    with pytest.raises(PlatformError, match="^talker in development: 500"):
        talker.run("Hello.")
    begun = [seen for seen in server.seen if seen.path == "/v1/agents/sessions"]
    assert len(begun) == 1
    server.once(Fault(status=429, raw=b"{}", headers={"Retry-After": "0"}), path="/v1/agents/sessions")
    assert talker.run("Hello.").output
    for malformed in (b"[" * 100_000, b"1" * 5_000):
        server.once(Fault(raw=b"data: %b\n\n" % malformed), path="/v1/agents/sessions")
        with pytest.raises(PlatformError, match="^talker in development: the answer is not the Agents API's") as caught:
            talker.run("Hello.")
        assert caught.value.unknown
    assert os.environ["OPENAI_API_KEY"] not in repr(vars(process_cache.process_cache()))
