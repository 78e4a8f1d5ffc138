"""What the store holds: records, pending operations, payloads, readers, and what evals found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from .basic import JSONObject, Key, Location
from .desired import Desired, Held
from .schema import Reader

__all__ = [
    "Edits", "EvalCase", "EvalLabel", "EvalResult", "Evaluations", "PendingOperation", "Record", "State", "label_case",
]  # fmt: skip

EvalLabel = Literal["pass", "flaky", "fail", "error"]


@dataclass(frozen=True)
class EvalCase:
    """One case of a dataset and how each of its runs ended."""

    name: str
    label: EvalLabel
    runs: tuple[EvalLabel, ...]


def label_case(name: str, runs: Sequence[EvalLabel]) -> EvalCase:
    """A case by its runs: an error in one is an error of the case, and so is no run at all."""
    label: EvalLabel
    if "error" in runs or not runs:
        label = "error"
    elif len(set(runs)) > 1:
        label = "flaky"
    else:
        label = runs[0]
    return EvalCase(name, label, tuple(runs))


@dataclass(frozen=True)
class EvalResult:
    """What an evaluation of an assistant found.

    Args:
        rate: the share of cases that passed, 0 to 1.
        minimum: the share that was asked for.
    """

    rate: float
    minimum: float
    passed: bool
    cases: tuple[EvalCase, ...] = ()


# By digest, then the text of a location, then the SHA-256 of the dataset and its evaluators.
Evaluations = Mapping[str, Mapping[str, Mapping[str, EvalResult]]]


@dataclass(frozen=True)
class Record:
    """What the store keeps of one instance.

    Args:
        digest: of the payload that the instance was last given.
        tag: the digest that the remote object carries, where that is another one.
        history: earlier digests, newest first.
        allowed: the paths of the output schema whose breaking change was let through for this digest.
        held: set while a rollback holds the instance at an earlier digest.
        evals_skipped: whether the digest came here although its required evals had not passed.
        elsewhere: the records of the same assistant and environment at other locations, by their text.
    """

    id: str
    location: Location
    digest: str
    tag: str | None = None
    history: tuple[str, ...] = ()
    elsewhere: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))
    allowed: tuple[str, ...] = ()
    held: Held | None = None
    evals_skipped: bool = False

    @property
    def remote_digest(self) -> str:
        """The digest that the remote object carries in its tags, as far as the store knows."""
        return self.tag or self.digest

    def at(self, location: Location) -> Record | None:
        """The record that counts at a location: this one, one kept under ``elsewhere``, or none."""
        return self if self.location == location else self.elsewhere.get(str(location))

    def succeeded_by(self, new: Record) -> Record:
        """``new`` in the place of this record; the records of other locations are kept."""
        others = dict(self.elsewhere)
        if self.location != new.location:
            others[str(self.location)] = replace(self, elsewhere=MappingProxyType({}))
        others.pop(str(new.location), None)
        return replace(new, elsewhere=MappingProxyType(others))

    def without(self, location: Location) -> Record | None:
        """What is left when the record of a location goes: those of other locations, or None."""
        if self.location != location:
            others = {name: other for name, other in self.elsewhere.items() if name != str(location)}
            return replace(self, elsewhere=MappingProxyType(others))
        if not self.elsewhere:
            return None
        first, *rest = sorted(self.elsewhere)
        others = {name: self.elsewhere[name] for name in rest}
        return replace(self.elsewhere[first], elsewhere=MappingProxyType(others))

    def ids(self) -> set[str]:
        """The ids at all locations."""
        return {self.id, *(other.id for other in self.elsewhere.values())}

    def digests(self) -> set[str]:
        """The digests of all payloads that this record names."""
        held = [self.held.origin] if self.held else []
        return {self.digest, *self.history, *held}.union(*(other.digests() for other in self.elsewhere.values()))


@dataclass(frozen=True)
class PendingOperation:
    """A request that was announced in the store before it was sent; it goes once its outcome is settled.

    Args:
        allowed, evals_skipped: of an update: what its record is to keep.
        answered: of an update that the service took otherwise than it was sent: the digest of the object as it answered.
        held: of an update that is a rollback: what the record says once it got through.
    """

    kind: Literal["create", "update", "delete"]
    digest: str
    nonce: str | None = None
    answered: str | None = None
    allowed: tuple[str, ...] = ()
    evals_skipped: bool = False
    held: Held | None = None

    def digests(self) -> set[str]:
        """The digests of all payloads that it names."""
        return {self.digest, *([self.held.origin] if self.held else [])}


def _none() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Edits:
    """What one transaction changes.

    Args:
        records: what instances are now; their records at other locations stay.
        pending: the operations that are pending from here on; None drops one.
        forget: instances to forget, each at a location.
        readers: by digest, what its schema does not say of its readers; None drops an entry.
        evals: what evals found; results that are not named here stay.
    """

    records: Mapping[Key, Record] = field(default_factory=_none)
    pending: Mapping[tuple[Key, Location], PendingOperation | None] = field(default_factory=_none)
    forget: Mapping[Key, Location] = field(default_factory=_none)
    readers: Mapping[str, Reader | None] = field(default_factory=_none)
    evals: Evaluations = field(default_factory=_none)


@dataclass(frozen=True)
class State:
    """The store's content as plain values; ``pending`` is by assistant, environment and location."""

    records: Mapping[Key, Record] = field(default_factory=lambda: MappingProxyType({}))
    payloads: Mapping[str, JSONObject] = field(default_factory=lambda: MappingProxyType({}))
    pending: Mapping[tuple[Key, Location], PendingOperation] = field(default_factory=lambda: MappingProxyType({}))
    readers: Mapping[str, Reader] = field(default_factory=lambda: MappingProxyType({}))
    evals: Evaluations = field(default_factory=lambda: MappingProxyType({}))

    def record(self, desired: Desired) -> Record | None:
        """The record of an instance at its location, if there is one."""
        return self.record_at(desired.key, desired.location)

    def record_at(self, key: Key, location: Location) -> Record | None:
        """The record of an assistant in an environment at a location, if there is one."""
        held = self.records.get(key)
        return held.at(location) if held else None

    def id(self, key: Key, location: Location) -> str | None:
        """The id that is recorded at a location, if there is one."""
        record = self.record_at(key, location)
        return record.id if record else None

    def pending_operation(self, desired: Desired, kind: str) -> PendingOperation | None:
        """What is pending for an instance, if it is of that kind."""
        pending = self.pending.get((desired.key, desired.location))
        return pending if pending and pending.kind == kind else None

    @cached_property
    def creates_by_key(self) -> Mapping[Key, list[Location]]:
        """The locations of the pending creates of each assistant in each environment."""
        found: dict[Key, list[Location]] = {}
        for key, location in self.pending_creates():
            found.setdefault(key, []).append(location)
        return found

    def pending_creates(self) -> dict[tuple[Key, Location], PendingOperation]:
        """The pending creates; a record may stand beside one."""
        return {slot: operation for slot, operation in self.pending.items() if operation.kind == "create"}
