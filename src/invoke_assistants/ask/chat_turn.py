"""A turn on chat completions, for servers without a usable Responses API; this process keeps the conversation."""

from __future__ import annotations

import secrets
from typing import Any

from openai.types.chat import ChatCompletion

from ..declare.request_bodies import chat_request
from ..sdk.error_translator import ErrorTranslator
from .model_requests import ROUNDS, ModelRequest, ModelTurn, add_usage, call_function, exchange, refused, too_many_rounds
from .reply import Usage
from .server_capabilities import Messages, ServerCapabilities
from .turn import TEMPORARY_PREFIX, Answer, Turn

__all__ = ["chat_turn"]


def chat_turn(turn: Turn, server: ServerCapabilities, translator: ErrorTranslator, history: Messages | None) -> ModelTurn:
    """Ask until the model answers, calling functions between; each request has the whole conversation.

    Args:
        history: the conversation before this turn, or None where this process does not know it.
    """
    if history is None:
        raise translator.error(
            f"session {turn.session} belongs to another process, and {translator.host} keeps no conversations:"
            " begin a new session"
        )
    body = chat_request(turn.payload)
    if turn.streamed:
        body["stream_options"] = {"include_usage": True}
    system = [{"role": "system", "content": turn.payload["instructions"]}] if turn.payload.get("instructions") else []
    messages: Messages = [*system, *history, {"role": "user", "content": turn.prompt}]
    usage: Usage | None = None
    for _ in range(ROUNDS):
        completion = yield ModelRequest(chat=True, body={**body, "messages": messages}, streamed=turn.streamed)
        message = _read_completion(completion, turn, translator)
        usage = add_usage(usage, completion.usage, "prompt_tokens", "completion_tokens")
        text = message.content or ""
        if not message.tool_calls:
            session = f"{TEMPORARY_PREFIX}{secrets.token_hex(12)}"
            server.remember(session, [*history, *exchange(turn, text)])
            return Answer(text, session, usage, turn.instance_id)
        calls = [call.to_dict() for call in message.tool_calls]
        messages = [*messages, {"role": "assistant", "content": text, "tool_calls": calls}]
        for call in message.tool_calls:
            output = yield from call_function(call.function.name, call.function.arguments, turn, translator)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": output})
    raise too_many_rounds(translator)


def _read_completion(completion: Any, turn: Turn, translator: ErrorTranslator) -> Any:
    """The message of a complete completion."""
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        raise translator.unexpected_response("no choices")
    choice = completion.choices[0]
    if choice.message.refusal:
        raise refused(turn, choice.message.refusal)
    if choice.finish_reason in ("length", "content_filter"):
        raise turn.cut_off(choice.message.content or "", None, choice.finish_reason)
    return choice.message
