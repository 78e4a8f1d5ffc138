"""Creating, so that no crash and no lost answer makes a twin or an orphan.

An intent with a nonce is in the store before the request; an answer is recorded at once, an unknown outcome is settled
by looking for the nonce; a last sweep elects the one instance that stays where another clone made one at the same time;
only then does the intent go.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .apply import Run, hopeless, told
from .errors import PlatformError
from .payload import create_body
from .plan import Verdict, adopted
from .platforms import Platform
from .records import Change, Intent, JSONObject, Key, Record, Recorded, Row, Wanted
from .sweep import look

__all__ = ["Claim", "Creation", "claim"]


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
        """The declared instance."""
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
    return Claim(verdict, intent, resumed=left is not None, before=recorded.record(wanted), mine=mine)


class Creation(Run):
    """The creates of one command."""

    async def create(self, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Make or adopt every claimed instance; each has an open intent. An environment that fails stops those after it."""
        self.reporter.start("creating", len(claims))
        stopped: str | None = None
        async with self.journal.flushing():
            for _, name in sorted({(each.wanted.position, each.wanted.environment) for each in claims}):
                here = [each for each in claims if each.wanted.environment == name]
                if stopped:
                    for each in here:
                        why = f"not started, since {stopped} is not whole"
                        self.fail(each.wanted, rows[each.wanted.key], why, keep=each.resumed)
                    continue
                await self._make(self.platforms[name], here, rows)
                if any(self.rows[each.wanted.key].error for each in here if each.wanted.key in self.rows):
                    stopped = name
            for platform in dict.fromkeys(self.platforms.values()):
                await self._settle(platform, [each for each in self._open(claims) if self._at(each) is platform], rows)

    async def _make(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Post what is to be made in one environment; a create that was not answered is settled before the next one."""
        try:
            await self._post(platform, await self._without_hits(platform, claims), rows)
        except PlatformError as error:
            for each in self._open(claims):
                self._unsettled(each, rows, error.detail)
        await self._settle(platform, [each for each in self._open(claims) if each.problem], rows)

    def _open(self, claims: Sequence[Claim]) -> list[Claim]:
        return [each for each in claims if each.wanted.key not in self.rows]

    def _at(self, each: Claim) -> Platform:
        return self.platforms[each.wanted.environment]

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
            await self.all(self._post_one(platform, each, rows, put_off, last=attempt == 3) for each in claims)
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
        async with self.slots:
            if self.halt:
                self.fail(wanted, row, f"not tried: {self.halt}", keep=each.resumed)
                return
            if any(put_off):
                put_off.append((each, None))
                return
            try:
                there = await platform.create(create_body(wanted, each.intent.nonce))
            except PlatformError as error:
                if error.unknown:
                    each.problem = error
                elif error.status == 429 and not hopeless(error) and not last:
                    put_off.append((each, error))
                else:
                    self.fail(wanted, row, told(error), error=error)
                return
        each.mine = each.made = there["id"]
        self._keep(each, there, settled=False)

    def _keep(self, each: Claim, there: JSONObject, *, settled: bool) -> tuple[Record, tuple[Change, ...]]:
        """Record a remote object as the claimed instance."""
        payloads = self.journal.recorded.payloads
        if each.before and each.before.id == there["id"]:
            self.journal.record(each.wanted, each.before, payloads[each.before.digest], settled=settled)
            return each.before, ()
        own = (there.get("metadata") or {}).get("asst.nonce") == each.intent.nonce
        record, payload, changes = adopted(each.wanted, there, each.before, payloads, own=own)
        self.journal.record(each.wanted, record, payload, settled=settled)
        return record, () if own else changes

    async def _settle(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Sweep until every claim is settled: its instance shown, alone or elected; or say why it is not."""
        open_, delays = list(claims), iter(self.timing.delays())
        elapsed = 0.0
        while open_:
            try:
                shown = (await look(platform, (), open_[0].wanted.project, whole=True)).tagged()
            except PlatformError as error:
                for each in open_:
                    self._unsettled(each, rows, error.detail)
                return
            steps = [(each, shown.get(each.wanted.key, [])) for each in open_]
            await self.all(self._elect(platform, each, hits, rows, elapsed) for each, hits in steps)
            open_ = self._open(open_)
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
            self._unsettled(each, rows, error.detail)

    async def _drop(self, platform: Platform, each: Claim, own: Sequence[JSONObject]) -> None:
        for there in own:
            await platform.delete(there["id"])
            each.deleted.add(there["id"])
            if each.mine == there["id"]:
                each.mine = None

    async def _make_anew(self, platform: Platform, each: Claim, rows: Mapping[Key, Row], elapsed: float) -> None:
        """Nothing is there: the unanswered create is waited for, one that lost to a now vanished other is posted again."""
        if each.problem:
            self._unsettled(each, rows, f"{each.problem.detail}; whether it was made is not known yet")
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
        if changes:
            note = f"another checkout wrote {record.id}; inv asst.plan shows what differs"
        self.rows[each.wanted.key] = replace(row, id=record.id, action=action, note=note)
        self.reporter.advance()

    def _unsettled(self, each: Claim, rows: Mapping[Key, Row], why: str) -> None:
        row = replace(rows[each.wanted.key], id=each.made or rows[each.wanted.key].id)
        self.fail(each.wanted, row, f"{why}: run inv asst.create again to settle it", keep=True)
