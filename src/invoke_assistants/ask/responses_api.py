"""Asking a release: the pinned payload is sent to the Responses API, where that does not hold to the schema to chat completions.

What is asked next depends on what came, not on how it is sent: ``_steps`` decides it, and is driven with the
sync client and with the async one alike.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from ..declare.request_bodies import chat_request, responses_request
from ..errors import AnswerIncomplete, AnswerRefused, PlatformError
from ..sdk.chat_chunks import CompletionBuilder
from ..sdk.error_translator import SDK_ERRORS, ErrorTranslator
from ..sdk.time_limit import DeadlineTimeout
from ..types import JSONObject
from .conversations import refuse_other, tagged
from .reply import Usage
from .tool_handlers import Handler, async_handlers, handlers
from .turn import PASSING, Answer, Owner, Turn

__all__ = ["ServerCapabilities", "aask", "ask"]

log = logging.getLogger("invoke_assistants")

ROUNDS = 50  # of function calls in one turn; a model that calls on and on must end
CONVERSATIONS = 256  # kept for servers that keep none
UNSERVED = (404, 405, 501)  # how a server answers that has no such endpoint
ENDS = ("response.completed", "response.incomplete", "response.failed")
Messages = list[JSONObject]


class ServerCapabilities:
    """What this process has learnt about one server: whether it holds to schemas, and conversations that it may not keep."""

    def __init__(self, base_url: str) -> None:
        self.trusted = urlsplit(base_url).hostname == "api.openai.com"  # to hold a model to its schema
        self.proven = self.trusted  # once an answer followed its schema: from then on they are shown as they come
        self.chat_only: set[str] = set()  # the models that are asked on chat completions
        self.stateless = False  # previous_response_id was refused
        self._said: OrderedDict[str, Messages] = OrderedDict()

    def said(self, session: str | None) -> Messages | None:
        """The messages of a session of this process; none yet of a new one, None of an unknown one."""
        if session is None:
            return []
        return list(self._said[session]) if session in self._said else None

    def keep(self, session: str, messages: Messages) -> None:
        """Remember a conversation, and forget the oldest beyond 256."""
        self._said[session] = messages
        while len(self._said) > CONVERSATIONS:
            self._said.popitem(last=False)


@dataclass(frozen=True)
class _Ask:
    """A request that comes next; ``shown`` streams it."""

    chat: bool
    body: JSONObject
    shown: bool = False


@dataclass(frozen=True)
class _Look:
    """A response to look at next: its id."""

    id: str


@dataclass(frozen=True)
class _FunctionCall:
    """A function to call next."""

    name: str
    arguments: str

    def made(self, called: Mapping[str, Handler]) -> Any:
        """What the function, or its coroutine, gives."""
        return called[self.name](self.arguments)


Steps = Generator[_Ask | _Look | _FunctionCall, Any, Answer]


def ask(client: openai.OpenAI, translator: ErrorTranslator, served: ServerCapabilities, turn: Turn) -> Iterator[str | Answer]:
    """The text as it comes, then the answer.

    Raises:
        AnswerRefused, AnswerIncomplete: what came is no answer.
        PlatformError: a request failed.
        AsstError: the session is another assistant's, or another environment's.
    """
    called = handlers(turn.functions, turn.where, turn.deadline)
    asking = client.with_options(max_retries=0, timeout=DeadlineTimeout(turn.deadline))  # no model is asked twice
    steps = _steps(turn, served, translator)
    shown, attempt = False, 0
    try:
        step = next(steps)
        while True:
            if isinstance(step, _FunctionCall):
                step = steps.send(_text_of_output(step.made(called)))
                continue
            try:
                came: Any = None
                if isinstance(step, _Look):
                    came = asking.responses.retrieve(step.id)
                elif step.shown:
                    streamed = _Streamed()
                    begin: Any = asking.chat.completions.create if step.chat else asking.responses.create
                    with begin(**step.body, stream=True) as events:
                        for event in events:
                            if text := streamed.text_of(event):
                                shown = True
                                yield text
                    came = streamed.whole()
                else:
                    came = asking.chat.completions.create(**step.body) if step.chat else asking.responses.create(**step.body)
            except SDK_ERRORS as error:
                failed = translator.translate(error)
                wait = translator.retry_delay(failed, attempt, repeatable=isinstance(step, _Look))
                if wait is not None and wait <= turn.deadline.left:
                    attempt += 1
                    time.sleep(wait)
                else:
                    step = steps.throw(failed)
            else:
                step, attempt = steps.send(came), 0
    except StopIteration as end:
        answer: Answer = end.value
    if turn.shown and not shown:
        yield answer.text
    yield answer


async def aask(
    client: openai.AsyncOpenAI, translator: ErrorTranslator, served: ServerCapabilities, turn: Turn
) -> AsyncGenerator[str | Answer]:
    """As ``ask``, on the running event loop."""
    called = async_handlers(turn.functions, turn.where)
    asking = client.with_options(max_retries=0, timeout=DeadlineTimeout(turn.deadline))
    steps = _steps(turn, served, translator)
    shown, attempt = False, 0
    try:
        step = next(steps)
        while True:
            if isinstance(step, _FunctionCall):
                step = steps.send(_text_of_output(await step.made(called)))
                continue
            try:
                came: Any = None
                if isinstance(step, _Look):
                    came = await asking.responses.retrieve(step.id)
                elif step.shown:
                    streamed = _Streamed()
                    begin: Any = asking.chat.completions.create if step.chat else asking.responses.create
                    async with await begin(**step.body, stream=True) as events:
                        async for event in events:
                            if text := streamed.text_of(event):
                                shown = True
                                yield text
                    came = streamed.whole()
                elif step.chat:
                    came = await asking.chat.completions.create(**step.body)
                else:
                    came = await asking.responses.create(**step.body)
            except SDK_ERRORS as error:
                failed = translator.translate(error)
                wait = translator.retry_delay(failed, attempt, repeatable=isinstance(step, _Look))
                if wait is not None:
                    attempt += 1
                    await asyncio.sleep(wait)
                else:
                    step = steps.throw(failed)
            else:
                step, attempt = steps.send(came), 0
    except StopIteration as end:
        answer: Answer = end.value
    if turn.shown and not shown:
        yield answer.text
    yield answer


class _Streamed:
    """What a stream has brought so far: the Responses API's last event holds all of it, chunks of chat are put together."""

    def __init__(self) -> None:
        self._chunks = CompletionBuilder()
        self._response: Any = None

    def text_of(self, event: Any) -> str:
        """The piece of text that an event brings, if it does."""
        if isinstance(event, ChatCompletionChunk):
            return self._chunks.add(event)
        if event.type in ENDS:
            self._response = event.response
        return str(event.delta) if event.type == "response.output_text.delta" else ""

    def whole(self) -> Any:
        """The response or the completion; None where the stream ended before it."""
        return self._response or self._chunks.build()


