"""The errors of the openai SDK, and their translation into a ``PlatformError``."""

from __future__ import annotations

import httpx2
import openai

from ..errors import PlatformError
from .error_translator import HTTP_ERRORS, ErrorTranslator, status_message

__all__ = ["SDK_ERRORS", "SDKErrorTranslator", "is_busy", "server_message"]

SDK_ERRORS = (openai.OpenAIError, *HTTP_ERRORS)


class SDKErrorTranslator(ErrorTranslator):
    """Translates the SDK's errors too."""

    def translate(self, error: Exception) -> PlatformError:
        """Translate one of ``SDK_ERRORS``."""
        if isinstance(error, openai.APIStatusError):
            return self.status_error(error.response, error.body)
        if isinstance(error, openai.APIConnectionError):
            return self.connection_error(error.__cause__, timed_out=isinstance(error, openai.APITimeoutError))
        if isinstance(error, httpx2.HTTPError):  # in the middle of a stream
            return self.error(f"request failed: {error}", unknown=True)
        if isinstance(error, openai.APIError):  # an error event in a stream
            return self.error(f"{error.message}", code=error.code, unknown=True)
        return super().translate(error)


def is_busy(error: Exception) -> bool:
    """Whether the SDK refused, before it sent anything, to begin a turn in a session that is at another one."""
    return type(error) is ValueError and "idle" in str(error)


def server_message(error: Exception) -> str:
    """The server's own message; for errors that are no answer of a server their text."""
    return status_message(error.response, error.body) if isinstance(error, openai.APIStatusError) else str(error)
