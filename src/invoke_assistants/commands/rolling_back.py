"""The verb that takes an environment back: rollback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config.environment import Environment
from ..config.project import Project
from ..errors import SettingsError
from ..reconcile.apply import apply_update
from ..reconcile.event_loop import run
from ..reconcile.plan import Plan
from ..reconcile.refresh import refresh
from ..reconcile.reporter import QUIET, Confirm, Reporter
from ..reconcile.rollback import Rollback, find_digest, plan_rollback
from ..reconcile.safeguards import confirm_overwrite, refuse_unseen
from ..reconcile.timing import TIMING, Timing
from ..reconcile.world import World
from ..text import one_line
from ..types import Desired, Step
from .arguments import Root

__all__ = ["rollback"]


def rollback(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, to: str | None = None, message: str | None = None,
    dry_run: bool = False, overwrite: bool = False, confirm: Confirm | None = None, reporter: Reporter = QUIET,
    timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Bring an environment's instances back to payloads that they had before, and hold them there until ``deploy(resume=True)``.

    One that was rolled back before goes back further. Where something of the last rollback is open, as after an interruption or
    a failure, the same call does that and goes no further. After a deploy that was half taken, the one before is what is
    recorded.

    Args:
        env: an environment after the first, which must be given.
        to: the digest to go back to, or its first 8 hex digits or more; None means the one before.
        message: why, which the store keeps.
        dry_run, overwrite: as for ``update``.

    Raises:
        Refused: an instance was changed remotely by hand, or by another checkout; nothing was written.
        RowsFailed: some instances could not be brought back, the others were; or there is none that has an earlier payload.
        SettingsError: there is no such environment or digest.
        AsstError: nothing could be done.
    """
    project = Project.load(root, only)
    environment = _environment(project, env)
    desired = project.desired([environment])
    world = World(project, "rollback", reporter, timing, lock=not dry_run)
    asked = Rollback(project.only, to, None if message is None else one_line(message))
    return [*run(world, _rollback(world, desired, asked, dry_run=dry_run, overwrite=overwrite, confirm=confirm))]


def _environment(project: Project, env: str | None) -> Environment:
    """The environment to roll back, of which earlier payloads are kept."""
    first, *later = project.settings.environments
    if env is None:
        names = " or ".join(f"--env {each.name}" for each in later) or "one after the first, which the settings do not name"
        raise SettingsError(f"say which environment to roll back: {names}")
    environment = project.settings.environment(env)
    if environment == first:
        raise SettingsError(f"{first.name} is as the code says and keeps no history: git revert the change, then inv asst.update")
    return environment


async def _rollback(
    world: World, desired: Sequence[Desired], asked: Rollback, *, dry_run: bool, overwrite: bool, confirm: Confirm | None
) -> Plan:
    if asked.to is not None:
        asked = Rollback(asked.only, find_digest(asked.to, desired, world.state), asked.message)
    remote = await refresh(world, desired)
    plan = plan_rollback(desired, world.state, remote, asked, overwrite=overwrite)
    await refuse_unseen(plan, world, remote)
    many = len(plan.to_do("update"))
    if many > 1 and not asked.only and asked.to is None:
        world.reporter.say(f"{many} instances go back, each to the digest that it had before; --only NAME takes back one alone")
    overwritten = plan_rollback(desired, world.state, remote, asked, overwrite=True) if plan.to_confirm else plan
    plan = await confirm_overwrite(plan, overwritten, world, remote, None if dry_run else confirm)
    return plan.raise_if_failed() if dry_run else await apply_update(plan, world)
