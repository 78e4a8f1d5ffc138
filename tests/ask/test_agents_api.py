"""Sessions of the embedded platform, by the plain openai SDK, in process and over HTTP."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.lib.beta.agents import agent_text_format
from openai.types.beta.agent_session_event import AgentSessionEvent
from pydantic import TypeAdapter

from app.trivia.models import AnswerVerdict, TriviaGame
from invoke_assistants.emulator import session_files
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.http_server import Server
from invoke_assistants.emulator.responder import Conversation, FunctionCall, ResponderAnswer, ResponderError
from invoke_assistants.emulator.transport import Transport
from invoke_assistants.emulator.turn_worker import TurnWorker

EVENT: TypeAdapter[Any] = TypeAdapter(AgentSessionEvent)
NONE: Any = {"type": "none"}
LOOK_UP: Any = {
    "type": "function",
    "name": "look_up",
    "description": "Looks a word up.",
    "parameters": {
        "type": "object",
        "properties": {"word": {"type": "string"}, "many": {"type": "integer", "minimum": 3}},
        "required": ["word", "many"],
        "additionalProperties": False,
    },
}


@pytest.fixture
def service(tmp_path: Path) -> EmbeddedAPI:
    return EmbeddedAPI(tmp_path / ".asst" / "local.json")


@pytest.fixture
def url(service: EmbeddedAPI) -> Iterator[str]:
    """The base URL of the embedded API over HTTP."""
    with Server(service, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def in_process(service: EmbeddedAPI) -> openai.OpenAI:
    http_client = httpx2.Client(transport=Transport(service))
    return openai.OpenAI(api_key="x", base_url="http://local/v1", http_client=http_client, max_retries=0)


@pytest.fixture(params=["in process", "over HTTP"])
def client(request: pytest.FixtureRequest, service: EmbeddedAPI) -> Iterator[openai.OpenAI]:
    """A client that reaches the embedded API in process, and one over HTTP."""
    if request.param == "in process":
        with in_process(service) as client:
            yield client
    else:
        with openai.OpenAI(api_key="x", base_url=request.getfixturevalue("url"), max_retries=0) as client:
            yield client


def agent(client: openai.OpenAI, output: type | None = None, tools: Any = ()) -> str:
    """Create an agent and return its id."""
    text: Any = {"format": agent_text_format(output) if output else {"type": "text"}}
    return client.beta.agents.create(model="m", name="one", instructions="Do it.", text=text, tools=list(tools)).id


def events(stream: Any) -> list[Any]:
    """The events of a stream, each validated strictly against the SDK's types."""
    found = [EVENT.validate_python(event.to_dict(), strict=True) for event in stream]
    assert len({event.event_id for event in found}) == len(found)
    return found


def kinds(found: list[Any]) -> list[str]:
    """The types of events, with repeated deltas collapsed."""
    types = [event.type.removeprefix("agent.session.") for event in found]
    return [type for index, type in enumerate(types) if type != "turn.output_text.delta" or types[index - 1] != type]


class Answering:
    """A responder that answers as a test says."""

    def __init__(self, answer: Callable[[Conversation, Callable[[str], None]], ResponderAnswer]) -> None:
        self.answer = answer


WRITTEN = [
    "turn.item.added",
    "turn.content_part.added",
    "turn.output_text.delta",
    "turn.output_text.done",
    "turn.content_part.done",
    "turn.item.done",
]
BEGUN = ["in_progress", "turn.created", "turn.in_progress"]


def test_a_turn_tells_of_every_step(client: openai.OpenAI) -> None:
    """The stream of a create has every event in order, one turn id, the whole text in each place, and usage."""
    id = agent(client, TriviaGame)
    found = events(client.beta.agents.sessions.create(agent_id=id, environment=NONE, input="space", stream=True))
    assert kinds(found) == ["created", *BEGUN, *WRITTEN, "turn.completed", "idle"]
    assert len({event.turn_id for event in found if event.type.startswith("agent.session.turn.")}) == 1
    deltas = [event.delta for event in found if event.type == "agent.session.turn.output_text.delta"]
    done = found[-3]
    assert len(deltas) > 2
    assert "".join(deltas) == found[-5].text == found[-4].part.text == done.item.content[0].text
    assert (done.item.role, done.item.status, done.item.phase) == ("assistant", "completed", "final_answer")
    TriviaGame.model_validate_json(done.item.content[0].text)
    assert found[-2].usage == found[-2].turn.usage == found[-1].session.usage
    assert min(found[-2].usage.input_tokens, found[-2].usage.output_tokens) > 0
    assert found[0].session.agent.id == id
    assert found[0].session.agent.name == "one"


