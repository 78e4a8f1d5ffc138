"""When a run refuses to go on, and what it asks before it does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from ..config.environment import Environment
from ..config.project import Project
from ..errors import AsstError, Refused, RowsFailed
from ..text import count
from ..types import Desired, JSONObject, Location, PendingOperation, Record, State, Step
from .diff import declarable_fields
from .plan import NOT_STARTED, Plan
from .refresh import Wanted, list_objects, refresh_again
from .remote import Remote, made_by
from .reporter import Confirm
from .world import World

__all__ = [
    "confirm_overwrite",
    "confirm_recreate",
    "mark_unseen",
    "refuse_if_changed",
    "refuse_if_moved",
    "refuse_unless_promoted",
    "refuse_unsafe",
    "refuse_unseen",
    "stored_entries",
    "wait_for_other_creates",
]


async def mark_unseen(plan: Plan, world: World, remote: Remote, *, deleting: bool = False) -> tuple[Plan, list[str]]:
    """Flag the steps of environments where no recorded instance is visible; return the environments' names, too.

    That may be the work of a wrong key. An environment with any object of this project in it is no sign of one.

    Args:
        deleting: the instances are to be deleted; what is gone from the embedded platform is no sign of a wrong key then.
    """
    absent = [step for step in plan if step.state == "missing" or step.action == "create"]
    absent = [step for step in absent if not world.state.pending_operation(step.target, "delete")]
    names: list[str] = []
    for name, location in dict.fromkeys((step.environment, step.target.location) for step in absent):
        environment = world.project.settings.environment_for(name, location)
        assert environment is not None
        ids = _recorded_ids(world.state, name, location)
        if not ids or (deleting and not environment.managed_with_key):
            continue
        platform = await world.platform_of(environment)
        listing = remote.listing_of(platform)
        if ids & listing.objects.keys() or any(where == name for _, where in listing.tagged):
            continue
        if (await list_objects(platform, ids, Wanted(world.project_name))).objects.keys() & ids:
            continue
        names.append(name)
        error = _unseen_error(name, environment, len(ids), deleting=deleting)
        here = [step for step in absent if (step.environment, step.target.location) == (name, location)]
        plan = plan.updated(replace(step, error=error, note=None, needs_confirmation=True) for step in here)
    return plan, names


def _recorded_ids(state: State, environment: str, location: Location) -> set[str]:
    """The ids that are recorded of an environment at a location, but those that are being deleted."""
    records = {key: record for key, each in state.records.items() if key[1] == environment and (record := each.at(location))}
    pending = {key: state.pending.get((key, record.location)) for key, record in records.items()}
    return {record.id for key, record in records.items() if not ((operation := pending[key]) and operation.kind == "delete")}


def _unseen_error(name: str, environment: Environment, number: int, *, deleting: bool) -> str:
    seer = (
        f"the key in {environment.key_variable()}"
        if environment.managed_with_key
        else f"the {environment.location.platform} platform"
    )
    way_out = "inv asst.create --recreate makes them anew"
    if deleting:
        way_out = f"inv asst.forget NAME {name} drops the record of one that is really gone"
    return f"{name}: {seer} sees none of its {count(number, 'recorded instance')} (is it the right key and project?); {way_out}"


async def refuse_unseen(plan: Plan, world: World, remote: Remote, *, deleting: bool = False) -> None:
    """Refuse to go on where a key sees nothing of an environment.

    Raises:
        Refused: each such environment is named; nothing was written.
    """
    marked, unseen = await mark_unseen(plan, world, remote, deleting=deleting)
    if unseen:
        refuse_unsafe(marked)


def refuse_unsafe(plan: Plan) -> None:
    """Refuse to go on where a step needs a flag or an answer that was not given.

    Raises:
        Refused: each such step is named; nothing was written.
    """
    if plan.to_confirm:
        raise Refused(Plan(tuple(plan.to_confirm)).errors(), plan.steps)


async def confirm_recreate(plan: Plan, world: World, remote: Remote, *, recreate: bool, confirm: Confirm | None) -> Remote:
    """Go on where all of an environment is gone only with ``recreate``, or a yes. Return the last look.

    Raises:
        Refused: it is not allowed, or something changed while the question waited; nothing was written.
    """
    marked, unseen = await mark_unseen(plan, world, remote)
    if not unseen or recreate:
        return remote
    if not (confirm and confirm(f"Make every instance of {', '.join(unseen)} anew?", marked.steps)):
        refuse_unsafe(marked)
    return await refuse_if_changed(marked, world, remote)


async def confirm_overwrite(plan: Plan, overwritten: Plan, world: World, remote: Remote, confirm: Confirm | None) -> Plan:
    """Let a plan with drift go on only with a yes, and then with the drift written over.

    Args:
        overwritten: the same plan where drift is written over; what it still refuses, no yes lets through.

    Raises:
        Refused: there is no yes, or something changed while the question waited; nothing was written.
    """
    question = f"Overwrite {count(len(plan.to_confirm), 'instance')} changed remotely?"
    if not (plan.to_confirm and not overwritten.to_confirm and confirm and confirm(question, plan.steps)):
        refuse_unsafe(plan)
        return plan
    await refuse_if_changed(plan, world, remote)
    return overwritten


async def refuse_if_changed(plan: Plan, world: World, remote: Remote) -> Remote:
    """Look again after the answer to a question, since minutes may have passed. Return what was seen.

    Raises:
        Refused: something in these steps, remotely or in the store, is no longer as it was shown; nothing was written.
    """
    state, again = world.project.store.read(), await refresh_again(remote)
    changed = [
        _mark_changed(step, "the question waited")
        for step in plan
        if step.desired
        and (
            stored_entries(world.state, step.desired) != stored_entries(state, step.desired)
            or remote.seen_of(step.desired, world.state) != again.seen_of(step.desired, world.state)
        )
    ]
    if changed:
        raise Refused(f"{Plan(tuple(changed)).errors()}; nothing was written", plan.updated(changed).steps)
    return again


def refuse_if_moved(plan: Plan, state: State, before: Plan, earlier: State) -> None:
    """Refuse to go on where a later environment is no longer as it was, whatever flags were given for what it was.

    Args:
        plan, state: as they are now.
        before, earlier: as they were before evals ran.

    Raises:
        Refused: each such step is named; no later environment was written.
    """
    changed = [
        _mark_changed(step, "evals ran")
        for step in plan
        if step.target.position > 0
        and (
            stored_entries(state, step.target) != stored_entries(earlier, step.target)
            or _seen(step) != _seen(before.step(step.key))
        )
    ]
    if changed:
        raise Refused(Plan(tuple(changed)).errors(), plan.updated(changed).steps)


def _mark_changed(step: Step, meanwhile: str) -> Step:
    error = f"{step.title} was changed while {meanwhile}: run the same command again"
    return replace(step, error=error, needs_confirmation=True)


def _seen(step: Step) -> JSONObject | None:
    return declarable_fields(step.remote) if step.remote else None


def stored_entries(state: State, desired: Desired) -> tuple[Record | None, PendingOperation | None]:
    """What the store holds of one instance: its record, and what is pending for it."""
    return state.records.get(desired.key), state.pending.get((desired.key, desired.location))


def refuse_unless_promoted(project: Project, environment: Environment, state: State) -> None:
    """Refuse to deploy one environment alone unless those before it hold the desired payloads, as the store says.

    Raises:
        AsstError: the first instance that does not.
    """
    for each in project.desired(project.settings.environments[: environment.position]):
        record = state.record(each)
        if record is None or record.digest != each.digest:
            command = f"asst.deploy --env {each.environment}" if each.position else "asst.update"
            raise AsstError(
                f"{environment.name} is not deployed: the store does not say that {each.name} in {each.environment} is as"
                f" declared: run inv {command if record else 'asst.create'} first"
            )


async def wait_for_other_creates(plan: Plan, world: World, remote: Remote) -> Remote:
    """Wait while several objects carry the tags of an instance that is to be made: another run may be choosing one.

    Raises:
        RowsFailed: they were still there after the grace; all of them are named, and none is touched.
    """
    delays = iter([*world.timing.delays(), None])
    while stuck := [step for step in plan.to_do() if _is_ambiguous(step, world.state, remote)]:
        pause = next(delays)
        if pause is None:
            raise _ambiguous(plan, stuck, remote)
        world.reporter.say("several instances carry the same tags; another run may be choosing one, looking again")
        await asyncio.sleep(pause)
        remote = await refresh_again(remote, tagged=True)
    return remote


def _is_ambiguous(step: Step, state: State, remote: Remote) -> bool:
    tagged = remote.tagged(step.key)
    return len(tagged) > 1 and not made_by(state.pending_operation(step.target, "create"), tagged)


def _ambiguous(plan: Plan, stuck: Sequence[Step], remote: Remote) -> RowsFailed:
    ids = {step.key: [there["id"] for there in remote.tagged(step.key)] for step in stuck}
    named = [
        replace(
            step,
            error=f"{step.title}: {len(ids[step.key])} instances carry its tags: {', '.join(ids[step.key])}; delete all but one"
            " with inv asst.delete --id ID",
        )
        for step in stuck
    ]
    plan = plan.updated(named)
    waiting = [step for step in plan.to_do() if not step.error]
    plan = plan.updated(replace(step, error=f"{step.title}: {NOT_STARTED} others are not clear") for step in waiting)
    return RowsFailed(plan.errors(), plan.steps)
