"""Names, digests, ids and locations: what every other value is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DIGEST", "HISTORY", "ID", "IDENTITY_TAGS", "LOCAL", "NONCE", "PINNED", "SLUG", "JSONObject", "Key", "LocalModel", "Location",
    "Tables", "identity_tags", "short",
]  # fmt: skip

JSONObject = dict[str, Any]
Tables = dict[str, dict[str, Any]]  # the store's file as plain JSON: table, document, value
Key = tuple[str, str]  # an assistant's name, an environment's name

SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
ID = re.compile(r"[A-Za-z0-9_-]{3,128}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NONCE = re.compile(r"[0-9a-f]{32}")
HISTORY = 10  # earlier digests that a record keeps
IDENTITY_TAGS = ("asst.project", "asst.name", "asst.environment")  # keys of a remote object's metadata


def short(digest: str) -> str:
    """The first 8 hex digits of a digest, as people see it."""
    return digest.removeprefix("sha256:")[:8]


def identity_tags(project: str, name: str, environment: str) -> dict[str, str]:
    """The metadata tags that say whose a remote object is: an assistant's of a project, in an environment."""
    return dict(zip(IDENTITY_TAGS, (project, name, environment), strict=True))


@dataclass(frozen=True)
class Location:
    """Where an instance lives: a platform and the origin (host[:port], ``local``) of its API."""

    platform: str
    origin: str

    def __str__(self) -> str:
        return f"{self.platform} {self.origin}"

    @classmethod
    def parse(cls, text: str) -> Location:
        """The location that ``str`` gave as ``PLATFORM ORIGIN``.

        Raises:
            ValueError: the text is not two words.
        """
        platform, origin = text.split(" ")
        return cls(platform, origin)

    @property
    def label(self) -> str:
        """As people read it: ``local``, ``responses``, ``agents at api.openai.com``."""
        return self.platform if self.origin in (self.platform, "store") else f"{self.platform} at {self.origin}"


LOCAL, PINNED = Location("local", "local"), Location("responses", "store")  # the locations that need no credentials to manage


@dataclass(frozen=True)
class LocalModel:
    """The real model that answers in sessions of the embedded platform.

    Attributes:
        address: the absolute path of a GGUF file, or the base URL of a server.
        name: what the server calls the model; None takes the first that it lists.
    """

    address: str
    name: str | None = None

    @property
    def served(self) -> bool:
        """Whether it is behind a server's URL."""
        return "://" in self.address
