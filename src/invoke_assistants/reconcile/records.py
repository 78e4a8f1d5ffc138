"""The record of an instance after a refresh, an update, or an adoption. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..declare.digest import digest
from ..declare.tags import DIGEST_TAG, metadata_of
from ..types import HISTORY, Change, Desired, Held, JSONObject, PendingOperation, Record, Step
from .diff import compare, remote_payload, reset_changes, stale_fields

__all__ = ["adopted_changes", "pending_update", "record_of_adopted", "record_of_pending", "record_of_update", "successor"]


def successor(record: Record, digest: str, tag: str | None, desired: Desired, held: Held | None = None) -> Record:
    """The record once the instance holds a payload; environments after the first keep the digests before it.

    A rollback leaves the history as it is, and what was let through for the digest that it leaves; where it leaves one that
    was never recorded, as of a deploy half done, the recorded one comes into the history. Whatever goes forward from a
    rollback ends it, and the digest left then comes into the history, unless it is the one to go forward to. No digest is
    there twice, and none of what was never declared: of what a create made that was not taken as it was sent.

    Args:
        digest: of the payload that the instance holds.
        tag: the digest that the object carries.
        held: set where a rollback brought it there.
    """
    before = record.held.origin if record.held else record.digest
    newest = held.origin if held else digest
    declared = record.held or record.tag is None or record.tag in record.history
    history = record.history
    if newest != before:  # what was let through belongs to the newest digest
        record = replace(record, allowed=(), evals_skipped=False)
        if desired.position > 0:
            earlier = (before, *history) if declared else history
            history = tuple(dict.fromkeys(each for each in earlier if each != newest))[:HISTORY]
    return replace(record, digest=digest, tag=tag if tag != digest else None, history=history, held=held)


def record_of_update(step: Step) -> Record:
    """The record of an instance that was just brought to its desired payload."""
    assert step.record is not None
    record = successor(step.record, step.target.digest, step.target.digest, step.target, step.target.held)
    return _with_consent(step.record, record, step.allowed, step.evals_skipped)


def record_of_pending(record: Record, operation: PendingOperation, desired: Desired) -> Record:
    """The record of an instance whose pending update got through."""
    new = successor(record, operation.digest, operation.digest, desired, operation.held)
    return _with_consent(record, new, operation.allowed, operation.evals_skipped)


def _with_consent(before: Record, new: Record, allowed: tuple[str, ...], evals_skipped: bool) -> Record:
    """The new record with what was let through; one that is forward again where a rollback left it is what it was."""
    if before.held and before.held.origin == new.digest:
        return new
    return replace(new, allowed=allowed or new.allowed, evals_skipped=evals_skipped or new.evals_skipped)


def pending_update(step: Step, answered: str | None) -> PendingOperation:
    """What the store holds of a step's update until its record does; ``answered`` is the digest of the object as answered."""
    return PendingOperation("update", step.target.digest, None, answered, step.allowed, step.evals_skipped, step.target.held)


def record_of_adopted(
    desired: Desired,
    there: JSONObject,
    before: Record | None,
    payloads: Mapping[str, JSONObject],
    *,
    own: bool,
    whole: bool = True,
) -> tuple[Record, JSONObject]:
    """The record of a tagged object that becomes this store's instance, and the payload that it names.

    An object that another checkout made with another payload is recorded with all that it holds and without its tag, so
    that the next plan sees another checkout's work as it is.

    Args:
        before: the record that this one follows at the same location.
        payloads: those that the store holds, by digest.
        own: whether the object carries the nonce of our own create.
        whole: whether the service took that create as it was sent; else the record says what the object holds.
    """
    remote_digest: str | None = metadata_of(there).get(DIGEST_TAG)
    if whole and own and remote_digest is not None and remote_digest in payloads:
        payload, recorded = payloads[remote_digest], remote_digest  # what it was made with, so that a removed field is seen
    elif whole and remote_digest == desired.digest:
        payload, recorded = desired.payload, desired.digest  # what differs was edited by hand: it would not be seen else
    else:
        payload = remote_payload(there, desired.payload)
        recorded = digest(payload)
        if whole and not own and remote_digest == recorded:
            payload, recorded = desired.payload, desired.digest  # the same
    tag = remote_digest if own else None
    hold = desired.held if recorded == desired.digest else None
    new = Record(there["id"], desired.location, recorded, tag if tag != recorded else None)
    if before:
        kept = successor(before, recorded, tag, desired, hold)
        new = replace(new, history=kept.history, allowed=kept.allowed, held=hold, evals_skipped=kept.evals_skipped)
    return new, payload


def adopted_changes(desired: Desired, there: JSONObject, payload: JSONObject, *, own: bool) -> tuple[Change, ...]:
    """What an update would change of such an object, whose record names a payload."""
    if own or metadata_of(there).get(DIGEST_TAG) == desired.digest:
        return (*compare(there, desired.payload), *stale_fields(there, payload, desired.payload))
    return reset_changes(there, desired.payload)
