"""Creating, so that no crash and no lost answer makes a duplicate or an orphan.

1. Every create is pending in the store, with a nonce, before its request.
2. An answer is recorded at once.
3. Complete lists are read until each create is settled: ``election.next_move`` says what each look means.
4. Only then does the pending create go. Nothing is deleted but what carries the nonce of a pending create.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..declare.payload import create_body
from ..declare.tags import DIGEST_TAG, metadata_of
from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Change, JSONObject, Record, Step
from .apply import format_failure, record_in_sync
from .election import CreateState, Look, Move, next_move
from .executor import Executor, fails_for_all
from .pending_create import PendingCreate, plan_of, still_open
from .plan import NOT_STARTED, Plan
from .promotion import in_promotion_order, incomplete_before
from .read_back import not_taken
from .records import adopted_changes, record_of_adopted
from .refresh import Wanted, list_objects
from .remote import Listing, Remote, made_by
from .world import World

__all__ = ["apply_create"]

PUT_OFF = 4  # rounds in a row in which the service puts off every post
ATTEMPTS = 3  # times that a create is posted anew because its object has disappeared


async def apply_create(plan: Plan, world: World, remote: Remote) -> Plan:
    """Make or adopt what a plan says, environment after environment, and settle what is open.

    Raises:
        RowsFailed: some could not be made; the others were.
    """
    planned = plan.to_do()
    creating = _CreateRun(await Executor.open(world, (step.target for step in planned)))
    buffer = creating.executor.buffer
    record_in_sync(plan, world.state, buffer)
    creates = [PendingCreate.of(step, world.state, remote.tagged(step.key)) for step in planned]
    for each in creates:
        if not each.resumed:
            buffer.set_pending(each.step.target, each.operation, each.step.target.payload)
    buffer.flush()
    if creates:
        plan = plan.updated(await creating.run(creates))
    return creating.executor.mark_replaced(plan).raise_if_failed()


class _CreateRun:
    """The creates of one command."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    async def run(self, creates: Sequence[PendingCreate]) -> list[Step]:
        """Post and settle all of them; an environment that is not whole stops those after it."""
        executor = self.executor
        executor.reporter.start("creating", len(creates))
        order = in_promotion_order(plan_of(creates))
        async with executor.buffer.flushing():
            for environment in order:
                here = [each for each in creates if each.step.environment == environment]
                if incomplete := incomplete_before(environment, order, plan_of(creates)):
                    for each in here:
                        self._fail(each, f"{NOT_STARTED} {incomplete} is not whole", keep=each.resumed)
                else:
                    await self._post_environment(executor.platforms[here[0].step.key], here)
            by_platform: dict[Platform, list[PendingCreate]] = {}
            for each in creates:
                by_platform.setdefault(executor.platforms[each.step.key], []).append(each)
            # Each settles to its end, whatever becomes of another: it may adopt and delete.
            settled = await asyncio.gather(*(self._settle(*each) for each in by_platform.items()), return_exceptions=True)
            if error := next((each for each in settled if each is not None), None):
                raise error
        return [each.outcome for each in creates if each.outcome]

    async def _post_environment(self, platform: Platform, creates: Sequence[PendingCreate]) -> None:
        """Post what is to be made; what is not answered as it was sent is settled before the next environment."""
        try:
            await self._post(platform, await self._unlisted(platform, creates))
        except PlatformError as error:
            for each in still_open(creates):
                self._give_up(each, error.detail)
        unclear = [each for each in creates if each.state is CreateState.UNANSWERED or each.resumed or each.not_taken]
        await self._settle(platform, unclear)

    async def _unlisted(self, platform: Platform, creates: Sequence[PendingCreate]) -> list[PendingCreate]:
        """The creates of which nothing is listed. What an earlier run may have posted is looked for once more."""
        absent = [each for each in creates if each.id is None and each.listed is None]
        if any(each.resumed for each in absent):
            await asyncio.sleep(self.executor.timing.again)
            listing = await _list(platform, creates)
            absent = [each for each in absent if not (each.resumed and listing.tagged.get(each.step.key))]
        return absent

    async def _post(self, platform: Platform, creates: Sequence[PendingCreate]) -> None:
        """Post each create once; those that the service put off are posted again after a wait and a look."""
        for each in creates:
            if each.operation.digest != each.step.target.digest:  # an earlier run left another payload open
                each.operation = replace(each.operation, digest=each.step.target.digest)
                self.executor.buffer.set_pending(each.step.target, each.operation, each.step.target.payload)
        self.executor.buffer.flush()
        idle = 0
        while creates:
            put_off: dict[str, PlatformError | None] = {}
            await self.executor.all(self._post_one(platform, each, put_off, last=idle == PUT_OFF - 1) for each in creates)
            waits = [error.retry_after or 2.0**idle for error in put_off.values() if error]
            if not waits:
                return
            idle = idle + 1 if len(put_off) == len(creates) else 0
            self.executor.reporter.say(f"the service asks to slow down; trying again in {max(waits):.0f} s")
            await asyncio.sleep(max(waits))
            listing = await _list(platform, creates)
            creates = [each for each in creates if each.step.title in put_off and not listing.tagged.get(each.step.key)]

    async def _post_one(
        self, platform: Platform, each: PendingCreate, put_off: dict[str, PlatformError | None], *, last: bool
    ) -> None:
        """Post one create. ``put_off`` collects, by title, those that the service put off, and those that then waited."""
        desired, executor = each.step.target, self.executor
        assert each.operation.nonce is not None
        keep = each.resumed or bool(each.deleted)  # an earlier post may still turn up
        async with executor.slots:
            if executor.halt:
                self._fail(each, f"not tried: {executor.halt}", keep=keep)
                return
            if put_off:
                put_off[each.step.title] = None
                return
            try:
                there = await platform.create(create_body(desired, each.operation.nonce))
            except PlatformError as error:
                if error.unknown:
                    each.state, each.problem = CreateState.UNANSWERED, error
                elif error.status == 429 and not fails_for_all(error) and not last:
                    put_off[each.step.title] = error
                else:
                    self._fail(each, format_failure(error), keep=keep, error=error)
                return
        each.state, each.id, each.answer = CreateState.ANSWERED, there["id"], there
        self._record(each, there, settled=False)

    async def _settle(self, platform: Platform, creates: Sequence[PendingCreate]) -> None:
        """Look until every create is settled: its instance listed, alone or elected; or say why it is not."""
        delays, elapsed = iter(self.executor.timing.delays()), 0.0
        while open_ := still_open(creates):
            try:
                listing = await _list(platform, open_)
            except PlatformError as error:
                for each in open_:
                    self._give_up(each, error.detail)
                return
            await self.executor.all(self._settle_one(platform, each, listing, elapsed) for each in open_)
            if still_open(creates):
                pause = next(delays, 0.25)
                await asyncio.sleep(pause)
                elapsed += pause

    async def _settle_one(self, platform: Platform, each: PendingCreate, listing: Listing, elapsed: float) -> None:
        """Carry out the next step of one create after one look."""
        tagged = each.tagged(listing)
        own = made_by(each.operation, tagged)
        look = Look(
            own=len(own),
            others=len(tagged) - len(own),
            own_is_oldest=bool(own) and own[0] is tagged[0],
            same_age=len(tagged) > 1 and tagged[0].get("created_at", 0) == tagged[1].get("created_at", 0),
            recorded_is_listed=each.id is not None and each.id in listing.objects,
            answer_is_overdue=elapsed >= self.executor.timing.unknown,
            grace_is_over=elapsed >= self.executor.timing.grace,
        )
        try:
            match next_move(each.state, look):
                case Move.WAIT:
                    pass
                case Move.CREATE:
                    await self._create_anew(platform, each)
                case Move.KEEP_RECORDED:
                    assert each.id is not None
                    self._keep(each, listing.objects[each.id], duplicates=())
                case Move.KEEP_OLDEST:
                    self._keep(each, tagged[0], duplicates=tagged[1:])
                case Move.DELETE_EXTRAS:
                    await self._delete_own(platform, each, own[1:])
                case Move.YIELD:
                    await self._delete_own(platform, each, own)
                    if each.state is CreateState.UNANSWERED:  # it was made, as its object showed
                        each.state = CreateState.UNSENT
                case move:
                    self._give_up(each, _reason(move, each, tagged))
        except PlatformError as error:
            self._give_up(each, error.detail)
        each.listed = tagged[0]["id"] if tagged else each.listed

    async def _delete_own(self, platform: Platform, each: PendingCreate, own: Iterable[JSONObject]) -> None:
        for there in own:
            await platform.delete(there["id"])
            each.deleted.add(there["id"])
            if each.id == there["id"]:
                each.id, each.state = None, CreateState.UNSENT
                self.executor.buffer.forget(each.step.target, there["id"])

    async def _create_anew(self, platform: Platform, each: PendingCreate) -> None:
        """Post where nothing is listed, unless what was listed or recorded before still answers to its id."""
        known = each.listed or each.id
        if known and known not in each.deleted and await platform.retrieve(known):
            return
        each.attempts += 1
        if each.attempts > ATTEMPTS:
            self._give_up(each, "other runs make and delete it at the same time")
        else:
            await self._post(platform, [each])

    def _record(self, each: PendingCreate, there: JSONObject, *, settled: bool) -> tuple[Record, tuple[Change, ...]]:
        """Record an object as the instance; return what another checkout wrote otherwise, too."""
        desired, buffer = each.step.target, self.executor.buffer
        if each.before and each.before.id == there["id"]:
            buffer.record(desired, each.before, buffer.payloads[each.before.digest], settled=settled)
            return each.before, ()
        there = each.answered(there)
        if there is each.answer and each.recorded and each.recorded.id == there["id"]:  # when it was answered
            buffer.record(desired, each.recorded, buffer.payloads[each.recorded.digest], settled=settled)
            return each.recorded, ()
        own = there is each.answer or bool(made_by(each.operation, [there]))
        answered = there is each.answer or not each.resumed  # what an earlier run made may have been edited by hand since
        each.not_taken = self._not_taken(each, there) if own and answered else ()
        whole = not each.not_taken
        record, payload = record_of_adopted(desired, there, each.before, buffer.payloads, own=own, whole=whole)
        buffer.record(desired, record, payload, settled=settled)
        each.recorded = record
        return record, () if own else adopted_changes(desired, there, payload, own=own)

    def _not_taken(self, each: PendingCreate, there: JSONObject) -> tuple[Change, ...]:
        """What an object of our own create holds otherwise than it was sent; an earlier run may have sent another payload."""
        tag = metadata_of(there).get(DIGEST_TAG, each.operation.digest)
        sent = each.operation.digest if there is each.answer else tag
        payload = self.executor.buffer.payloads.get(sent)
        if payload is None:
            return ()
        desired = replace(each.step.target, payload=payload, digest=sent)
        return not_taken(create_body(desired, each.operation.nonce or ""), there, payload)

    def _keep(self, each: PendingCreate, there: JSONObject, duplicates: Sequence[JSONObject]) -> None:
        """Settle a create with the object that stays."""
        made = each.state is CreateState.ANSWERED
        record, changes = self._record(each, there, settled=True)
        step = each.step
        action = step.action if (made and record.id == each.id) or record.id == step.id else "adopt"
        note = "an earlier run left this create open; it is settled" if each.resumed else step.note
        if changes:
            note = f"another checkout wrote {record.id}; inv asst.plan shows what differs"
        if duplicates:
            ids = ", ".join(duplicate["id"] for duplicate in duplicates)
            note = f"{ids} carries the same tags and is younger: the run that made it deletes it"
            if len(duplicates) > 1:
                note = f"{ids} carry the same tags and are younger: the runs that made them delete them"
        settled = replace(step, id=record.id, action=action, note=note)
        if each.not_taken:
            each.outcome = self.executor.not_whole(settled, each.answered(there), each.not_taken)
            return
        each.outcome = settled
        self.executor.reporter.advance()

    def _give_up(self, each: PendingCreate, why: str) -> None:
        """Leave a create open for the next run."""
        each.step = replace(each.step, id=each.id or each.step.id)
        self._fail(each, f"{why}: run inv asst.create again to settle it", keep=True)

    def _fail(self, each: PendingCreate, why: str, *, keep: bool, error: PlatformError | None = None) -> None:
        each.outcome = self.executor.failed(each.step, why, keep=keep, error=error)


async def _list(platform: Platform, creates: Sequence[PendingCreate]) -> Listing:
    wanted = Wanted(creates[0].step.target.project, ids={each.id for each in creates if each.id})
    return await list_objects(platform, (), wanted, complete=True)


def _reason(move: Move, each: PendingCreate, tagged: Sequence[JSONObject]) -> str:
    """Why a create is given up."""
    if move is Move.GIVE_UP_UNLISTED:
        return f"{each.id} was made, but the service's list does not show it yet"
    if move is Move.GIVE_UP_UNANSWERED:
        assert each.problem is not None
        return f"{each.problem.detail}; whether it was made is not known yet"
    return f"{len(tagged)} instances carry its tags: {', '.join(there['id'] for there in tagged)}; delete all but one"
