"""The verbs, as plain functions. Most find the project, plan, and apply or show the plan. None raises ``Exit``.

Every verb takes ``root``, the project's folder (found as at run time where it is None). Most return steps, one
for each assistant in each environment, in the order declared. Those about what is declared take ``only``, names of
assistants, and mean all where it is empty. A ``reporter`` is told how a run goes on; ``confirm`` takes a question and the
steps that it is about, and returns the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from .config.check import check
from .config.environment import Environment
from .config.manage_store import StoreReport, copy_to_place, earlier_revisions, recover_file, restore_revision, unlock_store
from .config.project import Project, as_names, load_settings, open_store
from .errors import SettingsError
from .platforms.serve import serve
from .reconcile.adopt import adopt_object
from .reconcile.apply import apply_update
from .reconcile.create import apply_create
from .reconcile.delete import Selection, delete_object, delete_recorded
from .reconcile.event_loop import run
from .reconcile.forget import forget
from .reconcile.plan import Plan
from .reconcile.planning import adopt_tagged, plan_create, plan_preview, plan_status, plan_update
from .reconcile.refresh import refresh, refresh_to_create
from .reconcile.remote import as_recorded
from .reconcile.reporter import QUIET, Confirm, Reporter
from .reconcile.safeguards import (
    confirm_overwrite,
    confirm_recreate,
    mark_unseen,
    refuse_unless_promoted,
    refuse_unseen,
    wait_for_other_creates,
)
from .reconcile.timing import TIMING, Timing
from .reconcile.undeclared import undeclared_steps
from .reconcile.world import World
from .store.describe import describe_store
from .store.lock import lock_store
from .store.resolve import GitVersions, choose_sides, file_of, resolve_conflicts
from .types import ID, Desired, Step

__all__ = [
    "StoreReport", "adopt", "check", "create", "delete", "deploy", "forget", "plan", "resolve", "serve", "status", "store",
    "update",
]  # fmt: skip

Root = str | Path | None


def create(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, dry_run: bool = False, recreate: bool = False,
    confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Give every declared assistant an instance in every environment (or ``env``) that has none; leave what exists.

    Args:
        dry_run: plan only; no lock, no write.
        recreate: go on where all recorded instances of an environment are gone; else ``confirm`` is asked.

    Raises:
        Refused: a key sees none of an environment's recorded instances; nothing was written.
        RowsFailed: some instances could not be made; the others were.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    desired = project.desired(project.environments(env), validate=True)
    world = World(project, "create", reporter, timing, lock=not dry_run)
    plan = run(world, _create(world, desired, dry_run=dry_run, recreate=recreate, confirm=confirm))
    open_ = {key for key, _ in world.state.pending_creates()}  # a create does not settle those that are undeclared
    return [*plan, *(step for step in undeclared_steps(project, world.state, env) if step.key in open_)]


async def _create(world: World, desired: Sequence[Desired], *, dry_run: bool, recreate: bool, confirm: Confirm | None) -> Plan:
    remote = await refresh_to_create(world, desired)
    plan = plan_create(desired, world.state, remote)
    remote = await confirm_recreate(plan, world, remote, recreate=recreate, confirm=confirm)
    remote = await wait_for_other_creates(plan, world, remote)
    plan = adopt_tagged(plan, remote)
    return plan if dry_run else await apply_create(plan, world, remote)


def update(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, dry_run: bool = False, overwrite: bool = False,
    confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Bring the first environment's instances to the code; what is as declared is not written.

    Args:
        env: the first environment or None; another one is an error.
        dry_run: plan only; no lock, no write.
        overwrite: write over what was changed remotely by hand; else ``confirm`` is asked.

    Raises:
        Refused: an instance was changed remotely by hand; nothing was written.
        RowsFailed: some instances could not be brought up to date; the others were.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    first = project.settings.environments[0]
    if env is not None and project.settings.environment(env) != first:
        raise SettingsError(f"asst.update works in {first.name}; for {env} use inv asst.deploy --env {env}")
    desired = project.desired([first], validate=True)
    world = World(project, "update", reporter, timing, lock=not dry_run)
    return [*run(world, _update(world, desired, dry_run=dry_run, overwrite=overwrite, confirm=confirm))]


def deploy(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, through: str | None = None, dry_run: bool = False,
    overwrite: bool = False, confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Bring every environment to the code, in order; one starts only when the one before is whole. Never creates.

    Args:
        env: this environment alone; the store must say that those before it hold the declared payloads.
        through: the environments up to this one.
        dry_run, overwrite: as for ``update``.

    Raises:
        Refused: an instance was changed remotely by hand, or by another checkout; nothing was written.
        RowsFailed: some instances could not be brought up to date; environments after theirs were not started.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    environments = project.environments(env)
    if env is None and through is not None:
        environments = project.settings.environments[: project.settings.environment(through).position + 1]
    alone = environments[0] if env is not None else None
    desired = project.desired(environments, validate=True)
    world = World(project, "deploy", reporter, timing, lock=not dry_run)
    return [*run(world, _update(world, desired, dry_run=dry_run, overwrite=overwrite, confirm=confirm, alone=alone))]


async def _update(
    world: World, desired: Sequence[Desired], *, dry_run: bool, overwrite: bool, confirm: Confirm | None,
    alone: Environment | None = None,
) -> Plan:  # fmt: skip
    if alone:
        refuse_unless_promoted(world.project, alone, world.state)
    remote = await refresh(world, desired)
    plan = plan_update(desired, world.state, remote, overwrite=overwrite)
    await refuse_unseen(plan, world, remote)
    plan = await confirm_overwrite(plan, world, remote, desired, None if dry_run else confirm)
    return plan.raise_if_failed() if dry_run else await apply_update(plan, world)


def delete(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, undeclared: bool = False, id: str | None = None,
    dry_run: bool = False, yes: bool = False, confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Delete recorded instances and forget them: of an environment, of some assistants, or what is no longer declared.

    Only objects with our tags are deleted. Names in ``only`` and ``env`` may be recorded ones that are no longer declared.
    What an open create of these rows made is found and deleted as well.

    Args:
        undeclared: only what is recorded and no longer declared.
        id: this one object, recorded or not; ``env`` then says where to look for it.
        yes: it was confirmed; else ``confirm`` is asked.

    Raises:
        Refused: not confirmed, an object without our tags, or a key that sees none of an environment's instances.
        RowsFailed: some could not be deleted; the others were.
        AsstError: nothing could be done.
    """
    selection = Selection(as_names(only), env, undeclared)
    if not (undeclared or env or selection.only or id):
        raise SettingsError("say what to delete: --env NAME, --only NAME, --undeclared or --id ID")
    if id is not None and (undeclared or selection.only):
        raise SettingsError("--id names the one object to delete: give it alone, or with --env to say where to look")
    if id is not None:
        _check_id(id)
    world = World(Project.load(root, ()), "delete", reporter, timing, lock=not dry_run)
    if id is not None:
        return [*run(world, delete_object(world, id, env, dry_run=dry_run, yes=yes, confirm=confirm))]
    return [*run(world, delete_recorded(world, selection, dry_run=dry_run, yes=yes, confirm=confirm))]