def test_a_second_turn_goes_on(client: openai.OpenAI) -> None:
    """sessions.stream asks again in the same session and parses the answer, which repeats no question of the first."""
    sessions = client.beta.agents.sessions
    stream = sessions.create(agent_id=agent(client, TriviaGame), environment=NONE, input="space", stream=True)
    first = stream.get_final_result().parse(TriviaGame)
    with sessions.stream(first.session_id, input="again", output_type=TriviaGame) as following:
        second = following.get_final_result()
    assert first.output_parsed is not None
    assert second.output_parsed is not None
    asked = [question.question for game in (first.output_parsed, second.output_parsed) for question in game.questions]
    assert len(set(asked)) == 6
    assert second.turn_id != first.turn_id
    assert [item.type for item in sessions.items.list(first.session_id, order="asc", limit=2)] == ["message"] * 4
    assert [turn.id for turn in sessions.turns.list(first.session_id)] == [second.turn_id, first.turn_id]
    assert sessions.turns.retrieve(first.turn_id, session_id=first.session_id).status == "completed"
    assert len(list(sessions.turns.items.list(first.turn_id, session_id=first.session_id))) == 2
    usage = sessions.retrieve(first.session_id).usage
    assert usage is not None
    assert usage.total_tokens == first.turn.usage.total_tokens + second.turn.usage.total_tokens  # type: ignore[union-attr]


def test_text_says_that_it_is_a_sample(client: openai.OpenAI) -> None:
    """Without a schema, the answer says that it is a sample and repeats the beginning of the prompt."""
    stream = client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="Hello you", stream=True)
    text = stream.get_final_result().output_text
    assert "sample answer of the embedded platform" in text
    assert "Hello you" in text


def test_a_create_without_a_stream_answers_at_once(client: openai.OpenAI, service: EmbeddedAPI) -> None:
    """The session is returned in progress, before there is an answer; its event stream tells how it ends."""
    started, go = threading.Event(), threading.Event()

    def answer(_: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        started.set()
        go.wait(10)
        on_text("done")
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    session = client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="x", metadata={"a": "b"})
    assert session.status == client.beta.agents.sessions.retrieve(session.id).status == "in_progress"
    started.wait(10)
    assert [turn.status for turn in client.beta.agents.sessions.turns.list(session.id)] == ["in_progress"]
    with client.beta.agents.sessions.events.stream(session.id) as stream:
        go.set()
        heard = []
        for event in stream:
            heard.append(event.type)
            if event.type == "agent.session.idle":
                break
    assert heard[-2:] == ["agent.session.turn.completed", "agent.session.idle"]
    assert client.beta.agents.sessions.retrieve(session.id).metadata == {"a": "b"}


def test_a_session_overrides_its_agent(client: openai.OpenAI) -> None:
    """What agent= sets overrides the saved agent, the rest stays; a model alone is enough for an agent."""
    sessions = client.beta.agents.sessions
    text: Any = {"format": agent_text_format(AnswerVerdict)}
    stream = sessions.create(
        agent_id=agent(client, TriviaGame), agent={"text": text, "model": "n"}, environment=NONE, input="x", stream=True
    )
    assert stream.get_final_result().parse(AnswerVerdict).output_parsed is not None
    [session] = sessions.list()
    assert (session.agent.model, session.agent.instructions) == ("n", "Do it.")
    stream = sessions.create(agent={"model": "m"}, environment=NONE, input="x", stream=True, output_type=AnswerVerdict)
    assert stream.get_final_result().output_parsed is not None


