"""Requests, checked: what cannot be served is refused in OpenAI's shape."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from ..declare.configuration import Strict, field_errors
from ..declare.strict_schema import lint
from ..types import JSONObject
from .event_stream import EventStream

__all__ = ["APIResponse", "Rejected", "page", "parsed", "rejected", "unknown"]

APIResponse = tuple[int, JSONObject | EventStream]
Kind = TypeVar("Kind", bound=Strict)

DEEPEST = 100  # levels of a body, far from what Python reads back at any depth of the caller's stack


class Rejected(Exception):
    """A request that is answered with an error in OpenAI's shape."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        kind = "invalid_request_error"
        self.answer: APIResponse = status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def parsed(kind: type[Kind], body: bytes) -> Kind:
    """The request in a body.

    Raises:
        Rejected: it is no JSON, nested too deep, not what the API takes, or the schema of its ``text.format`` (or its
            agent's) is not strict.
    """
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()  # NaN, 1e999, a lone surrogate: ValueErrors
    except (ValueError, RecursionError):
        raise Rejected(400, "We could not parse the JSON body of your request.") from None
    if _deeper(content, DEEPEST):
        raise Rejected(400, f"The JSON body of your request is nested more than {DEEPEST} deep.")
    try:
        request = kind.model_validate(content)
    except ValidationError as error:
        raise rejected(kind, error) from None
    for at, configuration in (("", content), ("agent.", content.get("agent") or {})):
        form = (configuration.get("text") or {}).get("format") or {}
        if form.get("type") == "json_schema" and (found := lint(_without_dialect(form["schema"]))):
            message = f"Invalid schema for {at}text.format: {'; '.join(found[:3])}."
            raise Rejected(400, message, f"{at}text.format.schema", "invalid_json_schema")
    return request


def _without_dialect(schema: JSONObject) -> JSONObject:
    """A schema without ``$schema``, which names the dialect that it is written in and asks for nothing."""
    return {key: value for key, value in schema.items() if key != "$schema"}


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inside is not None and (levels == 0 or any(_deeper(each, levels - 1) for each in inside))


def rejected(kind: type[Strict], error: ValidationError) -> Rejected:
    """The first of what is wrong with a request, as the API would say it."""
    first = field_errors(kind, error)[0]
    message = {
        "missing_required_parameter": f"Missing required parameter: '{first.param}'.",
        "unknown_parameter": f"Unknown parameter: '{first.param}'.",
    }.get(first.code, f"Invalid value for '{first.param}': {first.reason.removesuffix('?')}.")
    return Rejected(400, message, first.param or None, first.code)


def unknown(method: str, parts: Sequence[str]) -> Rejected:
    """404 for a route that the embedded platform does not have."""
    asked = f"{method} /v1/{'/'.join(parts):.200}"
    message = f"Unknown request: {asked}. The embedded platform has /v1/agents, its sessions and /v1/models."
    return Rejected(404, message, code="unknown_url")


def page(objects: Sequence[JSONObject], query: Mapping[str, str], kind: str) -> JSONObject:
    """One page of a list, as ``limit``, ``order`` and ``after`` of the query say.

    Args:
        objects: all there are, oldest first.
        kind: what they are called where ``after`` names none of them.
    """
    limit, order, after = query.get("limit", "20"), query.get("order", "desc"), query.get("after")
    if not re.fullmatch("[1-9][0-9]?|100", limit):
        raise Rejected(400, f"Invalid value for 'limit': {limit!r:.40}, expected 1 to 100.", "limit", "invalid_value")
    if order not in ("asc", "desc"):
        raise Rejected(400, f"Invalid value for 'order': {order!r:.40}, expected 'asc' or 'desc'.", "order", "invalid_value")
    data = list(objects) if order == "asc" else list(reversed(objects))
    if after is not None:
        ids = [item["id"] for item in data]
        if after not in ids:
            raise Rejected(404, f"No {kind} found with id {after!r:.140}.", code="not_found")
        data = data[ids.index(after) + 1 :]
    some = data[: int(limit)]
    first, last = (some[0]["id"], some[-1]["id"]) if some else (None, None)
    return {"object": "list", "data": some, "first_id": first, "last_id": last, "has_more": len(data) > len(some)}