def adopt(name: str, env: str, id: str, root: Root = None, *, reporter: Reporter = QUIET, timing: Timing = TIMING) -> list[Step]:
    """Make an existing remote object the instance of an assistant in an environment, as it is.

    It gets our name and tags where it has none; what it holds is recorded, so that plan shows what update or deploy would
    change.

    Raises:
        AsstError: there is no such object, it is another row's, or the row has a living instance already.
    """
    _check_id(id)
    project = Project.load(root, [name])
    [desired] = project.desired(project.environments(env))
    world = World(project, "adopt", reporter, timing, lock=True)
    return [*run(world, adopt_object(world, desired, id))]


def plan(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, from_store: bool = False, reporter: Reporter = QUIET
) -> list[Step]:
    """What ``deploy`` would do, field by field; what is not created is shown with the action ``create``. Writes nothing.

    Args:
        env: this environment alone.
        from_store: compare with the store alone, without a request.

    Raises:
        AsstError: it could not look.
    """
    project = Project.load(root, only)
    desired = project.desired(project.environments(env), validate=True)
    world = World(project, "plan", reporter, TIMING, lock=False)
    steps = run(world, _plan(world, desired, from_store=from_store))
    return [*steps, *undeclared_steps(project, world.state, env)]


async def _plan(world: World, desired: Sequence[Desired], *, from_store: bool) -> Plan:
    if from_store:
        return plan_preview(desired, world.state, as_recorded(desired, world.state))
    remote = await refresh(world, desired)
    marked, _ = await mark_unseen(plan_preview(desired, world.state, remote), world, remote)
    return marked