def test_sessions_are_listed_and_deleted(client: openai.OpenAI) -> None:
    """The list is paged, newest first, and filtered by agent or metadata; a deleted session is gone and its stream ends."""
    sessions = client.beta.agents.sessions
    one, two = agent(client), agent(client)
    ids = []
    for id, number in ((one, "1"), (one, "2"), (two, "3")):
        stream = sessions.create(agent_id=id, environment=NONE, input="x", stream=True, metadata={"n": number})
        ids.append(stream.get_final_result().session_id)
    assert [session.id for session in sessions.list(limit=2)] == ids[::-1]
    assert [session.id for session in sessions.list(agent_id=one, order="asc")] == ids[:2]
    assert [session.id for session in sessions.list(metadata={"n": "2"})] == [ids[1]]
    with sessions.events.stream(ids[0]) as stream:
        assert sessions.delete(ids[0]).deleted
        assert list(stream) == []
    with pytest.raises(openai.NotFoundError):
        sessions.retrieve(ids[0])
    assert len(list(sessions.list())) == 2


REFUSED: list[tuple[dict[str, Any], int, str | None]] = [
    ({"environment": NONE, "agent": {"model": "m"}}, 400, "input"),
    ({"environment": NONE, "agent": {"model": "m"}, "input": ""}, 400, "input"),
    (
        {"environment": NONE, "agent": {"model": "m"}, "input": [{"role": "user", "content": [{"type": "x"}]}]},
        400,
        "input[0].content[0]",
    ),
    ({"environment": NONE, "input": "x"}, 400, "agent.model"),
    ({"environment": NONE, "input": "x", "agent_id": "agent_none"}, 404, None),
    ({"environment": NONE, "input": "x", "agent": {"model": "m", "name": "n"}}, 400, "agent.name"),
    ({"environment": NONE, "input": "x", "agent": {"model": "m"}, "extra": 1}, 400, "extra"),
    ({"environment": NONE, "input": "x", "agent": {"model": "m", "tools": [{**LOOK_UP, "y": 1}]}}, 400, "agent.tools[0].y"),
    ({"environment": {"type": "openai_hosted"}, "input": "x", "agent": {"model": "m"}}, 400, "environment.type"),
    ({"environment": NONE, "input": "x", "agent": {"model": "m"}, "vault_ids": ["v"]}, 400, "vault_ids"),
    ({"environment": NONE, "input": "x", "agent": {"model": "m"}, "metadata": {"a": 1}}, 400, "metadata.a"),
    ({"input": "x", "agent": {"model": "m"}}, 400, "environment"),
]


@pytest.mark.parametrize(("body", "status", "param"), REFUSED)
def test_what_cannot_be_is_refused(service: EmbeddedAPI, body: dict[str, Any], status: int, param: str | None) -> None:
    """A create that the API would refuse is refused with an error of the API's shape, and nothing is kept."""
    with in_process(service) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            client.post("/agents/sessions", cast_to=object, body=body)
        assert (refused.value.status_code, refused.value.param) == (status, param)
        assert refused.value.code
        assert list(client.beta.agents.sessions.list()) == []


def test_a_schema_that_is_not_strict_is_refused(service: EmbeddedAPI) -> None:
    """A session's own schema is validated like an agent's."""
    text: Any = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    with in_process(service) as client, pytest.raises(openai.BadRequestError) as refused:
        client.beta.agents.sessions.create(agent={"model": "m", "text": text}, environment=NONE, input="x")
    assert refused.value.param == "agent.text.format.schema"


@pytest.mark.parametrize("path", ["sess_1", "..%2F..%2Flocal", "sess_" + "0" * 24])
def test_no_session_is_found_where_there_is_none(service: EmbeddedAPI, path: str) -> None:
    """An unknown id, or a path, is a 404."""
    with in_process(service) as client:
        for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/items"), ("GET", "/turns/turn_1")):
            with pytest.raises(openai.NotFoundError):
                client.request(object, _options(method, f"/agents/sessions/{path}{rest}"))


def _options(method: str, url: str) -> Any:
    from openai._models import FinalRequestOptions

    return FinalRequestOptions(method=method, url=url)


def test_one_turn_at_a_time_and_each_key_once(client: openai.OpenAI, service: EmbeddedAPI) -> None:
    """Another message during a turn is refused; the same idempotency key starts no second turn."""
    sessions = client.beta.agents.sessions
    id = sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True).get_final_result().session_id
    go = threading.Event()

    def answer(_: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        go.wait(10)
        on_text("done")
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    message: Any = {
        "type": "agent.session.input.message",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "y"}]}],
    }
    with sessions.events.stream(id) as stream:
        sessions.events.create(id, events=[message], idempotency_key="k")
        sessions.events.create(id, events=[message], idempotency_key="k")
        with pytest.raises(openai.BadRequestError, match="under way"):
            sessions.events.create(id, events=[message], idempotency_key="l")
        go.set()
        while next(stream).type != "agent.session.idle":
            pass
    sessions.events.create(id, events=[message], idempotency_key="k")
    assert len(list(sessions.turns.list(id))) == 2


