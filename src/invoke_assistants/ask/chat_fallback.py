"""The Responses API first; chat completions where the server has no such endpoint, or does not hold the model to the schema."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..errors import PlatformError
from ..sdk.error_translator import ErrorTranslator
from .chat_turn import chat_turn
from .conversations import check_owner, owner_of
from .model_requests import ModelTurn, ResponseLookup
from .response_turn import response_turn
from .server_capabilities import ServerCapabilities
from .turn import TEMPORARY_PREFIX, Owner, Turn

__all__ = ["model_turn"]

NO_ENDPOINT = (404, 405, 501)  # how servers answer that have no such endpoint


def model_turn(turn: Turn, server: ServerCapabilities, translator: ErrorTranslator) -> ModelTurn:
    """Ask on the Responses API, and once more on chat completions where the answer lacks the schema's structure."""
    model, history = turn.payload["model"], server.history(turn.session)
    if model in server.chat_only or (turn.session or "").startswith(TEMPORARY_PREFIX):
        return (yield from chat_turn(turn, server, translator, history))
    if turn.session and not turn.owner_known:
        check_owner(turn, (yield from _look_up_owner(turn.session)))
    structured = turn.payload["text"]["format"]["type"] == "json_schema"
    streamed = turn.streamed and (server.proven or not structured)
    can_use_chat = not server.trusted and history is not None
    try:
        answer = yield from response_turn(turn, server, translator, history, streamed)
    except PlatformError as error:
        if not can_use_chat or error.status not in NO_ENDPOINT:
            raise
        try:
            answer = yield from chat_turn(turn, server, translator, history)
        except PlatformError as failed:
            raise _both_failed(error, failed, translator) from None
        server.use_chat(model, translator, "has no /responses for it")
        return answer
    if turn.has_structure(answer.text):
        server.proven = server.proven or structured
        return answer
    if not can_use_chat or streamed:
        return answer
    second = yield from chat_turn(turn, server, translator, history)
    if turn.has_structure(second.text):
        server.use_chat(model, translator, "did not hold it to the schema on /responses")
    return second


def _both_failed(responses: PlatformError, chat: PlatformError, translator: ErrorTranslator) -> PlatformError:
    """The error where neither endpoint answered: either may be the one that says why."""
    if responses.detail == chat.detail:
        return chat
    return translator.error(
        f"{chat.detail} (on /chat/completions; on /responses: {responses.detail})", status=chat.status, code=chat.code,
        unknown=chat.unknown, transient=chat.transient, retry_after=chat.retry_after,
    )  # fmt: skip


def _look_up_owner(session: str) -> Generator[ResponseLookup, Any, Owner | None]:
    """The owner of a conversation as the server keeps it; None where it keeps no metadata, or no such response."""
    try:
        response = yield ResponseLookup(session)
    except PlatformError as error:
        if error.status not in (400, 500, *NO_ENDPOINT):  # LiteLLM answers 500 for a response that it does not keep
            raise
        return None
    return owner_of(getattr(response, "metadata", None))
