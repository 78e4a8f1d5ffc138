"""Translate errors of HTTP into a ``PlatformError``: what happened, where, and whether a retry can help."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from ..config.credentials import Credentials
from ..errors import PlatformError
from ..text import one_line

__all__ = ["HTTP_ERRORS", "MAX_WAIT", "RETRIES", "ErrorTranslator", "status_message"]

MAX_MESSAGE = 500  # characters
RETRIES = 2  # of one request
MAX_WAIT = 60.0  # seconds; a longer Retry-After is an error
HTTP_ERRORS = (httpx2.HTTPError, ValueError, RecursionError)  # the last two: JSON that is none, or too deep


@dataclass(frozen=True)
class ErrorTranslator:
    """Translates the errors of one API and key.

    Args:
        credentials: what the requests are sent with, which no message may show.
        host: the host of the API.
        api: the name of the API.
        where: the environment, or the assistant in it; each message begins with it.
        variable: the environment variable of the key.
    """

    credentials: Credentials
    host: str
    api: str
    where: str
    variable: str

    def translate(self, error: Exception) -> PlatformError:
        """Translate one of ``HTTP_ERRORS``."""
        if isinstance(error, httpx2.HTTPError):
            return self.connection_error(error, timed_out=isinstance(error, httpx2.TimeoutException))
        return self.unexpected_response(type(error).__name__)

    def connection_error(self, cause: BaseException | None, *, timed_out: bool) -> PlatformError:
        """An error for a request without an answer; ``cause`` is the transport's."""
        unsent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        failure = "timed out" if timed_out else "cannot reach" if unsent else "lost the connection to"
        reason = f" ({cause})" if cause is not None and str(cause) else ""
        return self.error(f"{failure} {self.host}{reason}", unknown=not unsent, transient=True)

    def status_error(self, response: httpx2.Response, body: object) -> PlatformError:
        """An error for a response that is no success; ``body`` is its JSON without the envelope ``error``, or its text."""
        status, wait = response.status_code, _retry_after(response.headers)
        fields = body if isinstance(body, Mapping) else {}
        code = None if fields.get("code") is None else str(fields["code"])
        details = [("param", fields.get("param")), ("request", response.headers.get("x-request-id"))]
        note = ", ".join(f"{name} {value}" for name, value in details if value)
        note = f" [{note}]" if note else ""
        if status in (401, 403):
            text = f"the service rejected the key in {self.variable} ({status}){note}"
        elif code == "insufficient_quota":
            text = f"the quota of the key in {self.variable} is used up (429 insufficient_quota){note}"
        else:
            text = f"{status_message(response, body)}{note}"
        if status == 429 and wait is not None and wait > MAX_WAIT:
            back = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + wait))
            text += f"; come back in {wait:.0f} s, at {back}"
        transient = status in (408, 409, 429) or status >= 500
        return self.error(
            text,
            status=status,
            code=code,
            unknown=status in (408, 409) or status >= 500 or status < 400,
            transient=transient and code != "insufficient_quota",
            retry_after=wait,
        )

    def unexpected_response(self, detail: str) -> PlatformError:
        """An error for a response that is not the API's."""
        return self.error(f"the answer is not the {self.api}'s ({detail}); is the base URL right?", unknown=True)

    def error(self, text: str, **fields: Any) -> PlatformError:
        """An error of one line, limited in length, without the credentials or anything that controls a terminal."""
        return PlatformError(self.credentials.mask(one_line(text))[:MAX_MESSAGE], where=self.where, **fields)

    def retry_delay(self, error: PlatformError, attempt: int, *, repeatable: bool = False) -> float | None:
        """Seconds to wait before a retry, or None if a retry cannot help or might do something twice.

        Args:
            repeatable: the request can be sent twice, because it only reads for example.
        """
        wait = error.retry_after
        if attempt == RETRIES or not error.transient or (error.unknown and not repeatable) or (wait or 0) > MAX_WAIT:
            return None
        return 0.5 * 2**attempt if wait is None else wait


def status_message(response: httpx2.Response, body: object) -> str:
    """The server's own message in a response that is no success, in the shape of OpenAI, Ollama or FastAPI."""
    status = response.status_code
    if response.next_request is not None:  # not followed, since another host would get prompt and headers
        where = response.next_request.url.netloc.decode()
        return f"{status} the server redirects to {where}: if that is right, make it the base URL"
    try:
        message = _find_message(body)
    except RecursionError:  # it is nested as deep as it could just be read
        message = ""
    return f"{status} {message or response.reason_phrase or 'an answer without a message'}"


def _find_message(body: object) -> str:
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body.strip()  # an HTML page makes no message
    if isinstance(body, list):  # FastAPI's validation errors
        return "; ".join(filter(None, map(_find_message, body)))
    if not isinstance(body, Mapping):
        return ""
    where = ".".join(map(str, body["loc"])) if isinstance(body.get("loc"), list) else ""
    text = next((text for key in ("message", "msg", "detail", "error") if (text := _find_message(body.get(key)))), "")
    return f"{where}: {text}" if where and text else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the service asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return min(max(0.0, float(headers[name]) / unit), 1e9)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None
