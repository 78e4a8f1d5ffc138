"""Platform ``responses``: configurations pinned in the store, sent with each call to an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import CANARY, MODELS, Host, as_another_process
from copies import begin
from loopback import Loopback

from invoke_assistants import (
    AnswerIncomplete,
    AnswerInvalid,
    AnswerRefused,
    Assistant,
    AsstError,
    PlatformError,
    Reply,
    SettingsError,
    commands,
)
from invoke_assistants.config.project import Project

TOOLED = (
    MODELS
    + '''
import asyncio

def temperature(city: str, unit: str = "C") -> str:
    """The temperature in a city."""
    return f"21 {unit} in {city}"

async def wind(city: str) -> dict[str, int]:
    """The wind in a city."""
    await asyncio.sleep(0)
    return {"knots": 7}

def broken(city: str) -> str:
    """Fails."""
    raise RuntimeError(f"secret of the app: {city}")

ASSISTANTS = [
    Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.", verbosity="low", metadata={"team": "blue"},
              reasoning={"effort": "low"}, tools=[{"type": "web_search", "context_size": "low", "allowed_domains": ["a.org"]}]),
    Assistant("talker", model="gpt-6-luna", instructions="Talk."),
    Assistant("weather", model="gpt-6-luna", tools=[temperature, wind, broken]),
]
'''
)
Ask = Callable[..., Reply[Any]]


def verdict(asked: ModelRequest) -> ModelAnswer:
    """A model that follows the schema and repeats every prompt that it was sent."""
    return ModelAnswer(
        json.dumps({"good": True, "why": " | ".join(asked.prompts)}) if asked.schema else " | ".join(asked.prompts)
    )


@pytest.fixture
def model() -> Iterator[Compatible]:
    server = Compatible(verdict)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def declared(host: Host, server: Loopback, model: Compatible, monkeypatch: pytest.MonkeyPatch) -> dict[str, Assistant[Any]]:
    """The assistants of a project on ``responses``, created, as the app sees them."""
    for name, value in model.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.env.update(model.env())
    host.declare(TOOLED)
    begin(host, server, "releases", lambda: commands.create(host.root))
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


@pytest.fixture(params=["run", "arun", "stream", "async stream"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Every way to ask."""

    def streamed(assistant: Assistant[Any], *args: Any, **options: Any) -> Reply[Any]:
        stream = assistant.stream(*args, **options)
        text = "".join(stream)
        assert text == stream.reply.output if isinstance(stream.reply.output, str) else json.loads(text)
        return stream.reply

    async def astreamed(assistant: Assistant[Any], *args: Any, **options: Any) -> Reply[Any]:
        stream = assistant.stream(*args, **options)
        text = "".join([piece async for piece in stream])
        assert text == stream.reply.output if isinstance(stream.reply.output, str) else json.loads(text)
        return stream.reply

    return {
        "run": lambda assistant, *args, **options: assistant.run(*args, **options),
        "arun": lambda assistant, *args, **options: asyncio.run(assistant.arun(*args, **options)),
        "stream": streamed,
        "async stream": lambda *args, **options: asyncio.run(astreamed(*args, **options)),
    }[request.param]


