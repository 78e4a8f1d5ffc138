"""One turn of a conversation with an instance: what is asked, and what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..sdk.deadline import Deadline
from ..types import JSONObject
from .reply import Usage

__all__ = ["PASSING", "Answer", "Owner", "Turn"]

PASSING = "chat_"  # how the ids of conversations begin that last no longer than their process


@dataclass(frozen=True)
class Owner:
    """Whose a conversation is: one assistant's in one environment."""

    project: str
    name: str
    environment: str

    def __str__(self) -> str:
        return f"{self.name} in {self.environment}"

    @property
    def tags(self) -> dict[str, str]:
        """The metadata that says so."""
        return {"asst.project": self.project, "asst.name": self.name, "asst.environment": self.environment}


@dataclass(frozen=True)
class Turn:
    """What a platform is asked.

    Args:
        owner: the assistant and the environment that are asked.
        instance: the id of the instance.
        payload: what the instance was last given.
        prompt: what the user says.
        session: the conversation to go on with, or None for a new one.
        known: whether that is known to be this owner's; else the server is asked.
        functions: by tool name, what the app answers calls with.
        follows: whether an answer follows the structure that the payload asks for.
        shown: the text is wanted as it comes, not only at the end.
        deadline: when it must have ended.
    """

    owner: Owner
    instance: str
    payload: JSONObject
    prompt: str
    session: str | None
    known: bool
    functions: Mapping[str, Callable[..., Any]]
    follows: Callable[[str], bool]
    shown: bool
    deadline: Deadline

    @property
    def where(self) -> str:
        """Assistant and environment, for messages."""
        return str(self.owner)


@dataclass(frozen=True)
class Answer:
    """What came: the whole text, the session that it was said in, what it cost, and the id of the instance that said it."""

    text: str
    session: str
    usage: Usage | None
    instance: str
