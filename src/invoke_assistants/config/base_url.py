"""The rule for every URL that a key is sent to: https, or plain http that does not leave this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ..errors import SettingsError

__all__ = ["is_loopback", "parse_origin"]


def is_loopback(url: str) -> bool:
    """Whether a URL's host is a loopback address (127.0.0.0/8, ::1) or ``localhost``; no other name counts."""
    try:
        host = urlsplit(url).hostname or ""
        address = None if host == "localhost" else ip_address(host)
        # Python versions disagree over an IPv4 address within an IPv6 one.
        return address is None or (address.is_loopback and getattr(address, "ipv4_mapped", None) is None)
    except ValueError:
        return False


def parse_origin(url: str, what: str) -> str:
    """The ``host[:port]`` of a base URL.

    Args:
        what: the name of the setting, with which a message begins.

    Raises:
        SettingsError: it is not an http(s) URL, it holds credentials, or it is http to another machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or not url.isprintable() or " " in url or parts.scheme not in ("https", "http"):
        raise SettingsError(f"{what} is not an http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{what} holds a user or password: put credentials in OPENAI_API_KEY")
    if parts.scheme == "http" and not is_loopback(url):
        raise SettingsError(f"{what} must be https (http would show the key to the network at {host})")
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, {"https": 443, "http": 80}[parts.scheme]) else f"{shown}:{port}"
