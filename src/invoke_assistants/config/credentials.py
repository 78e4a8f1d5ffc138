"""The credentials of a request; a key never shows itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Credentials", "Secret"]

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
