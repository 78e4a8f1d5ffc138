"""The three-way diff of one instance: desired, recorded, remote. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..declare.tags import DIGEST_TAG, is_ours, metadata_of
from ..types import Change, Desired, JSONObject, PendingOperation, Record, State, Step
from .diff import compare, removed_fields, reset_body, reset_changes, stale_fields, update_body
from .hold import is_held_back
from .read_back import answered_digest
from .records import record_of_pending, successor

__all__ = ["diff_instance", "owned_by_other"]

_PULL = "pull the store, or commit it back from CI (a store that was reverted, or is older, looks the same)"


def diff_instance(desired: Desired, state: State, there: JSONObject | None) -> Step:
    """The step of one instance before any command has decided about it: its state, what differs, and what an update sends.

    Nothing recorded at the desired location is ``not_created``; a recorded object that is gone is ``missing``; one that
    carries the tags of another project or row is ``drifted``, and nothing here writes it. Else the first case that holds:

    (a) The object equals the desired payload, holds nothing that only the recorded or a pending payload set, and carries
        the desired digest or the record's: ``in_sync``. One that a rollback holds elsewhere is not, under the record's.
    (b) The object equals a pending update's payload and carries its digest: that update got through. It counts as recorded
        from here, and the cases below compare with it. Where the service took that update otherwise than it was sent, and the
        object is still as it was answered: ``changed``, by us, with a note of what was not taken.
    (c) The object equals the recorded payload and carries the record's digest: ``changed``, by us.
    (d) The object carries another digest than the record's, its name and tags intact: another checkout wrote it. ``changed``
        in the first environment and on ``local``; else ``drifted``. So is one that carries a pending update's digest and is
        not as that was sent, where its answer is not known.
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
    recorded, sent = state.payloads[record.digest], _pending_update(desired, state, there)
    if sent and tag == sent.digest and not lost and not compare(there, sent.payload):  # (b)
        record, recorded = record_of_pending(record, sent.operation, desired), sent.payload
    ours = sent if sent and sent.as_answered else None
    known = {None, desired.digest, record.remote_digest, ours.digest if ours else None}
    if tag not in known:  # nobody here knows which fields that payload set
        changes = reset_changes(there, desired.payload)
        body = reset_body(desired, there)
    else:
        earlier = [recorded, sent.payload] if sent else [recorded]
        differing = compare(there, desired.payload)
        left = [change for each in earlier for change in stale_fields(there, each, desired.payload)]
        waits = is_held_back(record, desired) and tag == record.remote_digest
        if not (differing or left or lost or ours or waits):  # (a)
            return Step.of(desired, "in_sync", successor(record, desired.digest, tag, desired, desired.held), there)
        taken = [change for each in earlier for change in removed_fields(there, each, desired.payload)]
        changes = (*differing, *{change.field: change for change in (*taken, *left)}.values())
        body = update_body(desired, recorded, there, sent.payload if sent else None)
    if not (changes or lost):
        changes = (Change(f"metadata.{DIGEST_TAG}", tag, desired.digest),)
    step = Step.of(desired, "changed", record, there, changes=(*lost, *changes), body=body)
    if ours:  # (b), not as it was sent
        untaken = _fields((*lost, *compare(there, ours.payload)))
        return replace(step, note=f"the service did not take what the last update sent ({untaken})")
    edited = (*lost, *compare(there, recorded))
    if not edited and tag == record.remote_digest:  # (c)
        return step
    if sent and sent.operation.answered and tag == sent.digest:  # (e): since it was answered
        edited = (*lost, *compare(there, sent.payload))
    elif tag and tag != record.remote_digest and not lost:  # (d)
        return _written_by_other(step, changes, sent if sent and tag == sent.digest else None)
    return replace(step, state="drifted", drift=f"{record.id} was edited by hand: {_fields(edited)}")  # (e)


@dataclass(frozen=True)
class _PendingUpdate:
    """An update whose outcome the store does not know, or that was taken otherwise than it was sent.

    Args:
        as_answered: whether the latter, and the object is still as it was then.
    """

    operation: PendingOperation
    payload: JSONObject
    as_answered: bool

    @property
    def digest(self) -> str:
        """Of the payload that was sent."""
        return self.operation.digest


def _pending_update(desired: Desired, state: State, there: JSONObject) -> _PendingUpdate | None:
    operation = state.pending_operation(desired, "update")
    if operation is None:
        return None
    payload, answered = state.payloads[operation.digest], operation.answered
    as_answered = answered is not None and answered == answered_digest(there, payload)
    return _PendingUpdate(operation, payload, as_answered)


def _written_by_other(step: Step, changes: Iterable[Change], sent: _PendingUpdate | None) -> Step:
    """The step of an object under another digest than the record's; ``sent`` is the update that it carries the digest of."""
    note, way_out = f"another checkout wrote {step.id} ({_fields(changes)})", f": {_PULL}"
    if sent and step.remote:
        untaken = _fields(compare(step.remote, sent.payload))
        note, way_out = f"an update was sent, its answer is not known, and {step.id} is not as it was sent ({untaken})", ""
    desired = step.target
    if desired.position == 0 or desired.location.platform == "local":
        return replace(step, note=note)
    return replace(step, state="drifted", drift=f"{note}{way_out}")


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
    notes += [f"a create is still open on {location.label}" for location in state.creates_by_key.get(desired.key, ())]
    return "; ".join(notes) or None


def owned_by_other(desired: Desired, there: JSONObject) -> str | None:
    """Whose instance an object is, where not the desired one's, and what to do about it."""
    other = _whose(desired, there)
    if other and is_ours(metadata_of(there), desired.project):
        return f"{other}: declare it by that name, or inv asst.delete --id {there['id']}"
    return other and f"{other}: it can be used there alone"
