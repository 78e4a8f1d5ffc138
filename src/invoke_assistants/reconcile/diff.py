"""What differs between a remote object and a payload, and the bodies of the updates that bring it there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..declare.declaration import plain
from ..declare.digest import digest
from ..declare.tags import DIGEST_TAG, NONCE_TAG, TAGS, metadata_of
from ..types import Change, Desired, JSONObject

__all__ = [
    "adoption_body",
    "compare",
    "declarable_fields",
    "is_as_adopted",
    "payload_changes",
    "remote_payload",
    "removed_fields",
    "reset_body",
    "reset_changes",
    "stale_fields",
    "update_body",
]

USER_JSON = frozenset({"schema", "parameters", "request_metadata"})  # written by the user: an extra key is a change
FIELDS = ("model", "instructions", "text", "reasoning", "tools", "service_tier", "metadata")  # what can be declared
_NOTHING: Any = object()
# What openai-python 3.54 documents of a field that was never sent, where that is neither off nor empty.
DEFAULTS = {"verbosity": "medium", "service_tier": "auto", "context_size": "medium", "mode": "live", "enabled": True}


def compare(remote: Any, configured: Any) -> tuple[Change, ...]:
    """The configured fields whose remote value differs. What the service filled in by itself is no difference."""
    found: list[Change] = []
    _compare(remote, configured, "", False, found)
    return tuple(found)


def payload_changes(before: JSONObject, after: JSONObject) -> tuple[Change, ...]:
    """All that differs from one payload of ours to another: no service has filled anything in."""
    found: list[Change] = []
    _compare(before, after, "", True, found)
    return tuple(found)


def _compare(remote: Any, configured: Any, field: str, exact: bool, found: list[Change]) -> None:
    """Add what differs; both sides are plain JSON."""
    if remote is configured:
        return
    if isinstance(configured, dict) and isinstance(remote, dict):
        for key, value in configured.items():
            if key in remote:
                there = remote[key]
                if not (isinstance(value, str) and there == value):  # most of it is text, and the same
                    _compare(there, value, _join(field, key), exact or key in USER_JSON, found)
            elif value is not None or exact:
                found.append(Change(_join(field, key), None, value))
        if exact and list(remote) != list(configured):
            found += (Change(_join(field, key), remote[key], None) for key in remote if key not in configured)
            if field.endswith(".properties") and remote.keys() == configured.keys():
                found.append(Change(field, list(remote), list(configured)))
    elif _is_list(configured) and _is_list(remote) and len(configured) == len(remote):
        for index, (there, here) in enumerate(zip(remote, configured, strict=True)):
            _compare(there, here, f"{field}[{index}]", exact, found)
    elif remote != configured or isinstance(remote, bool) is not isinstance(configured, bool):
        found.append(Change(field, remote, configured))


def stale_fields(remote: Any, recorded: Any, declared: Any) -> tuple[Change, ...]:
    """The fields that only the recorded payload has and whose recorded value the remote object still holds."""
    return tuple(_stale_fields(remote, recorded, declared, ""))


def removed_fields(remote: Mapping[str, Any], recorded: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that ``update_body`` takes away, whatever the remote object holds there, but for defaults.

    They are those that the recorded payload has and the declared one has not, with all that the object holds in them.
    """
    held = _remote_values(remote, recorded, declared)
    return tuple(change for change in _stale_fields(remote, held, declared, "") if not _is_default(change))


def _remote_values(remote: Any, recorded: Any, declared: Any) -> Any:
    """The recorded payload with what a remote object holds in the place of each field that is not declared."""
    if _is_list(recorded) and _is_list(remote) and _is_list(declared):
        return [_remote_values(*each) for each in zip(remote, recorded, declared, strict=False)]
    if not isinstance(recorded, dict) or not isinstance(remote, dict):
        return remote
    out = {}
    for key in recorded:
        below = declared.get(key, _NOTHING) if isinstance(declared, dict) else _NOTHING
        whole = below is _NOTHING and key != "metadata"  # of the metadata, only the pairs that were declared go
        out[key] = remote.get(key) if whole else _remote_values(remote.get(key), recorded[key], below)
    return out


