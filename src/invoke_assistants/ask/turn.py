"""One turn of a conversation: what the platform is asked, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import AnswerIncomplete
from ..sdk.deadline import Deadline
from ..types import JSONObject
from .question import ToolCall
from .reply import Usage

__all__ = ["TEMPORARY_PREFIX", "Answer", "Owner", "Turn"]

TEMPORARY_PREFIX = "chat_"  # of the ids of conversations that end with their process


@dataclass(frozen=True)
class Owner:
    """Whose a conversation is: it belongs to one assistant in one environment."""

    project: str
    name: str
    environment: str

    def __str__(self) -> str:
        return f"{self.name} in {self.environment}"

    @property
    def tags(self) -> dict[str, str]:
        """The metadata that names the owner."""
        return {"asst.project": self.project, "asst.name": self.name, "asst.environment": self.environment}


@dataclass(frozen=True)
class Turn:
    """What a platform is asked.

    Args:
        owner: the assistant and the environment that are asked.
        instance_id: the id of the instance.
        payload: the configuration that the instance was last given.
        prompt: what the user says.
        session: the conversation to go on with, or None for a new one.
        owner_known: whether this process knows that the conversation is this owner's; if not, the server is asked.
        functions: the app's functions that answer the model's calls, by tool name.
        has_structure: tells whether a text has the structure that the payload asks for.
        streamed: whether the text is wanted as it comes, not only at the end.
        deadline: when the turn must have ended.
        on_call: is told of each call of a function.
    """

    owner: Owner
    instance_id: str
    payload: JSONObject
    prompt: str
    session: str | None
    owner_known: bool
    functions: Mapping[str, Callable[..., Any]]
    has_structure: Callable[[str], bool]
    streamed: bool
    deadline: Deadline
    on_call: Callable[[ToolCall], None] | None = None

    @property
    def where(self) -> str:
        """The assistant and the environment, for messages."""
        return str(self.owner)

    def cut_off(self, text: str, session: str | None, reason: str = "") -> AnswerIncomplete:
        """The error for an answer that ended too early."""
        why = f" ({reason})" if reason else ""
        return AnswerIncomplete(
            f"{self.where}: the answer was cut off after {len(text)} characters{why}; ask for less at once",
            answer=text, session=session,
        )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came back: the whole text, its session, the tokens used, and the id of the instance that answered."""

    text: str
    session: str
    usage: Usage | None
    instance_id: str
