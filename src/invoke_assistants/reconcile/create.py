"""Creating, so that no crash and no lost answer makes a twin or an orphan.

An intent with a nonce is in the store before the request; an answer is recorded at once, an unknown outcome is settled
by looking for the nonce; a last sweep elects the one instance that stays where another clone made one at the same time;
only then does the intent go. Nothing is deleted but what carries the nonce of an open intent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..declare.payload import create_body
from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Change, Desired, JSONObject, Key, PendingOperation, Record, Row, State
from .apply import Run, hopeless, told
from .plan import Remote, Verdict, adopted
from .refresh import refresh

__all__ = ["Claim", "Creation", "claim"]

ROUNDS = 4  # of posts that the service put off, without any of them getting through


@dataclass
class Claim:
    """One instance that a create is after.

    ``resumed`` says that an earlier run left the intent, ``shown`` is the id of the tagged object that the last look
    showed, ``mine`` the id that was recorded before or answered now, ``made`` that it was answered now.
    """

    verdict: Verdict
    intent: PendingOperation
    resumed: bool
    before: Record | None
    shown: str | None
    mine: str | None = None
    made: bool = False
    problem: PlatformError | None = None
    rounds: int = 0
    deleted: set[str] = field(default_factory=set)

    @property
    def desired(self) -> Desired:
        """The declared instance."""
        return self.verdict.desired

    def owns(self, there: JSONObject) -> bool:
        """Whether a remote object is this claim's own: it carries its nonce."""
        return (there.get("metadata") or {}).get("asst.nonce") == self.intent.nonce


def claim(verdict: Verdict, recorded: State, hits: Sequence[JSONObject]) -> Claim:
    """The claim of a verdict and its tagged objects; one that an earlier run left open goes on with its intent."""
    desired = verdict.desired
    left = recorded.pending_operation(desired, "create")
    intent = left or PendingOperation("create", desired.digest, secrets.token_hex(16))
    mine = verdict.record.id if verdict.record and verdict.remote else None
    shown = hits[0]["id"] if hits else None
    return Claim(verdict, intent, left is not None, recorded.record(desired), shown, mine)


