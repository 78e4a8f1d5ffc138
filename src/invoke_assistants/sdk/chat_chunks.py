"""A chat completion put together from its chunks.

The SDK's own collector takes quadratic time, and refuses chunks that are not exactly OpenAI's.
"""

from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ..types import JSONObject

__all__ = ["CompletionBuilder"]


class CompletionBuilder:
    """Collects the chunks of a completion with a single choice."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {"content": [], "refusal": []}
        self._tool_calls: dict[int, JSONObject] = {}
        self._finish_reason: str | None = None
        self._usage: JSONObject | None = None
        self._model = ""

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Add a chunk; return its piece of the text."""
        fields = chunk.to_dict()
        self._usage = fields.get("usage") or self._usage  # type: ignore[assignment]
        self._model = str(fields.get("model") or self._model)
        choices: Any = fields.get("choices")
        text = ""
        for choice in choices or ():
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for name, pieces in self._pieces.items():
                pieces.append(delta.get(name) or "")
            for call in delta.get("tool_calls") or ():
                self._add_tool_call(call)
        return text

    def _add_tool_call(self, delta: JSONObject) -> None:
        index = delta.get("index")
        call = self._tool_calls.setdefault(
            len(self._tool_calls) if index is None else index,  # without an index, each delta is a whole call
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        function = delta.get("function") or {}
        call["id"] = delta.get("id") or call["id"]
        call["function"]["name"] = function.get("name") or call["function"]["name"]
        call["function"]["arguments"] += function.get("arguments") or ""

    def build(self) -> ChatCompletion | None:
        """Return the completion, or None if the chunks ended before it did."""
        if self._finish_reason is None:
            return None
        message: JSONObject = {"role": "assistant", **{name: "".join(pieces) or None for name, pieces in self._pieces.items()}}
        if self._tool_calls:
            message["tool_calls"] = list(self._tool_calls.values())
        choice = {"index": 0, "finish_reason": self._finish_reason, "message": message}
        return ChatCompletion.construct(
            id="", object="chat.completion", created=0, model=self._model, choices=[choice], usage=self._usage
        )
