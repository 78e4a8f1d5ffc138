"""Deleting: what is recorded, what an open create made, and one object by its id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..config.environment import Environment
from ..config.project import Project
from ..declare.tags import is_ours, metadata_of
from ..errors import AsstError, PlatformError, Refused, SettingsError
from ..platforms.platform import Platform
from ..text import count, did_you_mean
from ..types import Desired, JSONObject, Key, Location, PendingOperation, Record, State, Step
from .apply import apply_delete
from .diff import declarable_fields
from .executor import Executor
from .plan import Plan
from .planning import plan_delete
from .refresh import refresh
from .reporter import Confirm
from .safeguards import refuse_if_changed, refuse_unsafe, refuse_unseen, stored_entries
from .settle import settle_creates
from .undeclared import recorded_locations
from .world import World

__all__ = ["Selection", "delete_object", "delete_recorded", "recorded_instances", "records_elsewhere"]

_NOTHING_MADE = "its open create had made nothing"


async def delete_recorded(world: World, selection: Selection, *, dry_run: bool, yes: bool, confirm: Confirm | None) -> Plan:
    """Delete recorded instances and forget them; what an open create of theirs made is found and deleted as well.

    Raises:
        Refused: not confirmed, or an instance that must not or cannot be deleted; nothing was written.
        RowsFailed: some could not be deleted.
    """
    desired, unreachable = recorded_instances(world.project, world.state, selection)
    open_ = [each for each in desired if world.state.pending_operation(each, "create")]
    remote = await refresh(world, desired, complete={each.environment for each in open_})
    plan = plan_delete(desired, world.state, remote).updated(unreachable)
    for line in records_elsewhere(world.project, world.state, selection, desired):
        world.reporter.say(line)
    await refuse_unseen(plan, world, remote, deleting=True)
    refuse_unsafe(plan)
    if dry_run or not desired:
        return plan
    _refuse_unless_confirmed(plan.steps, yes, confirm)
    if not yes:
        await refuse_if_changed(plan, world, remote)
    if open_:
        await settle_creates(world, open_)
        plan = await _plan_again(world, selection, plan, desired, open_)
        refuse_unsafe(plan)
    return await apply_delete(plan, world)


async def _plan_again(
    world: World, selection: Selection, plan: Plan, confirmed: Sequence[Desired], open_: Sequence[Desired]
) -> Plan:
    """Plan the deletion anew, once open creates are settled; no instance joins that was not confirmed."""
    known = {(each.key, each.location) for each in confirmed}
    recorded, _ = recorded_instances(world.project, world.state, selection)
    desired = [each for each in recorded if (each.key, each.location) in known]
    remote = await refresh(world, desired)
    recorded_now = {each.key for each in desired}
    nothing = [
        replace(plan.step(each.key), action="none", note=_NOTHING_MADE if each in open_ else "it is no longer recorded")
        for each in confirmed
        if each.key not in recorded_now
    ]
    return plan.updated(nothing).updated(plan_delete(desired, world.state, remote))


def _refuse_unless_confirmed(steps: Sequence[Step], yes: bool, confirm: Confirm | None) -> None:
    what = ", ".join(f"{step.title} ({step.id or 'an open create'})" for step in steps)
    if not yes and not (confirm and confirm(f"Delete {what}?", steps)):
        raise Refused(f"not confirmed: {count(len(steps), 'instance')} would be deleted; --yes goes on", steps)


async def delete_object(world: World, id: str, env: str | None, *, dry_run: bool, yes: bool, confirm: Confirm | None) -> Plan:
    """Delete one object that carries this project's tags, recorded or not; where it is recorded, forget it.

    Args:
        env: where to look for it; it must be an instance of this environment.

    Raises:
        Refused: not confirmed, or it does not carry this project's tags, or those of another environment.
        AsstError: there is no such object.
    """
    environment, platform, there = await _find(world, id, world.project.environments(env))
    name, where = _owner(there, world.project_name, env)
    state, location = world.state, environment.location
    holding = [key for key, held in state.records.items() if (record := held.at(location)) and record.id == id]
    rows = [_recorded_row(world, key, environment) for key in dict.fromkeys([(name, where), *holding])]
    recorded = [f"recorded for {' in '.join(key)}" for key in holding] or ["not recorded"]
    step = Step(name, where, location.platform, None, "delete", id, note=f"of {name} in {where}, {', '.join(recorded)}")
    if dry_run:
        return Plan((step,))
    _refuse_unless_confirmed([step], yes, confirm)
    if not yes:
        await _refuse_if_object_changed(world, platform, there, rows, step)
    if open_ := [each for each in rows if state.pending_operation(each, "create")]:
        await settle_creates(world, open_)
    again = [_recorded_row(world, each.key, environment) for each in rows]  # as recorded once the open creates are settled
    held = [each for each in again if (record := world.state.record(each)) and record.id == id]
    return await _delete_and_forget(world, platform, step, held)


def _owner(there: JSONObject, project: str, env: str | None) -> Key:
    """The assistant and the environment that an object is tagged with."""
    if not is_ours(metadata_of(there), project):
        raise Refused(f"{there['id']} does not carry the tags of project {project}, so it is not ours to delete")
    name, where = there["metadata"]["asst.name"], there["metadata"]["asst.environment"]
    if env not in (None, where):
        raise Refused(f"{there['id']} is an instance of {name} in {where}, not in {env}: leave --env out, or give --env {where}")
    return name, where


async def _refuse_if_object_changed(
    world: World, platform: Platform, there: JSONObject, rows: Iterable[Desired], step: Step
) -> None:
    now, seen = world.project.store.read(), declarable_fields(await platform.retrieve(there["id"]) or {})
    if seen != declarable_fields(there) or any(stored_entries(now, each) != stored_entries(world.state, each) for each in rows):
        raise Refused(
            f"{there['id']} was changed while the question waited; nothing was written: run the same command again", [step]
        )


async def _delete_and_forget(world: World, platform: Platform, step: Step, held: Sequence[Desired]) -> Plan:
    """Delete one object, and forget the records that name it; the deletion is pending in the store before its request."""
    assert step.id is not None
    executor = Executor(world, {})
    for each in held:
        executor.buffer.set_pending(each, PendingOperation("delete", each.digest), each.payload)
    executor.buffer.flush()
    try:
        await executor.send(platform, step.id, platform.delete(step.id), lambda object_: object_ is None)
        for each in held:
            executor.buffer.forget(each, step.id)
            executor.buffer.set_pending(each, None)
    except PlatformError as error:
        for each in held if not error.unknown else ():
            executor.buffer.set_pending(each, None)
        raise
    finally:
        executor.buffer.flush()
    plan = Plan((step,)).updated(replace(step, name=each.name, environment=each.environment) for each in held)
    kept = {step.key, *executor.buffer.replaced}
    return Plan(tuple(each for each in executor.mark_replaced(plan) if each.key in kept)).raise_if_failed()


def _recorded_row(world: World, key: Key, environment: Environment) -> Desired:
    return _as_recorded(world.project_name, world.state, key, environment.position, environment.location)


async def _find(world: World, id: str, environments: Sequence[Environment]) -> tuple[Environment, Platform, JSONObject]:
    """The object of that id, and where it is; the environment that it is recorded for is asked first."""
    recorded = {where for (_, where), record in world.state.records.items() if record.id == id}
    for environment in sorted(environments, key=lambda each: each.name not in recorded):
        platform = await world.platform_of(environment)
        if there := await platform.retrieve(id):
            return environment, platform, there
    raise AsstError(f"there is no {id} in {', '.join(each.name for each in environments)} (is it the right key and project?)")


@dataclass(frozen=True)
class Selection:
    """Which recorded instances are meant; all where nothing narrows.

    Args:
        only: names of assistants.
        env: the one environment.
        undeclared: only what is recorded and no longer declared.
    """

    only: tuple[str, ...] = ()
    env: str | None = None
    undeclared: bool = False

    def takes(self, key: Key) -> bool:
        """Whether an assistant in an environment is meant, declared or not."""
        name, environment = key
        return (not self.only or name in self.only) and self.env in (None, environment)


def recorded_instances(project: Project, state: State, selection: Selection) -> tuple[list[Desired], list[Step]]:
    """What the store holds, open creates included, as instances whose desired payload is the recorded one.

    Of an environment of the settings, what is recorded where it resolves to now. What is no longer declared may be
    anywhere that the settings reach; of several locations, one.

    Returns:
        The instances, and a refused step for each that is no longer declared and that no setting reaches.

    Raises:
        SettingsError: a name of the selection is neither declared nor recorded.
    """
    locations = recorded_locations(state)
    _refuse_unknown(project, locations, selection)
    known = {environment.name: environment for environment in project.settings.environments}
    order = {name: index for index, name in enumerate(dict.fromkeys([*known, *sorted({where for _, where in locations})]))}
    instances, unreachable = [], []
    for key in sorted(locations, key=lambda key: (key[0], order[key[1]])):
        name, where = key
        if not selection.takes(key) or (selection.undeclared and name in project.declared and where in known):
            continue
        here = known[where].location if where in known else None
        candidates = sorted(locations[key], key=lambda location: location != here)
        if here and not selection.undeclared:
            candidates = [location for location in candidates if location == here]
        reached = next((location for location in candidates if project.settings.environment_for(where, location)), None)
        if reached:
            instances.append(_as_recorded(project.settings.project, state, key, order[where], reached))
        elif candidates:
            unreachable.append(_unreachable(key, candidates[0], state.records.get(key)))
    return instances, unreachable


def _refuse_unknown(project: Project, locations: Iterable[Key], selection: Selection) -> None:
    names, environments = {name for name, _ in locations}, {where for _, where in locations}
    for name in set(selection.only) - names - set(project.declared):
        raise SettingsError(
            f"no assistant {name!r:.80}; recorded: {', '.join(sorted(names)) or 'none'}{did_you_mean(name, names)}"
        )
    if selection.env is not None and selection.env not in environments:
        project.settings.environment(selection.env)


def _as_recorded(project_name: str, state: State, key: Key, position: int, location: Location) -> Desired:
    """A row of the store as an instance, with the payload that its record or what is pending for it names."""
    record, pending = state.record_at(key, location), state.pending.get((key, location))
    digest = record.digest if record else pending.digest if pending else ""
    return Desired(*key, position, location, project_name, state.payloads.get(digest, {}), digest)


def records_elsewhere(project: Project, state: State, selection: Selection, here: Sequence[Desired]) -> list[str]:
    """A line for each record and open create of the selected rows that is at another location than these instances."""
    if not (selection.env or selection.only):
        return []
    taken = {(each.key, each.location) for each in here}
    return [
        f"{key[0]} in {key[1]}: what is on {location.label} is left as it is"
        for key, locations in recorded_locations(state).items()
        for location in locations
        if selection.takes(key) and (key, location) not in taken
    ]


def _unreachable(key: Key, location: Location, record: Record | None) -> Step:
    name, environment = key
    what = record.id if record else "an open create"
    error = (
        f"{name} in {environment}: {what} is on {location.label}, which no environment of the settings reaches: give one its"
        f" base URL, or drop what is recorded with inv asst.forget {name} {environment}"
    )
    id = record.id if record else None
    return Step(name, environment, location.platform, "undeclared", id=id, error=error, needs_confirmation=True)
