"""HTTP clients for the openai SDK. Each is made before its key is revealed, so that an error here cannot show the key."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

from ..config.base_url import is_loopback
from ..errors import SettingsError
from .request_log import LoggedRequest
from .time_limit import HTTPClient

__all__ = ["async_client", "bare_client", "management_client", "parse_base_url", "sync_client"]

BARE_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"})


class _AsyncClient(httpx2.AsyncClient):
    """An async client that logs each request; like all clients here, it follows no redirect."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        with LoggedRequest(request) as logged:
            logged.response = await super().send(request, **options)
            return logged.response


def sync_client(base_url: str, transport: httpx2.BaseTransport | None) -> httpx2.Client:
    """Make a client with the SDK's defaults but no redirects, over the given transport or the network."""
    with _explained_errors():
        if transport is None and is_loopback(base_url):
            transport = httpx2.HTTPTransport(limits=openai.DEFAULT_CONNECTION_LIMITS)  # of its own: see _async_transport
        return HTTPClient(transport)


def async_client(base_url: str, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """Make the same client as ``sync_client`` for an event loop."""
    with _explained_errors():
        transport = transport or _async_transport(base_url, openai.DEFAULT_CONNECTION_LIMITS)
        return _AsyncClient(transport=transport, timeout=openai.DEFAULT_TIMEOUT, limits=openai.DEFAULT_CONNECTION_LIMITS)


def management_client(
    base_url: str, transport: httpx2.AsyncBaseTransport | None, timeout: float, limits: httpx2.Limits
) -> httpx2.AsyncClient:
    """Make the same client as ``async_client`` with another timeout and other limits."""
    with _explained_errors():
        transport = transport or _async_transport(base_url, limits)
        return _AsyncClient(transport=transport, timeout=timeout, limits=limits)


@contextmanager
def _explained_errors() -> Generator[None]:
    """Explain errors from the environment's certificates and proxies."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no HTTP client can be made: {error}: look at SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables"
        ) from None


def _async_transport(base_url: str, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport | None:
    """Make a transport for a server on this machine: a client with its own transport uses no proxy. None for other servers."""
    return httpx2.AsyncHTTPTransport(limits=limits) if is_loopback(base_url) else None


def parse_base_url(base_url: str) -> httpx2.URL:
    """Parse a base URL for the transport.

    Raises:
        SettingsError: the transport cannot use it, because its host is not a valid name for example.
    """
    try:
        return httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise SettingsError(f"the base URL {base_url!r:.200} cannot be used: {error}") from None


def bare_client(base_url: str, key: str) -> openai.AsyncOpenAI:
    """Make a client that sends nothing the SDK finds in the environment: no key, organization, project or custom header."""

    async def strip_headers(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in BARE_HEADERS]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {key}"

    http = _AsyncClient(
        event_hooks={"request": [strip_headers]}, trust_env=not is_loopback(base_url), timeout=openai.DEFAULT_TIMEOUT,
        limits=openai.DEFAULT_CONNECTION_LIMITS,
    )  # fmt: skip
    return openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)
