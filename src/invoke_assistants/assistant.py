"""The declaration as the app uses it."""

from __future__ import annotations

from .declaration import Declaration, Output
from .records import JSONObject

__all__ = ["Assistant"]


class Assistant(Declaration[Output]):
    """An assistant, declared once in the app's code: see ``Declaration`` for what it takes.

    ``Assistant[TriviaGame]`` is what a declaration with ``output=TriviaGame`` is; without ``output`` it is
    ``Assistant[str]``.
    """

    def payload(self, environment: str) -> JSONObject:
        """What is configured remotely in one environment, as plain JSON.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .payload import build

        return build(self, environment)

    def digest(self, environment: str) -> str:
        """``sha256:`` and the digest of the payload in one environment, in hex.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        from .payload import digest

        return digest(self.payload(environment))
