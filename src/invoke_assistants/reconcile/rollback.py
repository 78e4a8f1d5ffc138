"""Rolling an environment back to payloads that it had before: which ones, and what stands in the way. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ..declare.compatibility import compare_schemas
from ..declare.reader import read_model
from ..declare.tags import DIGEST_TAG, metadata_of
from ..errors import SettingsError
from ..text import join_notes
from ..types import Desired, Held, PendingOperation, Reader, Record, State, Step, short
from .diff_instance import diff_instance
from .hold import tell_hold
from .plan import Plan
from .planning import bring_to_desired
from .remote import Remote
from .schema_change import output_schema_of

__all__ = ["Rollback", "find_digest", "plan_rollback"]

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")


@dataclass(frozen=True)
class Rollback:
    """What a rollback was asked for.

    Args:
        only: the assistants that were named; without an earlier payload each of them is an error, and others are left alone.
        to: the digest to go back to; None means the one before.
        message: why; None keeps that of the rollback before.
    """

    only: Collection[str] = ()
    to: str | None = None
    message: str | None = None


def find_digest(text: str, desired: Iterable[Desired], state: State) -> str:
    """The one digest that begins so, of those that these instances have or had.

    Raises:
        SettingsError: the text is no digest, or there is none or more than one; those that there are are listed.
    """
    known = {
        each.name: list(dict.fromkeys((record.digest, *_earlier(record)))) for each in desired if (record := state.record(each))
    }
    listed = "; ".join(f"{name} {', '.join(map(short, digests))}" for name, digests in known.items()) or "none"
    form = _PREFIX.fullmatch(text.strip().lower())
    if form is None:
        raise SettingsError(f"--to {text!r:.80} is not a digest, or the first 8 hex digits of one; there are: {listed}")
    found = {each for digests in known.values() for each in digests if each.startswith(f"sha256:{form[1]}")}
    if len(found) != 1:
        problem = f"{len(found)} digests begin so" if found else "there is no such digest"
        raise SettingsError(f"--to {text:.80}: {problem}; there are: {listed}")
    return found.pop()


def plan_rollback(
    desired: Sequence[Desired], state: State, remote: Remote, rollback: Rollback, *, overwrite: bool = False
) -> Plan:
    """What ``rollback`` would do: bring each instance back to an earlier payload, and hold it there.

    A rollback that did not come to its end is still pending: then it is finished, and what it has done stays. What is left
    alone comes without its remote object, so that nothing is recorded of it; where that is all there is, each is an error.

    Args:
        desired: the declared instances of one environment.
        overwrite: drift by hand, or by another checkout, is written over.
    """
    finishing = rollback.to is None and any(_pending(each, state) for each in desired)
    plan = Plan(tuple(_step(each, state, remote, rollback, finishing=finishing, overwrite=overwrite) for each in desired))
    if rollback.to is not None or finishing or any(step.ends_rollback for step in plan):
        return plan
    return plan.updated(replace(step, note=None, error=f"{step.title}: {step.note}") for step in plan if step.note)


def _step(declared: Desired, state: State, remote: Remote, rollback: Rollback, *, finishing: bool, overwrite: bool) -> Step:
    recorded = state.record(declared)
    if recorded is None:
        return _left(Step.of(declared, "not_created"), "not created, so there is nothing to roll back", rollback)
    there = remote.listing(declared.key).objects.get(recorded.id)
    stays = replace(declared, payload=state.payloads[recorded.digest], digest=recorded.digest, held=recorded.held)
    step = diff_instance(stays, state, there)
    now = _now(step, recorded, state)
    present = now.record
    digest = _digest_of(now, rollback, finishing=finishing)
    if digest is None and finishing and present.held:
        note = f"{tell_hold(present.digest, present.held)}; a rollback that was interrupted is finished first"
        return replace(step, remote=None, note=note)
    if digest is None:
        return _left(replace(step, digest=present.digest), _why_not(present, rollback), rollback)
    earlier = replace(declared, payload=state.payloads[digest], digest=digest, held=_hold(now, rollback))
    step = bring_to_desired(diff_instance(earlier, state, there), state, overwrite=overwrite)
    if (left := now.rollback or now.half) and not present.held:  # what was let through for the digest that is left
        step = replace(step, allowed=left.allowed, evals_skipped=left.evals_skipped)
    return _with_schema(step, declared, state)


@dataclass(frozen=True)
class _Now:
    """Where an instance is.

    Args:
        record: what is recorded of it, with a pending update that got through.
        rollback: one that did not come to its end.
        half: an update whose digest the object carries and that is not recorded, since it was not taken as it was sent.
        whole: whether the object is as it is recorded.
    """

    record: Record
    rollback: PendingOperation | None
    half: PendingOperation | None
    whole: bool


def _now(step: Step, recorded: Record, state: State) -> _Now:
    """Where an instance is, as its step against its recorded payload shows."""
    operation, present = state.pending_operation(step.target, "update"), step.record
    assert present is not None
    carried = metadata_of(step.remote).get(DIGEST_TAG)
    half = operation if operation and present.digest != operation.digest == carried else None
    return _Now(present, _pending(step.target, state), half, step.state == "in_sync" or present.digest != recorded.digest)


def _pending(desired: Desired, state: State) -> PendingOperation | None:
    """The rollback of an instance that did not come to its end."""
    operation = state.pending_operation(desired, "update")
    return operation if operation and operation.held else None


def _earlier(record: Record) -> list[str]:
    """The digests that a record may go back to, newest first."""
    return list(dict.fromkeys([*([record.held.origin] if record.held else []), *record.history]))


def _digest_of(now: _Now, rollback: Rollback, *, finishing: bool) -> str | None:
    """The digest to roll an instance back to; None where it is to be left alone."""
    present = now.record
    if rollback.to is not None:
        if rollback.to == present.digest:
            return rollback.to if present.held or now.rollback or now.half or not now.whole else None
        return rollback.to if rollback.to in _earlier(present) else None
    if now.rollback:
        return now.rollback.digest
    if finishing and present.held:
        return None
    if now.half:
        return present.digest
    history = list(dict.fromkeys(present.history))
    after = history.index(present.digest) + 1 if present.held and present.digest in history else 0
    return next((each for each in history[after:] if each != present.digest), None)


def _hold(now: _Now, rollback: Rollback) -> Held:
    """What the record says from here on: the digest that was first left, and why."""
    before = now.record.held or (now.rollback.held if now.rollback else None)
    message = rollback.message if rollback.message is not None else before.message if before else ""
    return Held(before.origin if before else (now.half or now.record).digest, message)


def _why_not(present: Record, rollback: Rollback) -> str:
    at = short(present.digest)
    if rollback.to is None:
        return f"{at} is the earliest digest that is recorded, so there is none to roll back to"
    return f"at {at} already" if present.digest == rollback.to else f"{at} stays: it never had {short(rollback.to)}"


def _left(step: Step, why: str, rollback: Rollback) -> Step:
    """The step of an instance that has nothing to go back to."""
    named = f"{step.title}: {why}" if step.name in rollback.only else None
    return replace(step, remote=None, changes=(), note=None if named else why, error=named)


def _with_schema(step: Step, declared: Desired, state: State) -> Step:
    """The step with what the declared model, which the app has, cannot read of the answers to come. Told, never refused."""
    assert step.target.held is not None
    before, after = output_schema_of(declared.payload), output_schema_of(step.target.payload)
    reader = state.readers.get(step.target.digest, Reader())
    schema = compare_schemas(before, read_model(declared.output), after, reader)
    hold = None if step.error else tell_hold(step.target.digest, step.target.held)
    return replace(step, schema=schema, note=join_notes(hold, step.note), ends_rollback=True)
