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
from .validation import RequestError

__all__ = ["Server", "send_events"]

MAX_BODY = 8 * 1024 * 1024  # bytes; the largest tool list and instructions fit
MAX_DIGITS = len(str(MAX_BODY))
THIS_MACHINE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)  # in Host and Origin


class Server(ThreadingHTTPServer):
    """Serves one embedded API. The constructor binds the port, ``serve_forever`` answers requests.

    Raises:
        SettingsError: the port is not available.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: EmbeddedAPI, port: int) -> None:
        self.service = service
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"port {port} is not available ({error}): try another with --port") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print one line, unless the client has closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            print(f"a request failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # sends headers and body in one segment: a second one would wait 40 ms for an acknowledgement

    def _answer(self) -> None:
        try:
            body = self._read_body()
            url = self._check_origin(body)
        except RequestError as error:
            self.close_connection = True
            self._send(*error.response)
            return
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        service = cast("Server", self.server).service
        status, answer = service.handle(self.command, url.path, query, body, dict(self.headers.items()))
        if isinstance(answer, EventStream):
            send_events(self, answer)
        else:
            self._send(status, answer)

    def _read_body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise RequestError(411, "The embedded platform takes a body with a Content-Length only.")
        stated = self.headers.get("Content-Length") or "0"
        if not (stated.isascii() and stated.isdigit()) or len(stated) > MAX_DIGITS or int(stated) > MAX_BODY:
            raise RequestError(413, "Request too large.")
        return self.rfile.read(int(stated))

    def _check_origin(self, body: bytes) -> SplitResult:
        """Refuse a request that a web page may have sent; return its URL.

        Raises:
            RequestError: its host or origin is not this machine (a page can make its own name resolve to 127.0.0.1), or its
                body is not declared as JSON (which a page cannot send without a preflight request).
        """
        try:
            url = urlsplit(self.path)
        except ValueError:
            raise RequestError(400, "The URL of the request is not valid.") from None
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not THIS_MACHINE.fullmatch(hosts[0]) or (url.netloc and not THIS_MACHINE.fullmatch(url.netloc)):
            raise RequestError(
                403, f"The embedded platform answers for 127.0.0.1 and localhost, not for {', '.join(hosts)!r:.80}."
            )
        for origin in self.headers.get_all("Origin", []):
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not THIS_MACHINE.fullmatch(host):
                raise RequestError(403, f"The embedded platform answers no web page of another site: {origin!r:.80}.")
        if body and self.headers.get_content_type() != "application/json":
            raise RequestError(415, "The body must be sent as Content-Type: application/json.")
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
        """Log nothing: the terminal belongs to whoever started the server."""


def send_events(handler: BaseHTTPRequestHandler, stream: EventStream) -> None:
    """Send events as they come, in chunks, until the stream ends or the client is gone."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.flush()  # the client may wait for the headers before it does anything
    try:
        for frame in stream:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        handler.close_connection = True
    finally:
        stream.close()