def test_the_pinned_payload_is_what_is_sent(declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible) -> None:
    """Every configured field is sent in the Responses API's terms, and the answer has the app's type."""
    reply = ask(declared["judge"], "Is it?")
    assert type(reply.output).__name__ == "Verdict"
    assert (reply.output.good, reply.output.why) == (True, "Is it?")
    assert reply.id.startswith("rel_")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 12
    [asked] = model.asked
    body = {key: value for key, value in asked.body.items() if key not in ("input", "stream")}
    schema = declared["judge"].payload("development")["text"]["format"]["schema"]
    assert body == {
        "model": "gpt-6-luna",
        "instructions": "Judge it.",
        "text": {"format": {"type": "json_schema", "name": "Verdict", "schema": schema, "strict": True}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "tools": [{"type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["a.org"]}}],
        "metadata": {"team": "blue", "asst.project": "host", "asst.name": "judge", "asst.environment": "development"},
    }


def test_a_session_goes_on(declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible) -> None:
    """The second turn continues the first by the id of the first reply."""
    first = ask(declared["talker"], "One.")
    second = ask(declared["talker"], "Two.", session=first.session)
    assert second.output == "One. | Two."
    assert model.asked[1].body["previous_response_id"] == first.session
    assert [each["content"] for each in model.asked[1].body["input"]] == ["Two."]


def test_an_unknown_session_is_named(declared: dict[str, Assistant[Any]], ask: Ask) -> None:
    """A session of another server raises an error that names it."""
    with pytest.raises(PlatformError, match=r"^talker in development: there is no session resp_none here"):
        ask(declared["talker"], "Go on.", session="resp_none")


def test_a_server_that_keeps_no_conversations_is_told_them_again(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible
) -> None:
    """After previous_response_id was refused, the whole conversation is sent, without another try."""
    model.stateless = True
    first = ask(declared["talker"], "One.")
    second = ask(declared["talker"], "Two.", session=first.session)
    third = ask(declared["talker"], "Three.", session=second.session)
    assert third.output == "One. | Two. | Three."
    assert len(model.asked) == 3
    assert len(model.seen) == 4  # one was refused


def test_what_a_server_cannot_keep_is_remembered(declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible) -> None:
    """A process tries previous_response_id once on a server, whatever the assistant and the conversation."""
    model.stateless = True
    for name in ("talker", "weather", "talker"):
        first = ask(declared[name], "One.")
        assert ask(declared[name], "Two.", session=first.session).output == "One. | Two."
    assert [asked.body.get("previous_response_id") for asked in model.asked] == [None] * 6
    assert len(model.seen) == 7


@pytest.mark.parametrize("status", [404, 405, 501])
def test_every_way_to_say_that_there_is_no_endpoint(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, status: int
) -> None:
    """Not found, not allowed, not implemented: the model is asked on chat completions."""
    model.lacks, model.absent = "/responses", status
    assert ask(declared["judge"], "Is it?").output.why == "Is it?"
    assert [asked.path for asked in model.asked] == ["/v1/chat/completions"]


@pytest.mark.parametrize("chat", [False, True])
def test_a_conversation_of_another_is_refused_where_the_server_tells_nothing(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, chat: bool
) -> None:
    """A process knows the owners of its conversations, on chat completions too, and even if a turn ended without a reply."""
    model.lacks, model.keeps_metadata = "/responses" if chat else "", False
    session = ask(declared["talker"], "One.").session
    before = len(model.seen)
    with pytest.raises(AsstError, match=f"^judge in development: session {session} is a conv.* of talker in development: ask"):
        ask(declared["judge"], "Two?", session=session)
    with pytest.raises(AsstError, match=f"^talker in production: session {session} is a conv.* of talker in development: ask"):
        ask(declared["talker"], "Two?", session=session, environment="production")
    assert len(model.seen) == before
    model.model = lambda asked: ModelAnswer("no verdict")
    with pytest.raises(AnswerInvalid) as invalid:
        ask(declared["judge"], "Is it?")
    with pytest.raises(AsstError, match="of judge in development"):
        ask(declared["talker"], "Two.", session=invalid.value.session)


def test_a_server_that_does_not_say_whose_a_conversation_is_is_believed(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without metadata, another process may go on with a conversation; metadata of another project is refused."""
    session = ask(declared["talker"], "One.").session
    as_another_process(monkeypatch)
    model.keeps_metadata = False
    assert ask(declared["talker"], "Two.", session=session).output == "One. | Two."
    as_another_process(monkeypatch)
    model.keeps_metadata = True
    model.metadata[session]["asst.project"] = "other"
    with pytest.raises(AsstError, match="is a conversation of talker in development of project 'other'"):
        ask(declared["talker"], "Two.", session=session)


def test_a_resent_conversation_is_one_that_a_typed_api_takes(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible
) -> None:
    """A server that requires the type of each message, as llama.cpp's does, gets it, with and without an output model."""
    model.stateless = model.typed = True
    for name in ("talker", "judge"):
        first = ask(declared[name], "One.")
        second = ask(declared[name], "Two.", session=first.session)
        assert "One. | Two." in str(second.output)
    assert {asked.path for asked in model.asked} == {"/v1/responses"}


@pytest.mark.parametrize("bad", ["ignores_format", "lacks"])
def test_a_server_that_cannot_hold_to_the_schema_is_asked_on_chat_completions(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, caplog: pytest.LogCaptureFixture, bad: str
) -> None:
    """The fallback is logged once, every later turn goes there directly, and sessions go on."""
    setattr(model, bad, True if bad == "ignores_format" else "/responses")
    first = ask(declared["judge"], "One?")
    second = ask(declared["judge"], "Two?", session=first.session)
    assert second.output.why == "One? | Two?"
    assert [asked.path for asked in model.asked if asked.path.endswith("completions")] == ["/v1/chat/completions"] * 2
    assert len(model.asked) == (3 if bad == "ignores_format" else 2)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "/chat/completions" in record.getMessage()
    assert model.asked[-1].body["response_format"]["json_schema"]["strict"] is True
    assert [each["role"] for each in model.asked[-1].body["messages"]] == ["system", "user", "assistant", "user"]


def test_a_conversation_that_only_another_process_knew_is_named(declared: dict[str, Assistant[Any]], ask: Ask) -> None:
    """A session that ended with its process raises an error that says so."""
    with pytest.raises(PlatformError, match="session chat_1 belongs to another process"):
        ask(declared["judge"], "Go on.", session="chat_1")


@pytest.mark.parametrize("chat", [False, True])
def test_what_is_no_answer_has_its_own_exception(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, chat: bool
) -> None:
    """A refusal, a truncated answer and one that does not fit raise different errors, each with the raw answer."""
    model.lacks = "/responses" if chat else ""
    model.model = lambda asked: ModelAnswer(refusal="I won't.")
    with pytest.raises(AnswerRefused, match="the model refused: I won't.") as refused:
        ask(declared["judge"], "Do it.")
    assert refused.value.answer == "I won't."
    model.model = lambda asked: ModelAnswer('{"good": tr', cut="length" if chat else "max_output_tokens")
    with pytest.raises(AnswerIncomplete, match="cut off after 11 characters") as cut:
        ask(declared["judge"], "Do it.")
    assert cut.value.answer == '{"good": tr'
    model.model = lambda asked: ModelAnswer('{"good": "perhaps"}')
    with pytest.raises(AnswerInvalid, match=r"does not fit Verdict: good: .*; why: Field required") as invalid:
        ask(declared["judge"], "Do it.")
    assert invalid.value.answer == '{"good": "perhaps"}'
    assert invalid.value.session


def test_functions_are_called(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, caplog: pytest.LogCaptureFixture
) -> None:
    """Sync and async functions are called with the model's arguments; a failure is logged, and the model gets no details."""

    def calling(asked: ModelRequest) -> ModelAnswer:
        outputs = [each["output"] for each in asked.conversation if each.get("type") == "function_call_output"]
        if outputs:
            return ModelAnswer(" & ".join(outputs))
        return ModelAnswer(calls=(("temperature", {"city": "Rome"}), ("wind", {"city": "Oslo"}), ("broken", {"city": "Bonn"}),
                           ("temperature", {"town": "Rome"})))  # fmt: skip

    model.model = calling
    reply = ask(declared["weather"], "How is it?")
    assert reply.output == '21 C in Rome & {"knots":7} & the tool failed & the tool failed'
    assert reply.usage is not None
    assert reply.usage.total_tokens == 24
    assert [tool["name"] for tool in model.asked[0].body["tools"]] == ["temperature", "wind", "broken"]
    assert [record.getMessage() for record in caplog.records] == [
        "weather in development: tool broken failed",
        "weather in development: tool temperature failed",
    ]
    assert caplog.records[0].exc_info is not None
    assert "secret of the app: Bonn" in str(caplog.records[0].exc_info[1])
    assert "secret of the app" not in json.dumps([asked.body for asked in model.asked])


def test_functions_are_called_on_chat_completions_too(declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible) -> None:
    """A server without the Responses API calls them as well."""

    def calling(asked: ModelRequest) -> ModelAnswer:
        outputs = [each["content"] for each in asked.conversation if each["role"] == "tool"]
        return ModelAnswer(outputs[0]) if outputs else ModelAnswer(calls=(("temperature", {"city": "Rome", "unit": "K"}),))

    model.model, model.lacks, model.strings = calling, "/responses", True
    assert ask(declared["weather"], "How is it?").output == "21 K in Rome"
    offered = [tool["function"] for tool in model.asked[0].body["tools"]]
    assert [tool["name"] for tool in offered] == ["temperature", "wind", "broken"]
    assert offered[0]["parameters"]["required"] == ["city"]
    assert "tools" in model.asked[1].body


@pytest.mark.parametrize("fastapi", [False, True])
def test_what_the_server_says_of_a_model_that_it_lacks_is_shown(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, fastapi: bool
) -> None:
    """The message holds what both endpoints said, in FastAPI's shape of errors too."""
    model.lacks, model.models, model.fastapi = "/responses", ["llama3.2"], fastapi
    with pytest.raises(PlatformError, match=r"404 Model gpt-6-luna not found .*/responses: 404 Not Found"):
        ask(declared["talker"], "Hello.")
    model.lacks = ""
    with pytest.raises(PlatformError, match=r"404 Model gpt-6-luna not found$"):
        ask(declared["talker"], "Hello.")


@pytest.mark.parametrize("shape", ["async", "sync"])
def test_chat_completions_are_shown_as_they_come(declared: dict[str, Assistant[Any]], model: Compatible, shape: str) -> None:
    """The first piece arrives while the server still holds back the last ones."""
    model.lacks = "/responses"
    declared["judge"].run("A first one.")  # from here on the model is asked on chat completions
    go_on = threading.Event()
    sent = itertools.count()
    model.between = lambda: next(sent) == 2 and go_on.wait(10)  # the role and one piece are sent
    stream = declared["judge"].stream("Is it?")
    pieces: list[str] = []
    early: list[bool] = []

    def take(piece: str) -> None:
        pieces.append(piece)
        early.append(not go_on.is_set())
        go_on.set()

    async def take_all() -> None:
        async for piece in stream:
            take(piece)

    if shape == "async":
        asyncio.run(take_all())
    else:
        for piece in stream:
            take(piece)
    assert early[0]
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == {"good": True, "why": "Is it?"}
    assert stream.reply.usage is not None
    assert stream.reply.usage.total_tokens == 12


def test_a_conversation_that_ends_with_its_process_is_not_offered(
    declared: dict[str, Assistant[Any]], host: Host, model: Compatible
) -> None:
    """asst.run names no session that the next asst.run would refuse, in text and in JSON; it names all others."""
    kept = host.inv("asst.run", "talker", "Hello.")
    assert "go on with --session resp_" in kept.err
    assert host.inv("asst.run", "talker", "Hello.", "--json").json["session"].startswith("resp_")
    model.lacks = "/responses"
    passing = host.inv("asst.run", "talker", "Hello.")
    assert passing.code == 0
    assert "chat_" not in passing.out + passing.err
    assert "--session" not in passing.err
    assert host.inv("asst.run", "talker", "Hello.", "--json").json["session"] is None


def test_a_function_that_the_app_has_not_is_named(declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible) -> None:
    """A call of a function that the app does not have ends the turn; the error names the function."""
    model.model = lambda asked: ModelAnswer(calls=(("humidity", {}),))
    with pytest.raises(PlatformError, match="the model calls humidity: give the Python function"):
        ask(declared["weather"], "How is it?")


def test_a_model_that_calls_forever_is_ended(declared: dict[str, Assistant[Any]], model: Compatible) -> None:
    """A turn has at most 50 rounds of function calls."""
    model.model = lambda asked: ModelAnswer(calls=(("temperature", {"city": "Rome"}),))
    with pytest.raises(PlatformError, match="50 times in a row"):
        declared["weather"].run("How is it?")
    assert len(model.asked) == 50


def test_a_model_that_may_have_been_asked_is_not_asked_again(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible
) -> None:
    """After a 500, a 408 or a 409 the model may have been asked; after a 429 it was not, and the request is sent again."""
    for status in (500, 408, 409):
        model.failing = [(status, {})]
        with pytest.raises(PlatformError, match=f"^talker in development: {status}"):
            ask(declared["talker"], "Hello.")
    assert len(model.seen) == 3
    model.failing = [(429, {"Retry-After": "0"}), (429, {"Retry-After": "0"})]
    assert ask(declared["talker"], "Hello.").output
    model.failing = [(429, {"Retry-After": "0"})] * 3
    with pytest.raises(PlatformError, match="^talker in development: 429"):
        ask(declared["talker"], "Hello.")
    assert len(model.seen) == 9


def test_managing_releases_needs_no_key_and_no_network(host: Host) -> None:
    """create, update, deploy, plan and delete work without a key, and without the server."""
    host.env = {"ASST_PLATFORM": "responses", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    host.declare(TOOLED)
    created = host.inv("asst.create", "--json").rows()
    assert {row["action"] for row in created.values()} == {"create"}
    before = host.path.read_bytes()
    assert host.inv("asst.create").code == 0
    assert host.path.read_bytes() == before
    host.edit("Judge it.", "Judge it well.")
    assert host.inv("asst.deploy", "--json").rows()["judge", "production"]["action"] == "update"
    assert {row["state"] for row in host.inv("asst.plan", "--json").rows().values()} == {"in_sync"}
    assert host.ids() == {key: row["id"] for key, row in created.items()}
    assert all(id.startswith("rel_") for id in host.ids().values())
    assert host.inv("asst.delete", "--env", "production", "--yes").code == 0
    assert {env for _, env in host.ids()} == {"development"}


def test_asking_needs_a_key(declared: dict[str, Assistant[Any]], ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, the error names the variable to set."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SettingsError, match="no key for development: set OPENAI_API_KEY"):
        ask(declared["talker"], "Hello.")


def test_a_tool_without_a_counterpart_is_refused_before_anything_is_written(host: Host) -> None:
    """check and create name the tool and the usable ones; a platform that has the tool accepts it."""
    host.env = {"ASST_PLATFORM": "responses"}
    host.declare(MODELS + 'ASSISTANTS = [Assistant("finder", model="m", tools=[{"type": "tool_search"}])]\n')
    for command in ("asst.check", "asst.create"):
        done = host.inv(command)
        assert done.code == 1
        assert "tools[0] is 'tool_search'; on responses these can be used: function, web_search" in done.out + done.err
    assert not host.path.exists()
    host.env = {"ASST_PLATFORM": "local"}
    assert host.inv("asst.check").code == 0


def test_a_service_that_fails_is_said_without_the_key(
    declared: dict[str, Assistant[Any]], ask: Ask, model: Compatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreachable server is one line with its address."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.01)
    with pytest.raises(PlatformError, match=r"^talker in development: cannot reach 127.0.0.1:9") as failed:
        ask(declared["talker"], "Hello.")
    assert CANARY not in str(failed.value)


NASTY = "\x1b]0;owned\x07\x1b[2J\n::error::x\n\tone\u202e"


def test_what_a_server_says_does_not_steer_the_terminal(
    declared: dict[str, Assistant[Any]], host: Host, model: Compatible
) -> None:
    """Answers, refusals and ids are printed with control characters escaped, and only a well-formed id is offered to type."""
    model.model = lambda asked: ModelAnswer(json.dumps({"good": True, "why": NASTY}) if asked.schema else f"{NASTY} talks")
    model.numbers = iter(["1\x1b[2J; rm -rf ~"] * 9)  # type: ignore[assignment]
    talked = host.inv("asst.run", "talker", "Hello.")
    assert talked.out == "\\x1b]0;owned\\x07\\x1b[2J\n\\x3a:error::x\n\tone\\u202e talks\n"
    assert "--session" not in talked.err
    assert "rm" not in talked.err
    judged = host.inv("asst.run", "judge", "Hello.")
    assert judged.out == "good: true\nwhy: \\x1b]0;owned\\x07\\x1b[2J\n  \\x3a:error::x\n  \tone\\u202e\n"
    exact = host.inv("asst.run", "judge", "Hello.", "--json").json
    assert exact["output"] == {"good": True, "why": NASTY}
    model.model = lambda asked: ModelAnswer(NASTY)
    unfit = host.inv("asst.run", "judge", "Hello.")
    assert (unfit.code, unfit.out) == (1, "")
    assert "the answer as it came:\n\\x1b]0;owned" in unfit.err
    assert host.inv("asst.run", "judge", "Hello.", "--json").json["answer"] == NASTY
    model.model = lambda asked: ModelAnswer(refusal=NASTY)
    refused = host.inv("asst.run", "talker", "Hello.")
    for each in (unfit, refused):
        assert "\x1b" not in each.err
        assert "\u202e" not in each.err
        assert not re.search(r"^\s*::error", each.err, re.M)


def test_a_proper_id_is_offered_to_be_typed(declared: dict[str, Assistant[Any]], host: Host) -> None:
    """The conversation goes on with the printed id."""
    first = host.inv("asst.run", "talker", "One.")
    again = host.inv("asst.run", "talker", "Two.", "--session", first.err.split("--session ")[1].strip())
    assert again.out == "One. | Two.\n"


def test_streams_show_what_comes_once_the_server_is_proven(declared: dict[str, Assistant[Any]], model: Compatible) -> None:
    """Structured answers come in one piece until one has fitted its schema, then in many; text always comes in many."""
    assert len(list(declared["judge"].stream("One?"))) == 1
    assert len(list(declared["judge"].stream("Two?"))) > 1
    assert len(list(declared["talker"].stream("A longer text than eight characters."))) > 1


def test_the_pinned_release_is_asked_whatever_the_code_says(
    declared: dict[str, Assistant[Any]], host: Host, model: Compatible
) -> None:
    """An edit reaches the model with update, not before; production keeps its pinned configuration."""
    host.edit("Talk.", "Talk less.")
    edited = Project.load(host.root, ()).declared["talker"]
    assert isinstance(edited, Assistant)
    edited.run("Hello.")
    commands.update(host.root)
    edited.run("Hello.")
    edited.run("Hello.", environment="production")
    assert [asked.body["instructions"] for asked in model.asked] == ["Talk.", "Talk less.", "Talk."]


def test_the_environment_is_left_alone(declared: dict[str, Assistant[Any]]) -> None:
    """Asking changes no variable of the process."""
    before = dict(os.environ)
    declared["talker"].run("Hello.")
    assert dict(os.environ) == before


def test_a_conversation_that_is_named_like_the_key_is_refused(
    model: Compatible, ask: Ask, declared: dict[str, Assistant[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers with the key in the place of an id gets it into no reply, span or message."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    model.numbers = iter([CANARY] * 3)  # type: ignore[assignment]
    with pytest.raises(PlatformError, match="a conversation with the key as its id") as raised:
        ask(declared["talker"], "Hello.")
    assert CANARY not in str(raised.value)
