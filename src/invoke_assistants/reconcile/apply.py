"""Carrying a plan out: many requests at once, each result noted as it comes, and the updates among them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Desired, JSONObject, Key, Row
from .diff import compare
from .plan import Verdict, updated
from .write_buffer import WriteBuffer

__all__ = ["QUIET", "TIMING", "Reporter", "Run", "Timing", "hopeless", "told"]


class Reporter(Protocol):
    """Who is told how a run goes on."""

    def say(self, message: str) -> None:
        """Take one line for people."""
        ...

    def start(self, label: str, total: int) -> None:
        """A step with so many parts begins."""
        ...

    def advance(self) -> None:
        """One part of the step is done."""
        ...


class _Quiet:
    def say(self, message: str) -> None:
        pass

    def start(self, label: str, total: int) -> None:
        pass

    def advance(self) -> None:
        pass


QUIET: Reporter = _Quiet()


@dataclass(frozen=True)
class Timing:
    """How long a run waits, in seconds; tests that act out slow clones make it shorter."""

    grace: float = 10.0  # for a list that lags, and for an election that is under way
    unknown: float = 4.0  # for an instance whose create was not answered
    again: float = 2.0  # before a pending create without a hit is posted again
    interrupt: float = 2.0  # for requests in flight when the run is interrupted
    flush: float = 0.3  # between two transactions that record results

    def delays(self) -> Iterable[float]:
        """The pauses between sweeps: a quarter of a second, then doubling up to two, within the grace."""
        spent, pause = 0.0, min(0.25, self.grace / 4)
        while spent < self.grace:
            yield pause
            spent, pause = spent + pause, min(2.0, pause * 2)


TIMING = Timing()


class Run:
    """One command's writing part.

    Args:
        journal: where results go.
        platforms: the open platform of each instance.
        concurrency: requests in flight.
    """

    def __init__(
        self, buffer: WriteBuffer, platforms: Mapping[Key, Platform], concurrency: int, reporter: Reporter, timing: Timing
    ) -> None:
        self.buffer = buffer
        self.platforms = platforms
        self.reporter = reporter
        self.timing = timing
        self.rows: dict[Key, Row] = {}
        self.slots = asyncio.Semaphore(concurrency)
        self.halt: str | None = None

    async def update(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row]) -> None:
        """Bring instances to their declared payloads; each has an open intent. One that fails stops no other."""
        self.reporter.start("updating", len(verdicts))
        async with self.buffer.flushing():
            await self.all(self._update(verdict, rows[verdict.desired.key]) for verdict in verdicts)

    async def _update(self, verdict: Verdict, row: Row) -> None:
        desired, record, body = verdict.desired, verdict.record, verdict.body
        assert record is not None
        assert body is not None
        async with self.slots:
            if self.halt:
                self.fail(desired, row, f"not tried: {self.halt}")
                return
            try:
                platform = self.platforms[desired.key]
                await self.sure(platform, record.id, platform.update(record.id, body), lambda there: _holds(there, desired))
            except PlatformError as error:
                self.fail(desired, row, f"{record.id}: {told(error)}", keep=error.unknown, error=error)
                return
        self.buffer.record(desired, updated(verdict), desired.payload)
        self.rows[desired.key] = row
        self.reporter.advance()

    async def sure(self, platform: Platform, id: str, send: Awaitable[Any], done: Callable[[JSONObject | None], bool]) -> None:
        """Send, and where the outcome is unknown, ask for the object: ``done`` says whether it is as it should be."""
        try:
            await send
        except PlatformError as error:
            if not error.unknown:
                raise
            try:
                there = await platform.retrieve(id)
            except PlatformError:
                raise error from None
            if not done(there):
                raise

    def fail(self, desired: Desired, row: Row, why: str, *, keep: bool = False, error: PlatformError | None = None) -> None:
        """Note that an instance failed; ``keep`` leaves its intent open, since the request may have got through."""
        self.rows[desired.key] = replace(row, error=f"{desired.name} in {desired.environment}: {why}")
        if not keep:
            self.buffer.intend(desired, None)
        if error is not None and hopeless(error):
            self.halt = self.halt or str(error)
        self.reporter.advance()

    async def delete(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row]) -> None:
        """Delete instances and forget their records; each has an open intent. One that fails stops no other."""
        self.reporter.start("deleting", len(verdicts))
        async with self.buffer.flushing():
            await self.all(self._delete(verdict, rows[verdict.desired.key]) for verdict in verdicts)

    async def _delete(self, verdict: Verdict, row: Row) -> None:
        desired, record = verdict.desired, verdict.record
        assert record is not None
        platform = self.platforms[desired.key]
        async with self.slots:
            if self.halt:
                self.fail(desired, row, f"not tried: {self.halt}", keep=verdict.remote is None)
                return
            try:
                if verdict.remote is not None:
                    await self.sure(platform, record.id, platform.delete(record.id), lambda there: there is None)
            except PlatformError as error:
                self.fail(desired, row, f"{record.id}: {error.detail}", keep=error.unknown, error=error)
                return
        self.buffer.forget(desired, record.id)
        self.buffer.intend(desired, None)
        self.rows[desired.key] = row
        self.reporter.advance()

    def replaced(self, rows: Mapping[Key, Row]) -> dict[Key, Row]:
        """The rows of which a store that came during the run, as by a git pull, names another instance; each is an error."""
        return {
            key: replace(
                rows[key],
                error=f"{key[0]} in {key[1]}: the store was replaced during this run and names {id or 'none'} instead of"
                f" {rows[key].id}: run the same command again",
            )
            for key, id in self.buffer.replaced.items()
            if not rows[key].error
        }

    async def all(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Run all of it; when interrupted, start nothing more and give what is in flight a moment to be recorded."""
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
        for task in tasks:
            task.result()


def _holds(there: JSONObject | None, desired: Desired) -> bool:
    """Whether an object is what an update was to make of it."""
    tag = ((there or {}).get("metadata") or {}).get("asst.digest")
    return there is not None and tag == desired.digest and not compare(there, desired.payload)


def hopeless(error: PlatformError) -> bool:
    """Whether the other requests of the run would fail the same way."""
    return error.status in (401, 403) or error.code == "insufficient_quota" or (error.retry_after or 0) > 60


def told(error: PlatformError) -> str:
    """An error as its row tells it."""
    if error.status == 404:
        return "was deleted remotely: run inv asst.create to make it anew"
    return error.detail
