"""What the services behind the loopback server answer with."""

from __future__ import annotations

import json
from typing import Any, Protocol

JSON = dict[str, Any]
Answer = tuple[int, bytes, str]  # the status, the body, and its content type

JSON_TYPE = "application/json"


class API(Protocol):
    """One service."""

    def answer(self, method: str, parts: list[str], query: JSON, body: bytes, /) -> Answer | None:
        """Answer a request to ``parts`` below ``/v1``; None where there is no such route."""


def ok(content: JSON) -> Answer:
    """200 with JSON."""
    return 200, json.dumps(content).encode(), JSON_TYPE


def error(status: int, message: str) -> Answer:
    """An error in OpenAI's shape."""
    code = "not_found" if status == 404 else None
    fields = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return status, json.dumps({"error": fields}).encode(), JSON_TYPE