def test_a_turn_that_is_over_at_once_keeps_its_key(service: EmbeddedAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same idempotency key does not restart a turn that ended while its request was still being handled."""
    service._sessions._responder = Answering(lambda _, on_text: on_text("x") or ResponderAnswer(1, 1))  # type: ignore[func-returns-value]
    path = begun(service)
    monkeypatch.setattr(TurnWorker, "cancel", lambda _: time.sleep(0.3))  # the turn has the time to end
    events = [MESSAGE, {"type": "agent.session.input.cancel"}]
    for _ in range(2):
        assert call(service, "POST", f"{path}/events", {"events": events}, {"Idempotency-Key": "k"})[0] == 202
        idle(service, path)
    assert len(call(service, "GET", f"{path}/turns")[1]["data"]) == 2


def test_a_request_that_is_refused_is_not_half_carried_out(service: EmbeddedAPI) -> None:
    """If one event is refused, none is carried out: no turn begins or is cancelled, no result is stored, the key stays free."""
    path = begun(service)
    key = {"Idempotency-Key": "k"}
    assert call(service, "POST", f"{path}/events", {"events": [MESSAGE, MESSAGE]}, key)[0] == 400
    assert len(call(service, "GET", f"{path}/turns")[1]["data"]) == 1
    calls = (FunctionCall("look_up", {"word": "a"}), FunctionCall("look_up", {"word": "b"}))
    service._sessions._responder = Answering(lambda _, __: ResponderAnswer(1, 1, calls))
    assert call(service, "POST", f"{path}/events", {"events": [MESSAGE]}, key)[0] == 202
    while len(actions := call(service, "GET", path)[1]["required_actions"]) < 2:
        time.sleep(0.002)
    common = {"type": "agent.session.input.tool_result", "success": True, "output": "x"}
    first, second = ({**common, "turn_id": action["turn_id"], "call_id": action["call_id"]} for action in actions)
    cancel = {"type": "agent.session.input.cancel"}
    for events in ([first, first], [first, {**second, "call_id": "call_other"}], [first, MESSAGE], [cancel, MESSAGE]):
        assert call(service, "POST", f"{path}/events", {"events": events})[0] == 400
    assert call(service, "GET", path)[1]["required_actions"] == actions
    assert call(service, "POST", f"{path}/events", {"events": [first, cancel]})[0] == 202
    idle(service, path)
    assert [turn["status"] for turn in call(service, "GET", f"{path}/turns")[1]["data"]] == ["cancelled", "completed"]


def begun(service: EmbeddedAPI) -> str:
    """The path of a new session, idle after its first turn."""
    begin = {"agent": {"model": "m"}, "environment": {"type": "none"}, "input": "x"}
    path = f"/agents/sessions/{call(service, 'POST', '/agents/sessions', begin)[1]['id']}"
    idle(service, path)
    return path


def idle(service: EmbeddedAPI, path: str) -> None:
    """Wait until a session has no turn under way."""
    while call(service, "GET", path)[1]["status"] != "idle":
        time.sleep(0.002)


def call(service: EmbeddedAPI, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
    """Send a request straight to the embedded API."""
    return service.handle(method, path, {}, json.dumps(body).encode(), headers or {})


MESSAGE: Any = {
    "type": "agent.session.input.message",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "y"}]}],
}


@pytest.mark.parametrize("how", ["retrieve", "list", "event"])
def test_an_idle_session_is_ready(client: openai.OpenAI, service: EmbeddedAPI, how: str) -> None:
    """When a session is idle, its turn is completed and counted, and the next message may be posted at once."""
    sessions = client.beta.agents.sessions
    id = agent(client)
    if how != "event":
        service._sessions._responder = Answering(lambda _, on_text: on_text("x") or ResponderAnswer(1, 1))  # type: ignore[func-returns-value]
    for _ in range(20):
        if how == "event":
            with sessions.create(agent_id=id, environment=NONE, input="x", stream=True) as stream:
                session: Any = next(
                    event.session for event in stream if getattr(event, "session", None) and event.session.status == "idle"
                )
        else:
            session = sessions.create(agent_id=id, environment=NONE, input="x")
            while session.status != "idle":
                session = sessions.retrieve(session.id) if how == "retrieve" else next(iter(sessions.list(limit=1)))
        assert session.usage is not None
        [turn] = sessions.turns.list(session.id)
        assert turn.status == "completed"
        with sessions.stream(session.id, input="y") as following:
            assert following.get_final_result().turn.usage is not None


def test_a_turn_is_cancelled(client: openai.OpenAI, service: EmbeddedAPI) -> None:
    """input.cancel ends the turn as cancelled and keeps its text as incomplete; the session is idle."""
    started, go = threading.Event(), threading.Event()

    def answer(_: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        on_text("half ")
        started.set()
        go.wait(10)
        on_text("an answer")
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    sessions = client.beta.agents.sessions
    stream = sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True)
    first = next(stream)
    assert first.type == "agent.session.created"
    started.wait(10)
    sessions.events.create(first.session.id, events=[{"type": "agent.session.input.cancel"}])
    go.set()
    found = events(stream)
    assert kinds(found)[-2:] == ["turn.cancelled", "idle"]
    [item] = [event.item for event in found if event.type == "agent.session.turn.item.done"]
    assert (item.status, item.content[0].text) == ("incomplete", "half ")
    assert sessions.retrieve(first.session.id).status == "idle"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ResponderError("server_error", "it is down"), "server_error"), (ValueError("it is down"), "internal_error")],
)
def test_a_failed_turn_says_why(client: openai.OpenAI, service: EmbeddedAPI, error: Exception, code: str) -> None:
    """A turn without an answer fails with one of the API's codes and the message; the session accepts the next turn."""

    def answer(conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        if conversation.turn == 1:
            raise error
        on_text("fine")
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    sessions = client.beta.agents.sessions
    found = events(sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True))
    assert kinds(found) == ["created", *BEGUN, "turn.failed", "idle"]
    assert found[-2].turn.error.code == code
    assert "it is down" in found[-2].turn.error.message
    with sessions.stream(found[0].session.id, input="y") as stream:
        assert stream.get_final_result().output_text == "fine"


def test_a_named_function_is_called(client: openai.OpenAI) -> None:
    """A prompt that names a function makes the sample call it; the turn waits for the result and uses it."""
    sessions = client.beta.agents.sessions
    seen: list[Any] = []

    def look_up(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "seventeen"

    stream = sessions.create(
        agent_id=agent(client, tools=[LOOK_UP]), environment=NONE, input="look_up it", stream=True,
        tool_handlers={"look_up": look_up},
    )  # fmt: skip
    found = events(stream)
    call = ["turn.item.added", "requires_action", "turn.item.done", "in_progress"]
    assert kinds(found) == ["created", *BEGUN, *call, *WRITTEN, "turn.completed", "idle"]
    [arguments] = seen
    assert isinstance(arguments["word"], str)
    assert arguments["many"] >= 3
    [action] = found[5].session.required_actions
    assert (action.type, action.name, action.call_id) == ("function_call", "look_up", found[4].item.call_id)
    assert (found[4].item.status, found[6].item.status) == ("in_progress", "completed")
    assert "seventeen" in found[-3].item.content[0].text
    id = found[0].session.id
    found_items = [item.type for item in sessions.items.list(id, order="asc")]
    assert found_items == ["message", "function_call", "function_call_output", "message"]
    with sessions.stream(id, input="and now without") as following:
        assert following.get_final_result().output_text
    assert len(seen) == 1


def test_a_turn_waits_for_the_results_of_its_calls(client: openai.OpenAI, service: EmbeddedAPI) -> None:
    """Without a handler, the session requires action until every result has come; a result for no call is refused."""

    def answer(conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        given = [item for item in conversation.items if item["type"] == "function_call_output"]
        if not given:
            return ResponderAnswer(1, 1, (FunctionCall("look_up", {"word": "a"}), FunctionCall("look_up", {"word": "b"})))
        on_text(" ".join(f"{item['output'] or item['error']}" for item in given))
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    sessions = client.beta.agents.sessions
    stream = sessions.create(agent_id=agent(client, tools=[LOOK_UP]), environment=NONE, input="x", stream=True)
    for event in stream:
        if event.type == "agent.session.requires_action":
            break
    session = sessions.retrieve(event.session.id)  # type: ignore[union-attr]
    assert session.status == "requires_action"
    actions = [action for action in session.required_actions if action.type == "function_call"]
    kind = "agent.session.input.tool_result"
    results: list[Any] = [
        {"type": kind, "turn_id": action.turn_id, "call_id": action.call_id, "success": True, "output": f"result {number}"}
        for number, action in enumerate(actions)
    ]
    sessions.events.create(session.id, events=results[1:])
    with pytest.raises(openai.BadRequestError) as refused:
        sessions.events.create(session.id, events=results[1:])
    assert refused.value.code == "invalid_request_error"
    assert refused.value.body["message"] == f"Unknown pending tool call: {results[1]['call_id']}"  # type: ignore[index]
    sessions.events.create(session.id, events=[{**results[0], "success": False, "output": None, "error": "no"}])
    found = events(stream)
    assert kinds(found)[:3] == ["turn.item.done", "turn.item.done", "in_progress"]
    assert [event.item.status for event in found[:2]] == ["failed", "completed"]
    assert found[-3].item.content[0].text == "no result 1"


def test_a_call_that_waits_is_cancelled(service: EmbeddedAPI) -> None:
    """A turn that waits for a result can be cancelled; its call stays incomplete."""
    with in_process(service) as client:
        sessions = client.beta.agents.sessions
        stream = sessions.create(agent_id=agent(client, tools=[LOOK_UP]), environment=NONE, input="look_up", stream=True)
        found = []
        for event in stream:
            found.append(event.type)
            if event.type == "agent.session.requires_action":
                sessions.events.create(event.session.id, events=[{"type": "agent.session.input.cancel"}])
        assert found[-3:] == ["agent.session.turn.item.done", "agent.session.turn.cancelled", "agent.session.idle"]
        [session] = sessions.list()
        assert session.required_actions == []


def test_fifty_sessions_at_once_by_threads(client: openai.OpenAI) -> None:
    """Fifty threads have two turns each in sessions of their own."""
    id = agent(client, TriviaGame)

    def two(number: int) -> str:
        sessions = client.beta.agents.sessions
        first = sessions.create(agent_id=id, environment=NONE, input=f"{number}", stream=True).get_final_result()
        with sessions.stream(first.session_id, input="again", output_type=TriviaGame) as stream:
            return stream.get_final_result().session_id

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(two, range(50)))) == 50


@pytest.mark.parametrize("way", ["in process", "over HTTP"])
def test_fifty_sessions_at_once_in_a_loop(request: pytest.FixtureRequest, service: EmbeddedAPI, way: str) -> None:
    """Fifty tasks have two turns each, with a thread pool that is much smaller."""
    over_http = way == "over HTTP"
    base_url = request.getfixturevalue("url") if over_http else "http://local/v1"

    async def two(client: openai.AsyncOpenAI, id: str) -> str:
        sessions = client.beta.agents.sessions
        first = await (await sessions.create(agent_id=id, environment=NONE, input="x", stream=True)).get_final_result()
        async with sessions.stream(first.session_id, input="again", output_type=TriviaGame) as stream:
            return (await stream.get_final_result()).session_id

    async def fifty(id: str) -> list[str]:
        http_client = None if over_http else httpx2.AsyncClient(transport=Transport(service))
        async with openai.AsyncOpenAI(api_key="x", base_url=base_url, http_client=http_client) as client:
            return await asyncio.gather(*(two(client, id) for _ in range(50)))

    with in_process(service) as client:
        id = agent(client, TriviaGame)
    assert len(set(asyncio.run(fifty(id)))) == 50


def test_another_process_goes_on(service: EmbeddedAPI, tmp_path: Path) -> None:
    """A session is saved when its turn ends: a second API over the same folder goes on with it, and the first sees that."""
    with in_process(service) as client, in_process(EmbeddedAPI(tmp_path / ".asst" / "local.json")) as other:
        stream = client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True)
        id = stream.get_final_result().session_id
        with other.beta.agents.sessions.stream(id, input="y") as following:
            following.get_final_result()
        assert len(list(client.beta.agents.sessions.items.list(id))) == 4
    assert [path.name for path in (tmp_path / ".asst" / "sessions").iterdir()] == [f"{id}.json"]


