"""The verbs that give an assistant an instance: create, adopt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config.project import Project
from ..reconcile.adopt import adopt_object
from ..reconcile.create import apply_create
from ..reconcile.event_loop import run
from ..reconcile.hold import as_held
from ..reconcile.plan import Plan
from ..reconcile.planning import adopt_tagged, plan_create
from ..reconcile.refresh import refresh_to_create
from ..reconcile.reporter import QUIET, Confirm, Reporter
from ..reconcile.safeguards import confirm_recreate, wait_for_other_creates
from ..reconcile.timing import TIMING, Timing
from ..reconcile.undeclared import undeclared_steps
from ..reconcile.world import World
from ..types import Desired, Step
from .arguments import Root, check_id
from .gating import open_gate

__all__ = ["adopt", "create"]


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
    desired = as_held(desired, world.state)
    remote = await refresh_to_create(world, desired)
    plan = plan_create(desired, world.state, remote)
    remote = await confirm_recreate(plan, world, remote, recreate=recreate, confirm=confirm)
    remote = await wait_for_other_creates(plan, world, remote)
    plan = adopt_tagged(plan, remote)
    plan = open_gate(world.project, plan, desired, world.state, decides=False).described(plan, applied=False)
    return plan if dry_run else await apply_create(plan, world, remote)


def adopt(name: str, env: str, id: str, root: Root = None, *, reporter: Reporter = QUIET, timing: Timing = TIMING) -> list[Step]:
    """Make an existing remote object the instance of an assistant in an environment, as it is.

    It gets our name and tags where it has none; what it holds is recorded, so that plan shows what update or deploy would
    change.

    Raises:
        AsstError: there is no such object, it is another row's, or the row has a living instance already.
    """
    check_id(id)
    project = Project.load(root, [name])
    [desired] = project.desired(project.environments(env))
    world = World(project, "adopt", reporter, timing, lock=True)
    return [*run(world, adopt_object(world, desired, id))]
