"""Forgetting: which record goes, and what is left of it remotely."""

from __future__ import annotations

from pathlib import Path

from ..config.project import Project
from ..errors import SettingsError
from ..types import Location, State, Status, Step
from .event_loop import run
from .reporter import QUIET, Reporter
from .timing import TIMING
from .undeclared import recorded_locations
from .world import World

__all__ = ["forget"]


def forget(name: str, env: str, root: str | Path | None = None, *, reporter: Reporter = QUIET) -> list[Step]:
    """Drop what is recorded of an assistant in an environment, and touch nothing remotely.

    Returns:
        The step, with the id that is recorded no more.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    world = World(Project.load(root, ()), "forget", reporter, TIMING, lock=True)
    return [run(world, _forget(world, name, env))]


async def _forget(world: World, name: str, env: str) -> Step:
    location, step = _forget_step(world.project, name, env, world.state)
    world.project.store.commit(pending={(step.key, location): None}, forget={step.key: location})
    return step


def _forget_step(project: Project, name: str, env: str, state: State) -> tuple[Location, Step]:
    """What ``forget`` drops: where the record or the open create is, and the step that tells of it.

    Of several locations, the one that the environment resolves to now goes first.

    Raises:
        SettingsError: nothing is recorded of it.
    """
    key, locations = (name, env), recorded_locations(state)
    if key not in locations:
        known = [f"{name} in {env}" for name, env in sorted(locations)]
        raise SettingsError(f"nothing is recorded of {name!r:.80} in {env!r:.80}; recorded: {', '.join(known) or 'nothing'}")
    here = {environment.name: environment.location for environment in project.settings.environments}
    location, *others = sorted(locations[key], key=lambda location: location != here.get(env))
    record = state.record_at(key, location)
    open_ = state.pending.get((key, location))
    note = f"{record.id} on {location.label} is left as it is" if record else f"an open create on {location.label}"
    if open_ and open_.nonce:
        note += f"; what its open create made, if anything, is named {name}_{env} and tagged asst.nonce {open_.nonce}"
    if others:
        note += f"; still recorded on {', '.join(other.label for other in others)}"
    status: Status = "not_created" if name in project.declared and env in here else "undeclared"
    id, digest = (record.id, record.digest) if record else (None, None)
    return location, Step(name, env, location.platform, status, id=id, digest=digest, note=note)