def test_a_killed_turn_leaves_an_idle_session(service: EmbeddedAPI, tmp_path: Path) -> None:
    """A turn is lost with its process; another process finds the session idle and usable."""
    go = threading.Event()

    def answer(_: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        go.wait(10)
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    with in_process(service) as client, in_process(EmbeddedAPI(tmp_path / ".asst" / "local.json")) as other:
        id = client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="x").id
        assert other.beta.agents.sessions.retrieve(id).status == "idle"
        with other.beta.agents.sessions.stream(id, input="y") as stream:
            assert stream.get_final_result().output_text
    go.set()


def _in_child(path: Path, id: str) -> None:
    with in_process(EmbeddedAPI(path)) as client, client.beta.agents.sessions.stream(id, input="y") as stream:
        assert stream.get_final_result().output_text


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on(service: EmbeddedAPI, tmp_path: Path) -> None:
    """A child forked in the middle of turns has an API of its own that answers."""
    with in_process(service) as client:
        id = agent(client, TriviaGame)
        streams = [client.beta.agents.sessions.create(agent_id=id, environment=NONE, input="x", stream=True) for _ in range(5)]
        session_id = streams[0].get_final_result().session_id
        child = multiprocessing.get_context("fork").Process(
            target=_in_child, args=(tmp_path / ".asst" / "local.json", session_id)
        )
        child.start()
        child.join(20)
        assert child.exitcode == 0
        for stream in streams[1:]:
            stream.get_final_result()


