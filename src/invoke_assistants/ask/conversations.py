"""Whose a conversation is: it belongs to one assistant in one environment, and no other goes on with it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..errors import AsstError
from ..types import SLUG
from .turn import Owner, Turn

__all__ = ["Conversations", "refuse_other", "tagged"]

KEPT = 10_000  # conversations that a process remembers the owner of


class Conversations:
    """The owners of the conversations that this process has had."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, Owner] = OrderedDict()

    def owner(self, session: str) -> Owner | None:
        """Whose a conversation is, or None where this process does not know."""
        return self._owners.get(session)

    def keep(self, session: str | None, owner: Owner) -> None:
        """Remember the owner of a conversation that has an id, and forget the oldest beyond 10,000."""
        if session is None:
            return
        self._owners[session] = owner
        while len(self._owners) > KEPT:
            self._owners.popitem(last=False)


def refuse_other(turn: Turn, owner: Owner | str | None) -> None:
    """Refuse to go on with a conversation of another owner; None is one that nobody knows.

    Raises:
        AsstError: the conversation is another's; both are named.
    """
    if owner is None or owner == turn.owner:
        return
    foreign = isinstance(owner, Owner) and owner.project != turn.owner.project
    project = f" of project {owner.project!r:.80}" if isinstance(owner, Owner) and foreign else ""
    raise AsstError(
        f"{turn.where}: session {turn.session} is a conversation of {owner}{project}: ask that one, or leave session out to"
        " begin a new one"
    )


def tagged(metadata: Any) -> Owner | None:
    """The owner that a conversation's metadata names, or None where it names none."""
    if not isinstance(metadata, Mapping):
        return None
    project, name, environment = (metadata.get(f"asst.{key}") for key in ("project", "name", "environment"))
    if not isinstance(project, str) or not all(isinstance(each, str) and SLUG.fullmatch(each) for each in (name, environment)):
        return None
    return Owner(project, str(name), str(environment))
