"""Answers of a real model: a GGUF file behind llama.cpp's server, or any OpenAI-compatible server."""

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
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import openai

from ..declare.request_bodies import chat_request
from ..sdk.chat_chunks import CompletionBuilder
from ..sdk.connections import bare_client
from ..sdk.sdk_errors import SDK_ERRORS, server_message
from ..types import JSONObject, LocalModel
from .responder import Conversation, FunctionCall, ResponderAnswer, ResponderError

__all__ = ["ModelResponder"]

MAX_TOKENS = 1500  # of one answer from a GGUF file, since a small model may ramble
MAX_LENGTH = 80  # characters of a string without a limit in the schema, so that a whole trivia game fits in MAX_TOKENS
THREADS = max(1, (os.cpu_count() or 2) // 2)  # with all cores the model nearly stops as soon as another program runs
CONTEXT = 8192  # tokens
MAX_CALLS = 50  # function calls in one turn, since a model may go on calling
POLL = 0.05  # seconds between two checks whether the turn was cancelled
LIMITS = frozenset({"maxLength", "enum", "const", "format", "pattern"})  # a string without one of these may be endless
NO_TOOLS = frozenset({400, 422, 500, 501})  # a server without function tools answers one of these
log = logging.getLogger("invoke_assistants")
T = TypeVar("T")


class ModelResponder:
    """Answers with a model, which gets the schema to follow and the agent's function tools.

    Args:
        model: a GGUF file, loaded for the first answer, or a server. No ``OPENAI_`` variable is sent to it.
    """

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._lock = threading.Lock()  # of loading the file
        self._llama: _LlamaServer | None = None
        self._name = model.name
        self._supports_tools = True
        self._where = model.address.partition("?")[0]

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """See ``Responder``."""
        calls = sum(item["type"] == "function_call_output" for item in conversation.turn_items)
        if calls >= MAX_CALLS:
            raise ResponderError("server_error", f"{self._where}: the model called functions {calls} times without an answer")
        url, key = self._server()
        try:
            return asyncio.run(self._answer(url, key, conversation, on_text))
        except SDK_ERRORS as error:
            raise ResponderError("server_error", f"{self._where}: {server_message(error)}") from None

    def _server(self) -> tuple[str, str]:
        """Return the base URL of the server and its key; start it if need be."""
        if self._model.served:
            return self._model.address, "none"
        with self._lock:
            if self._llama is None or self._llama.ended:
                self._llama = _LlamaServer(Path(self._model.address))
            return self._llama.url, self._llama.key

    async def _answer(self, url: str, key: str, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """Ask the server; a cancelled turn ends the request, and with it the generation."""
        return await checking(self._ask(url, key, conversation, on_text), lambda: on_text(""))

    async def _ask(self, url: str, key: str, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        async with bare_client(url, key) as client:
            body = {**self._body(conversation), "model": await self._model_name(client, conversation)}
            if not self._supports_tools:
                body.pop("tools", None)
            try:
                return await _stream_answer(client, body, conversation, on_text)
            except openai.APIStatusError as error:
                if "tools" not in body or error.status_code not in NO_TOOLS:
                    raise
                del body["tools"]
                answer = await _stream_answer(client, body, conversation, on_text)
                self._supports_tools = False
                log.warning("%s takes no function tools (%s): its model is not offered them", self._where, server_message(error))
                return answer

    async def _model_name(self, client: openai.AsyncOpenAI, conversation: Conversation) -> str:
        """Return the model to ask for: the settings' name, else the first that the server lists, else the agent's model."""
        if self._name is None and self._model.served:
            try:
                page = await client.get("/models", cast_to=object)  # unparsed, since it may be anything
            except (openai.APIStatusError, json.JSONDecodeError, UnicodeError):  # not every server lists its models
                page = None
            data = page.get("data") if isinstance(page, dict) else None
            listed = [model.get("id") for model in data if isinstance(model, dict)] if isinstance(data, list) else []
            self._name = next((id for id in listed if isinstance(id, str)), None)
        return self._name or str(conversation.agent["model"])

    def _body(self, conversation: Conversation) -> JSONObject:
        """Build the body of a chat completion request."""
        agent = conversation.agent
        instructions = [{"role": "system", "content": agent["instructions"]}] if agent.get("instructions") else []
        body: JSONObject = {
            **chat_request({**agent, "reasoning": None}),  # an effort is for the declared model
            "messages": [*instructions, *_messages(conversation)],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if not self._model.served:
            body["max_tokens"] = MAX_TOKENS
            if conversation.schema is not None:
                body["response_format"]["json_schema"]["schema"] = _limit_strings(conversation.schema)
        return body


async def checking(answer: Coroutine[Any, Any, T], check: Callable[[], None]) -> T:
    """Await ``answer``, calling ``check`` meanwhile; where ``check`` raises, cancel ``answer`` and let the exception through."""
    task = asyncio.create_task(answer)
    try:
        while not (await asyncio.wait({task}, timeout=POLL))[0]:
            check()
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it may have failed in the same moment: asyncio prints what nobody asked for


async def _stream_answer(
    client: openai.AsyncOpenAI, body: JSONObject, conversation: Conversation, on_text: Callable[[str], None]
) -> ResponderAnswer:
    """Stream one answer, its text to ``on_text``."""
    builder = CompletionBuilder()
    stream: Any = await client.chat.completions.create(**body)
    async with stream:
        async for chunk in stream:
            if text := builder.add(chunk):
                on_text(text)
    completion = builder.build()
    if completion is None:
        raise ResponderError(
            "server_error", f"{client.base_url.host}: the answer ended early; is it the base URL of chat completions?"
        )
    [choice] = completion.choices
    if choice.finish_reason == "length":
        raise ResponderError("max_output_tokens", "the answer reached the most tokens that the model may give")
    calls: list[Any] = choice.message.tool_calls or []
    parsed = tuple(_parse_call(call.function.name, call.function.arguments, conversation) for call in calls)
    usage = completion.usage
    return ResponderAnswer((usage and usage.prompt_tokens) or 0, (usage and usage.completion_tokens) or 0, parsed)


def _parse_call(name: str, arguments: str, conversation: Conversation) -> FunctionCall:
    """Parse a call of one of the agent's functions."""
    if name not in [function["name"] for function in conversation.functions]:
        raise ResponderError("server_error", f"the model calls {name:.80}, which the agent has not")
    try:
        values: Any = json.loads(arguments or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ResponderError(
            "server_error", f"the model calls {name} with arguments that are not a JSON object: {arguments:.200}"
        )
    return FunctionCall(name, values)


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
    """The text of a message's or an output's parts."""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content or ())


def _limit_strings(schema: Any) -> Any:
    """Limit the length of every string that the schema does not limit."""
    if isinstance(schema, list):
        return [_limit_strings(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {key: _limit_strings(value) for key, value in schema.items()}
    if limited.get("type") == "string" and not LIMITS & limited.keys():
        return {"minLength": 1, **limited, "maxLength": MAX_LENGTH}
    return limited


class _LlamaServer:
    """llama.cpp's server for a GGUF file, in a process that ends with this object or with this process.

    Raises:
        ResponderError: the model cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ResponderError("invalid_request", f"ASST_LOCAL_MODEL names {path}, which is not a file")
        if importlib.util.find_spec("xllamacpp") is None:
            raise ResponderError("invalid_request", "a model's file needs xllamacpp: pip install 'invoke-assistants[model]'")
        self.key = secrets.token_hex(16)
        script = Path(__file__).with_name("llama_server.py")
        self._process = subprocess.Popen(  # noqa: S603 - this Python, with a list of arguments
            [sys.executable, "-P", script, path, str(CONTEXT), str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,  # Ctrl-C must not reach it
        )  # fmt: skip
        weakref.finalize(self, _kill, self._process)
        address = self._read_address()
        if not address.startswith("http://"):
            _kill(self._process)
            raise ResponderError("invalid_request", f"{path} cannot be loaded: is it a GGUF file?")
        self.url = f"{address}/v1"

    def _read_address(self) -> str:
        """Send the key and read the server's address, which is empty if the model cannot be loaded."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(f"{self.key}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()

    @property
    def ended(self) -> bool:
        """Whether the process has ended, killed for its memory for example."""
        return self._process.poll() is not None


def _kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()  # in a fork of the process that started it, Popen leaves it alone
