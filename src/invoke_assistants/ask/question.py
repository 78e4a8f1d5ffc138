"""What the app asks an assistant. Every app imports this module: it loads no more than it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from ..declare.declaration import Declaration, Output
from ..types import JSONObject

if TYPE_CHECKING:
    from pathlib import Path  # most of what would be loaded

__all__ = ["Question", "ToolCall"]


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the app's functions, once it is over.

    Args:
        name: the tool's name.
        arguments: what the model gave, as JSON text or as an object.
        output: what the model gets.
    """

    name: str
    arguments: JSONObject | str
    output: Any


@dataclass(frozen=True)
class Question(Generic[Output]):
    """What the app asks an assistant.

    Args:
        assistant: the declaration of the assistant.
        prompt: what the user says.
        session: the conversation to go on with, or None for a new one.
        environment: whose instance is asked; None is the current environment.
        streamed: whether the text is wanted as it comes, not only at the end.
        root: the project's root folder; None is that of the project that the process runs in.
        on_call: is told of each call of one of the app's functions, in the thread that waits for the answer.
    """

    assistant: Declaration[Output]
    prompt: str
    session: str | None = None
    environment: str | None = None
    streamed: bool = False
    root: Path | None = None
    on_call: Callable[[ToolCall], None] | None = None
