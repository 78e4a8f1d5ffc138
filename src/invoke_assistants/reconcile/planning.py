"""Desired, recorded and remote become a plan: one function for each command. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..declare.tags import metadata_of
from ..text import join_notes
from ..types import Action, Desired, JSONObject, State, Status, Step
from .consent import NO_CONSENT, Consent, breaking_error, breaking_flags
from .diff_instance import diff_instance
from .hold import hold_error, note_end_of_hold, note_hold
from .metadata_pairs import too_many_pairs
from .plan import Plan
from .remote import Remote, made_by
from .schema_change import schema_for_app, with_rollback_note, with_schema

__all__ = ["adopt_tagged", "bring_to_desired", "plan_create", "plan_delete", "plan_preview", "plan_status", "plan_update"]

_CREATE: dict[Status, Action] = {"not_created": "create", "missing": "recreate"}
_OPEN = "a create is still open: inv asst.create settles it"


def _diff_all(desired: Iterable[Desired], state: State, remote: Remote) -> Iterator[Step]:
    for each in desired:
        record = state.record(each)
        there = remote.listing(each.key).objects.get(record.id) if record else None
        yield _with_duplicates(with_schema(diff_instance(each, state, there), state), remote.tagged(each.key))


def plan_create(desired: Iterable[Desired], state: State, remote: Remote) -> Plan:
    """What ``create`` would do: make what is not there, leave what is, and settle what is open."""

    def step_of(step: Step) -> Step:
        step = note_hold(step, state)
        if step.state in _CREATE:
            return replace(step, action=_CREATE[step.state], note=_open_note(step, state) or step.note)
        return replace(step, action="adopt" if _open_note(step, state) else "none", note=_status_note(step, state))

    return Plan(tuple(map(step_of, _diff_all(desired, state, remote))))


def plan_status(desired: Iterable[Desired], state: State, remote: Remote) -> Plan:
    """What is; nothing would be done."""
    steps = (note_hold(step, state) for step in _diff_all(desired, state, remote))
    return Plan(tuple(replace(step, note=_status_note(step, state)) for step in steps))


def plan_update(desired: Iterable[Desired], state: State, remote: Remote, consent: Consent = NO_CONSENT) -> Plan:
    """What ``update`` or ``deploy`` would do: bring each instance to its desired payload, and make none.

    Args:
        consent: what the user lets through.
    """
    steps = (_update_step(step, state, consent) for step in _diff_all(desired, state, remote))
    if consent.resume:
        steps = (replace(step, ends_rollback=True) for step in steps)
    return Plan(tuple(note_end_of_hold(step, state) for step in steps))


def plan_preview(desired: Iterable[Desired], state: State, remote: Remote, consent: Consent = NO_CONSENT) -> Plan:
    """What ``plan`` shows: as ``plan_update``, with what is not created as an instance to be made.

    Args:
        consent: what the user would let through.
    """

    def step_of(step: Step) -> Step:
        if step.state == "not_created":
            return replace(step, action="create", note=_open_note(step, state) or step.note)
        planned = note_hold(_update_step(step, state, consent), state)
        return replace(planned, action="recreate") if step.state == "missing" else planned

    return Plan(tuple(map(step_of, _diff_all(desired, state, remote))))


def _update_step(step: Step, state: State, consent: Consent) -> Step:
    """What an update would do about one instance; the first thing that stands in its way is its error."""
    step = bring_to_desired(step, state, overwrite=consent.overwrite)
    if step.action != "update":
        return step
    schema = schema_for_app(step, state)
    flags = breaking_flags(step, schema, consent) if not step.error else ""
    if not consent.resume and (held := hold_error(step, state, flags)):
        return replace(step, error=held, needs_confirmation=True)
    if step.error or step.target.position == 0:
        return step
    if schema:
        if error := breaking_error(step, schema, consent):
            return replace(step, error=error, needs_confirmation=True)
        step = replace(step, allowed=tuple(sorted({change.path for change in schema.unsafe})))
    return with_rollback_note(step, state)


def bring_to_desired(step: Step, state: State, *, overwrite: bool) -> Step:
    """The step of an instance that is to be brought to its desired payload, or what stands in the way of doing that at all."""
    desired, title = step.target, step.title
    if step.state == "not_created":
        recorded = f" ({step.note})" if step.note else ""
        return replace(step, error=f"{title} is not created{recorded}: run inv asst.create")
    if step.state == "missing":
        return replace(step, error=f"{title}: {step.id} was deleted remotely: run inv asst.create to make it anew")
    if state.pending_operation(desired, "create"):
        return replace(step, error=f"{title}: a create is still open: run inv asst.create to settle it")
    if step.state == "in_sync":
        return step
    if step.body is None:
        return replace(step, error=f"{title}: {step.drift}", needs_confirmation=True)
    if step.drift and not overwrite:
        error = f"{title}: {step.drift}; --overwrite puts the {'earlier' if desired.held else 'declared'} values in its place"
        return replace(step, action="update", error=error, needs_confirmation=True)
    if many := too_many_pairs(step.body, desired.payload):
        return replace(step, error=f"{title}: {step.id} would have {many}")
    return replace(step, action="update")


def plan_delete(desired: Iterable[Desired], state: State, remote: Remote) -> Plan:
    """What ``delete`` would do about recorded instances and open creates: only an object with our tags is deleted."""
    steps = []
    for step in _diff_all(desired, state, remote):
        pending = state.pending_operation(step.target, "create")
        tags = metadata_of(step.remote)
        if step.remote is not None and any(tags.get(key) != value for key, value in step.target.identity.items()):
            error = f"{step.title}: {step.remote['id']} does not carry our tags, so it is not ours to delete"
            steps.append(replace(step, error=error, needs_confirmation=True))
        elif pending:
            made = [there["id"] for there in made_by(pending, remote.tagged(step.key))]
            note = "a create is still open: what it made is deleted, too"
            steps.append(replace(step, action="delete", note=note, id=step.id or next(iter(made), None)))
        else:
            steps.append(replace(step, action="none" if step.record is None else "delete"))
    return Plan(tuple(steps))


def adopt_tagged(plan: Plan, remote: Remote) -> Plan:
    """The plan of a create, adopting instead of making where an object carries the instance's tags already."""
    found = [step for step in plan.to_do("create", "recreate") if remote.tagged(step.key)]
    return plan.updated(replace(step, action="adopt") for step in found)


def _with_duplicates(step: Step, tagged: Sequence[JSONObject]) -> Step:
    """The step of a living instance, with a note of the other objects that carry its tags."""
    others = [there["id"] for there in tagged if there["id"] != step.id]
    if step.remote is None or not others:
        return step
    verb = "carries" if len(others) == 1 else "carry"
    which = f"{', '.join(others)} {verb} the same tags; {step.id} is the recorded one"
    return replace(step, note=join_notes(step.note, which, *(f"inv asst.delete --id {id} deletes it" for id in others)))


def _open_note(step: Step, state: State) -> str | None:
    return _OPEN if state.pending_operation(step.target, "create") else None


def _status_note(step: Step, state: State) -> str | None:
    return _open_note(step, state) or join_notes(step.drift, step.note)
