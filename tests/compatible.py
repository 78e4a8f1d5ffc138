"""An OpenAI-compatible server on a real socket: the Responses API and chat completions, with the gaps of other servers."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = dict[str, Any]


@dataclass
class ModelAnswer:
    """An answer of the server's model: text, a refusal, or calls of functions as (name, arguments)."""

    text: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, JSON], ...] = ()
    cut: str = ""  # the reason why the answer is incomplete


@dataclass
class ModelRequest:
    """A request to the model: the path, the body, and the whole conversation, whether the server or the client kept it."""

    path: str
    body: JSON
    conversation: list[JSON]

    @property
    def schema(self) -> JSON | None:
        """The schema that the answer must match, if there is one."""
        form = (self.body.get("text") or {}).get("format") or self.body.get("response_format") or {"type": "text"}
        return form.get("schema") or form.get("json_schema", {}).get("schema")

    @property
    def prompts(self) -> list[str]:
        return [each["content"] for each in self.conversation if each.get("role") == "user"]


class Compatible(ThreadingHTTPServer):
    """A server whose ``model`` answers.

    ``ignores_format`` makes it answer prose on /responses whatever the schema; paths that end with ``lacks`` get a 404 (or
    ``absent``); ``stateless`` refuses previous_response_id; ``typed`` requires a type on resent assistant messages, as
    llama.cpp's server does; ``strings`` requires text as the content of every chat message, as llama-cpp-python does;
    ``models`` are the known models, if there are any; ``fastapi`` gives errors FastAPI's shape; ``between`` is called after
    each frame of a stream; ``keeps_metadata`` says whether a retrieved response has its metadata. ``seen`` holds the method
    and path of each request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model: Callable[[ModelRequest], ModelAnswer]) -> None:
        self.model = model
        self.asked: list[ModelRequest] = []
        self.ignores_format = False
        self.lacks = ""
        self.absent = 404
        self.keeps_metadata = True
        self.hang = threading.Event()  # answers are given once it is set
        self.hang.set()
        self.failing: list[tuple[int, dict[str, str]]] = []  # status and headers of the next answers
        self.seen: list[tuple[str, str]] = []
        self.metadata: dict[str, JSON] = {}
        self.stateless = self.typed = self.strings = self.fastapi = False
        self.models: list[str] = []
        self.between: Callable[[], object] = lambda: None
        self.conversations: dict[str, list[JSON]] = {}
        self.numbers = itertools.count(1)
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def env(self, key: str = "sk-canary-0000000000") -> dict[str, str]:
        """The environment variables of a client of this server."""
        return {"ASST_PLATFORM": "responses", "OPENAI_API_KEY": key, "OPENAI_BASE_URL": self.url}

    def answer(self, path: str, body: JSON) -> tuple[int, JSON]:
        """Return the status and the body of the answer to a request."""
        if self.lacks and path.endswith(self.lacks):
            return self.absent, {"detail": "Not Found"} if self.fastapi else _error("Not Found")
        if self.models and body["model"] not in self.models:
            said = f"Model {body['model']} not found"
            return 404, {"detail": said} if self.fastapi else _error(said)
        return self._response(path, body) if path.endswith("/responses") else self._completion(path, body)

    def _response(self, path: str, body: JSON) -> tuple[int, JSON]:
        before = body.get("previous_response_id")
        if before and self.stateless:
            return 400, _error("this server does not support 'previous_response_id'.")
        if before and before not in self.conversations:
            return 400, _error(f"Previous response with id '{before}' not found.", "previous_response_not_found")
        given = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
        if self.typed and any(each.get("role") == "assistant" and "type" not in each for each in given):
            return 400, _error("Cannot determine type of 'item'")
        asked = ModelRequest(path, body, [*self.conversations.get(before, []), *given])
        self.asked.append(asked)
        said = ModelAnswer("As you like.") if self.ignores_format else self.model(asked)
        id = f"resp_{next(self.numbers):06}"
        output: list[JSON] = [
            {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{id}_{index}", "name": name, "status": "completed",
             "arguments": json.dumps(arguments)}
            for index, (name, arguments) in enumerate(said.calls)
        ]  # fmt: skip
        if not output:
            part = {"type": "refusal", "refusal": said.refusal} if said.refusal else _text(said.text)
            output = [{"type": "message", "id": f"msg_{id}", "role": "assistant", "status": "completed", "content": [part]}]
        self.conversations[id] = [*asked.conversation, *output]
        self.metadata[id] = body.get("metadata") or {}
        return 200, {
            "id": id, "object": "response", "created_at": 1, "model": body["model"], "output": output, "tools": [],
            "status": "incomplete" if said.cut else "completed", "error": None, "parallel_tool_calls": True,
            "tool_choice": "auto",
            "incomplete_details": {"reason": said.cut} if said.cut else None,
            "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                      "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12},
        }  # fmt: skip

    def _completion(self, path: str, body: JSON) -> tuple[int, JSON]:
        for number, each in enumerate(body["messages"]):
            if self.strings and not isinstance(each.get("content"), str):
                problem = {"loc": ["body", "messages", number, "content"], "msg": "Input should be a valid string"}
                return 422, {"detail": [problem]}
        asked = ModelRequest(path, body, body["messages"])
        self.asked.append(asked)
        said = self.model(asked)
        message: JSON = {"role": "assistant", "content": said.text or None, "refusal": said.refusal or None}
        if said.calls:
            message["tool_calls"] = [
                {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                for index, (name, arguments) in enumerate(said.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": said.cut or ("tool_calls" if said.calls else "stop")}
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        return 200, {
            "id": "chatcmpl_1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice],
            "usage": usage,
        }  # fmt: skip


def _text(text: str) -> JSON:
    return {"type": "output_text", "text": text, "annotations": []}


def _error(message: str, code: str | None = None) -> JSON:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Compatible

    def do_GET(self) -> None:
        self.server.seen.append(("GET", self.path))
        id = self.path.rsplit("/", 1)[-1]
        found = id in self.server.metadata and not self.server.lacks
        response = {"id": id, "object": "response", "output": []}
        if self.server.keeps_metadata:
            response["metadata"] = self.server.metadata.get(id)
        self._send("application/json", json.dumps(response if found else _error("Not Found")).encode(), 200 if found else 404)

    def do_POST(self) -> None:
        self.server.seen.append(("POST", self.path))
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.hang.wait(20)
        if self.server.failing:
            status, headers = self.server.failing.pop(0)
            return self._send("application/json", json.dumps(_error("no")).encode(), status, headers)
        status, answer = self.server.answer(self.path, body)
        if body.get("stream") and status == 200:
            self._stream(_chunks(answer) if "choices" in answer else _events(answer))
        else:
            self._send("application/json", json.dumps(answer).encode(), status)
        return None

    def _stream(self, frames: list[str]) -> None:
        """Send frame by frame; ``between`` may wait after each."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for frame in frames:
            self.wfile.write(frame.encode())
            self.wfile.flush()
            self.server.between()
        self.close_connection = True

    def _send(self, kind: str, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _events(response: JSON) -> list[str]:
    """Turn a response into server-sent events, with its text in pieces of eight characters."""
    text = "".join(part.get("text", "") for item in response["output"] for part in item.get("content", []))
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    events: list[JSON] = [{"type": "response.created", "response": {**response, "output": [], "status": "in_progress"}}]
    events += [{"type": "response.output_text.delta", "delta": piece, **where} for piece in _pieces(text)]
    events.append({"type": f"response.{response['status']}", "response": response})
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]


def _chunks(completion: JSON) -> list[str]:
    """Turn a completion into server-sent chunks, with text and arguments in pieces of eight characters and the usage last."""
    [choice] = completion["choices"]
    message = choice["message"]
    deltas: list[JSON] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in _pieces(message["content"] or "")]
    deltas += [{"refusal": piece} for piece in _pieces(message["refusal"] or "")]
    for index, call in enumerate(message.get("tool_calls", ())):
        named = {**call["function"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": named}]})
        pieces = _pieces(call["function"]["arguments"])
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    choices: list[JSON] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]})
    bodies: list[JSON] = [{"choices": [each]} for each in choices] + [{"choices": [], "usage": completion["usage"]}]
    common = {key: completion[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    return [f"data: {json.dumps({**common, **body})}\n\n" for body in bodies] + ["data: [DONE]\n\n"]


def _pieces(text: str) -> list[str]:
    return [text[start : start + 8] for start in range(0, len(text), 8)]
