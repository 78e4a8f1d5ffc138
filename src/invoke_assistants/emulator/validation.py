"""Parse requests and page lists; what is not valid is refused with an error in OpenAI's shape."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from ..declare.payload_models import Strict, field_errors
from ..declare.strict_schema import lint
from ..types import JSONObject
from .event_stream import EventStream

__all__ = ["APIResponse", "RequestError", "paginate", "parse_request", "route_not_found", "validation_error"]

APIResponse = tuple[int, JSONObject | EventStream]  # the status, and the JSON of the body or the events of a stream
Model = TypeVar("Model", bound=Strict)

MAX_DEPTH = 100  # levels of a body; Python can read these back however deep the caller's stack is


class RequestError(Exception):
    """A request is refused; ``response`` is the answer, an error in OpenAI's shape."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        kind = "invalid_request_error"
        self.response: APIResponse = status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def parse_request(model: type[Model], body: bytes) -> Model:
    """Parse the body of a request.

    Raises:
        RequestError: the body is not JSON, is nested too deeply or does not match the model, or the schema of its
            ``text.format`` (or of its agent's) is not strict.
    """
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()  # NaN, 1e999, a lone surrogate: ValueErrors
    except (ValueError, RecursionError):
        raise RequestError(400, "We could not parse the JSON body of your request.") from None
    if _is_deeper(content, MAX_DEPTH):
        raise RequestError(400, f"The JSON body of your request is nested more than {MAX_DEPTH} deep.")
    try:
        request = model.model_validate(content)
    except ValidationError as error:
        raise validation_error(model, error) from None
    for prefix, configuration in (("", content), ("agent.", content.get("agent") or {})):
        form = (configuration.get("text") or {}).get("format") or {}
        if form.get("type") == "json_schema" and (problems := lint(_without_dialect(form["schema"]))):
            message = f"Invalid schema for {prefix}text.format: {'; '.join(problems[:3])}."
            raise RequestError(400, message, f"{prefix}text.format.schema", "invalid_json_schema")
    return request


def _without_dialect(schema: JSONObject) -> JSONObject:
    """Drop ``$schema``, which names the schema's dialect and constrains nothing."""
    return {key: value for key, value in schema.items() if key != "$schema"}


def _is_deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inside is not None and (levels == 0 or any(_is_deeper(each, levels - 1) for each in inside))


def validation_error(model: type[Strict], error: ValidationError) -> RequestError:
    """400 for the first problem that a model's validation found."""
    first = field_errors(model, error)[0]
    message = {
        "missing_required_parameter": f"Missing required parameter: '{first.param}'.",
        "unknown_parameter": f"Unknown parameter: '{first.param}'.",
    }.get(first.code, f"Invalid value for '{first.param}': {first.reason.removesuffix('?')}.")
    return RequestError(400, message, first.param or None, first.code)


def route_not_found(method: str, parts: Sequence[str]) -> RequestError:
    """404 for an unknown route."""
    route = f"{method} /v1/{'/'.join(parts):.200}"
    message = f"Unknown request: {route}. The embedded platform has /v1/agents, its sessions and /v1/models."
    return RequestError(404, message, code="unknown_url")


def paginate(objects: Sequence[JSONObject], query: Mapping[str, str], kind: str) -> JSONObject:
    """Return the page of a list that ``limit``, ``order`` and ``after`` of the query select.

    Args:
        objects: the whole list, oldest first.
        query: the query of the request.
        kind: the noun for one object, for the error about an unknown ``after``.
    """
    limit, order, after = query.get("limit", "20"), query.get("order", "desc"), query.get("after")
    if not re.fullmatch("[1-9][0-9]?|100", limit):
        raise RequestError(400, f"Invalid value for 'limit': {limit!r:.40}, expected 1 to 100.", "limit", "invalid_value")
    if order not in ("asc", "desc"):
        raise RequestError(400, f"Invalid value for 'order': {order!r:.40}, expected 'asc' or 'desc'.", "order", "invalid_value")
    data = list(objects) if order == "asc" else list(reversed(objects))
    if after is not None:
        ids = [item["id"] for item in data]
        if after not in ids:
            raise RequestError(404, f"No {kind} found with id {after!r:.140}.", code="not_found")
        data = data[ids.index(after) + 1 :]
    page = data[: int(limit)]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": len(data) > len(page)}
