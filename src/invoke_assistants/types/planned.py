"""The steps of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .basic import JSONObject, Key
from .desired import Desired
from .recorded import Record
from .schema import Compatibility

__all__ = ["Action", "Change", "Status", "Step"]

Status = Literal["not_created", "missing", "drifted", "changed", "in_sync", "undeclared"]
Action = Literal["create", "adopt", "recreate", "update", "delete", "none"]


@dataclass(frozen=True)
class Change:
    """A configured field whose remote value differs from the desired one; None stands for absent."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Step:
    """One assistant in one environment: what it is, what a command would do or did, and how that ended.

    Args:
        id, digest: of the recorded instance, and of the desired payload.
        changes: what an update would change, remote to desired.
        error: why the action may not be done, or how it failed.
        note: for people.
        needs_confirmation: whether the action must not be done without its flag, or a yes.
        desired: the declared instance; None where nothing is declared, or its payload cannot be made.
        record: what the store should hold of it from here on.
        remote: the recorded object as it was seen.
        drift: how the object was changed, where that was not done from here.
        schema: what the change of the output schema does to its readers; None where it does not change.
        model_life: that the declared model is shut down, soon or already, or is not among the account's, for people.
        promotion: of an update after the first environment: how its payload compares with what the first one has.
        waits_for_first: whether the first environment does not hold its declared payload yet.
        allowed: the paths of the output schema whose breaking change is let through.
        rollback_note: of a planned update: what a later rollback would bring back, for people.
        evals_skipped: whether the update is done although its required evals have not passed.
        ends_rollback: whether one that is still open is dropped: by a deploy with ``--resume``, or by the next rollback.
        body: what an update would send; None where nothing is to be sent, or the object is another row's.
    """

    name: str
    environment: str
    platform: str
    state: Status | None
    action: Action = "none"
    id: str | None = None
    digest: str | None = None
    changes: tuple[Change, ...] = ()
    error: str | None = None
    note: str | None = None
    needs_confirmation: bool = False
    desired: Desired | None = field(default=None, repr=False)
    record: Record | None = field(default=None, repr=False)
    remote: JSONObject | None = field(default=None, repr=False)
    drift: str | None = None
    schema: Compatibility | None = None
    promotion: str | None = None
    model_life: str | None = None
    waits_for_first: bool = False
    allowed: tuple[str, ...] = ()
    rollback_note: str | None = None
    evals_skipped: bool = False
    ends_rollback: bool = False
    body: JSONObject | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, desired: Desired, state: Status, record: Record | None = None, remote: JSONObject | None = None, **more: Any
    ) -> Step:
        """The step of a declared instance; ``more`` are other fields."""
        id, platform = record.id if record else None, desired.location.platform
        return cls(
            desired.name, desired.environment, platform, state, id=id, digest=desired.digest, desired=desired, record=record,
            remote=remote, **more,
        )  # fmt: skip

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.name, self.environment

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return f"{self.name} in {self.environment}"

    @property
    def target(self) -> Desired:
        """The declared instance, which every step has that can be done."""
        assert self.desired is not None
        return self.desired
