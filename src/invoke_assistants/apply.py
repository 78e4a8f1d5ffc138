"""Carrying a plan out: updates, and creates that no crash and no lost answer turns into twins or orphans.

The protocol of a create: an intent with a nonce is in the store before the request; an answer is recorded at once, an
unknown outcome is settled by looking for the nonce; a last sweep elects the one instance that stays where another
clone made one at the same time; only then does the intent go.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .errors import PlatformError, StoreError
from .payload import compare, create_body, update_body
from .plan import Verdict, adopted, updated
from .platforms import Platform
from .records import Intent, JSONObject, Key, Place, Record, Recorded, Row, Wanted
from .sweep import look

__all__ = ["QUIET", "Claim", "Journal", "Reporter", "Run", "Timing", "claim"]


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


@dataclass
class Claim:
    """One instance that a create is after.

    ``mine`` is the id that this store made or recorded, if there is one; ``found`` says that the plan's own look showed
    a tagged object, ``resumed`` that an earlier run left the intent, ``made`` the id that this run was answered.
    """

    verdict: Verdict
    intent: Intent
    resumed: bool = False
    found: bool = False
    before: Record | None = None
    mine: str | None = None
    made: str | None = None
    problem: PlatformError | None = None
    rounds: int = 0
    deleted: set[str] = field(default_factory=set)

    @property
    def wanted(self) -> Wanted:
        return self.verdict.wanted

    def owns(self, there: JSONObject) -> bool:
        """Whether a remote object is this claim's own: it carries its nonce, or is recorded here."""
        return there["id"] == self.mine or (there.get("metadata") or {}).get("asst.nonce") == self.intent.nonce


def claim(verdict: Verdict, recorded: Recorded) -> Claim:
    """The claim of a verdict; one that an earlier run left open goes on under its nonce."""
    wanted = verdict.wanted
    left = recorded.intent(wanted, "create")
    intent = replace(left, digest=wanted.digest) if left else Intent("create", wanted.digest, secrets.token_hex(16))
    mine = verdict.record.id if verdict.record and verdict.remote else None
    return Claim(verdict, intent, left is not None, recorded.record(wanted), mine)


