"""The record of an instance after a refresh, an update, or an adoption. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..declare.digest import digest
from ..declare.tags import DIGEST_TAG, metadata_of
from ..types import HISTORY, Change, Desired, JSONObject, Record, Step
from .diff import compare, remote_payload, reset_changes, stale_fields

__all__ = ["record_of_adopted", "record_of_update", "successor"]


def successor(record: Record, digest: str, tag: str | None, desired: Desired) -> Record:
    """The record once the instance holds a payload; environments after the first keep the digests before it.

    Args:
        digest: of the payload that the instance holds.
        tag: the digest that the object carries.
    """
    history = record.history
    if digest != record.digest and desired.position > 0:
        history = (record.digest, *history)[:HISTORY]
    return replace(record, digest=digest, tag=tag if tag != digest else None, history=history)


def record_of_update(step: Step) -> Record:
    """The record of an instance that was just brought to its desired payload."""
    assert step.record is not None
    return successor(step.record, step.target.digest, step.target.digest, step.target)


def record_of_adopted(
    desired: Desired, there: JSONObject, before: Record | None, payloads: Mapping[str, JSONObject], *, own: bool
) -> tuple[Record, JSONObject, tuple[Change, ...]]:
    """The record of a tagged object that becomes this store's instance, the payload that it names, and what differs.

    An object that another checkout made with another payload is recorded with all that it holds and without its tag, so
    that the next plan sees another checkout's work as it is.

    Args:
        before: the record that this one follows at the same location.
        payloads: those that the store holds, by digest.
        own: whether the object carries the nonce of our own create.
    """
    remote_digest: str | None = metadata_of(there).get(DIGEST_TAG)
    held = remote_payload(there, desired.payload)
    if own and remote_digest is not None and remote_digest in payloads:
        payload = payloads[remote_digest]  # what it was made with, so that a removed field is seen
    elif remote_digest == desired.digest or (remote_digest == digest(held) and not own):
        payload = desired.payload  # what differs was edited by hand: under the object's tag it would not be seen
    else:
        payload = held
    recorded, tag = digest(payload), remote_digest if own else None
    history = successor(before, recorded, tag, desired).history if before else ()
    if own or remote_digest == desired.digest:
        changes = (*compare(there, desired.payload), *stale_fields(there, payload, desired.payload))
    else:
        changes = reset_changes(there, desired.payload)
    return Record(there["id"], desired.location, recorded, tag if tag != recorded else None, history), payload, changes
