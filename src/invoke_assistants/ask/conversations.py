"""Who owns a conversation: one assistant in one environment, and no other may go on with it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..errors import AsstError
from ..types import SLUG
from .turn import Owner, Turn

__all__ = ["Conversations", "check_owner", "owner_of"]

REMEMBERED = 10_000  # conversations whose owner a process remembers


class Conversations:
    """The owners of the conversations that this process has had."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, Owner] = OrderedDict()

    def owner(self, session: str | None) -> Owner | None:
        """The owner of a conversation, or None where this process does not know it."""
        return self._owners.get(session) if session else None

    def remember(self, session: str | None, owner: Owner) -> None:
        """Remember the owner of a conversation that has an id, and forget the oldest beyond 10,000."""
        if session is None:
            return
        self._owners[session] = owner
        while len(self._owners) > REMEMBERED:
            self._owners.popitem(last=False)


def check_owner(turn: Turn, owner: Owner | str | None) -> None:
    """Refuse to go on with a conversation of another owner; None stands for an unknown one, which is let through.

    Raises:
        AsstError: the conversation is another's; the message names both.
    """
    if owner is None or owner == turn.owner:
        return
    foreign = isinstance(owner, Owner) and owner.project != turn.owner.project
    project = f" of project {owner.project!r:.80}" if isinstance(owner, Owner) and foreign else ""
    raise AsstError(
        f"{turn.where}: session {turn.session} is a conversation of {owner}{project}: ask that one, or leave session out to"
        " begin a new one"
    )


def owner_of(metadata: Any) -> Owner | None:
    """The owner that a conversation's metadata names, or None where it names none."""
    if not isinstance(metadata, Mapping):
        return None
    project, name, environment = (metadata.get(f"asst.{key}") for key in ("project", "name", "environment"))
    if not isinstance(project, str) or not all(isinstance(each, str) and SLUG.fullmatch(each) for each in (name, environment)):
        return None
    return Owner(project, str(name), str(environment))
