"""What the store holds, told by what is declared: recorded instances, open creates, and what is no longer declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..config.project import Project
from ..config.settings import Environment
from ..errors import AsstError, SettingsError
from ..text import nearest
from ..types import Key, Place, Record, Recorded, Row, State, Wanted
from .plan import undeclared

__all__ = ["forgotten", "left_elsewhere", "recorded_instances", "refuse_unless_promoted", "undeclared_rows"]


def recorded_instances(
    project: Project, recorded: Recorded, only: Iterable[str], env: str | None, *, undeclared: bool
) -> tuple[list[Wanted], list[Row]]:
    """What the store holds, open creates included, as instances with the payload that it names.

    Of an environment of the settings, what is recorded where it resolves to now. What is no longer declared may be
    anywhere that the settings reach; of several places, one.

    Returns:
        The instances, and a refused row for each that is no longer declared and that no setting reaches.

    Raises:
        SettingsError: a name in ``only``, or ``env``, is neither declared nor recorded.
    """
    places = _places(recorded)
    names, known = {name for name, _ in places}, {environment.name: environment for environment in project.settings.environments}
    chosen = set(only)
    for name in chosen - names - set(project.declared):
        raise SettingsError(f"no assistant {name!r:.80}; recorded: {', '.join(sorted(names)) or 'none'}{nearest(name, names)}")
    if env is not None and env not in {where for _, where in places}:
        project.settings.environment(env)
    order = {name: position for position, name in enumerate([*known, *sorted({where for _, where in places} - set(known))])}
    out, unreachable = [], []
    for key in sorted(places, key=lambda key: (key[0], order[key[1]])):
        name, where = key
        declared = name in project.declared and where in known
        if (chosen and name not in chosen) or env not in (None, where) or (undeclared and declared):
            continue
        here = known[where].place if where in known else None
        at = [place for place in places[key] if place == here] if here and not undeclared else places[key]
        at = sorted(at, key=lambda place: place != here)
        reached = next((place for place in at if project.settings.reaching(where, place)), None)
        held = recorded.records.get(key)
        if reached is None:
            unreachable += [_unreachable(key, at[0], held)] if at else []
            continue
        record = held.at(reached) if held else None
        digest_ = record.digest if record else recorded.intents[key, reached].digest
        payload = recorded.payloads[digest_]
        out.append(Wanted(name, where, order[where], reached, project.settings.project, payload, digest_))
    return out, unreachable


def undeclared_rows(project: Project, recorded: Recorded, env: str | None) -> list[Row]:
    """A row for what is recorded or being created and no longer declared; none where ``only`` narrows."""
    if project.only:
        return []
    known = [environment.name for environment in project.settings.environments]
    keys = [(name, where) for name in project.declared for where in known]
    places, out = _places(recorded), []
    for row in undeclared(recorded, keys):
        if env not in (None, row.environment):
            continue
        note = row.note
        if not any(project.settings.reaching(row.environment, place) for place in places[row.key]):
            at = places[row.key][0].shown
            note = f"on {at}, which no environment of the settings reaches: inv asst.forget {row.name} {row.environment}"
        elif row.environment not in known:
            left = f"{row.environment} is no environment of the settings, which name {', '.join(known)}"
            note = f"{left}; {note}" if note else left
        out.append(replace(row, note=note))
    return out


def left_elsewhere(
    project: Project, recorded: Recorded, only: Iterable[str], env: str | None, here: Sequence[tuple[Key, Place]]
) -> list[str]:
    """A line for each record and open create of these rows that is at another place than ``here``."""
    chosen = set(only)
    return [
        f"{name} in {where}: what is on {place.shown} is left as it is"
        for (name, where), places in _places(recorded).items()
        for place in places
        if env in (None, where) and (not chosen or name in chosen) and ((name, where), place) not in here and (env or chosen)
    ]


def forgotten(project: Project, name: str, env: str, recorded: Recorded) -> tuple[Place, Row]:
    """What ``forget`` drops: a record or an open create, where it is, and the row that tells of it.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    places = _places(recorded)
    if (name, env) not in places:
        known = [f"{name} in {env}" for name, env in sorted(places)]
        raise SettingsError(f"nothing is recorded of {name!r:.80} in {env!r:.80}; recorded: {', '.join(known) or 'nothing'}")
    here = {environment.name: environment.place for environment in project.settings.environments}
    place, *others = sorted(places[name, env], key=lambda place: place != here.get(env))
    held = recorded.records.get((name, env))
    record = held.at(place) if held else None
    open_ = recorded.intents.get(((name, env), place))
    told = f"{record.id} on {place.shown} is left as it is" if record else f"an open create on {place.shown}"
    if open_ and open_.nonce:
        told += f"; what its open create made, if anything, is named {name}_{env} and tagged asst.nonce {open_.nonce}"
    if others:
        told += f"; still recorded on {', '.join(other.shown for other in others)}"
    declared = name in project.declared and env in here
    state: State = "not_created" if declared else "undeclared"
    digest_ = record.digest if record else None
    return place, Row(name, env, place.platform, state, "none", record.id if record else None, digest_, note=told)


def refuse_unless_promoted(project: Project, environment: Environment, recorded: Recorded) -> None:
    """Raise unless the store says that the environments before this one hold the declared payloads."""
    for each in project.wanted(project.settings.environments[: environment.position]):
        record = recorded.record(each)
        if record is None or record.digest != each.digest:
            command = f"asst.deploy --env {each.environment}" if each.position else "asst.update"
            raise AsstError(
                f"{environment.name} is not deployed: the store does not say that {each.name} in {each.environment} is as"
                f" declared: run inv {command if record else 'asst.create'} first"
            )


def _places(recorded: Recorded) -> dict[Key, list[Place]]:
    """Where each row of the store has something: its record, its records elsewhere, its open creates."""
    places: dict[Key, list[Place]] = {
        key: [record.place, *(other.place for other in record.elsewhere.values())] for key, record in recorded.records.items()
    }
    for key, place in recorded.open_creates():
        at = places.setdefault(key, [])
        if place not in at:
            at.append(place)
    return places


def _unreachable(key: Key, place: Place, record: Record | None) -> Row:
    name, environment = key
    what = record.id if record else "an open create"
    error = (
        f"{name} in {environment}: {what} is on {place.shown}, which no environment of the settings reaches: give one its"
        f" base URL, or drop what is recorded with inv asst.forget {name} {environment}"
    )
    return Row(name, environment, place.platform, "undeclared", id=record.id if record else None, error=error, unsafe=True)
