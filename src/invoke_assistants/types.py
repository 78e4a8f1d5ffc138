"""The values that rooms pass to each other: what is desired, recorded, pending, and planned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

__all__ = [
    "DIGEST",
    "HISTORY",
    "ID",
    "IDENTITY_TAGS",
    "NONCE",
    "SLUG",
    "Action",
    "Change",
    "Desired",
    "Edits",
    "JSONObject",
    "Key",
    "LocalModel",
    "Location",
    "PendingOperation",
    "Record",
    "State",
    "Status",
    "Step",
    "Tables",
    "identity_tags",
    "short",
]

JSONObject = dict[str, Any]
Tables = dict[str, dict[str, Any]]  # the store's file as plain JSON: table, document, value
Key = tuple[str, str]  # an assistant's name, an environment's name

SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
ID = re.compile(r"[A-Za-z0-9_-]{3,128}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NONCE = re.compile(r"[0-9a-f]{32}")
HISTORY = 10  # earlier digests that a record keeps
IDENTITY_TAGS = ("asst.project", "asst.name", "asst.environment")  # keys of a remote object's metadata

Status = Literal["not_created", "missing", "drifted", "changed", "in_sync", "undeclared"]
Action = Literal["create", "adopt", "recreate", "update", "delete", "none"]


def short(digest: str) -> str:
    """The first 8 hex digits of a digest, as people see it."""
    return digest.removeprefix("sha256:")[:8]


def identity_tags(project: str, name: str, environment: str) -> dict[str, str]:
    """The metadata tags that say whose a remote object is: an assistant's of a project, in an environment."""
    return dict(zip(IDENTITY_TAGS, (project, name, environment), strict=True))


@dataclass(frozen=True)
class Location:
    """Where an instance lives: a platform and the origin (host[:port], ``local``) of its API."""

    platform: str
    origin: str

    def __str__(self) -> str:
        return f"{self.platform} {self.origin}"

    @classmethod
    def parse(cls, text: str) -> Location:
        """The location that ``str`` gave as ``PLATFORM ORIGIN``.

        Raises:
            ValueError: the text is not two words.
        """
        platform, origin = text.split(" ")
        return cls(platform, origin)

    @property
    def label(self) -> str:
        """As people read it: ``local``, ``responses``, ``agents at api.openai.com``."""
        return self.platform if self.origin in (self.platform, "store") else f"{self.platform} at {self.origin}"


LOCAL, PINNED = Location("local", "local"), Location("responses", "store")  # the locations that need no credentials to manage


@dataclass(frozen=True)
class Record:
    """What the store keeps of one instance.

    Args:
        digest: of the payload that the instance was last given.
        tag: the digest that the remote object carries, where that is another one.
        history: earlier digests, newest first.
        elsewhere: the records of the same assistant and environment at other locations, by their text.
    """

    id: str
    location: Location
    digest: str
    tag: str | None = None
    history: tuple[str, ...] = ()
    elsewhere: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))

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
        return {self.digest, *self.history}.union(*(other.digests() for other in self.elsewhere.values()))


@dataclass(frozen=True)
class PendingOperation:
    """A request that was announced in the store before it was sent; it goes once its outcome is settled."""

    kind: Literal["create", "update", "delete"]
    digest: str
    nonce: str | None = None


# Of one transaction: the new records, the pending operations that open (or, as None, go), the records that go at a location.
Edits = tuple[Mapping[Key, Record], Mapping[tuple[Key, Location], PendingOperation | None], Mapping[Key, Location]]


@dataclass(frozen=True)
class State:
    """The store's content as plain values; ``pending`` is by assistant, environment and location."""

    records: Mapping[Key, Record] = field(default_factory=lambda: MappingProxyType({}))
    payloads: Mapping[str, JSONObject] = field(default_factory=lambda: MappingProxyType({}))
    pending: Mapping[tuple[Key, Location], PendingOperation] = field(default_factory=lambda: MappingProxyType({}))

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

    def pending_creates(self) -> dict[tuple[Key, Location], PendingOperation]:
        """The pending creates; a record may stand beside one."""
        return {slot: operation for slot, operation in self.pending.items() if operation.kind == "create"}


@dataclass(frozen=True)
class Desired:
    """A declared instance: an assistant in an environment, its payload, and where it belongs.

    Args:
        position: of the environment in the promotion order, 0 for the first.
    """

    name: str
    environment: str
    position: int
    location: Location
    project: str
    payload: JSONObject
    digest: str

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.name, self.environment

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return f"{self.name} in {self.environment}"

    @property
    def remote_name(self) -> str:
        """What the instance is called remotely."""
        return f"{self.name}_{self.environment}"

    @property
    def identity(self) -> dict[str, str]:
        """The tags that say whose instance a remote object is."""
        return identity_tags(self.project, self.name, self.environment)


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


@dataclass(frozen=True)
class LocalModel:
    """The real model that answers in sessions of the embedded platform.

    Attributes:
        address: the absolute path of a GGUF file, or the base URL of a server.
        name: what the server calls the model; None takes the first that it lists.
    """

    address: str
    name: str | None = None

    @property
    def served(self) -> bool:
        """Whether it is behind a server's URL."""
        return "://" in self.address
