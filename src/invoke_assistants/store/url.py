"""The URL of a shared store: its parts, checked, with the password out of sight."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..errors import SettingsError
from ..text import did_you_mean

__all__ = ["SCHEMES", "StoreURL"]

SCHEMES = ("redis", "rediss", "postgresql", "s3", "gs", "az")
SHORT = 6  # letters of a password that may stand in any text
OWN_OPTIONS = {"redis": "key", "rediss": "key", "postgresql": "asst_table"}  # by scheme: what the driver does not know
_SECRETS = re.compile(r"pas+w|passphrase|secret|token|credential|\bsig\b|key_?id|access_?key|passfile", re.I)


@dataclass(frozen=True)
class StoreURL:
    """The URL of a shared store.

    Attributes:
        masked: the URL with ``***`` in the place of each password, for people.
        raw: the URL as the driver takes it, without the options that are ours.
        secrets: the passwords in it, in every spelling in which a driver could repeat them.
        option: ``key`` of Redis, ``asst_table`` of PostgreSQL, the object's key; None where it is left to the default.
        source: the setting that holds the URL.
    """

    scheme: str
    masked: str
    raw: str = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    option: str | None
    source: str = field(compare=False)

    def __str__(self) -> str:
        return self.masked

    @classmethod
    def parse(cls, text: str, source: str) -> StoreURL:
        """Parse the URL that a setting holds.

        Args:
            source: the setting, for messages.

        Raises:
            SettingsError: it is no URL of a store; the message shows no password.
        """
        scheme = text.partition("://")[0].lower()
        if scheme not in SCHEMES:
            known = ", ".join(f"{each}://" for each in SCHEMES)
            hint = did_you_mean(scheme, SCHEMES)
            raise SettingsError(f"{source}: no store is kept at {scheme[:40]}://; known: a path, {known}{hint}")
        invalid = SettingsError(
            f"{source} is not a valid {scheme}:// URL; in a password, percent-encode all but letters and digits"
        )
        try:
            parts = urlsplit(text)
            if scheme != "postgresql" and (not parts.hostname or parts.port == 0):  # libpq takes several hosts, or none
                raise invalid
        except ValueError:
            raise invalid from None
        if not text.isprintable() or " " in text or parts.fragment or "@" in parts.path + parts.query:  # half a password
            raise invalid
        query = parse_qsl(parts.query, keep_blank_values=True)
        secrets = {value for name, value in query if _SECRETS.search(name) and value}
        if parts.password:
            secrets.add(unquote(parts.password))
        host = parts.netloc.rpartition("@")[2]
        user = f"{parts.username or ''}{':***' if parts.password is not None else ''}@" if "@" in parts.netloc else ""
        shown = urlencode([(name, "***" if _SECRETS.search(name) else value) for name, value in query], safe="*/:,")
        masked = f"{scheme}://{user}{host}{parts.path}" + (f"?{shown}" if shown else "")
        own, option = OWN_OPTIONS.get(scheme), None
        if own is None:
            if "@" in parts.netloc or query:
                raise SettingsError(
                    f"{source}: {scheme}://BUCKET/KEY takes no user, password or options; credentials come from the environment"
                )
            option = unquote(parts.path.strip("/")) or None
            raw = f"{scheme}://{parts.netloc}"
        else:
            option = next((value for name, value in query if name == own and value), None)
            rest = urlencode([(name, value) for name, value in query if name != own], quote_via=quote)
            raw = f"{scheme}://{parts.netloc}{parts.path}" + (f"?{rest}" if rest else "")
        spellings = {spelling for secret in secrets for spelling in (secret, quote(secret), quote(secret, safe=""))}
        return cls(scheme, masked, raw, frozenset({*spellings, *([parts.password] if parts.password else [])}), option, source)

    @property
    def named_by(self) -> str:
        """What a message about the server ends with: where to look if it is the wrong one."""
        return f" ({self.source} names it)"

    @property
    def driver_options(self) -> list[str]:
        """The names in the URL's query that are not ours; without the values, among which may be a password."""
        return [name for name, _ in parse_qsl(urlsplit(self.raw).query, keep_blank_values=True)]

    def unknown_option(self, name: str, known: Iterable[str]) -> SettingsError:
        """The error for an option that neither we nor the driver knows, with the nearest one that is known to it or to us.

        It shows no value, which may be a password under a misspelt name.
        """
        own = OWN_OPTIONS[self.scheme]
        return SettingsError(
            f"{self.source}: {self.masked.partition('?')[0]} has an unknown option {name!r:.80}"
            f"{did_you_mean(name, [own, *known]) or f'; ours is {own}, the others are those of the driver'}"
        )

    def mask(self, text: str) -> str:
        """A text, such as a driver's message, without the passwords of this URL."""
        text = text.replace(self.raw, self.masked)
        if any(len(secret) < SHORT and secret in text for secret in self.secrets):  # *** in its place would tell it
            return "what the driver says is not shown, since it may hold the password"
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text
