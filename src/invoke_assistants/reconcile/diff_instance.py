"""The three-way diff of one instance: desired, recorded, remote. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..declare.tags import DIGEST_TAG, is_ours, metadata_of
from ..types import Change, Desired, JSONObject, Record, State, Step
from .diff import compare, removed_fields, reset_body, reset_changes, stale_fields, update_body
from .records import successor

__all__ = ["diff_instance", "owned_by_other"]

_PULL = "pull the store, or commit it back from CI (a store that was reverted, or is older, looks the same)"


def diff_instance(desired: Desired, state: State, there: JSONObject | None) -> Step:
    """The step of one instance before any command has decided about it: its state, what differs, and what an update sends.

    Nothing recorded at the desired location is ``not_created``; a recorded object that is gone is ``missing``; one that
    carries the tags of another project or row is ``drifted``, and nothing here writes it. Else the first case that holds:

    (a) The object equals the desired payload, holds nothing that only the recorded or a pending payload set, and carries
        the desired digest or the record's: ``in_sync``.
    (b) The object equals a pending update's payload and carries its digest: that update got through. It counts as recorded
        from here, and the cases below compare with it.
    (c) The object equals the recorded payload and carries the record's digest: ``changed``, by us.
    (d) The object carries another digest than the record's, its name and tags intact: another checkout wrote it. ``changed``
        in the first environment and on ``local``; else ``drifted``.
    (e) Everything else was edited by hand: ``drifted``.

    Args:
        there: the object that the recorded id names, or None where there is none.
    """
    record = state.record(desired)
    if record is None:
        return Step.of(desired, "not_created", note=_recorded_elsewhere(desired, state))
    if there is None:
        return Step.of(desired, "missing", record, note=f"{record.id} was deleted remotely")
    lost = _identity_changes(desired, there, record)
    if other := _whose(desired, there):
        drift = f"{record.id} is the instance of another row ({other}), which nothing here writes: inv asst.forget"
        return Step.of(desired, "drifted", record, there, changes=lost, drift=f"{drift} {' '.join(desired.key)}")
    tag: str | None = metadata_of(there).get(DIGEST_TAG)
    recorded, pending = state.payloads[record.digest], None
    if operation := state.pending_operation(desired, "update"):
        pending = state.payloads[operation.digest]
        if tag == operation.digest and not lost and not compare(there, pending):  # (b)
            record, recorded = successor(record, operation.digest, operation.digest, desired), pending
    if tag not in (None, desired.digest, record.remote_digest):  # nobody here knows which fields that payload set
        changes = reset_changes(there, desired.payload) or (Change("metadata.asst.digest", tag, desired.digest),)
        body = reset_body(desired, there)
    else:
        earlier = [recorded] if pending is None else [recorded, pending]
        differing = compare(there, desired.payload)
        left = [change for each in earlier for change in stale_fields(there, each, desired.payload)]
        if not (differing or left or lost):  # (a)
            return Step.of(desired, "in_sync", successor(record, desired.digest, tag, desired), there)
        taken = [change for each in earlier for change in removed_fields(there, each, desired.payload)]
        changes = (*differing, *{change.field: change for change in (*taken, *left)}.values())
        body = update_body(desired, recorded, there, pending)
    step = Step.of(desired, "changed", record, there, changes=(*lost, *changes), body=body)
    edited = (*lost, *compare(there, recorded))
    if not edited and tag == record.remote_digest:  # (c)
        return step
    if tag and tag != record.remote_digest and not lost:  # (d)
        note = f"another checkout wrote {record.id} ({_fields(changes)})"
        if desired.position == 0 or desired.location.platform == "local":
            return replace(step, note=note)
        return replace(step, state="drifted", drift=f"{note}: {_PULL}")
    return replace(step, state="drifted", drift=f"{record.id} was edited by hand: {_fields(edited)}")  # (e)


def _whose(desired: Desired, there: JSONObject) -> str | None:
    """Whose instance an object's tags say it is, where that is not the desired one's."""
    metadata = metadata_of(there)
    tags = {key: metadata[key] for key in desired.identity if key in metadata}
    if tags.items() <= desired.identity.items():
        return None
    words = {"asst.name": "", "asst.environment": "in ", "asst.project": "of project "}
    return " ".join(f"{word}{tags[key]:.80}" for key, word in words.items() if key in tags)


def _identity_changes(desired: Desired, there: JSONObject, record: Record) -> tuple[Change, ...]:
    """The remote name and tags that are no longer ours; none of the values are part of a payload."""
    tags = {**desired.identity, DIGEST_TAG: record.remote_digest}
    metadata = metadata_of(there)
    changed = [] if there.get("name") == desired.remote_name else [Change("name", there.get("name"), desired.remote_name)]
    for tag, value in tags.items():
        if metadata.get(tag) != value and (tag != DIGEST_TAG or not metadata.get(tag)):
            changed.append(Change(f"metadata.{tag}", metadata.get(tag), value))
    return tuple(changed)


def _fields(changes: Iterable[Change]) -> str:
    return ", ".join(dict.fromkeys(change.field for change in changes))


def _recorded_elsewhere(desired: Desired, state: State) -> str | None:
    notes = []
    if record := state.records.get(desired.key):
        locations = [record.location, *(other.location for other in record.elsewhere.values())]
        notes.append("recorded on " + ", ".join(location.label for location in locations))
    notes += [f"a create is still open on {location.label}" for key, location in state.pending_creates() if key == desired.key]
    return "; ".join(notes) or None


def owned_by_other(desired: Desired, there: JSONObject) -> str | None:
    """Whose instance an object is, where not the desired one's, and what to do about it."""
    other = _whose(desired, there)
    if other and is_ours(metadata_of(there), desired.project):
        return f"{other}: declare it by that name, or inv asst.delete --id {there['id']}"
    return other and f"{other}: it can be used there alone"
