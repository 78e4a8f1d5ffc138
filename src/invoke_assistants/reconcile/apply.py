"""Applying a plan: updates and deletions. The steps come back with their outcome."""

from __future__ import annotations

from ..declare.tags import DIGEST_TAG, metadata_of
from ..errors import PlatformError
from ..types import Desired, JSONObject, PendingOperation, State, Step
from .diff import compare
from .executor import Executor
from .plan import Plan
from .promotion import in_promotion_order, incomplete_before
from .records import record_of_update
from .world import World
from .write_buffer import WriteBuffer

__all__ = ["apply_delete", "apply_update", "format_failure", "record_in_sync"]


async def apply_update(plan: Plan, world: World) -> Plan:
    """Bring the instances of a plan to their desired payloads, environment after environment.

    Every update is pending in the store before its request. Environments after one that is not whole are not started.

    Raises:
        RowsFailed: some could not be updated; the others were.
    """
    planned = plan.to_do("update")
    executor = await Executor.open(world, (step.target for step in planned))
    record_in_sync(plan, world.state, executor.buffer)
    for step in planned:
        executor.buffer.open_update(step)
    executor.buffer.flush()
    order = in_promotion_order(plan)
    for environment in order:
        here = [step for step in planned if step.environment == environment]
        if incomplete := incomplete_before(environment, order, plan):
            plan = plan.updated(executor.skipped(step, f"not started, since {incomplete} is not whole") for step in here)
        elif here:
            executor.reporter.start(f"updating {environment}", len(here))
            async with executor.buffer.flushing():
                plan = plan.updated(await executor.all(_update(step, executor) for step in here))
            plan = executor.mark_replaced(plan)
    executor.buffer.flush()
    return executor.mark_replaced(plan).raise_if_failed()


async def _update(step: Step, executor: Executor) -> Step:
    desired, platform = step.target, executor.platforms[step.key]
    assert step.id is not None
    assert step.body is not None
    async with executor.slots:
        if executor.halt:
            return executor.failed(step, f"not tried: {executor.halt}")
        try:
            await executor.send(platform, step.id, platform.update(step.id, step.body), lambda there: _holds(there, desired))
        except PlatformError as error:
            return executor.failed(step, f"{step.id}: {format_failure(error)}", keep=error.unknown, error=error)
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
    """Record what is as desired already; drop what is pending for it, and a deletion that was not carried out."""
    for step in plan:
        desired = step.target
        pending = state.pending.get((desired.key, desired.location))
        if step.remote is None or step.record is None or (pending and pending.kind == "create"):
            continue
        if step.state == "in_sync" and step.record != state.record(desired):
            buffer.record(desired, step.record, desired.payload, settled=False)
        if pending and (step.state == "in_sync" or pending.kind == "delete"):
            buffer.set_pending(desired, None)


def _holds(there: JSONObject | None, desired: Desired) -> bool:
    """Whether an object is what an update was to make of it."""
    tag = metadata_of(there).get(DIGEST_TAG)
    return there is not None and tag == desired.digest and not compare(there, desired.payload)


def format_failure(error: PlatformError) -> str:
    """A failed request as its step tells it."""
    if error.status == 404:
        return "was deleted remotely: run inv asst.create to make it anew"
    return error.detail