def _steps(turn: Turn, served: ServerCapabilities, translator: ErrorTranslator) -> Steps:
    """One turn: on the Responses API, and where its answer does not follow the schema, once on chat completions."""
    model = turn.payload["model"]
    said = served.said(turn.session)
    if model in served.chat_only or (turn.session or "").startswith(PASSING):
        return (yield from _chat(turn, served, translator, said))
    if turn.session and not turn.known:
        refuse_other(turn, (yield from _owner(turn.session)))
    shown = turn.shown and (served.proven or turn.payload["text"]["format"]["type"] == "text")
    try:
        answer = yield from _responses(turn, served, translator, said, shown)
    except PlatformError as error:
        if served.trusted or error.status not in UNSERVED or said is None:
            raise
        try:
            answer = yield from _chat(turn, served, translator, said)
        except PlatformError as failed:
            raise _of_both(error, failed, translator) from None
        _go_on_with_chat(served, translator, model, "has no /responses for it")
        return answer
    if turn.follows(answer.text):
        served.proven = served.proven or turn.payload["text"]["format"]["type"] == "json_schema"
        return answer
    if served.trusted or said is None or shown:
        return answer
    second = yield from _chat(turn, served, translator, said)
    if turn.follows(second.text):
        _go_on_with_chat(served, translator, model, "did not hold it to the schema on /responses")
    return second


