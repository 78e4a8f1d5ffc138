"""Applying a plan: updates and deletions. The steps come back with their outcome."""

from __future__ import annotations

from collections.abc import Container

from ..declare.tags import DIGEST_TAG, metadata_of
from ..errors import PlatformError
from ..types import JSONObject, PendingOperation, State, Step
from .diff import declarable_fields
from .executor import Executor, fails_for_all
from .hold import is_rollback_open
from .plan import NOT_STARTED, Plan
from .promotion import in_promotion_order, incomplete_before
from .read_back import not_taken
from .records import record_of_update
from .world import World
from .write_buffer import WriteBuffer

__all__ = ["apply_delete", "apply_update", "format_failure", "record_in_sync"]


async def apply_update(plan: Plan, world: World, environments: Container[str] | None = None) -> Plan:
    """Bring the instances of a plan to their desired payloads, environment after environment.

    Every update is pending in the store before its request. Environments after one that is not whole are not started.

    Args:
        environments: those to bring up now; the steps of the others stay as they are.

    Raises:
        RowsFailed: some could not be updated; the others were.
    """
    planned = [step for step in plan.to_do("update") if environments is None or step.environment in environments]
    executor = await Executor.open(world, (step.target for step in planned))
    record_in_sync(plan, world.state, executor.buffer)
    for step in planned:
        executor.buffer.open_update(step)
    executor.buffer.flush()
    order = in_promotion_order(plan)
    for environment in order:
        here = [step for step in planned if step.environment == environment]
        if incomplete := incomplete_before(environment, order, plan):
            stopped = [step for step in plan.to_do("update") if step.environment == environment]
            plan = plan.updated(executor.skipped(step, f"{NOT_STARTED} {incomplete} is not whole") for step in stopped)
        elif here:
            executor.reporter.start(f"updating {environment}", len(here))
            async with executor.buffer.flushing():
                plan = plan.updated(await executor.all(_update(step, executor) for step in here))
            plan = executor.mark_replaced(plan)
    executor.buffer.flush()
    plan = executor.mark_replaced(plan)
    failed = any(step.error for step in plan if environments is None or step.environment in environments)
    return plan.raise_if_failed() if failed else plan


async def _update(step: Step, executor: Executor) -> Step:
    desired, platform = step.target, executor.platforms[step.key]
    assert step.id is not None
    assert step.body is not None
    rollback = desired.held is not None  # one that ended in between stays open: the next run finishes it, and goes no further
    async with executor.slots:
        if executor.halt:
            return executor.failed(step, f"not tried: {executor.halt}", keep=rollback)
        try:
            request = platform.update(step.id, step.body)
            there = await executor.send(platform, step.id, request, lambda there: _got_through(there, step))
        except PlatformError as error:
            why = f"{step.id}: {format_failure(error)}{_way_out(step, error) if rollback else ''}"
            return executor.failed(step, why, keep=rollback or error.unknown, error=error)
    assert there is not None
    if changes := not_taken(step.body, there, desired.payload):
        return executor.not_whole(step, there, changes)
    executor.buffer.record(desired, record_of_update(step), desired.payload)
    executor.reporter.advance()
    return step


async def apply_delete(plan: Plan, world: World) -> Plan:
    """Delete the instances of a plan and forget their records. Every deletion is pending in the store before its request.

    Raises:
        RowsFailed: some could not be deleted; the others were.
    """
    planned = plan.to_do("delete")
    executor = await Executor.open(world, (step.target for step in planned))
    for step in planned:
        executor.buffer.set_pending(step.target, PendingOperation("delete", step.target.digest), step.target.payload)
    executor.buffer.flush()
    if planned:
        executor.reporter.start("deleting", len(planned))
        async with executor.buffer.flushing():
            plan = plan.updated(await executor.all(_delete(step, executor) for step in planned))
    return executor.mark_replaced(plan).raise_if_failed()


async def _delete(step: Step, executor: Executor) -> Step:
    platform = executor.platforms[step.key]
    assert step.id is not None
    async with executor.slots:
        if executor.halt:
            return executor.failed(step, f"not tried: {executor.halt}", keep=step.remote is None)
        try:
            if step.remote is not None:
                await executor.send(platform, step.id, platform.delete(step.id), lambda there: there is None)
        except PlatformError as error:
            return executor.failed(step, f"{step.id}: {error.detail}", keep=error.unknown, error=error)
    executor.buffer.forget(step.target, step.id)
    executor.buffer.set_pending(step.target, None)
    executor.reporter.advance()
    return step


def record_in_sync(plan: Plan, state: State, buffer: WriteBuffer) -> None:
    """Record what is as desired already; drop what is pending for it, and a deletion that was not carried out.

    A rollback that is open stays so, unless ``step.ends_rollback``: else the next one would take the others further back.
    """
    for step in plan:
        desired = step.target
        pending = state.pending.get((desired.key, desired.location))
        if step.remote is None or step.record is None or (pending and pending.kind == "create"):
            continue
        if step.state == "in_sync" and step.record != state.record(desired):
            buffer.record(desired, step.record, desired.payload, settled=False)
        elif step.state == "in_sync":
            buffer.note_reader(desired)
        if pending and (step.state == "in_sync" or pending.kind == "delete") and not is_rollback_open(step, state):
            buffer.set_pending(desired, None)


def _got_through(there: JSONObject | None, step: Step) -> bool:
    """Whether an object shows that an update without an answer got through: it carries its tag, and is not as before."""
    if there is None or metadata_of(there).get(DIGEST_TAG) != step.target.digest:
        return False
    return declarable_fields(there) != declarable_fields(step.remote or {})


def _way_out(step: Step, error: PlatformError) -> str:
    """How to get on where the service refuses an earlier payload, which it would refuse again."""
    if error.unknown or error.status == 404 or fails_for_all(error):
        return ""
    row = f"inv asst.rollback --env {step.environment} --only {step.name}"
    return f"; {row} --to DIGEST goes elsewhere, inv asst.deploy --only {step.name} --resume drops the rollback"


def format_failure(error: PlatformError) -> str:
    """A failed request as its step tells it."""
    if error.status == 404:
        return "was deleted remotely: run inv asst.create to make it anew"
    return error.detail
