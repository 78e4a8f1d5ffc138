"""A real model as the answerer: a GGUF file in this process through xllamacpp, or any OpenAI-compatible server."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai

from ...records import JSONObject
from .answers import Answered, Conversation, Failed

__all__ = ["Model"]

OUTPUT_TOKENS = 1500  # of one answer; a small model that rambles must end
LONGEST = 80  # characters of a string that the schema does not bound, so that a whole trivia game fits the tokens above
THREADS = max(1, (os.cpu_count() or 2) // 2)  # with all cores it all but stands still as soon as something else runs
CONTEXT = 8192  # tokens
FREE = frozenset({"maxLength", "enum", "const", "format", "pattern"})  # a string without these may be endless
Chunk = dict[str, Any]


class Model:
    """Answers with a model that is held to the schema. Function tools are not offered to it.

    Args:
        named: the path of a GGUF file, loaded at the first answer, or the base URL of a server.
    """

    def __init__(self, named: str) -> None:
        self._named = named
        self._lock = threading.Lock()
        self._loaded: Any = None

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> Answered:
        """Answer, giving each piece of text to ``on_text`` as it comes.

        Raises:
            Failed: the model cannot be loaded or reached, or its answer was cut off.
        """
        ends: list[str | None] = []
        used: dict[str, int] = {}

        def take(chunk: Chunk) -> None:
            if "choices" not in chunk:
                problem = chunk.get("error", chunk)
                raise Failed("server_error", f"{self._named}: {problem.get('message', problem)}")
            used.update(chunk.get("usage") or {})
            for choice in chunk["choices"]:
                ends.append(choice.get("finish_reason"))
                if text := (choice.get("delta") or {}).get("content"):
                    on_text(text)

        body = _request(conversation)
        if "://" in self._named:
            for chunk in self._asked(body):
                take(chunk)
        else:
            self._generated(body, take)
        if "length" in ends:
            raise Failed("max_output_tokens", f"the answer had more than {OUTPUT_TOKENS} tokens")
        return Answered(used.get("prompt_tokens", 0), used.get("completion_tokens", 0))

    def _asked(self, body: JSONObject) -> Iterator[Chunk]:
        """The chunks of a server's answer."""
        try:
            with self._lock:
                self._loaded = self._loaded or openai.OpenAI(base_url=self._named, api_key="none")
            for chunk in self._loaded.chat.completions.create(**body):
                yield chunk.to_dict()
        except openai.OpenAIError as error:
            raise Failed("server_error", f"{self._named}: {error}") from None

    def _generated(self, body: JSONObject, take: Callable[[Chunk], None]) -> None:
        """Give the chunks of an answer from this process to ``take``; one answer is made at a time."""
        raised: list[BaseException] = []

        def pass_on(chunk: Chunk | list[Chunk]) -> bool:
            try:
                for each in chunk if isinstance(chunk, list) else [chunk]:
                    take(each)
            except BaseException as error:  # it must not cross the library's own code
                raised.append(error)
            return bool(raised)

        with self._lock:
            self._loaded = self._loaded or _load(Path(self._named))
            answer = self._loaded.handle_chat_completions(body, pass_on)
        if raised:
            raise raised[0]
        if isinstance(answer, dict) and "choices" not in answer:
            take(answer)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise Failed("invalid_request", f"ASST_LOCAL_MODEL names {path}, which is no file")
    try:
        xllamacpp: Any = importlib.import_module("xllamacpp")  # it has no types
    except ImportError:
        raise Failed("invalid_request", "a model's file needs xllamacpp: pip install 'invoke-assistants[model]'") from None
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_parallel = 1
    parameters.n_ctx = CONTEXT
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = THREADS
    parameters.verbosity = -1  # its log would go to the app's stderr
    try:
        return xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise Failed("invalid_request", f"{path} cannot be loaded: {error}") from None


def _request(conversation: Conversation) -> JSONObject:
    """The conversation as a chat completion request."""
    instructions = conversation.agent.get("instructions")
    body: JSONObject = {
        "model": conversation.agent["model"],
        "messages": [*([{"role": "system", "content": instructions}] if instructions else []), *_messages(conversation)],
        "max_tokens": OUTPUT_TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if conversation.schema is not None:
        schema = {"name": "answer", "schema": _bounded(conversation.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _messages(conversation: Conversation) -> Iterator[JSONObject]:
    for item in conversation.items:
        if item["type"] == "message":
            yield {"role": item["role"], "content": "".join(part.get("text", "") for part in item["content"])}


def _bounded(schema: Any) -> Any:
    """The schema with a longest and a shortest length for every string that it leaves free."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _bounded(value) for key, value in schema.items()}
    return {"minLength": 1, **out, "maxLength": LONGEST} if out.get("type") == "string" and not FREE & out.keys() else out
