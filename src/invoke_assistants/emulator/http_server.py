"""The embedded API over HTTP on 127.0.0.1, with the standard library's threading server."""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import SettingsError
from .api import EmbeddedAPI
from .event_stream import EventStream
from .validation import Rejected

__all__ = ["Server", "send_events"]

LARGEST = 8 * 1024 * 1024  # bytes of a request's body; the largest tool list and instructions fit
DIGITS = len(str(LARGEST))
HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)  # this machine, as Host and Origin name it


class Server(ThreadingHTTPServer):
    """A server of one service, bound at once; ``serve_forever`` answers.

    Raises:
        SettingsError: the port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: EmbeddedAPI, port: int) -> None:
        self.service = service
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"port {port} cannot be had ({error}): try another with --port") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is one line."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            print(f"a request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment: two would wait for each other's acknowledgement (40 ms)

    def _answer(self) -> None:
        try:
            body = self._body()
            url = self._checked(body)
        except Rejected as rejected:
            self.close_connection = True
            self._send(*rejected.answer)
            return
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        service = cast("Server", self.server).service
        status, answer = service.handle(self.command, url.path, query, body, dict(self.headers.items()))
        if isinstance(answer, EventStream):
            send_events(self, answer)
        else:
            self._send(status, answer)

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise Rejected(411, "The embedded platform takes a body with a Content-Length only.")
        stated = self.headers.get("Content-Length") or "0"
        if not (stated.isascii() and stated.isdigit()) or len(stated) > DIGITS or int(stated) > LARGEST:
            raise Rejected(413, "Request too large.")
        return self.rfile.read(int(stated))

    def _checked(self, body: bytes) -> SplitResult:
        """The address of a request that no web page can have made.

        Raises:
            Rejected: its host or its origin is not this machine, as where a page had its name resolve to it; or its body
                isn't declared as JSON, which a page cannot do without asking first.
        """
        try:
            url = urlsplit(self.path)
        except ValueError:
            raise Rejected(400, "The address of the request is none.") from None
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not HERE.fullmatch(hosts[0]) or (url.netloc and not HERE.fullmatch(url.netloc)):
            raise Rejected(403, f"The embedded platform answers for 127.0.0.1 and localhost, not for {', '.join(hosts)!r:.80}.")
        for origin in self.headers.get_all("Origin", []):
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not HERE.fullmatch(host):
                raise Rejected(403, f"The embedded platform answers no web page of another site: {origin!r:.80}.")
        if body and self.headers.get_content_type() != "application/json":
            raise Rejected(415, "The body must be sent as Content-Type: application/json.")
        return url

    def _send(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to whoever started the server."""


def send_events(handler: BaseHTTPRequestHandler, stream: EventStream) -> None:
    """Send events as they come, in chunks, until they end or the client is gone."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.flush()  # the client may wait for the head before it makes anything happen
    try:
        for frame in stream:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        handler.close_connection = True
    finally:
        stream.close()