class Journal:
    """Results on their way to the store, a few transactions a second at most; the store's lock must be held."""

    def __init__(self, commit: Callable[..., Recorded], every: float) -> None:
        self._commit = commit
        self._every = every
        self._records: dict[Key, tuple[Wanted, Record]] = {}
        self._payloads: dict[str, JSONObject] = {}
        self._intents: dict[tuple[Key, Place], Intent | None] = {}
        self.recorded = Recorded()

    def open(self, recorded: Recorded) -> None:
        """Begin with what the store holds."""
        self.recorded = recorded

    def record(self, wanted: Wanted, record: Record, payload: JSONObject, *, settled: bool = True) -> None:
        """Note what an instance is now; ``settled`` drops its intent in the same transaction."""
        self._records[wanted.key] = (wanted, record)
        self._payloads[record.digest] = payload
        if settled:
            self.intend(wanted, None)

    def intend(self, wanted: Wanted, intent: Intent | None, payload: JSONObject | None = None) -> None:
        """Open an intent, or drop the one that is open."""
        self._intents[wanted.key, wanted.place] = intent
        if payload is not None and intent is not None:
            self._payloads[intent.digest] = payload

    def flush(self) -> None:
        """Write what is noted in one transaction; nothing where nothing is.

        Raises:
            StoreError: it cannot be written; the ids that are thereby not recorded are named.
        """
        if not self._records and not self._intents:
            return
        records = {key: self._merged(key, record) for key, (_, record) in self._records.items()}
        try:
            self.recorded = self._commit(records, list(self._payloads.items()), self._intents)
        except StoreError as error:
            lost = [f"{name} {environment} {record.id}" for (name, environment), record in records.items()]
            told = f"; not recorded: {', '.join(lost)}: make room and run inv asst.create, which adopts them" if lost else ""
            raise StoreError(f"{error}{told}") from None
        self._records, self._payloads, self._intents = {}, {}, {}

    def _merged(self, key: Key, record: Record) -> Record:
        before = self.recorded.records.get(key)
        return before.succeeded_by(record) if before else record

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush now and then while the block runs, and at its end however it ends."""

        async def now_and_then() -> None:
            while True:
                await asyncio.sleep(self._every)
                self.flush()

        task = asyncio.create_task(now_and_then())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StoreError):
                await task
            self.flush()


class Run:
    """One command's writing part.

    Args:
        journal: where results go.
        platforms: the open platform of each environment.
        concurrency: requests in flight.
    """

    def __init__(
        self, journal: Journal, platforms: Mapping[str, Platform], concurrency: int, reporter: Reporter, timing: Timing
    ) -> None:
        self.journal = journal
        self.platforms = platforms
        self.reporter = reporter
        self.timing = timing
        self.rows: dict[Key, Row] = {}
        self._slots = asyncio.Semaphore(concurrency)
        self._halt: str | None = None

    # --- updating

    async def update(self, verdicts: Sequence[Verdict], rows: Mapping[Key, Row]) -> None:
        """Bring instances to their declared payloads; each has an open intent. One that fails stops no other."""
        self.reporter.start("updating", len(verdicts))
        async with self.journal.flushing():
            await self._all(self._update(verdict, rows[verdict.wanted.key]) for verdict in verdicts)

    async def _update(self, verdict: Verdict, row: Row) -> None:
        wanted, record, remote = verdict.wanted, verdict.record, verdict.remote
        assert record is not None and remote is not None
        body = update_body(wanted, self.journal.recorded.payloads[record.digest], remote)
        async with self._slots:
            if self._halt:
                self._fail(wanted, row, f"not tried: {self._halt}")
                return
            try:
                await self._write(self.platforms[wanted.environment], record.id, body, wanted)
            except PlatformError as error:
                self._fail(wanted, row, f"{record.id}: {_told(error)}", keep=error.unknown, error=error)
                return
        self.journal.record(wanted, updated(verdict), wanted.payload)
        self.rows[wanted.key] = row
        self.reporter.advance()

    async def _write(self, platform: Platform, id: str, body: JSONObject, wanted: Wanted) -> None:
        try:
            await platform.update(id, body)
        except PlatformError as error:
            if not error.unknown:
                raise
            try:
                there = await platform.retrieve(id)
            except PlatformError:
                raise error from None
            tag = (there or {}).get("metadata", {}).get("asst.digest")
            if there is None or tag != wanted.digest or compare(there, wanted.payload):
                raise

    def _fail(self, wanted: Wanted, row: Row, why: str, *, keep: bool = False, error: PlatformError | None = None) -> None:
        self.rows[wanted.key] = replace(row, error=f"{wanted.name} in {wanted.environment}: {why}")
        if not keep:
            self.journal.intend(wanted, None)
        if error is not None and _hopeless(error):
            self._halt = self._halt or str(error)
        self.reporter.advance()

    # --- creating

    async def create(self, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Make or adopt every claimed instance; each has an open intent."""
        self.reporter.start("creating", len(claims))
        async with self.journal.flushing():
            for platform in dict.fromkeys(self.platforms[each.wanted.environment] for each in claims):
                here = [each for each in claims if self.platforms[each.wanted.environment] is platform]
                try:
                    await self._post(platform, await self._without_hits(platform, here), rows)
                except PlatformError as error:
                    for each in here:
                        if each.wanted.key not in self.rows:
                            self._unsettled(each, rows, str(error))
                await self._settle(platform, [each for each in here if each.wanted.key not in self.rows], rows)

    async def _without_hits(self, platform: Platform, claims: Sequence[Claim]) -> list[Claim]:
        """The claims to post: those with no tagged object. One that an earlier run may have posted is looked for again."""
        absent = [each for each in claims if each.verdict.remote is None and not each.found]
        if not any(each.resumed for each in absent):
            return absent
        await asyncio.sleep(self.timing.again)
        shown = (await look(platform, (), claims[0].wanted.project, whole=True)).tagged()
        return [each for each in absent if not (each.resumed and shown.get(each.wanted.key))]

    async def _post(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Send each create once; those that the service put off are sent again after a wait and a look."""
        for attempt in range(4):
            put_off: list[tuple[Claim, PlatformError | None]] = []
            await self._all(self._post_one(platform, each, rows, put_off, last=attempt == 3) for each in claims)
            waits = [error.retry_after or 2.0**attempt for _, error in put_off if error]
            if not put_off:
                return
            self.reporter.say(f"the service asks to slow down; trying again in {max(waits):.0f} s")
            await asyncio.sleep(max(waits))
            shown = (await look(platform, (), claims[0].wanted.project, whole=True)).tagged()
            claims = [each for each, _ in put_off if not shown.get(each.wanted.key)]

    async def _post_one(
        self,
        platform: Platform,
        each: Claim,
        rows: Mapping[Key, Row],
        put_off: list[tuple[Claim, PlatformError | None]],
        *,
        last: bool,
    ) -> None:
        wanted, row = each.wanted, rows[each.wanted.key]
        assert each.intent.nonce is not None
        async with self._slots:
            if self._halt:
                self._fail(wanted, row, f"not tried: {self._halt}", keep=each.resumed)
                return
            if any(put_off):
                put_off.append((each, None))
                return
            try:
                there = await platform.create(create_body(wanted, each.intent.nonce))
            except PlatformError as error:
                if error.unknown:
                    each.problem = error
                elif error.status == 429 and not _hopeless(error) and not last:
                    put_off.append((each, error))
                else:
                    self._fail(wanted, row, _told(error), error=error)
                return
        each.mine = each.made = there["id"]
        self._keep(each, there, settled=False)

    def _keep(self, each: Claim, there: JSONObject, *, settled: bool) -> tuple[Record, tuple[Any, ...]]:
        """Record a remote object as the claimed instance."""
        payloads = self.journal.recorded.payloads
        if each.before and each.before.id == there["id"]:
            self.journal.record(each.wanted, each.before, payloads[each.before.digest], settled=settled)
            return each.before, ()
        own = (there.get("metadata") or {}).get("asst.nonce") == each.intent.nonce
        record, payload, changes = adopted(each.wanted, there, each.before, payloads, own=own)
        self.journal.record(each.wanted, record, payload, settled=settled)
        return record, changes

    async def _settle(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Sweep until every claim is settled: its instance shown, alone or elected; or say why it is not."""
        open_, delays = list(claims), iter(self.timing.delays())
        elapsed = 0.0
        while open_:
            try:
                shown = (await look(platform, (), open_[0].wanted.project, whole=True)).tagged()
            except PlatformError as error:
                for each in open_:
                    self._unsettled(each, rows, str(error))
                return
            steps = [(each, shown.get(each.wanted.key, [])) for each in open_]
            await self._all(self._elect(platform, each, hits, rows, elapsed) for each, hits in steps)
            open_ = [each for each in open_ if each.wanted.key not in self.rows]
            if open_:
                pause = next(delays, 0.25)
                await asyncio.sleep(pause)
                elapsed += pause

    async def _elect(
        self, platform: Platform, each: Claim, hits: Sequence[JSONObject], rows: Mapping[Key, Row], elapsed: float
    ) -> None:
        """One look at one claim: settle it, delete what lost, or leave it for the next look."""
        hits = [there for there in hits if there["id"] not in each.deleted]
        own = [there for there in hits if each.owns(there)]
        late = elapsed >= self.timing.grace
        try:
            if each.mine and each.mine not in each.deleted and not own:
                if late:
                    self._unsettled(each, rows, f"{each.mine} was made, but the service's list does not show it yet")
            elif each.problem and not own and elapsed < self.timing.unknown:
                return  # our own may still show up
            elif not hits:
                await self._make_anew(platform, each, rows, elapsed)
            elif len(own) > 1:
                await self._drop(platform, each, own[1:])
            elif own and hits[0] is not own[0]:
                await self._drop(platform, each, own)
            elif own and any(there["created_at"] == own[0]["created_at"] for there in hits[1:]):
                if late:
                    await self._drop(platform, each, own)
            else:
                self._settled(each, hits[0], rows)
        except PlatformError as error:
            self._unsettled(each, rows, str(error))

    async def _drop(self, platform: Platform, each: Claim, own: Sequence[JSONObject]) -> None:
        for there in own:
            await platform.delete(there["id"])
            each.deleted.add(there["id"])
            if each.mine == there["id"]:
                each.mine = None

    async def _make_anew(self, platform: Platform, each: Claim, rows: Mapping[Key, Row], elapsed: float) -> None:
        """Nothing is there: the unanswered create is waited for, one that lost to a now vanished other is posted again."""
        if each.problem:
            self._unsettled(each, rows, f"{each.problem}; whether it was made is not known yet")
            return
        each.rounds += 1
        if each.rounds > 3:
            self._unsettled(each, rows, "other runs make and delete it at the same time")
            return
        await self._post(platform, [each], rows)

    def _settled(self, each: Claim, there: JSONObject, rows: Mapping[Key, Row]) -> None:
        record, changes = self._keep(each, there, settled=True)
        row = rows[each.wanted.key]
        made_here = record.id == each.made
        action = row.action if made_here or record.id == row.id else "adopt"
        note = row.note
        if changes and not made_here:
            note = f"another checkout wrote {record.id}; inv asst.plan shows what differs"
        self.rows[each.wanted.key] = replace(row, id=record.id, action=action, note=note)
        self.reporter.advance()

    def _unsettled(self, each: Claim, rows: Mapping[Key, Row], why: str) -> None:
        row = replace(rows[each.wanted.key], id=each.made or rows[each.wanted.key].id)
        self._fail(each.wanted, row, f"{why}: run inv asst.create again to settle it", keep=True)

    # --- both

    async def _all(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Run all of it; when interrupted, start nothing more and give what is in flight a moment to be recorded."""
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            if tasks:
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            self._halt = self._halt or "interrupted"
            await asyncio.wait(tasks, timeout=self.timing.interrupt)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        for task in tasks:
            task.result()


def _hopeless(error: PlatformError) -> bool:
    """Whether the other requests of the run would fail the same way."""
    return error.status in (401, 403) or error.code == "insufficient_quota" or (error.retry_after or 0) > 60


def _told(error: PlatformError) -> str:
    if error.status == 404:
        return "was deleted remotely: run inv asst.create to make it anew"
    return str(error)
