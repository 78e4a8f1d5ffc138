"""The bodies of requests about sessions, as openai-python 3.54 types them (``openai.types.beta.agents``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..declare.payload_models import Configuration, Strict
from .agent_models import Metadata

__all__ = ["Cancel", "Events", "Message", "SessionCreate", "ToolResult"]


class Text(Strict):
    type: Literal["input_text"]
    text: str


class Image(Strict):
    type: Literal["input_image"]
    image_url: str


Content = Annotated[Text | Image, Field(discriminator="type")]


class UserMessage(Strict):
    role: Literal["user"]
    content: list[Content] = Field(min_length=1)
    type: Literal["message"] = "message"


def _expand_text(value: Any) -> Any:
    """Expand a string, which is short for one message of one text."""
    return [{"role": "user", "content": [{"type": "input_text", "text": value}]}] if value and isinstance(value, str) else value


Input = Annotated[list[UserMessage], Field(min_length=1), BeforeValidator(_expand_text)]


class CacheOptions(Strict):
    ttl: Literal["30m", "12h"] = "30m"


class StreamOptions(Strict):
    include_obfuscation: bool = True


class SessionCreate(Strict):
    """The body of a create. It accepts fields that the embedded API does not support, so that they can be refused by name."""

    environment: dict[str, Any]
    agent: Configuration | None = None
    agent_id: str | None = None
    input: Input | None = None
    metadata: Metadata | None = None
    prompt_cache_options: CacheOptions | None = None
    review: Literal["none", "auto_review"] = "none"
    spend_control: dict[str, Any] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    vault_ids: list[str] | None = None


class Message(Strict):
    type: Literal["agent.session.input.message"]
    input: Annotated[list[UserMessage], Field(min_length=1)]


class ToolResult(Strict):
    type: Literal["agent.session.input.tool_result"]
    call_id: str
    turn_id: str
    success: bool
    output: str | list[Content] | None = None
    error: str | None = None


class Cancel(Strict):
    type: Literal["agent.session.input.cancel"]


class Events(Strict):
    events: list[Annotated[Message | ToolResult | Cancel, Field(discriminator="type")]] = Field(min_length=1)
