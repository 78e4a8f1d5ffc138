"""The HTTP client that manages instances, without the openai SDK, whose import takes longer than most commands."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ..config.base_url import is_loopback
from ..errors import SettingsError
from .request_log import LoggedRequest

__all__ = ["AsyncClient", "direct_transport", "explained_errors", "management_client", "parse_base_url", "server_verification"]


class AsyncClient(httpx2.AsyncClient):
    """An async client that logs each request; like all clients here, it follows no redirect."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, and log it."""
        with LoggedRequest(request) as logged:
            logged.response = await super().send(request, **options)
            return logged.response


def management_client(
    base_url: str, transport: httpx2.AsyncBaseTransport | None, timeout: float, concurrency: int
) -> httpx2.AsyncClient:
    """Make a client for an API, over the given transport or the network.

    Args:
        base_url: of the API; paths are relative to it.
        timeout: seconds for a request.
        concurrency: the most connections.

    Raises:
        SettingsError: the transport cannot use the base URL, or the environment's certificates or proxies are wrong.
    """
    url = parse_base_url(base_url)
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with explained_errors():
        transport = transport or direct_transport(base_url, limits)
        # No cookie is kept: the API has none, and one that cannot be sent back would end every further request.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        limit = httpx2.Timeout(timeout, pool=None)
        return AsyncClient(base_url=url, transport=transport, timeout=limit, limits=limits, cookies=cookies)


@contextmanager
def explained_errors() -> Generator[None]:
    """Explain errors from the environment's certificates and proxies."""
    try:
        yield
    except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:  # the last two: a proxy that nobody could use
        raise SettingsError(
            f"no HTTP client can be made: {error}: look at SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables"
        ) from None


def direct_transport(base_url: str, limits: httpx2.Limits) -> httpx2.AsyncBaseTransport | None:
    """Make a transport for a server on this machine: a client with its own transport uses no proxy. None for other servers."""
    return httpx2.AsyncHTTPTransport(server_verification(base_url), limits=limits) if is_loopback(base_url) else None


def server_verification(base_url: str) -> ssl.SSLContext | bool:
    """What a transport verifies servers with; for plain http a context that trusts none, since certificates load slowly."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if urlsplit(base_url).scheme == "http" else True


def parse_base_url(base_url: str) -> httpx2.URL:
    """Parse a base URL for the transport.

    Raises:
        SettingsError: the transport cannot use it, because its host is not a valid name for example.
    """
    try:
        return httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise SettingsError(f"the base URL {base_url!r:.200} cannot be used: {error}") from None