def _of_both(first: PlatformError, second: PlatformError, translator: ErrorTranslator) -> PlatformError:
    """Neither endpoint answered, and either may be the one that says why."""
    if first.detail == second.detail:
        return second
    return translator.error(
        f"{second.detail} (on /chat/completions; on /responses: {first.detail})", status=second.status, code=second.code,
        unknown=second.unknown, transient=second.transient, retry_after=second.retry_after,
    )  # fmt: skip


def _owner(session: str) -> Generator[_Look, Any, Owner | None]:
    """Whose a conversation is, as the server keeps it; None where it keeps no metadata, or no such response."""
    try:
        response = yield _Look(session)
    except PlatformError as error:
        if error.status not in (400, 500, *UNSERVED):  # LiteLLM says 500 for what it does not keep
            raise
        return None
    return tagged(getattr(response, "metadata", None))


def _go_on_with_chat(served: ServerCapabilities, translator: ErrorTranslator, model: str, why: str) -> None:
    served.chat_only.add(model)
    log.warning(
        "%s: %s %s: from here on %s is asked on /chat/completions, where conversations last as long as this process",
        translator.where, translator.host, why, model,
    )  # fmt: skip


def _responses(turn: Turn, served: ServerCapabilities, translator: ErrorTranslator, said: Messages | None, shown: bool) -> Steps:
    body = responses_request(turn.payload)
    body["metadata"] = {**body.get("metadata", {}), **turn.owner.tags}  # in another process, they tell whose it is
    asked: Messages = [{"role": "user", "content": turn.prompt}]
    before = said if served.stateless and said is not None else None
    spent: Usage | None = None
    for _ in range(ROUNDS):
        sent = {**body, "input": [*map(_item, before or []), *asked]}
        if turn.session and before is None:
            sent["previous_response_id"] = turn.session
        try:
            response = yield _Ask(chat=False, body=sent, shown=shown)
        except PlatformError as error:
            if not turn.session or before is not None or not _no_such_session(error):
                raise
            if said is None:
                raise translator.error(f"there is no session {turn.session} here ({error.detail})", status=error.status) from None
            served.stateless, before = True, said
            continue
        text, calls = _of_response(response, turn, translator)
        spent = _added(spent, response.usage, "input_tokens", "output_tokens")
        if not calls:
            if said is not None:
                served.keep(response.id, [*said, *_exchange(turn, text)])
            return Answer(text, response.id, spent, turn.instance)
        asked += [item.to_dict() for item in response.output]
        for call in calls:
            output = yield _call(call.name, call.arguments, turn, translator)
            asked.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
    raise translator.error(f"the model called functions {ROUNDS} times in a row without an answer")


def _no_such_session(error: PlatformError) -> bool:
    """Whether a server does not know a previous response, or knows none at all; each says so in its own words."""
    words = f"{error.code} {error.detail}".lower().replace("_", " ")
    return error.status is not None and "previous response" in words


def _of_response(response: Any, turn: Turn, translator: ErrorTranslator) -> tuple[str, list[Any]]:
    """The text and the function calls of a response that is whole."""
    if not isinstance(response, Response) or not isinstance(response.output, list):
        raise translator.unexpected_response("no response")
    if response.status == "failed" or response.error:
        problem = response.error
        raise translator.error(
            f"the response failed ({problem.code}): {problem.message}" if problem else "the response failed",
            code=problem.code if problem else None,
        )
    said = [part for item in response.output if item.type == "message" for part in item.content or []]
    refusal = "".join(part.refusal for part in said if part.type == "refusal")
    if refusal:
        raise AnswerRefused(f"{turn.where}: the model refused: {refusal:.200}", answer=refusal, session=response.id)
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        raise _cut_off(turn, response.output_text, reason, response.id)
    return response.output_text, [item for item in response.output if item.type == "function_call"]


