"""The credentials of a request; a key never shows itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import SettingsError

__all__ = ["Credentials", "Secret", "check_header", "check_key", "read_custom_headers"]

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
SENDABLE = re.compile(r"[ -~\t]*")  # the value of a header
OF_EACH_REQUEST = frozenset({"content-length", "content-type", "transfer-encoding"})  # these depend on its body
MIN_KEY = 8  # characters; a shorter key is a placeholder like "ollama", and may be part of a word


class Secret:
    """A string that never shows itself; ``reveal`` is called where it is sent."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def mask(self, text: str) -> str:
        """Mask it in a text; a short one, which may be part of a word or a path, only where it stands alone."""
        if len(self._value) >= MIN_KEY:
            return text.replace(self._value, "***")
        return re.sub(rf"(?<![\w-])(?<!\w[./]){re.escape(self._value)}(?![\w-]|[./]\w)", "***", text)


@dataclass(frozen=True)
class Credentials:
    """What the requests of one environment are sent with. Environments with equal credentials share one refresh."""

    base_url: str
    key: Secret
    project: str | None
    organization: str | None
    headers: tuple[tuple[str, Secret], ...] = ()  # of OPENAI_CUSTOM_HEADERS

    def mask(self, text: str) -> str:
        """Mask the key in a text, and each word of a custom header that is long enough for one."""
        words = (word for _, value in self.headers for word in value.reveal().split() if len(word) >= MIN_KEY)
        for word in sorted(words, key=len, reverse=True):  # a word may be a part of another one
            text = Secret(word).mask(text)
        return self.key.mask(text)


def check_key(value: str | None, environment: str, variable: str, own_variable: str) -> Secret:
    """A key that can be sent. Only the call's own argument holds it as a plain string.

    Args:
        variable: where the value comes from.
        own_variable: the variable for this environment alone.

    Raises:
        SettingsError: the key is missing, blank or impossible in a header; the message names its variable, never the key.
    """
    key, value = None if value is None else Secret(value), ""  # a traceback that shows locals shows no key
    if key is None:
        raise SettingsError(
            f"no key for {environment}: set OPENAI_API_KEY (or {own_variable}) in the environment or in .env.local;"
            " ASST_PLATFORM=local needs none"
        )
    if not key.reveal().strip():
        raise SettingsError(f"the key for {environment} is blank: {variable} is set to nothing")
    if not all("!" <= character <= "~" for character in key.reveal()):
        raise SettingsError(
            f"the key for {environment} cannot be sent: {variable} holds a space, a line break or another character that no key"
            " has"
        )
    return key


def check_header(value: str | None, variable: str) -> str | None:
    """An organization or a project as it is sent; None where there is none.

    Raises:
        SettingsError: no header can carry it.
    """
    if value and not SENDABLE.fullmatch(value):
        raise SettingsError(f"{variable} cannot be sent: it holds a line break or another character that no header has")
    return value


def read_custom_headers(environ: Mapping[str, str], variable: str) -> tuple[tuple[str, Secret], ...]:
    """The headers in ``OPENAI_CUSTOM_HEADERS``, read as the SDK reads them: ``Name: value`` in each line.

    Args:
        variable: where the key comes from, for messages.

    Raises:
        SettingsError: one is an Authorization line, which would be sent instead of the key, or cannot be sent.
    """
    headers = tuple(_parse_header(line) for line in environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n") if ":" in line)
    for number, (name, value) in enumerate(headers, 1):
        if name.lower() == "authorization":
            raise SettingsError(
                f"OPENAI_CUSTOM_HEADERS carries an Authorization line, which would be sent instead of {variable}: unset it"
            )
        if not HEADER_NAME.fullmatch(name) or not SENDABLE.fullmatch(value.reveal()) or name.lower() in OF_EACH_REQUEST:
            # Not quoted: where a colon is missing, the name holds another header's value.
            raise SettingsError(
                f"header {number} of OPENAI_CUSTOM_HEADERS cannot be sent: write Name: value, one a line, or unset it"
            )
    return headers


def _parse_header(line: str) -> tuple[str, Secret]:
    name, _, value = line.partition(":")
    return name.strip(), Secret(value.strip())
