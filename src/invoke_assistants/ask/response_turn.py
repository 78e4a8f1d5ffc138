"""A turn on the Responses API."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response

from ..declare.request_bodies import responses_request
from ..errors import PlatformError
from ..sdk.error_translator import ErrorTranslator
from ..types import JSONObject
from .model_requests import ROUNDS, ModelRequest, ModelTurn, add_usage, call_function, exchange, refused, too_many_rounds
from .reply import Usage
from .server_capabilities import Messages, ServerCapabilities
from .turn import Answer, Turn

__all__ = ["response_turn"]


def response_turn(
    turn: Turn, server: ServerCapabilities, translator: ErrorTranslator, history: Messages | None, streamed: bool
) -> ModelTurn:
    """Ask until the model answers, calling functions between; a server that keeps no conversations is sent them whole.

    Args:
        history: the conversation before this turn, or None where this process does not know it.
        streamed: whether the text is yielded as it comes.
    """
    body = responses_request(turn.payload)
    body["metadata"] = {**body.get("metadata", {}), **turn.owner.tags}  # they name the owner to other processes
    resent = history if server.stateless else None
    input: Messages = [{"role": "user", "content": turn.prompt}]
    usage: Usage | None = None
    for _ in range(ROUNDS):
        request = {**body, "input": [*map(_message, resent or []), *input]}
        if turn.session and resent is None:
            request["previous_response_id"] = turn.session
        try:
            response = yield ModelRequest(chat=False, body=request, streamed=streamed)
        except PlatformError as error:
            if not turn.session or resent is not None or not _lacks_previous_response(error):
                raise
            if history is None:
                raise translator.error(f"there is no session {turn.session} here ({error.detail})", status=error.status) from None
            server.stateless, resent = True, history
            continue
        text, calls = _read_response(response, turn, translator)
        usage = add_usage(usage, response.usage, "input_tokens", "output_tokens")
        if not calls:
            if history is not None:
                server.remember(response.id, [*history, *exchange(turn, text)])
            return Answer(text, response.id, usage, turn.instance_id)
        input += [item.to_dict() for item in response.output]
        for call in calls:
            output = yield from call_function(call.name, call.arguments, turn, translator)
            input.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
    raise too_many_rounds(translator)


def _message(message: JSONObject) -> JSONObject:
    """A message of a conversation as an input item; llama.cpp's server takes an assistant's only with its type."""
    return {"type": "message", **message}


def _lacks_previous_response(error: PlatformError) -> bool:
    """Whether a server does not know a previous response, or supports none at all; servers word it differently."""
    words = f"{error.code} {error.detail}".lower().replace("_", " ")
    return error.status is not None and "previous response" in words


def _read_response(response: Any, turn: Turn, translator: ErrorTranslator) -> tuple[str, list[Any]]:
    """The text and the function calls of a complete response."""
    if not isinstance(response, Response) or not isinstance(response.output, list):
        raise translator.unexpected_response("no response")
    if response.status == "failed" or response.error:
        problem = response.error
        raise translator.error(
            f"the response failed ({problem.code}): {problem.message}" if problem else "the response failed",
            code=problem.code if problem else None,
        )
    parts = [part for item in response.output if item.type == "message" for part in item.content or []]
    if refusal := "".join(part.refusal for part in parts if part.type == "refusal"):
        raise refused(turn, refusal, response.id)
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        raise turn.cut_off(response.output_text, response.id, reason or "no reason was given")
    return response.output_text, [item for item in response.output if item.type == "function_call"]
