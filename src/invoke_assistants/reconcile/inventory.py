"""What the store holds, told by what is declared: recorded instances, open creates, and what is no longer declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..config.environment import Environment
from ..config.project import Project
from ..errors import AsstError, SettingsError
from ..text import did_you_mean
from ..types import Desired, Key, Location, Record, Row, State, Status
from .plan import undeclared

__all__ = ["forgotten", "left_elsewhere", "recorded_instances", "refuse_unless_promoted", "undeclared_rows"]


def recorded_instances(
    project: Project, recorded: State, only: Iterable[str], env: str | None, *, undeclared: bool
) -> tuple[list[Desired], list[Row]]:
    """What the store holds, open creates included, as instances with the payload that it names.

    Of an environment of the settings, what is recorded where it resolves to now. What is no longer declared may be
    anywhere that the settings reach; of several places, one.

    Returns:
        The instances, and a refused row for each that is no longer declared and that no setting reaches.

    Raises:
        SettingsError: a name in ``only``, or ``env``, is neither declared nor recorded.
    """
    locations = _locations(recorded)
    names, known = (
        {name for name, _ in locations},
        {environment.name: environment for environment in project.settings.environments},
    )
    chosen = set(only)
    for name in chosen - names - set(project.declared):
        raise SettingsError(
            f"no assistant {name!r:.80}; recorded: {', '.join(sorted(names)) or 'none'}{did_you_mean(name, names)}"
        )
    if env is not None and env not in {where for _, where in locations}:
        project.settings.environment(env)
    order = {name: position for position, name in enumerate([*known, *sorted({where for _, where in locations} - set(known))])}
    out, unreachable = [], []
    for key in sorted(locations, key=lambda key: (key[0], order[key[1]])):
        name, where = key
        declared = name in project.declared and where in known
        if (chosen and name not in chosen) or env not in (None, where) or (undeclared and declared):
            continue
        here = known[where].location if where in known else None
        at = [location for location in locations[key] if location == here] if here and not undeclared else locations[key]
        at = sorted(at, key=lambda location: location != here)
        reached = next((location for location in at if project.settings.environment_for(where, location)), None)
        held = recorded.records.get(key)
        if reached is None:
            unreachable += [_unreachable(key, at[0], held)] if at else []
            continue
        record = held.at(reached) if held else None
        digest_ = record.digest if record else recorded.pending[key, reached].digest
        payload = recorded.payloads[digest_]
        out.append(Desired(name, where, order[where], reached, project.settings.project, payload, digest_))
    return out, unreachable


def undeclared_rows(project: Project, recorded: State, env: str | None) -> list[Row]:
    """A row for what is recorded or being created and no longer declared; none where ``only`` narrows."""
    if project.only:
        return []
    known = [environment.name for environment in project.settings.environments]
    keys = [(name, where) for name in project.declared for where in known]
    locations, out = _locations(recorded), []
    for row in undeclared(recorded, keys):
        if env not in (None, row.environment):
            continue
        note = row.note
        if not any(project.settings.environment_for(row.environment, location) for location in locations[row.key]):
            at = locations[row.key][0].shown
            note = f"on {at}, which no environment of the settings reaches: inv asst.forget {row.name} {row.environment}"
        elif row.environment not in known:
            left = f"{row.environment} is no environment of the settings, which name {', '.join(known)}"
            note = f"{left}; {note}" if note else left
        out.append(replace(row, note=note))
    return out


def left_elsewhere(
    project: Project, recorded: State, only: Iterable[str], env: str | None, here: Sequence[tuple[Key, Location]]
) -> list[str]:
    """A line for each record and open create of these rows that is at another place than ``here``."""
    chosen = set(only)
    return [
        f"{name} in {where}: what is on {location.shown} is left as it is"
        for (name, where), locations in _locations(recorded).items()
        for location in locations
        if env in (None, where) and (not chosen or name in chosen) and ((name, where), location) not in here and (env or chosen)
    ]


def forgotten(project: Project, name: str, env: str, recorded: State) -> tuple[Location, Row]:
    """What ``forget`` drops: a record or an open create, where it is, and the row that tells of it.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    locations = _locations(recorded)
    if (name, env) not in locations:
        known = [f"{name} in {env}" for name, env in sorted(locations)]
        raise SettingsError(f"nothing is recorded of {name!r:.80} in {env!r:.80}; recorded: {', '.join(known) or 'nothing'}")
    here = {environment.name: environment.location for environment in project.settings.environments}
    location, *others = sorted(locations[name, env], key=lambda location: location != here.get(env))
    held = recorded.records.get((name, env))
    record = held.at(location) if held else None
    open_ = recorded.pending.get(((name, env), location))
    told = f"{record.id} on {location.shown} is left as it is" if record else f"an open create on {location.shown}"
    if open_ and open_.nonce:
        told += f"; what its open create made, if anything, is named {name}_{env} and tagged asst.nonce {open_.nonce}"
    if others:
        told += f"; still recorded on {', '.join(other.shown for other in others)}"
    declared = name in project.declared and env in here
    state: Status = "not_created" if declared else "undeclared"
    digest_ = record.digest if record else None
    return location, Row(name, env, location.platform, state, "none", record.id if record else None, digest_, note=told)


def refuse_unless_promoted(project: Project, environment: Environment, recorded: State) -> None:
    """Raise unless the store says that the environments before this one hold the declared payloads."""
    for each in project.desired(project.settings.environments[: environment.position]):
        record = recorded.record(each)
        if record is None or record.digest != each.digest:
            command = f"asst.deploy --env {each.environment}" if each.position else "asst.update"
            raise AsstError(
                f"{environment.name} is not deployed: the store does not say that {each.name} in {each.environment} is as"
                f" declared: run inv {command if record else 'asst.create'} first"
            )


def _locations(recorded: State) -> dict[Key, list[Location]]:
    """Where each row of the store has something: its record, its records elsewhere, its open creates."""
    locations: dict[Key, list[Location]] = {
        key: [record.location, *(other.location for other in record.elsewhere.values())]
        for key, record in recorded.records.items()
    }
    for key, location in recorded.open_creates():
        at = locations.setdefault(key, [])
        if location not in at:
            at.append(location)
    return locations


def _unreachable(key: Key, location: Location, record: Record | None) -> Row:
    name, environment = key
    what = record.id if record else "an open create"
    error = (
        f"{name} in {environment}: {what} is on {location.shown}, which no environment of the settings reaches: give one its"
        f" base URL, or drop what is recorded with inv asst.forget {name} {environment}"
    )
    return Row(
        name, environment, location.platform, "undeclared", id=record.id if record else None, error=error, needs_confirmation=True
    )
