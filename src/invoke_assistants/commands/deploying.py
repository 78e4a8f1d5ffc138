"""The verbs that bring instances to the code: update, deploy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.environment import Environment
from ..config.project import Project, as_names
from ..errors import AsstError, Refused, SettingsError
from ..reconcile.apply import apply_update
from ..reconcile.consent import Consent, parse_allowed
from ..reconcile.event_loop import run
from ..reconcile.plan import Plan
from ..reconcile.planning import plan_update
from ..reconcile.promotion import not_started, promoted
from ..reconcile.refresh import refresh
from ..reconcile.reporter import QUIET, Confirm, Reporter
from ..reconcile.safeguards import confirm_overwrite, refuse_if_moved, refuse_unless_promoted, refuse_unseen
from ..reconcile.timing import TIMING, Timing
from ..reconcile.world import World
from ..types import Desired, State, Step
from .arguments import Root
from .gating import open_gate, prepare_evals, run_evals

if TYPE_CHECKING:
    from ..evals.run import EvalRun
    from ..reconcile.saved_plan import SavedPlan

__all__ = ["deploy", "update"]


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
    return [*run(world, _update(world, desired, Consent(overwrite), dry_run=dry_run, confirm=confirm))]


def deploy(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, through: str | None = None, dry_run: bool = False,
    overwrite: bool = False, allow_breaking: Iterable[str] = (), skip_evals: bool = False, resume: bool = False,
    saved: str | Path | None = None, confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Bring every environment to the code, in order; one starts only when the one before is whole. Never creates.

    Args:
        env: this environment alone; the store must say that those before it hold the declared payloads.
        through: the environments up to this one.
        dry_run, overwrite: as for ``update``.
        skip_evals: bring later environments up although required evals have not passed; their records keep that.
        allow_breaking: ``NAME`` or ``NAME:PATH``: changes of output schemas that the app that runs now may not read.
        resume: go forward again where a rollback holds an instance.
        saved: the file of a plan that ``plan`` saved: that one is done, and no refusal is overridden.

    Raises:
        Refused: an instance was changed remotely by hand or by another checkout, a rollback holds it, the app that runs now
            may not read what a new output schema allows, or the saved plan is stale; nothing was written.
        EvalsFailed: required evals did not pass, or are not known to; no environment after the first was written.
        RowsFailed: some instances could not be brought up to date; environments after theirs were not started.
        AsstError: nothing could be done.
    """
    planned = None
    if saved is not None:
        from .plan_file import read_plan

        planned = read_plan(saved)
    if planned is None:
        project = Project.load(root, only)
    elif as_names(only) or env is not None or through is not None:
        raise SettingsError("--plan does what was planned: leave --only and --env to inv asst.plan, which narrows a plan by them")
    else:
        project, env = _load_narrowed(root, planned), planned.env
    environments = project.environments(env)
    if env is None and through is not None:
        environments = project.settings.environments[: project.settings.environment(through).position + 1]
    alone = environments[0] if env is not None else None
    desired = project.desired(environments, validate=True)
    consent = Consent(overwrite, parse_allowed(allow_breaking, project.declared), resume)
    request = _Request(consent, dry_run, skip_evals, confirm, alone, planned)
    world = World(project, "deploy", reporter, timing, lock=not dry_run)
    plan, runs = run(world, _deploy(world, desired, request))
    if not runs:
        return [*plan]
    # The store is not locked while assistants are asked: a rollback must not wait. So all is looked at again afterwards.
    evaluating = World(project.reopened(), "eval", reporter, timing, lock=False)
    run(evaluating, run_evals(runs, evaluating, plan))
    later = World(project.reopened(), "deploy", reporter, timing, lock=True)
    try:
        return [*promoted(run(later, _promote(later, desired, request, plan, world.state)), plan)]
    except AsstError as error:
        error.rows = promoted(Plan(error.rows), plan).steps
        if isinstance(error, Refused):
            error.promoted = True
            error.rows = not_started(Plan(error.rows), "another instance is refused").steps
        raise