def _stale_fields(remote: Any, recorded: Any, declared: Any, field: str) -> Iterator[Change]:
    if isinstance(recorded, dict) and isinstance(remote, dict):
        for key, value in recorded.items():
            below = declared.get(key, _NOTHING) if isinstance(declared, dict) else _NOTHING
            compared = key == "schema" or (key in USER_JSON and below is not _NOTHING)  # _compare shows every change in these
            if key in remote and value is not None and not compared:
                yield from _stale_fields(remote[key], value, below, _join(field, key))
    elif _is_list(recorded) and _is_list(declared) and _is_list(remote):
        for index, (there, then, now) in enumerate(zip(remote, recorded, declared, strict=False)):
            yield from _stale_fields(there, then, now, f"{field}[{index}]")
    elif declared is _NOTHING and remote == recorded:
        yield Change(field, remote, None)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _join(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key


def remote_payload(remote: Mapping[str, Any], declared: Mapping[str, Any]) -> JSONObject:
    """What a remote object holds of every field that an assistant can declare, defaults included, as a payload.

    Of its metadata only the pairs that are declared: the others are other people's.
    """
    text, held = remote.get("text") or {}, metadata_of(remote)
    payload: JSONObject = {
        "model": remote.get("model"),
        "instructions": remote.get("instructions"),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity")},
        "reasoning": {"effort": None, "summary": None, **(remote.get("reasoning") or {})},
        "tools": remote.get("tools") or [],
        "service_tier": remote.get("service_tier"),
    }
    if pairs := {key: held[key] for key in declared.get("metadata", {}) if key in held}:
        payload["metadata"] = pairs
    return {key: plain(value) for key, value in payload.items()}


def declarable_fields(remote: Mapping[str, Any]) -> JSONObject:
    """A remote object's name and every field that an assistant can declare, as they are."""
    return {key: remote.get(key) for key in ("name", *FIELDS)}


def update_body(
    desired: Desired, recorded: Mapping[str, Any], remote: Mapping[str, Any], pending: Mapping[str, Any] | None = None
) -> JSONObject:
    """The body that brings a remote object to the declared payload.

    A field that the recorded payload (or one of a pending update) had and the declared one has not is sent as null; other
    people's metadata pairs are sent again, since an update replaces all of them.
    """
    earlier = [recorded, pending or {}]
    body = _nulling(desired.payload, earlier)
    held: Mapping[str, str] = metadata_of(remote)
    ours = {*TAGS}.union(*(payload.get("metadata", {}) for payload in earlier))
    foreign = {key: value for key, value in held.items() if key not in ours}
    tags = {**desired.identity, DIGEST_TAG: desired.digest}
    if NONCE_TAG in held:
        tags[NONCE_TAG] = held[NONCE_TAG]
    return {**body, "name": desired.remote_name, "metadata": {**foreign, **desired.payload.get("metadata", {}), **tags}}


def _nulling(declared: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> JSONObject:
    """The declared payload, with null for each field that only an earlier payload has."""
    body: JSONObject = {key: None for payload in earlier for key in payload if key not in declared}
    for key, value in declared.items():
        nested = isinstance(value, Mapping) and key not in ("format", "metadata")
        below = [payload[key] for payload in earlier if isinstance(payload.get(key), Mapping)]
        body[key] = _nulling(value, below) if nested else value
    return body


def reset_body(desired: Desired, remote: Mapping[str, Any]) -> JSONObject:
    """The body that brings a remote object to the declared payload and nothing else, whatever set its other fields.

    Every field that an assistant can declare and this one does not is sent as null; of the metadata only our tags stay.
    """
    tags = {key: value for key, value in metadata_of(remote).items() if key in TAGS}
    return update_body(desired, remote_payload(remote, desired.payload), {"metadata": tags})


def reset_changes(remote: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[Change, ...]:
    """What ``reset_body`` changes: the configured fields that differ, and each other field and metadata pair that goes."""
    held = remote_payload(remote, declared)
    gone = (change for change in stale_fields(held, held, declared) if not _is_default(change))
    pairs = metadata_of(remote).items()
    kept = {*TAGS, *declared.get("metadata", {})}
    return (
        *compare(remote, declared),
        *gone,
        *(Change(f"metadata.{key}", value, None) for key, value in pairs if key not in kept),
    )


def _is_default(change: Change) -> bool:
    key = change.field.rpartition(".")[2]
    return bool(change.before == DEFAULTS[key]) if key in DEFAULTS else not change.before


def adoption_body(desired: Desired, there: Mapping[str, Any], nonce: str) -> JSONObject:
    """The body that makes an existing object an instance: our name and tags, nothing else of it changed."""
    tags = {**desired.identity, DIGEST_TAG: digest(remote_payload(there, desired.payload)), NONCE_TAG: nonce}
    return {"name": desired.remote_name, "metadata": {**metadata_of(there), **tags}}


def is_as_adopted(desired: Desired, there: Mapping[str, Any]) -> bool:
    """Whether an object still holds what it was adopted with, by the digest in its tags."""
    return metadata_of(there).get(DIGEST_TAG) == digest(remote_payload(there, desired.payload))
