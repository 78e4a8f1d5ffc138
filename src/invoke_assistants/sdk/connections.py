"""HTTP clients for the openai SDK. Each is made before its key is revealed, so that an error here cannot show the key."""

from __future__ import annotations

import httpx2
import openai

from ..config.base_url import is_loopback
from .http_client import AsyncClient, direct_transport, explained_errors, server_verification
from .time_limit import HTTPClient

__all__ = ["async_client", "bare_client", "sync_client"]

BARE_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"})


def sync_client(base_url: str, transport: httpx2.BaseTransport | None) -> httpx2.Client:
    """Make a client with the SDK's defaults but no redirects, over the given transport or the network."""
    with explained_errors():
        if transport is None and is_loopback(base_url):
            verify = server_verification(base_url)
            transport = httpx2.HTTPTransport(verify, limits=openai.DEFAULT_CONNECTION_LIMITS)  # of its own: see direct_transport
        return HTTPClient(transport)


def async_client(base_url: str, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """Make the same client as ``sync_client`` for an event loop."""
    with explained_errors():
        transport = transport or direct_transport(base_url, openai.DEFAULT_CONNECTION_LIMITS)
        return AsyncClient(transport=transport, timeout=openai.DEFAULT_TIMEOUT, limits=openai.DEFAULT_CONNECTION_LIMITS)


def bare_client(base_url: str, key: str) -> openai.AsyncOpenAI:
    """Make a client that sends nothing the SDK finds in the environment: no key, organization, project or custom header."""

    async def strip_headers(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in BARE_HEADERS]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {key}"

    http = AsyncClient(
        event_hooks={"request": [strip_headers]}, trust_env=not is_loopback(base_url), timeout=openai.DEFAULT_TIMEOUT,
        limits=openai.DEFAULT_CONNECTION_LIMITS,
    )  # fmt: skip
    return openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)
