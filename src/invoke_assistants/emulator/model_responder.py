"""A real model as the answerer: a GGUF file behind llama.cpp's server, or any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai

from ..declare.request_bodies import chat_request
from ..sdk.chat_chunks import Chunks
from ..sdk.connections import bare_client
from ..sdk.error_translator import SDK_ERRORS, message
from ..types import JSONObject, LocalModel
from .responder import Conversation, Failed, FunctionCall, ResponderAnswer

__all__ = ["ModelResponder"]

OUTPUT_TOKENS = 1500  # of one answer from a GGUF file; a small model that rambles must end
LONGEST = 80  # characters of a string that the schema does not bound, so that a whole trivia game fits the tokens above
THREADS = max(1, (os.cpu_count() or 2) // 2)  # with all cores it all but stands still as soon as something else runs
CONTEXT = 8192  # tokens
ROUNDS = 50  # of function calls in one turn; a model that calls on and on must end
POLL = 0.05  # seconds between two looks whether the answer is still wanted
FREE = frozenset({"maxLength", "enum", "const", "format", "pattern"})  # a string without these may be endless
NO_TOOLS = frozenset({400, 422, 500, 501})  # how a server answers that does not take function tools
log = logging.getLogger("invoke_assistants")


class ModelResponder:
    """Answers with a model that is held to the schema and offered the agent's function tools.

    Args:
        model: a GGUF file, loaded at the first answer, or a server. It is told nothing of any ``OPENAI_`` variable.
    """

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._lock = threading.Lock()  # of loading, which the first answer does
        self._llama: _Llama | None = None
        self._name = model.name
        self._takes_tools = True
        self._where = model.address.partition("?")[0]

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """See ``Responder``."""
        turn = conversation.items[-1]["turn_id"]
        rounds = sum(item["type"] == "function_call_output" and item["turn_id"] == turn for item in conversation.items)
        if rounds >= ROUNDS:
            raise Failed("server_error", f"{self._where}: the model called functions {rounds} times without an answer")
        url, key = self._server()
        try:
            return asyncio.run(self._answer(url, key, conversation, on_text))
        except SDK_ERRORS as error:
            raise Failed("server_error", f"{self._where}: {message(error)}") from None

    def _server(self) -> tuple[str, str]:
        """The base URL to ask, and its key."""
        if self._model.served:
            return self._model.address, "none"
        with self._lock:
            if self._llama is None or self._llama.ended:
                self._llama = _Llama(Path(self._model.address))
            return self._llama.url, self._llama.key

    async def _answer(self, url: str, key: str, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """Answer in a loop of its own, where a look at ``on_text`` can end the request: that ends the generation."""
        asked = asyncio.create_task(self._asked(url, key, conversation, on_text))
        while not (await asyncio.wait({asked}, timeout=POLL))[0]:
            on_text("")
        return asked.result()

    async def _asked(self, url: str, key: str, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        async with bare_client(url, key) as client:
            body = {**self._body(conversation), "model": await self._named(client, conversation)}
            if not self._takes_tools:
                body.pop("tools", None)
            try:
                return await _answered(client, body, conversation, on_text)
            except openai.APIStatusError as error:
                if "tools" not in body or error.status_code not in NO_TOOLS:
                    raise
                del body["tools"]
                answered = await _answered(client, body, conversation, on_text)
                self._takes_tools = False
                log.warning("%s takes no function tools (%s): its model is not offered them", self._where, message(error))
                return answered

    async def _named(self, client: openai.AsyncOpenAI, conversation: Conversation) -> str:
        """What the server calls the model: what the settings say, else its first, else what is declared."""
        if self._name is None and self._model.served:
            try:
                page = await client.get("/models", cast_to=object)  # as it came, which may be no list
            except (openai.APIStatusError, json.JSONDecodeError, UnicodeError):  # not every server lists its models
                page = None
            data = page.get("data") if isinstance(page, dict) else None
            listed = [model.get("id") for model in data if isinstance(model, dict)] if isinstance(data, list) else []
            self._name = next((id for id in listed if isinstance(id, str)), None)
        return self._name or str(conversation.agent["model"])

    def _body(self, conversation: Conversation) -> JSONObject:
        """The conversation as a chat completion request."""
        agent = conversation.agent
        instructions = [{"role": "system", "content": agent["instructions"]}] if agent.get("instructions") else []
        body: JSONObject = {
            **chat_request({**agent, "reasoning": None}),  # which belongs to the declared model
            "messages": [*instructions, *_messages(conversation)],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if not self._model.served:
            body["max_tokens"] = OUTPUT_TOKENS
            if conversation.schema is not None:
                body["response_format"]["json_schema"]["schema"] = _bounded(conversation.schema)
        return body


async def _answered(
    client: openai.AsyncOpenAI, body: JSONObject, conversation: Conversation, on_text: Callable[[str], None]
) -> ResponderAnswer:
    """Stream one answer; its text goes to ``on_text``."""
    chunks = Chunks()
    stream: Any = await client.chat.completions.create(**body)
    async with stream:
        async for chunk in stream:
            if text := chunks.take(chunk):
                on_text(text)
    completion = chunks.whole()
    if completion is None:
        raise Failed("server_error", f"{client.base_url.host}: the answer ended early; is it the base URL of chat completions?")
    [choice] = completion.choices
    if choice.finish_reason == "length":
        raise Failed("max_output_tokens", "the answer reached the most tokens that the model may give")
    calls: list[Any] = choice.message.tool_calls or []
    made = tuple(_call(call.function.name, call.function.arguments, conversation) for call in calls)
    used = completion.usage
    return ResponderAnswer((used and used.prompt_tokens) or 0, (used and used.completion_tokens) or 0, made)


def _call(name: str, arguments: str, conversation: Conversation) -> FunctionCall:
    """A call that the model made, if it is one of a function that it was offered."""
    if name not in [function["name"] for function in conversation.functions]:
        raise Failed("server_error", f"the model calls {name:.80}, which the agent has not")
    try:
        given: Any = json.loads(arguments or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Failed("server_error", f"the model calls {name} with arguments that are no JSON object: {arguments:.200}")
    return FunctionCall(name, given)


def _messages(conversation: Conversation) -> Iterator[JSONObject]:
    for item in conversation.items:
        if item["type"] == "message":
            yield {"role": item["role"], "content": _text(item["content"])}
        elif item["type"] == "function_call":
            function = {"name": item["name"], "arguments": json.dumps(item["arguments"])}
            call = {"id": item["call_id"], "type": "function", "function": function}
            yield {"role": "assistant", "content": "", "tool_calls": [call]}
        else:
            output = item["output"] if item["status"] == "completed" else item["error"]
            yield {"role": "tool", "tool_call_id": item["call_id"], "content": _text(output)}


def _text(content: Any) -> str:
    """What the parts of a message or an output say."""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content or ())


def _bounded(schema: Any) -> Any:
    """The schema with a longest and a shortest length for every string that it leaves free."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _bounded(value) for key, value in schema.items()}
    return {"minLength": 1, **out, "maxLength": LONGEST} if out.get("type") == "string" and not FREE & out.keys() else out


class _Llama:
    """llama.cpp's server over a file, in a process that ends with this object or with this process.

    Raises:
        Failed: the model cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise Failed("invalid_request", f"ASST_LOCAL_MODEL names {path}, which is no file")
        if importlib.util.find_spec("xllamacpp") is None:
            raise Failed("invalid_request", "a model's file needs xllamacpp: pip install 'invoke-assistants[model]'")
        self.key = secrets.token_hex(16)
        script = Path(__file__).with_name("llama_server.py")
        self._process = subprocess.Popen(  # noqa: S603 - this Python, with a list of arguments
            [sys.executable, "-P", script, path, str(CONTEXT), str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,  # Ctrl-C is for the process that asked
        )  # fmt: skip
        weakref.finalize(self, _end, self._process)
        address = self._begun(f"{self.key}\n")
        if not address.startswith("http://"):
            _end(self._process)
            raise Failed("invalid_request", f"{path} cannot be loaded: is it a GGUF file?")
        self.url = f"{address}/v1"

    def _begun(self, first_line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(first_line)
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()

    @property
    def ended(self) -> bool:
        """Whether the process is gone, killed for its memory for example."""
        return self._process.poll() is not None


def _end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()  # where this process is a fork of the one that started it, Popen knows and lets it live
