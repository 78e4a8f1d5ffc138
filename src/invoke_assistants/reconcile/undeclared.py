"""What is recorded or being created and no longer declared, and where the store has something at all."""

from __future__ import annotations

from dataclasses import replace

from ..config.project import Project
from ..types import Key, Location, State, Step

__all__ = ["undeclared_steps"]


def undeclared_steps(project: Project, state: State, env: str | None) -> list[Step]:
    """A step for what is recorded or being created and no longer declared; none where ``only`` narrows.

    Args:
        env: this environment alone.
    """
    if project.only:
        return []
    known = [environment.name for environment in project.settings.environments]
    declared = {(name, where) for name in project.declared for where in known}
    locations = recorded_locations(state)
    steps = []
    for key in sorted(locations.keys() - declared):
        if env not in (None, key[1]):
            continue
        step = _undeclared(state, key, locations[key][0])
        if not project.declared:  # a slip in the app, most likely: no row may point at deleting or forgetting all there is
            where = project.settings.assistants
            step = replace(
                step, note=f"nothing is declared: {where}, which the setting assistants (ASST_ASSISTANTS) names, is empty"
            )
        elif not any(project.settings.environment_for(step.environment, location) for location in locations[key]):
            at = locations[key][0].label
            note = f"on {at}, which no environment of the settings reaches: inv asst.forget {step.name} {step.environment}"
            step = replace(step, note=note)
        elif step.environment not in known:
            left = f"{step.environment} is not an environment of the settings, which name {', '.join(known)}"
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


def recorded_locations(state: State) -> dict[Key, list[Location]]:
    """Where each row of the store has something: its record, its records elsewhere, its open creates."""
    locations = {
        key: [record.location, *(other.location for other in record.elsewhere.values())] for key, record in state.records.items()
    }
    for key, location in state.pending_creates():
        at = locations.setdefault(key, [])
        if location not in at:
            at.append(location)
    return locations
