"""What a process has learnt about a server of the Responses API or of chat completions."""

from __future__ import annotations

import logging
from collections import OrderedDict
from urllib.parse import urlsplit

from ..sdk.error_translator import ErrorTranslator
from ..types import JSONObject

__all__ = ["Messages", "ServerCapabilities"]

log = logging.getLogger("invoke_assistants")

CONVERSATIONS = 256  # kept for servers that keep none
Messages = list[JSONObject]


class ServerCapabilities:
    """Whether a server holds its models to schemas and keeps conversations, and the conversations that it may not keep."""

    def __init__(self, base_url: str) -> None:
        self.trusted = urlsplit(base_url).hostname == "api.openai.com"  # to hold a model to its schema
        self.proven = self.trusted  # an answer had its schema's structure: from then on, answers are streamed as they come
        self.chat_only: set[str] = set()  # the models that are asked on chat completions
        self.stateless = False  # previous_response_id was refused
        self._conversations: OrderedDict[str, Messages] = OrderedDict()

    def history(self, session: str | None) -> Messages | None:
        """The messages of a conversation: none yet of a new one; None where this process does not know it."""
        if session is None:
            return []
        return list(self._conversations[session]) if session in self._conversations else None

    def remember(self, session: str, messages: Messages) -> None:
        """Remember a conversation, and forget the oldest beyond 256."""
        self._conversations[session] = messages
        while len(self._conversations) > CONVERSATIONS:
            self._conversations.popitem(last=False)

    def use_chat(self, model: str, translator: ErrorTranslator, why: str) -> None:
        """Ask a model on chat completions from now on, and log why."""
        self.chat_only.add(model)
        log.warning(
            "%s: %s %s: from here on %s is asked on /chat/completions, where conversations last as long as this process",
            translator.where, translator.host, why, model,
        )  # fmt: skip
