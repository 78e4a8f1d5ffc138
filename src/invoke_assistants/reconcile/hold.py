"""An instance that a rollback holds at an earlier payload: how it is told, and why an update leaves it there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..declare.tags import DIGEST_TAG, metadata_of
from ..text import join_notes
from ..types import Desired, Held, PendingOperation, Record, State, Step, short

__all__ = [
    "as_held",
    "describe_hold",
    "hold_error",
    "is_held_back",
    "is_rollback_open",
    "note_end_of_hold",
    "note_hold",
    "tell_hold",
]


def describe_hold(digest: str, held: Held) -> str:
    """Where an instance is held, where it was before, and why."""
    reason = f": {held.message}" if held.message else ""
    origin = "" if held.origin == digest else f", rolled back from {short(held.origin)}"
    return f"held at {short(digest)}{origin}{reason}"


def tell_hold(digest: str, held: Held) -> str:
    """As ``describe_hold``, with the way forward."""
    return f"{describe_hold(digest, held)}; inv asst.deploy --resume goes forward"


def is_held_back(record: Record, desired: Desired) -> bool:
    """Whether a rollback holds an instance somewhere else than at the payload that it should have from here on."""
    return record.held is not None and desired.held is None and desired.position > 0 and record.digest != desired.digest


def is_rollback_open(step: Step, state: State) -> bool:
    """Whether a rollback of an instance did not come to its end, and none of what is done now ends it."""
    open_ = _open_rollback(step, state)
    return bool(open_ and open_.digest != step.target.digest and not step.ends_rollback)


def _open_rollback(step: Step, state: State) -> PendingOperation | None:
    operation = state.pending_operation(step.target, "update")
    return operation if operation and operation.held and step.target.position > 0 else None


def _tell(step: Step, state: State) -> str | None:
    """Where a rollback holds an instance, or is to; None where none does.

    One that the service did not take as it was sent holds it as well: the object carries its digest.
    """
    record, open_ = step.record, _open_rollback(step, state)
    if open_ and open_.held and not (record and record.held and record.digest == open_.digest):  # else it got through
        if metadata_of(step.remote).get(DIGEST_TAG) == open_.digest:
            return tell_hold(open_.digest, open_.held)
        reason = f": {open_.held.message}" if open_.held.message else ""
        return (
            f"to be rolled back to {short(open_.digest)}{reason}, which is still open; inv asst.rollback --env {step.environment}"
            " finishes it, inv asst.deploy --resume drops it"
        )
    return tell_hold(record.digest, record.held) if record and record.held else None


def hold_error(step: Step, state: State, flags: str = "") -> str | None:
    """Why an update must not take an instance forward; None where no rollback holds it elsewhere, or is to.

    Args:
        flags: what a deploy needs beside ``--resume``, with a space before it.
    """
    record = step.record
    if record is None or not (is_held_back(record, step.target) or is_rollback_open(step, state)):
        return None
    told = f"{step.title} is {_tell(step, state)}"
    return told.replace("--resume goes", f"--resume{flags} goes")


def note_hold(step: Step, state: State) -> Step:
    """The step with a note of where its instance is held, or is to be, and how that ends."""
    before, record = state.record(step.target), step.record
    if before is None or record is None or step.target.position == 0:
        return step
    note = _tell(step, state)
    if note is None and before.held and before.digest == record.digest:  # equal to the declaration
        note = f"{describe_hold(before.digest, before.held)}; declared so by now: the next inv asst.deploy ends the hold"
    return step if note is None or note in (step.error or "") else replace(step, note=join_notes(step.note, note))


def note_end_of_hold(step: Step, state: State) -> Step:
    """The step of an update with a note that its instance is held no longer, where nothing stands in its way."""
    before, open_ = state.record(step.target), _open_rollback(step, state)
    if before is None or step.error or step.target.position == 0:
        return step
    if open_ and not is_rollback_open(step, state):
        return replace(step, note=join_notes(step.note, f"no longer to be rolled back to {short(open_.digest)}"))
    if before.held is None:
        return step
    return replace(step, note=join_notes(step.note, f"no longer {describe_hold(before.digest, before.held)}"))


def as_held(desired: Iterable[Desired], state: State) -> list[Desired]:
    """What is desired, with the held payload of each instance that a rollback holds: what is made anew stays there."""
    records = ((each, state.record(each)) for each in desired)
    return [
        replace(each, payload=state.payloads[record.digest], digest=record.digest, held=record.held)
        if record and record.held and each.position > 0
        else each
        for each, record in records
    ]