class Creation(Run):
    """The creates of one command."""

    async def create(self, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Make or adopt every claimed instance; each has an open intent. An environment that fails stops those after it."""
        self.reporter.start("creating", len(claims))
        stopped: str | None = None
        async with self.buffer.flushing():
            for _, name in sorted({(each.desired.position, each.desired.environment) for each in claims}):
                here = [each for each in claims if each.desired.environment == name]
                if stopped:
                    for each in here:
                        why = f"not started, since {stopped} is not whole"
                        self.fail(each.desired, rows[each.desired.key], why, keep=each.resumed)
                    continue
                await self._make(self.platforms[here[0].desired.key], here, rows)
                if any(self.rows[each.desired.key].error for each in here if each.desired.key in self.rows):
                    stopped = name
            for platform in dict.fromkeys(self.platforms.values()):
                here = [each for each in self._open(claims) if self.platforms[each.desired.key] is platform]
                await self._settle(platform, here, rows)

    async def _make(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Post what is to be made in one environment; a create that was not answered is settled before the next one."""
        try:
            await self._post(platform, await self._without_hits(platform, claims), rows)
        except PlatformError as error:
            for each in self._open(claims):
                self._unsettled(each, rows, error.detail)
        await self._settle(platform, [each for each in self._open(claims) if each.problem], rows)

    def _open(self, claims: Sequence[Claim]) -> list[Claim]:
        return [each for each in claims if each.desired.key not in self.rows]

    async def _without_hits(self, platform: Platform, claims: Sequence[Claim]) -> list[Claim]:
        """The claims to post: those with no tagged object. One that an earlier run may have posted is looked for again."""
        absent = [each for each in claims if each.mine is None and each.shown is None]
        if any(each.resumed for each in absent):
            await asyncio.sleep(self.timing.again)
            shown = (await self._look(platform, claims)).tagged()
            absent = [each for each in absent if not (each.resumed and shown.get(each.desired.key))]
        return absent

    async def _look(self, platform: Platform, claims: Sequence[Claim]) -> Remote:
        return await refresh(platform, (), claims[0].desired.project, whole=True)

    async def _post(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Send each create once; those that the service put off are sent again after a wait and a look."""
        for each in claims:
            if each.intent.digest != each.desired.digest:  # what an earlier run left open was another payload
                each.intent = replace(each.intent, digest=each.desired.digest)
                self.buffer.intend(each.desired, each.intent, each.desired.payload)
        self.buffer.flush()
        idle = 0
        while claims:
            put_off: list[tuple[Claim, PlatformError | None]] = []
            await self.all(self._post_one(platform, each, rows, put_off, last=idle == ROUNDS - 1) for each in claims)
            waits = [error.retry_after or 2.0**idle for _, error in put_off if error]
            if not waits:
                return
            idle = idle + 1 if len(put_off) == len(claims) else 0
            self.reporter.say(f"the service asks to slow down; trying again in {max(waits):.0f} s")
            await asyncio.sleep(max(waits))
            shown = (await self._look(platform, claims)).tagged()
            claims = [each for each, _ in put_off if not shown.get(each.desired.key)]

    async def _post_one(
        self,
        platform: Platform,
        each: Claim,
        rows: Mapping[Key, Row],
        put_off: list[tuple[Claim, PlatformError | None]],
        *,
        last: bool,
    ) -> None:
        desired, row = each.desired, rows[each.desired.key]
        assert each.intent.nonce is not None
        keep = each.resumed or bool(each.deleted)  # an earlier post may still turn up
        async with self.slots:
            if self.halt:
                self.fail(desired, row, f"not tried: {self.halt}", keep=keep)
                return
            if put_off:
                put_off.append((each, None))
                return
            try:
                there = await platform.create(create_body(desired, each.intent.nonce))
            except PlatformError as error:
                if error.unknown:
                    each.problem = error
                elif error.status == 429 and not hopeless(error) and not last:
                    put_off.append((each, error))
                else:
                    self.fail(desired, row, told(error), keep=keep, error=error)
                return
        each.mine, each.made = there["id"], True
        self._keep(each, there, settled=False)

    def _keep(self, each: Claim, there: JSONObject, *, settled: bool) -> tuple[Record, tuple[Change, ...]]:
        """Record a remote object as the claimed instance; what another checkout wrote otherwise comes back."""
        payloads = self.buffer.payloads
        if each.before and each.before.id == there["id"]:
            self.buffer.record(each.desired, each.before, payloads[each.before.digest], settled=settled)
            return each.before, ()
        own = each.owns(there)
        record, payload, changes = adopted(each.desired, there, each.before, payloads, own=own)
        self.buffer.record(each.desired, record, payload, settled=settled)
        return record, () if own else changes

    async def _settle(self, platform: Platform, claims: Sequence[Claim], rows: Mapping[Key, Row]) -> None:
        """Sweep until every claim is settled: its instance shown, alone or elected; or say why it is not."""
        open_, delays = list(claims), iter(self.timing.delays())
        elapsed = 0.0
        while open_:
            try:
                remote = await self._look(platform, open_)
            except PlatformError as error:
                for each in open_:
                    self._unsettled(each, rows, error.detail)
                return
            tagged = remote.tagged()
            await self.all(self._elect(platform, each, remote, tagged, rows, elapsed) for each in open_)
            open_ = self._open(open_)
            if open_:
                pause = next(delays, 0.25)
                await asyncio.sleep(pause)
                elapsed += pause

    async def _elect(
        self,
        platform: Platform,
        each: Claim,
        remote: Remote,
        tagged: Mapping[Key, Sequence[JSONObject]],
        rows: Mapping[Key, Row],
        elapsed: float,
    ) -> None:
        """One look at one claim: settle it, delete what lost, or leave it for the next look."""
        hits = [there for there in tagged.get(each.desired.key, ()) if there["id"] not in each.deleted]
        own = [there for there in hits if each.owns(there)]
        late = elapsed >= self.timing.grace
        try:
            if not own and each.mine and each.mine in remote.objects:
                self._settled(each, remote.objects[each.mine], rows)  # its tags were changed, which update tells
            elif not own and each.made:
                if late:
                    self._unsettled(each, rows, f"{each.mine} was made, but the service's list does not show it yet")
            elif not own and each.problem:
                if elapsed >= self.timing.unknown:
                    self._unsettled(each, rows, f"{each.problem.detail}; whether it was made is not known yet")
            elif not hits:
                await self._make_anew(platform, each, rows)
            elif len(own) > 1:
                await self._drop(platform, each, own[1:])
            elif own and hits[0] is not own[0]:
                await self._drop(platform, each, own)
            elif len(hits) > 1 and not late:
                return  # the others' runs delete what they made
            elif len(hits) > 1 and not own:
                ids = ", ".join(there["id"] for there in hits)
                self._unsettled(each, rows, f"{len(hits)} instances carry its tags: {ids}; delete all but one")
            elif len(hits) > 1 and hits[1]["created_at"] == own[0]["created_at"]:
                await self._drop(platform, each, own)
            else:
                self._settled(each, hits[0], rows, twins=hits[1:])
        except PlatformError as error:
            self._unsettled(each, rows, error.detail)
        each.shown = hits[0]["id"] if hits else each.shown

    async def _drop(self, platform: Platform, each: Claim, own: Sequence[JSONObject]) -> None:
        for there in own:
            await platform.delete(there["id"])
            each.deleted.add(there["id"])
            if each.mine == there["id"]:
                each.mine, each.made = None, False
                self.buffer.forget(each.desired, there["id"])

    async def _make_anew(self, platform: Platform, each: Claim, rows: Mapping[Key, Row]) -> None:
        """Nothing is shown: what was shown before is asked for by its id, and only if it is gone, one is posted."""
        known = each.shown or each.mine
        if known and known not in each.deleted and await platform.retrieve(known):
            return
        each.rounds += 1
        if each.rounds > 3:
            self._unsettled(each, rows, "other runs make and delete it at the same time")
        else:
            await self._post(platform, [each], rows)

    def _settled(self, each: Claim, there: JSONObject, rows: Mapping[Key, Row], twins: Sequence[JSONObject] = ()) -> None:
        record, changes = self._keep(each, there, settled=True)
        row = rows[each.desired.key]
        action = row.action if (each.made and record.id == each.mine) or record.id == row.id else "adopt"
        note = row.note if not each.resumed else "an earlier run left this create open; it is settled"
        if changes:
            note = f"another checkout wrote {record.id}; inv asst.plan shows what differs"
        if twins:
            note = (
                f"{', '.join(twin['id'] for twin in twins)} carries the same tags and is younger: the run that made it deletes it"
            )
        self.rows[each.desired.key] = replace(row, id=record.id, action=action, note=note)
        self.reporter.advance()

    def _unsettled(self, each: Claim, rows: Mapping[Key, Row], why: str) -> None:
        row = rows[each.desired.key]
        self.fail(each.desired, replace(row, id=each.mine or row.id), f"{why}: run inv asst.create again to settle it", keep=True)