def _chat(turn: Turn, served: ServerCapabilities, translator: ErrorTranslator, said: Messages | None) -> Steps:
    if said is None:
        raise translator.error(
            f"session {turn.session} is of another process, and {translator.host} keeps no conversations: begin a new session"
        )
    body = chat_request(turn.payload)
    if turn.shown:
        body["stream_options"] = {"include_usage": True}
    system = [{"role": "system", "content": turn.payload["instructions"]}] if turn.payload.get("instructions") else []
    messages: Messages = [*system, *said, {"role": "user", "content": turn.prompt}]
    spent: Usage | None = None
    for _ in range(ROUNDS):
        completion = yield _Ask(chat=True, body={**body, "messages": messages}, shown=turn.shown)
        message = _of_completion(completion, turn, translator)
        spent = _added(spent, completion.usage, "prompt_tokens", "completion_tokens")
        if not message.tool_calls:
            session = f"{PASSING}{secrets.token_hex(12)}"
            served.keep(session, [*said, *_exchange(turn, message.content or "")])
            return Answer(message.content or "", session, spent, turn.instance)
        calls = [call.to_dict() for call in message.tool_calls]
        messages = [*messages, {"role": "assistant", "content": message.content or "", "tool_calls": calls}]
        for call in message.tool_calls:
            output = yield _call(call.function.name, call.function.arguments, turn, translator)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": output})
    raise translator.error(f"the model called functions {ROUNDS} times in a row without an answer")


def _of_completion(completion: Any, turn: Turn, translator: ErrorTranslator) -> Any:
    """The message of a completion that is whole."""
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        raise translator.unexpected_response("no choices")
    choice = completion.choices[0]
    if choice.message.refusal:
        refusal = choice.message.refusal
        raise AnswerRefused(f"{turn.where}: the model refused: {refusal:.200}", answer=refusal)
    if choice.finish_reason in ("length", "content_filter"):
        raise _cut_off(turn, choice.message.content or "", choice.finish_reason, None)
    return choice.message


def _cut_off(turn: Turn, text: str, reason: str | None, session: str | None) -> AnswerIncomplete:
    why = reason or "no reason was given"
    return AnswerIncomplete(
        f"{turn.where}: the answer was cut off after {len(text)} characters ({why}); ask for less at once",
        answer=text, session=session,
    )  # fmt: skip


def _call(name: str, arguments: str, turn: Turn, translator: ErrorTranslator) -> _FunctionCall:
    if name not in turn.functions:
        raise translator.error(f"the model calls {name}: give the Python function in tools=, and inv asst.update")
    return _FunctionCall(name, arguments)


def _text_of_output(output: Any) -> Any:
    """What a function gave as these endpoints take it: text, or a list of content parts."""
    if isinstance(output, Mapping):
        return json.dumps(dict(output), separators=(",", ":"))
    return "" if output is None else output


def _exchange(turn: Turn, text: str) -> Messages:
    return [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": text}]


def _item(message: JSONObject) -> JSONObject:
    """A message of a conversation as the Responses API takes it; llama.cpp's server takes an assistant's only with its type."""
    return {"type": "message", **message}


def _added(spent: Usage | None, usage: Any, sent: str, received: str) -> Usage | None:
    if usage is None:
        return spent
    before = spent or Usage(0, 0, 0)
    counts = (getattr(usage, name, 0) or 0 for name in (sent, received, "total_tokens"))
    first, second, total = counts
    return Usage(before.input_tokens + first, before.output_tokens + second, before.total_tokens + total)
