"""One turn of a conversation with an instance: what is asked, and what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .records import JSONObject
from .replies import Usage

__all__ = ["PASSING", "Answer", "Turn"]

PASSING = "chat_"  # how the ids of conversations begin that last no longer than their process


@dataclass(frozen=True)
class Turn:
    """What a platform is asked.

    Args:
        where: assistant and environment, for messages.
        instance: the id of the instance.
        payload: what the instance was last given.
        prompt: what the user says.
        session: the conversation to go on with, or None for a new one.
        functions: by tool name, what the app answers calls with.
        follows: whether an answer follows the structure that the payload asks for.
        shown: the text is wanted as it comes, not only at the end.
    """

    where: str
    instance: str
    payload: JSONObject
    prompt: str
    session: str | None
    functions: Mapping[str, Callable[..., Any]]
    follows: Callable[[str], bool]
    shown: bool


@dataclass(frozen=True)
class Answer:
    """What came: the whole text, the session that it was said in, what it cost."""

    text: str
    session: str
    usage: Usage | None