@dataclass(frozen=True)
class _Request:
    """What a deploy was asked for; ``alone`` is the one environment that it is narrowed to."""

    consent: Consent
    dry_run: bool
    skip_evals: bool
    confirm: Confirm | None
    alone: Environment | None
    planned: SavedPlan | None


def _load_narrowed(root: Root, planned: SavedPlan) -> Project:
    """The project, narrowed to the assistants of a saved plan.

    Raises:
        Refused: the plan is another project's, or covers what is no longer there.
    """
    from ..reconcile.saved_plan import refuse_other_scope

    project = Project.load(root, ())
    places = [(each.name, each.location) for each in project.settings.environments]
    refuse_other_scope(planned, project.settings.project, places, project.declared)
    return replace(project, only=planned.only)


async def _update(world: World, desired: Sequence[Desired], consent: Consent, *, dry_run: bool, confirm: Confirm | None) -> Plan:
    plan = await _plan(world, desired, consent, None if dry_run else confirm)
    return plan.raise_if_failed() if dry_run else await apply_update(plan, world)


async def _deploy(world: World, desired: Sequence[Desired], request: _Request) -> tuple[Plan, list[EvalRun]]:
    """Bring all environments up, or the first alone where evals must decide about the others; return them, too."""
    alone, planned = request.alone, request.planned
    if alone and not planned:
        refuse_unless_promoted(world.project, alone, world.state)
    plan = await _plan(world, desired, request.consent, None if request.dry_run else request.confirm, planned)
    if alone and planned:  # which is stale, rather than not promoted, where the code moved on
        refuse_unless_promoted(world.project, alone, world.state)
    gate = open_gate(world.project, plan, desired, world.state, decides=not request.skip_evals)
    later = alone is not None and alone.position > 0
    if request.skip_evals:
        plan = gate.skipped(plan)
    elif request.dry_run:
        plan = gate.foreseen(plan, alone=later)
    elif gate.waiting(plan):
        if later:
            raise gate.refusal(plan)
        runs = prepare_evals(gate, plan, world.project)
        plan = await apply_update(plan, world, [world.project.settings.environments[0].name])
        if not runs:
            raise gate.refusal(plan)
        return plan, runs
    if request.dry_run:
        return gate.described(plan, applied=False).raise_if_failed(), []
    return gate.described(await apply_update(plan, world), applied=True), []


async def _promote(world: World, desired: Sequence[Desired], request: _Request, before: Plan, state: State) -> Plan:
    """Bring the later environments up, now that evals have run, where they are as they were before."""
    planned = request.planned.without_first() if request.planned else None
    plan = await _plan(world, desired, request.consent, request.confirm, planned, (before, state))
    gate = open_gate(world.project, plan, desired, world.state)
    if gate.waiting(plan):
        raise gate.refusal(plan)
    return gate.described(await apply_update(plan, world), applied=True)


async def _plan(
    world: World, desired: Sequence[Desired], consent: Consent, confirm: Confirm | None, planned: SavedPlan | None = None,
    since: tuple[Plan, State] | None = None,
) -> Plan:  # fmt: skip
    remote = await refresh(world, desired)
    plan = plan_update(desired, world.state, remote, consent)
    await refuse_unseen(plan, world, remote)
    if planned:
        from ..reconcile.saved_plan import refuse_if_stale

        covered = {name for name, _ in planned.environments}
        refuse_if_stale(planned, Plan(tuple(step for step in plan if step.environment in covered)), world.state)
    if since:
        refuse_if_moved(plan, world.state, *since)
    overwritten = plan_update(desired, world.state, remote, replace(consent, overwrite=True)) if plan.to_confirm else plan
    return await confirm_overwrite(plan, overwritten, world, remote, confirm)
