"""Whoever asks may be told of each call of the app's functions, with what the model gave and what it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import Host

from invoke_assistants import Assistant
from invoke_assistants.ask.ask import aask, ask
from invoke_assistants.ask.question import Question, ToolCall

Ask = Callable[[Question[Any]], None]


def look_up(word: str) -> dict[str, str]:
    """Look a word up."""
    return {"word": word, "means": "tree"}


async def fail(word: str) -> str:
    """Fail."""
    raise LookupError(word)


SOURCE = """
from test_tool_calls import fail, look_up
from invoke_assistants import Assistant
ASSISTANTS = [Assistant("talker", model="m", instructions="Talk.", tools=[look_up, fail])]
"""


def ask_sync(question: Question[Any]) -> None:
    list(ask(question))


def ask_async(question: Question[Any]) -> None:
    async def collect() -> None:
        async for _ in aask(question):
            pass

    asyncio.run(collect())


@pytest.fixture
def model() -> Iterator[Compatible]:
    """A model that calls the function whose name is the prompt, then answers."""

    def answer(asked: ModelRequest) -> ModelAnswer:
        if asked.conversation[-1].get("role") != "user":
            return ModelAnswer("Done.")
        return ModelAnswer(calls=((asked.prompts[-1], {"word": "Baum"}),))

    server = Compatible(answer)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("asks", [ask_sync, ask_async])
@pytest.mark.parametrize("platform", ["local", "responses", "chat"])
def test_a_call_is_told_with_its_arguments_and_output(
    local_host: Host, model: Compatible, monkeypatch: pytest.MonkeyPatch, platform: str, asks: Ask
) -> None:
    """On each API, sync and async alike; of a function that fails, the output is what the model gets."""
    if platform != "local":
        model.lacks = "/responses" if platform == "chat" else ""
        for name, value in model.env().items():
            monkeypatch.setenv(name, value)
    local_host.declare(SOURCE)
    local_host.create()
    assistant = Assistant("talker", model="m", instructions="Talk.", tools=[look_up, fail])
    calls: list[ToolCall] = []
    for prompt in ("look_up", "fail"):
        asks(Question(assistant, prompt, root=local_host.root, on_call=calls.append))
    assert [call.name for call in calls] == ["look_up", "fail"]
    given = [json.loads(call.arguments) if isinstance(call.arguments, str) else call.arguments for call in calls]
    assert [set(arguments) for arguments in given] == [{"word"}, {"word"}]
    looked_up, failed = (call.output for call in calls)
    assert json.loads(looked_up) == {"word": given[0]["word"], "means": "tree"}
    assert failed == "the tool failed"


def test_the_output_of_a_call_is_the_models(local_host: Host, model: Compatible, monkeypatch: pytest.MonkeyPatch) -> None:
    """Being told changes nothing: the model gets the same output with and without."""
    for name, value in model.env().items():
        monkeypatch.setenv(name, value)
    local_host.declare(SOURCE)
    local_host.create()
    assistant = Assistant("talker", model="m", instructions="Talk.", tools=[look_up, fail])
    for on_call in (None, lambda call: None):
        list(ask(Question(assistant, "look_up", root=local_host.root, on_call=on_call)))
    outputs = [
        each["output"] for asked in model.asked for each in asked.conversation if each.get("type") == "function_call_output"
    ]
    assert outputs == ['{"word":"Baum","means":"tree"}'] * 2
