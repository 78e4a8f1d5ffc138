"""A chat completion that comes in chunks. The SDK's own collector is quadratic, and takes no chunk that is not quite OpenAI's."""

from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ..types import JSONObject

__all__ = ["Chunks"]


class Chunks:
    """What has come so far of the one choice that was asked for."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {"content": [], "refusal": []}
        self._calls: dict[int, JSONObject] = {}
        self._end: str | None = None
        self._usage: JSONObject | None = None
        self._model = ""

    def take(self, chunk: ChatCompletionChunk) -> str:
        """Add a chunk; the piece of text that it brings comes back."""
        given = chunk.to_dict()
        self._usage = given.get("usage") or self._usage  # type: ignore[assignment]
        self._model = str(given.get("model") or self._model)
        choices: Any = given.get("choices")
        text = ""
        for choice in choices or ():
            self._end = choice.get("finish_reason") or self._end
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for name, pieces in self._said.items():
                pieces.append(delta.get(name) or "")
            for call in delta.get("tool_calls") or ():
                self._take_call(call)
        return text

    def _take_call(self, call: JSONObject) -> None:
        index = call.get("index")
        so_far = self._calls.setdefault(
            len(self._calls) if index is None else index,  # without an index, calls come whole
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        function = call.get("function") or {}
        so_far["id"] = call.get("id") or so_far["id"]
        so_far["function"]["name"] = function.get("name") or so_far["function"]["name"]
        so_far["function"]["arguments"] += function.get("arguments") or ""

    def whole(self) -> ChatCompletion | None:
        """The completion, or None where the chunks ended before it did."""
        if self._end is None:
            return None
        message: JSONObject = {"role": "assistant", **{name: "".join(pieces) or None for name, pieces in self._said.items()}}
        if self._calls:
            message["tool_calls"] = list(self._calls.values())
        choice = {"index": 0, "finish_reason": self._end, "message": message}
        return ChatCompletion.construct(
            id="", object="chat.completion", created=0, model=self._model, choices=[choice], usage=self._usage
        )
