"""Sending the requests of one apply: many at once, each outcome noted as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Change, Desired, JSONObject, Key, Step
from .plan import Plan
from .read_back import answered_digest, format_not_taken
from .records import pending_update
from .world import World
from .write_buffer import WriteBuffer

__all__ = ["Executor", "fails_for_all"]

T = TypeVar("T")


class Executor:
    """What the requests of one apply share.

    Args:
        platforms: the open platform of each instance.

    Attributes:
        buffer: where results go, on their way to the store.
        halt: why no further request is begun, once one has shown that the others would fail as well, or on an interrupt.
    """

    def __init__(self, world: World, platforms: Mapping[Key, Platform]) -> None:
        unsaved = world.project.settings.private_folder
        self.buffer = WriteBuffer(world.project.store, world.state, world.timing.flush, unsaved, f"inv asst.{world.command}")
        self.platforms = platforms
        self.reporter = world.reporter
        self.timing = world.timing
        self.slots = asyncio.Semaphore(world.project.settings.concurrency)
        self.halt: str | None = None

    @classmethod
    async def open(cls, world: World, desired: Iterable[Desired]) -> Executor:
        """An executor for these instances, whose platforms are opened before anything is written.

        Raises:
            SettingsError: a key is missing.
        """
        return cls(world, {each.key: await world.platform(each) for each in desired})

    async def all(self, work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Do all of it; when interrupted, begin nothing more and give what is in flight a moment to be recorded."""
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            if tasks:
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            self.halt = self.halt or "interrupted"
            await asyncio.wait(tasks, timeout=self.timing.interrupt)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        errors = [error for task in tasks if (error := task.exception())]  # all of them, or asyncio prints those not looked at
        if errors:
            raise errors[0]
        return [task.result() for task in tasks]

    async def send(
        self, platform: Platform, id: str, request: Awaitable[JSONObject | None], done: Callable[[JSONObject | None], bool]
    ) -> JSONObject | None:
        """Await a request and return its answer; where its outcome is unknown, look at the object and return that.

        Args:
            done: whether an object says that the request got through.

        Raises:
            PlatformError: the request failed, or nobody can say that it did not.
        """
        try:
            return await request
        except PlatformError as error:
            if not error.unknown:
                raise
            try:
                there = await platform.retrieve(id)
            except PlatformError:
                raise error from None
            if not done(there):
                raise
            return there

    def failed(self, step: Step, why: str, *, keep: bool = False, error: PlatformError | None = None) -> Step:
        """The step with its failure; ``keep`` leaves its operation pending, since the request may have got through."""
        if error is not None and fails_for_all(error):
            self.halt = self.halt or str(error)
        self.reporter.advance()
        return self.skipped(step, why, keep=keep)

    def not_whole(self, step: Step, answer: JSONObject, changes: Sequence[Change]) -> Step:
        """The step of an instance that the service did not take as it was sent, which the next run goes on from.

        An update to what was sent is pending from here on, with the digest of what was answered.

        Args:
            changes: what differs, from answered to sent.
        """
        desired, id = step.target, answer["id"]
        failed = self.failed(step, f"{id}: {format_not_taken(changes)}", keep=True)
        self.buffer.set_pending(desired, pending_update(step, answered_digest(answer, desired.payload)), desired.payload)
        return failed

    def skipped(self, step: Step, why: str, *, keep: bool = False) -> Step:
        """The step with the reason why it was not begun."""
        if not keep:
            self.buffer.cancel(step.target)
        return replace(step, error=f"{step.title}: {why}")

    def mark_replaced(self, plan: Plan) -> Plan:
        """The plan with an error where a store that came during the run, as by a git pull, names another instance."""
        return plan.updated(
            replace(step, error=f"{step.title}: {self._describe_replaced(step)}")
            for step in plan
            if step.key in self.buffer.replaced and not step.error
        )

    def _describe_replaced(self, step: Step) -> str:
        there = self.buffer.replaced[step.key]
        if not self.buffer.overtaken:
            names = f"names {there or 'none'} instead of {step.id}"
            return f"the store was replaced during this run and {names}: run the same command again"
        if there == step.id:
            return f"another run took over, and has recorded {there} anew since: run the same command again"
        return (
            f"another run took over and recorded {there or 'none'}: inv asst.status shows it; inv asst.delete --id {step.id}"
            " deletes this one where nothing uses it"
        )


def fails_for_all(error: PlatformError) -> bool:
    """Whether the other requests of the run would fail the same way."""
    return error.status in (401, 403) or error.code == "insufficient_quota" or (error.retry_after or 0) > 60