def status(root: Root = None, only: Iterable[str] = (), env: str | None = None, *, reporter: Reporter = QUIET) -> list[Step]:
    """What is, per assistant and environment, and what is recorded but no longer declared. Writes nothing.

    Raises:
        AsstError: it could not look.
    """
    project = Project.load(root, only)
    world = World(project, "status", reporter, TIMING, lock=False)
    steps = run(world, _status(world, project.desired(project.environments(env))))
    return [*steps, *undeclared_steps(project, world.state, env)]


async def _status(world: World, desired: Sequence[Desired]) -> Plan:
    remote = await refresh(world, desired)
    marked, _ = await mark_unseen(plan_status(desired, world.state, remote), world, remote)
    return marked.updated(replace(step, note=step.error or step.note, error=None, needs_confirmation=False) for step in marked)


def resolve(root: Root = None, *, ours: Iterable[str] = (), theirs: Iterable[str] = (), reporter: Reporter = QUIET) -> list[Step]:
    """Merge the two sides of a store that git has in conflict, write it, and ``git add`` it; all of it or nothing.

    What only one side changed needs no choice. The app is not imported: it may be in conflict, too.

    Args:
        ours, theirs: whose side to take where both changed a record: ``NAME:ENV``, ``NAME``, or ``all``.

    Returns:
        A step for each record that a side changed, by name and environment: what stands now. None without a conflict.

    Raises:
        RowsFailed: both sides changed a record and nothing was chosen for it; nothing was written.
        Refused: the file was changed since the merge; nothing was written.
        StoreError: there is no git or no repository, or a side is no store of this project.
        SettingsError: a choice meets no conflict.
    """
    settings = load_settings(root)
    here = open_store(settings)
    folder = settings.root or file_of(here).path.parent
    with lock_store(here, "inv asst.resolve", reporter.say):
        versions = GitVersions.in_git(here, folder)
        return resolve_conflicts(here, folder, versions, choose_sides(versions.merged()[1], ours, theirs)) if versions else []


def store(
    root: Root = None, *, copy_to: str | None = None, history: bool = False, restore: int | None = None,
    unlock: str | None = None, recover: str | Path | None = None, yes: bool = False, reporter: Reporter = QUIET,
) -> StoreReport:  # fmt: skip
    """Say what the store is, or do one thing with it as a whole. The app is not imported.

    Args:
        copy_to: copy it to this path or URL; the store that is in use stays as it is.
        history: list the earlier revisions of a shared store.
        restore: put this revision back, as a new one.
        unlock: release the lock of this id, which is safe once its process has ended.
        recover: bring in the recovery file of a run that could not write.
        yes: copy over an older copy that records instances which the store does not.

    Raises:
        Refused: another store would be written over, or what another run wrote; nothing was written.
        SettingsError: more than one thing is asked for, or one that this kind of store does not have.
        StoreError: the store cannot be used, or there is no such revision, lock or file.
    """
    if sum((copy_to is not None, history, restore is not None, unlock is not None, recover is not None)) > 1:
        raise SettingsError("give one of --copy-to, --history, --restore, --unlock and --recover at a time")
    settings = load_settings(root)
    with closing(open_store(settings)) as here:
        done: Sequence[str] = ()
        steps: Sequence[Step] = ()
        if copy_to is not None:
            done = copy_to_place(settings, here, copy_to, reporter.say, yes=yes)
        elif restore is not None:
            done = restore_revision(here, restore, reporter.say)
        elif unlock is not None:
            done = unlock_store(here, unlock)
        elif recover is not None:
            done, steps = recover_file(settings, here, recover, reporter.say)
        return StoreReport(describe_store(here), done, earlier_revisions(here) if history else None, steps)


def _check_id(id: str) -> None:
    if not ID.fullmatch(id):
        raise SettingsError(f"{id!r:.80} is not an id: 3 to 128 letters, digits, '_', '-'")
