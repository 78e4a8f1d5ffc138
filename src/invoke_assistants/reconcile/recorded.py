"""What the store holds, seen from what is declared: recorded instances, open creates, and what is no longer declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..config.project import Project
from ..errors import SettingsError
from ..text import did_you_mean
from ..types import Desired, Key, Location, Record, State, Status, Step

__all__ = ["Selection", "forget_step", "recorded_instances", "records_elsewhere", "undeclared_steps"]


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
    locations = _locations(state)
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
            instances.append(_instance(project, state, key, order[where], reached))
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


def _instance(project: Project, state: State, key: Key, position: int, location: Location) -> Desired:
    held = state.records.get(key)
    record = held.at(location) if held else None
    digest = record.digest if record else state.pending[key, location].digest
    return Desired(*key, position, location, project.settings.project, state.payloads[digest], digest)


def undeclared_steps(project: Project, state: State, env: str | None) -> list[Step]:
    """A step for what is recorded or being created and no longer declared; none where ``only`` narrows.

    Args:
        env: this environment alone.
    """
    if project.only:
        return []
    known = [environment.name for environment in project.settings.environments]
    declared = {(name, where) for name in project.declared for where in known}
    locations = _locations(state)
    steps = []
    for key in sorted(locations.keys() - declared):
        if env not in (None, key[1]):
            continue
        step = _undeclared(state, key, locations[key][0])
        if not any(project.settings.environment_for(step.environment, location) for location in locations[key]):
            at = locations[key][0].label
            note = f"on {at}, which no environment of the settings reaches: inv asst.forget {step.name} {step.environment}"
            step = replace(step, note=note)
        elif step.environment not in known:
            left = f"{step.environment} is no environment of the settings, which name {', '.join(known)}"
            step = replace(step, note=f"{left}; {step.note}" if step.note else left)
        steps.append(step)
    return steps


def _undeclared(state: State, key: Key, location: Location) -> Step:
    record = state.records.get(key)
    open_ = {where: operation for (each, where), operation in state.pending_creates().items() if each == key}
    note = "a create is still open: inv asst.delete --undeclared settles it" if open_ else None
    if record:
        return Step(*key, record.location.platform, "undeclared", id=record.id, digest=record.digest, note=note)
    return Step(*key, location.platform, "undeclared", digest=open_[location].digest, note=note)


def records_elsewhere(project: Project, state: State, selection: Selection, here: Sequence[Desired]) -> list[str]:
    """A line for each record and open create of the selected rows that is at another location than these instances."""
    if not (selection.env or selection.only):
        return []
    taken = {(each.key, each.location) for each in here}
    return [
        f"{key[0]} in {key[1]}: what is on {location.label} is left as it is"
        for key, locations in _locations(state).items()
        for location in locations
        if selection.takes(key) and (key, location) not in taken
    ]


def forget_step(project: Project, name: str, env: str, state: State) -> tuple[Location, Step]:
    """What ``forget`` drops: where the record or the open create is, and the step that tells of it.

    Of several locations, the one that the environment resolves to now goes first.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    key, locations = (name, env), _locations(state)
    if key not in locations:
        known = [f"{name} in {env}" for name, env in sorted(locations)]
        raise SettingsError(f"nothing is recorded of {name!r:.80} in {env!r:.80}; recorded: {', '.join(known) or 'nothing'}")
    here = {environment.name: environment.location for environment in project.settings.environments}
    location, *others = sorted(locations[key], key=lambda location: location != here.get(env))
    held = state.records.get(key)
    record = held.at(location) if held else None
    open_ = state.pending.get((key, location))
    note = f"{record.id} on {location.label} is left as it is" if record else f"an open create on {location.label}"
    if open_ and open_.nonce:
        note += f"; what its open create made, if anything, is named {name}_{env} and tagged asst.nonce {open_.nonce}"
    if others:
        note += f"; still recorded on {', '.join(other.label for other in others)}"
    status: Status = "not_created" if name in project.declared and env in here else "undeclared"
    id, digest = (record.id, record.digest) if record else (None, None)
    return location, Step(name, env, location.platform, status, id=id, digest=digest, note=note)


def _locations(state: State) -> dict[Key, list[Location]]:
    """Where each row of the store has something: its record, its records elsewhere, its open creates."""
    locations = {
        key: [record.location, *(other.location for other in record.elsewhere.values())] for key, record in state.records.items()
    }
    for key, location in state.pending_creates():
        at = locations.setdefault(key, [])
        if location not in at:
            at.append(location)
    return locations


def _unreachable(key: Key, location: Location, record: Record | None) -> Step:
    name, environment = key
    what = record.id if record else "an open create"
    error = (
        f"{name} in {environment}: {what} is on {location.label}, which no environment of the settings reaches: give one its"
        f" base URL, or drop what is recorded with inv asst.forget {name} {environment}"
    )
    id = record.id if record else None
    return Step(name, environment, location.platform, "undeclared", id=id, error=error, needs_confirmation=True)