def test_a_forgotten_stream_holds_up_nobody() -> None:
    """Turns go on wherever the garbage collector closes a forgotten stream."""
    program = [sys.executable, str(Path(__file__).parent.with_name("forgotten_streams.py"))]
    done = subprocess.run(program, timeout=60, capture_output=True, text=True, check=False)
    assert done.stdout.endswith(" points\n"), done.stderr


def test_the_oldest_sessions_go(service: EmbeddedAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the number that is kept, the least recently used session is dropped."""
    monkeypatch.setattr(session_files, "MAX_SESSIONS", 3)
    with in_process(service) as client:
        sessions = client.beta.agents.sessions
        id = agent(client)
        ids = [
            sessions.create(agent_id=id, environment=NONE, input="x", stream=True).get_final_result().session_id for _ in range(5)
        ]
        assert [session.id for session in sessions.list(order="asc")] == ids[2:]


def test_text_that_cannot_be_kept_fails(service: EmbeddedAPI) -> None:
    """A lone surrogate cannot be written: the turn fails, and the session is idle again."""
    service._sessions._responder = Answering(lambda _, on_text: on_text("\ud800") or ResponderAnswer(1, 1))  # type: ignore[func-returns-value]
    with in_process(service) as client:
        found = events(client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True))
        assert kinds(found)[-2:] == ["turn.failed", "idle"]
        assert client.beta.agents.sessions.retrieve(found[0].session.id).status == "idle"


def test_a_session_that_cannot_be_kept_fails(service: EmbeddedAPI, tmp_path: Path) -> None:
    """A turn that the disk refuses fails with the reason, and nobody waits for ever."""

    def answer(_: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        folder = tmp_path / ".asst" / "sessions"
        folder.rename(tmp_path / "away")
        folder.write_text("no folder")
        on_text("done")
        return ResponderAnswer(1, 1)

    service._sessions._responder = Answering(answer)
    with in_process(service) as client:
        found = events(client.beta.agents.sessions.create(agent_id=agent(client), environment=NONE, input="x", stream=True))
    assert kinds(found)[-2:] == ["turn.failed", "idle"]
    assert "sessions" in found[-2].turn.error.message


def test_a_client_that_goes_away_is_no_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A reset connection prints nothing in the server's terminal, and the next request is answered."""
    server = Server(EmbeddedAPI(tmp_path / "local.json"), 0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    ended = threading.Event()
    read_interrupter = server.shutdown_request
    server.shutdown_request = lambda request: (read_interrupter(request), ended.set())  # type: ignore[assignment, func-returns-value]
    client = socket.create_connection(server.server_address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert ended.wait(5)
    assert urllib.request.urlopen(f"{server.url}/agents").status == 200
    server.shutdown()
    server.server_close()
    assert capfd.readouterr().err == ""
