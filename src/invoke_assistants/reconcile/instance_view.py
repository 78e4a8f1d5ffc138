"""One instance whole: what the store holds of it, and what the service does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..declare.tags import DIGEST_TAG, TAGS, metadata_of
from ..types import (
    Desired,
    EvalResult,
    JSONObject,
    Key,
    Location,
    PendingOperation,
    Record,
    State,
    Step,
    identity_tags,
)  # fmt: skip
from .diff import USER_JSON
from .diff_instance import diff_instance
from .schema_change import output_schema_of

__all__ = ["InstanceView", "RemoteView", "instance_views", "view_remote"]


@dataclass(frozen=True)
class RemoteView:
    """What the service holds of an instance, beside what is recorded.

    Attributes:
        step: the recorded payload against the object: its state, and in ``changes`` what differs, remote to recorded.
        object: as it was answered; None where the service answered 404.
        defaults: the fields that nobody here configured and the service holds a value of.
    """

    step: Step
    object: JSONObject | None
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InstanceView:
    """What the store holds of an assistant in an environment.

    Attributes:
        location: of the record that is shown: where the environment resolves to now, if there is one.
        used: whether it is the one that counts now.
        record: None where only a create is open.
        elsewhere: the records at other locations.
        pending: the open operations, by location.
        evals: what evals found of the digest, by the text of a location and by dataset.
        remote: None where the service was not asked.
        error: why it could not be asked.
    """

    name: str
    environment: str
    location: Location
    used: bool
    project: str
    record: Record | None
    payload: JSONObject | None = field(repr=False)
    elsewhere: tuple[Record, ...]
    pending: Mapping[Location, PendingOperation]
    evals: Mapping[str, Mapping[str, EvalResult]]
    remote: RemoteView | None = None
    error: str | None = None

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return f"{self.name} in {self.environment}"

    @property
    def schema(self) -> JSONObject | None:
        """The output schema; None means text."""
        return output_schema_of(self.payload) if self.payload else None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that the object carries, as far as the store knows."""
        digest = {DIGEST_TAG: self.record.remote_digest} if self.record else {}
        return {**identity_tags(self.project, self.name, self.environment), **digest}

    def desired(self, position: int) -> Desired:
        """The recorded payload as what is desired; ``position`` is the environment's."""
        assert self.record is not None
        return Desired(self.name, self.environment, position, self.location, self.project, self.payload or {}, self.record.digest)


def instance_views(state: State, project: str, keys: Sequence[Key], resolved: Mapping[str, Location]) -> list[InstanceView]:
    """What the store holds of these assistants in these environments.

    Args:
        resolved: where each environment of the settings resolves to now.
    """
    return [_view(state, project, key, resolved.get(key[1])) for key in keys]


def _view(state: State, project: str, key: Key, here: Location | None) -> InstanceView:
    held = state.records.get(key)
    pending = {location: operation for (each, location), operation in state.pending.items() if each == key}
    records = {each.location: each for each in (held, *held.elsewhere.values())} if held else {}
    location = here if here in records or here in pending else next(iter([*records, *pending]), None)
    assert location is not None  # a key of the store has one
    record = records.pop(location, None)
    return InstanceView(
        *key,
        location,
        used=location == here,
        project=project,
        record=record,
        payload=state.payloads[record.digest] if record else None,
        elsewhere=tuple(records.values()),
        pending=pending,
        evals=state.evals.get(record.digest, {}) if record else {},
    )


def view_remote(desired: Desired, state: State, there: JSONObject | None) -> RemoteView:
    """Compare an object with what is recorded of it."""
    defaults = dict(_defaults(there or {}, desired.payload, ""))
    foreign = {f"metadata.{key}": value for key, value in metadata_of(there).items() if key not in TAGS}
    own = {f"metadata.{key}" for key in desired.payload.get("metadata", {})}
    return RemoteView(diff_instance(desired, state, there), there, {**defaults, **{k: foreign[k] for k in foreign.keys() - own}})


def _defaults(remote: Any, configured: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the fields that only the object has, with their values; what is null or empty is as good as absent."""
    if isinstance(remote, Mapping) and isinstance(configured, Mapping):
        for key, value in remote.items():
            if path == "" and key in ("id", "name", "metadata"):
                continue
            below = f"{path}.{key}" if path else key
            if key not in configured and value not in (None, [], {}):
                yield below, value
            elif key in configured and key not in USER_JSON:
                yield from _defaults(value, configured[key], below)
    elif isinstance(remote, list) and isinstance(configured, list):
        for index, (there, here) in enumerate(zip(remote, configured, strict=False)):
            yield from _defaults(there, here, f"{path}[{index}]")
