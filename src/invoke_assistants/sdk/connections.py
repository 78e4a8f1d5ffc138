"""HTTP clients for the openai SDK. They are made before a key is at hand, so that what fails here shows none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx2
import openai

from ..config.base_url import is_loopback
from ..errors import SettingsError
from .time_limit import HTTPClient

__all__ = ["async_client", "managing_client", "sync_client", "url"]

SENT = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"})

Client = TypeVar("Client")


def sync_client(base_url: str, transport: httpx2.BaseTransport | None) -> httpx2.Client:
    """A client with the SDK's defaults but no redirects, over a transport of this process or the network."""

    def make() -> httpx2.Client:
        local = transport is None and is_loopback(base_url)
        return HTTPClient(httpx2.HTTPTransport(limits=openai.DEFAULT_CONNECTION_LIMITS) if local else transport)

    return _made(make)


def async_client(base_url: str, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """As ``sync_client``, for an event loop."""
    limits = openai.DEFAULT_CONNECTION_LIMITS
    return _made(
        lambda: openai.DefaultAsyncHttpxClient(transport=transport or _async_transport(base_url, limits), follow_redirects=False)
    )


def managing_client(
    base_url: str, transport: httpx2.AsyncBaseTransport | None, timeout: float, limits: httpx2.Limits
) -> httpx2.AsyncClient:
    """As ``async_client``, with limits of its own."""
    return _made(
        lambda: httpx2.AsyncClient(transport=transport or _async_transport(base_url, limits), timeout=timeout, limits=limits)
    )


def _made(make: Callable[[], Client]) -> Client:
    try:
        return make()
    except (OSError, ValueError) as error:  # of what the environment says about certificates and proxies
        raise SettingsError(
            f"no HTTP client can be made: {error}: look at SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables"
        ) from None


def _async_transport(base_url: str, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport | None:
    """The transport to this machine, or None for another one: with its own, a client asks the system for no proxy."""
    return httpx2.AsyncHTTPTransport(limits=limits) if is_loopback(base_url) else None


def url(base_url: str) -> httpx2.URL:
    """A base URL as the transport has it.

    Raises:
        SettingsError: it holds something that no URL can, like a host that is no name.
    """
    try:
        return httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise SettingsError(f"the base URL {base_url!r:.200} cannot be used: {error}") from None


def bare_client(url: str, key: str) -> openai.AsyncOpenAI:
    """A client whose requests carry nothing that the SDK finds in the environment."""

    async def strip(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in SENT]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {key}"

    http = openai.DefaultAsyncHttpxClient(
        event_hooks={"request": [strip]}, trust_env=not is_loopback(url), follow_redirects=False
    )
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)
