"""What the openai SDK raises, as one error for people: what happened, where, and whether asking again can help."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from ..config.credentials import Secret
from ..errors import PlatformError
from ..text import one_line

__all__ = ["LONGEST_WAIT", "RETRIES", "SDK_ERRORS", "ErrorTranslator", "message"]

LONGEST = 500  # characters of a message
RETRIES = 2  # of a request that asks a model, where it surely did not begin to answer
LONGEST_WAIT = 60.0  # seconds; a longer Retry-After is not waited for
SDK_ERRORS = (openai.OpenAIError, httpx2.HTTPError, json.JSONDecodeError, UnicodeError)  # what the SDK raises for bad answers


@dataclass(frozen=True)
class ErrorTranslator:
    """Translates for one API and key.

    Args:
        secret: the key, which must be in no message.
        host: where requests go.
        api: what the answers should have been.
        where: the environment, or the assistant in it; messages begin with it.
        variable: the variable that the key comes from.
    """

    secret: Secret
    host: str
    api: str
    where: str
    variable: str

    def translated(self, error: Exception) -> PlatformError:
        """The error for what the SDK or its transport raised, one of ``SDK_ERRORS``."""
        if isinstance(error, openai.APIStatusError):
            return self._status(error)
        if isinstance(error, openai.APIConnectionError):
            return self._connection(error)
        if isinstance(error, httpx2.HTTPError):
            return self.error(f"request failed: {error}", unknown=True)
        if isinstance(error, openai.APIError):  # an error that came as an event of a stream
            return self.error(f"{error.message}", code=error.code, unknown=True)
        return self.unexpected_answer(type(error).__name__)

    def unexpected_answer(self, what: str) -> PlatformError:
        """An answer that is no answer of the API."""
        return self.error(f"the answer is not the {self.api}'s ({what}); is the base URL right?", unknown=True)

    def error(self, text: str, **about: Any) -> PlatformError:
        """One line for people: nothing that steers a terminal, no secret, not endless."""
        return PlatformError(self.secret.mask(one_line(text))[:LONGEST], where=self.where, **about)

    def retry_delay(self, failed: PlatformError, attempt: int, *, looked: bool = False) -> float | None:
        """Seconds until a model may be asked again, or None where that is no use or could ask it twice, as no look can."""
        wait = failed.retry_after
        if attempt == RETRIES or not failed.transient or (failed.unknown and not looked) or (wait or 0) > LONGEST_WAIT:
            return None
        return 0.5 * 2**attempt if wait is None else wait

    def _connection(self, error: openai.APIConnectionError) -> PlatformError:
        cause = error.__cause__
        unsent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        what = (
            "timed out" if isinstance(error, openai.APITimeoutError) else "cannot reach" if unsent else "lost the connection to"
        )
        reason = f" ({cause})" if cause is not None and str(cause) else ""
        return self.error(f"{what} {self.host}{reason}", unknown=not unsent, transient=True)

    def _status(self, error: openai.APIStatusError) -> PlatformError:
        status, code = error.status_code, error.code
        wait = _retry_after(error.response.headers)
        details = [
            part
            for part in (f"param {error.param}" if error.param else "", f"request {error.request_id}" if error.request_id else "")
            if part
        ]
        note = f" [{', '.join(details)}]" if details else ""
        if status in (401, 403):
            text = f"the service rejected the key in {self.variable} ({status}){note}"
        elif code == "insufficient_quota":
            text = f"the quota of the key in {self.variable} is used up (429 insufficient_quota){note}"
        else:
            text = f"{message(error)}{note}"
        if status == 429 and wait is not None and wait > LONGEST_WAIT:
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


def message(error: Exception) -> str:
    """What a server said of an error: OpenAI's shape, a bare string as Ollama's, or FastAPI's ``detail``; else its own text."""
    if not isinstance(error, openai.APIStatusError):
        return str(error)
    if error.response.next_request is not None:  # not followed: prompt and headers would go where nobody sent them
        where = error.response.next_request.url.netloc.decode()
        return f"{error.status_code} the server redirects to {where}: if that is right, make it the base URL"
    return f"{error.status_code} {_said(error.body) or error.response.reason_phrase or 'an answer without a message'}"


def _said(body: object) -> str:
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body.strip()  # a page of HTML says nothing in one line
    if isinstance(body, list):  # FastAPI's validation errors
        return "; ".join(filter(None, map(_said, body)))
    if not isinstance(body, Mapping):
        return ""
    where = ".".join(map(str, body["loc"])) if isinstance(body.get("loc"), list) else ""
    text = next((text for key in ("message", "msg", "detail", "error") if (text := _said(body.get(key)))), "")
    return f"{where}: {text}" if where and text else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the service asks: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return min(max(0.0, float(headers[name]) / unit), 1e9)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None
