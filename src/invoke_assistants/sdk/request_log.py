"""The log of requests: a line for each attempt, with nothing confidential in it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from types import TracebackType
from urllib.parse import quote

import httpx2

from ..config.credentials import Secret
from ..text import one_line

__all__ = ["LoggedRequest", "show_requests"]

MAX_ID = 100  # characters of a request id, which the server chooses
log = logging.getLogger("invoke_assistants.requests")


class LoggedRequest:
    """Logs one attempt of a request when its block ends, which sets ``response``; without one, the error's class is logged.

    A line holds the method, the server, the path, the status, the milliseconds and the request id: no query, header or body.
    """

    def __init__(self, request: httpx2.Request) -> None:
        self.response: httpx2.Response | None = None
        self._request = request
        self._begun = time.monotonic()

    def __enter__(self) -> LoggedRequest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(Exception):  # a handler that fails is no reason to stop the request
            if log.isEnabledFor(logging.DEBUG):  # asked each time, since an app may configure its logging later
                log.debug("%s", self._line(kind.__name__ if kind else None))

    def _line(self, failure: str | None) -> str:
        """The line for people, in which even a server that sends the key back cannot show it."""
        milliseconds = (time.monotonic() - self._begun) * 1000
        outcome, id = failure, None
        if self.response is not None and failure is None:
            outcome, id = str(self.response.status_code), self.response.headers.get("x-request-id")
        url = self._request.url
        path = url.raw_path.partition(b"?")[0].decode()
        line = f"{self._request.method} {url.netloc.decode()}{path} {outcome} in {milliseconds:.0f} ms"
        return one_line(self._mask(line) + (f" ({self._mask(id)[:MAX_ID]})" if id else ""))

    def _mask(self, text: str) -> str:
        """Mask the key, before anything is cut or escaped, which would hide it; a path has it percent-encoded."""
        key = self._request.headers.get("Authorization", "").partition(" ")[2]
        return Secret(quote(key)).mask(Secret(key).mask(text)) if key else text


def show_requests(on: bool) -> None:
    """Show the log on stderr from here on, or no longer. Where the app has handlers for it, they get the lines instead."""
    if on:
        log.disabled = False  # dictConfig disables the loggers that it does not name
        log.setLevel(logging.DEBUG)
        log.addHandler(_stderr)
    elif _stderr in log.handlers:
        log.setLevel(logging.NOTSET)
        log.removeHandler(_stderr)


class _StderrHandler(logging.Handler):
    """Prints records, unless another handler gets them."""

    def emit(self, record: logging.LogRecord) -> None:
        inherited = log.propagate and log.parent is not None and log.parent.hasHandlers()
        if not inherited and log.handlers == [self]:
            with contextlib.suppress(OSError, ValueError):  # a closed stream is no reason to stop
                line = f"{self.format(record)}\n"
                try:  # past the stream's buffer, whose lock a thread of a forked process's parent may hold
                    os.write(sys.stderr.fileno(), line.encode(errors="backslashreplace"))
                except (OSError, ValueError, AttributeError):  # a stream without a descriptor, as in tests
                    print(line, end="", file=sys.stderr, flush=True)


_stderr = _StderrHandler()
