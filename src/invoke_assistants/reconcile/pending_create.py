"""What this run knows of one create whose outcome is open."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import PlatformError
from ..types import Change, JSONObject, PendingOperation, Record, State, Step
from .election import CreateState
from .plan import Plan
from .remote import Listing

__all__ = ["PendingCreate", "plan_of", "still_open"]


@dataclass
class PendingCreate:
    """One instance that is being created.

    Args:
        step: what was planned.
        operation: what the store holds of it while its outcome is open.
        resumed: whether an earlier run left it open.
        before: what was recorded when the run began.
        listed: the id of the oldest object with its tags that a look showed.
        id: the id that was recorded before, or answered now.
        state: what this run knows of it.
        problem: why it is not known whether it was made.
        attempts: how often it was posted anew because its object had disappeared.
        deleted: the ids of its own objects that this run deleted.
        answer: the object as the last post answered.
        recorded: what was recorded of it.
        not_taken: what its object holds otherwise than it was sent, from answered to sent.
        outcome: its step, once it is settled or given up.
    """

    step: Step
    operation: PendingOperation
    resumed: bool
    before: Record | None
    listed: str | None
    state: CreateState = CreateState.UNSENT
    id: str | None = None
    problem: PlatformError | None = None
    attempts: int = 0
    deleted: set[str] = field(default_factory=set)
    answer: JSONObject | None = None
    recorded: Record | None = None
    not_taken: tuple[Change, ...] = ()
    outcome: Step | None = None

    @classmethod
    def of(cls, step: Step, state: State, tagged: Sequence[JSONObject]) -> PendingCreate:
        """The create of a planned step; one that an earlier run left open goes on with its nonce."""
        open_ = state.pending_operation(step.target, "create")
        operation = open_ or PendingOperation("create", step.target.digest, secrets.token_hex(16))
        create = cls(step, operation, open_ is not None, state.record(step.target), tagged[0]["id"] if tagged else None)
        if step.record and step.remote:
            create.id = step.record.id
        return create

    def answered(self, there: JSONObject) -> JSONObject:
        """An object as its own post answered it, where one of this run did; else as it was listed."""
        return self.answer if self.answer and self.answer["id"] == there["id"] else there

    def tagged(self, listing: Listing) -> list[JSONObject]:
        """The listed objects with the instance's tags, oldest first, but those that this run has deleted."""
        return [there for there in listing.tagged.get(self.step.key, []) if there["id"] not in self.deleted]


def plan_of(creates: Sequence[PendingCreate]) -> Plan:
    """The steps of some creates as they are now."""
    return Plan(tuple(each.outcome or each.step for each in creates))


def still_open(creates: Sequence[PendingCreate]) -> list[PendingCreate]:
    """Those that are neither settled nor given up."""
    return [each for each in creates if each.outcome is None]
