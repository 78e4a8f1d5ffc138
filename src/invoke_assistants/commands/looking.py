"""The verbs that look and write nothing: plan, status."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..config.project import Project
from ..errors import SettingsError
from ..reconcile.consent import Consent, parse_allowed
from ..reconcile.event_loop import run
from ..reconcile.model_life import Models, with_model_life
from ..reconcile.plan import Plan
from ..reconcile.planning import plan_preview, plan_status
from ..reconcile.refresh import refresh
from ..reconcile.remote import as_recorded
from ..reconcile.reporter import QUIET, Reporter
from ..reconcile.safeguards import mark_unseen
from ..reconcile.timing import TIMING
from ..reconcile.undeclared import undeclared_steps
from ..reconcile.world import World
from ..types import Desired, Step
from .arguments import Root

__all__ = ["plan", "status"]


def plan(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, from_store: bool = False,
    out: str | Path | None = None, allow_breaking: Iterable[str] = (), reporter: Reporter = QUIET,
) -> list[Step]:  # fmt: skip
    """What ``deploy`` would do, field by field; what is not created is shown with the action ``create``. Writes nothing.

    Args:
        env: this environment alone.
        from_store: compare with the store alone, without a request.
        allow_breaking: as for ``deploy``: what it lets through is no longer shown as refused.
        out: a file to save the plan to, for ``deploy``; one that holds something else than a plan is left alone.

    Raises:
        Refused, RowsFailed: it is not saved, since a deploy could not do it.
        AsstError: it could not look.
    """
    if out is not None:
        if from_store:
            raise SettingsError("--out saves a plan to be done, and --offline has not looked at what is there: leave one out")
        from .plan_file import check_target

        check_target(out)
    project = Project.load(root, only)
    desired = project.desired(project.environments(env), validate=True)
    world = World(project, "plan", reporter, TIMING, lock=False)
    consent = Consent(breaking=parse_allowed(allow_breaking, project.declared))
    steps = run(world, _plan(world, desired, consent, from_store=from_store, alone=env is not None))
    undeclared = undeclared_steps(project, world.state, env)
    if out is not None:
        from ..reconcile.saved_plan import SavedPlan, refuse_to_save
        from .plan_file import write_plan

        refuse_to_save(steps, str(out))
        covered = [(each.name, each.location) for each in project.environments(env)]
        scope = SavedPlan.covering(str(out), project.settings.project, project.only, env, covered)
        write_plan(scope.made(steps, undeclared, world.state))
    return [*steps, *undeclared]


async def _plan(world: World, desired: Sequence[Desired], consent: Consent, *, from_store: bool, alone: bool) -> Plan:
    if from_store:
        plan = plan_preview(desired, world.state, as_recorded(desired, world.state), consent)
    else:
        models = await world.ask_for_models(desired)
        remote = await refresh(world, desired)
        plan, _ = await mark_unseen(plan_preview(desired, world.state, remote, consent), world, remote)
        plan = await _with_model_life(plan, models)
    if not plan.to_do():
        return plan
    from .gating import open_gate

    gate = open_gate(world.project, plan, desired, world.state)
    return gate.described(gate.foreseen(plan, alone=alone), applied=False)


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
    models = await world.ask_for_models(desired)
    remote = await refresh(world, desired)
    marked, _ = await mark_unseen(plan_status(desired, world.state, remote), world, remote)
    shown = (replace(step, note=step.error or step.note, error=None, needs_confirmation=False) for step in marked)
    return await _with_model_life(marked.updated(shown), models)


async def _with_model_life(plan: Plan, models: Mapping[str, asyncio.Task[Models]]) -> Plan:
    known = {environment: await task for environment, task in models.items()}
    return with_model_life(plan, known, datetime.now(UTC).date())
