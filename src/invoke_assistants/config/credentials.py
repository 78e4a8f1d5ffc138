"""Keys, and what else a request is sent with; they show themselves nowhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Credentials", "Secret"]

GUESSED = 8  # characters of a key; shorter ones are placeholders like "ollama", and words


class Secret:
    """A string that shows itself nowhere; ``reveal`` is called where it is sent."""

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
        """A text that does not hold it; a short one, which may be part of any word or path, is hidden where it stands alone."""
        if len(self._value) >= GUESSED:
            return text.replace(self._value, "***")
        return re.sub(rf"(?<![\w-])(?<!\w[./]){re.escape(self._value)}(?![\w-]|[./]\w)", "***", text)


@dataclass(frozen=True)
class Credentials:
    """What a request to one environment's API is sent with. Environments with equal ones share a sweep."""

    base_url: str
    key: Secret
    project: str | None
    organization: str | None
