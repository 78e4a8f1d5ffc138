"""The verbs about what is recorded: history, show. The app is not imported, unless a name is recorded nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from ..config.import_app import load_assistants
from ..config.project import Project, as_names, load_settings, open_store
from ..config.settings import Settings
from ..errors import AsstError, SettingsError
from ..reconcile.event_loop import run
from ..reconcile.history import InstanceHistory, instance_histories
from ..reconcile.instance_view import InstanceView, instance_views, view_remote
from ..reconcile.reporter import QUIET, Reporter
from ..reconcile.timing import TIMING
from ..reconcile.undeclared import recorded_locations
from ..reconcile.world import World
from ..store.versions import read_versions
from ..text import did_you_mean
from ..types import Key, State
from .arguments import Root

__all__ = ["HistoryReport", "history", "show"]


@dataclass(frozen=True)
class HistoryReport:
    """The digests that instances had, and what could not be found out about them."""

    instances: Sequence[InstanceHistory]
    notes: Sequence[str]


def history(root: Root = None, only: Iterable[str] = (), env: str | None = None) -> HistoryReport:
    """Each digest that each instance had, newest first, and what changed to the next. Needs no key and writes nothing.

    Args:
        only: names of assistants; git's history is searched for those that are no longer recorded, too. All when empty.
        env: this environment alone.

    Raises:
        SettingsError: a name or the environment is not recorded.
        StoreError: the store cannot be read.
    """
    settings = load_settings(root)
    with closing(open_store(settings)) as store:
        versions = read_versions(store)
    names, known = as_names(only), set(versions.present.records)
    if names:
        known |= {key for version in versions.versions for key in version.records or ()}
    keys = _select(settings, versions.present, known, names, env)
    return HistoryReport(instance_histories(versions, keys), versions.notes)


def show(
    name: str, env: str | None = None, root: Root = None, *, remote: bool = False, reporter: Reporter = QUIET
) -> list[InstanceView]:
    """What is recorded of an assistant, in each environment. Needs no key, and writes nothing.

    Args:
        env: this environment alone.
        remote: ask the service for each instance, and compare.

    Raises:
        SettingsError: nothing is recorded of it.
        StoreError: the store cannot be read.
    """
    settings = load_settings(root)
    store = open_store(settings)
    world = World(Project(settings, {}, (), store), "show", reporter, TIMING, lock=False)
    return run(world, _show(world, name, env, remote=remote))


async def _show(world: World, name: str, env: str | None, *, remote: bool) -> list[InstanceView]:
    settings, store = world.project.settings, world.project.store
    keys = _select(settings, world.state, recorded_locations(world.state), [name], env)
    resolved = {each.name: each.location for each in settings.environments}
    views = instance_views(world.state, settings.project or store.owner, keys, resolved)
    return list(await asyncio.gather(*(_ask(world, each) for each in views))) if remote else views


async def _ask(world: World, view: InstanceView) -> InstanceView:
    """The view with what the service holds, or with why that is not known."""
    settings = world.project.settings
    environment = settings.environment_for(view.environment, view.location)
    if view.record is None:
        return view
    if environment is None:
        where = f"on {view.location.label}, which no environment of the settings reaches"
        return replace(view, error=f"{view.title}: {view.record.id} is {where}")
    desired = view.desired(environment.position)
    try:
        platform = await world.platform(desired)
        found = view_remote(desired, world.state, await platform.retrieve(view.record.id))
    except AsstError as error:
        return replace(view, error=f"{view.title}: {error}")
    gone = f"{view.title}: {view.record.id} was deleted remotely: inv asst.create makes it anew" if found.object is None else None
    return replace(view, remote=found, error=gone)


def _select(settings: Settings, state: State, known: Collection[Key], names: Sequence[str], env: str | None) -> list[Key]:
    """The keys that are meant, by name and in the order of the environments.

    Raises:
        SettingsError: a name is not recorded, or not in the environment; the environment is unknown.
    """
    environments = [each.name for each in settings.environments]
    order = {name: index for index, name in enumerate(dict.fromkeys([*environments, *sorted({where for _, where in known})]))}
    if env is not None and env not in order:
        settings.environment(env)
    recorded = {name for name, _ in known}
    for name in names:
        if name not in recorded:
            raise _unknown(settings, name, {name for name, _ in recorded_locations(state)})
    selected = (key for key in known if (not names or key[0] in names) and env in (None, key[1]))
    keys = sorted(selected, key=lambda key: (key[0], order[key[1]]))
    if lacking := [name for name in names if name not in {name for name, _ in keys}]:
        where = ", ".join(sorted((key[1] for key in known if key[0] == lacking[0]), key=order.__getitem__))
        raise SettingsError(f"{lacking[0]} is not recorded in {env}, but in {where}: inv asst.create --env {env} makes it there")
    return keys


def _unknown(settings: Settings, name: str, recorded: Iterable[str]) -> SettingsError:
    """The error for a name that is recorded nowhere: it may be declared, or misspelt."""
    declared: Collection[str] = ()
    with suppress(AsstError):
        declared = load_assistants(settings.assistants, settings.root)
    if name in declared:
        return SettingsError(f"{name} is declared and not created yet: run inv asst.create --only {name}")
    names = sorted({*recorded, *declared})
    return SettingsError(f"no assistant {name!r:.80}; known: {', '.join(names) or 'none'}{did_you_mean(name, names)}")
