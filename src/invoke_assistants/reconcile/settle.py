"""Settling creates that an earlier run left open, without making anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..platforms.platform import Platform
from ..types import JSONObject, Wanted
from .apply import Run, Timing
from .plan import Remote, adopted, made_by
from .refresh import look
from .session import Session

__all__ = ["settle_creates"]


async def settle_creates(session: Session, wanted: Sequence[Wanted], timing: Timing) -> None:
    """Record what each open create made, and drop the create; ``session.recorded`` is then what the store holds.

    Of several objects with a create's own nonce the oldest stays. A create of which nothing is to be found once the list
    has had its time (``timing.grace``) made nothing.

    Raises:
        PlatformError: the platform cannot be read or written; the creates stay open.
    """
    run = await session.begin(Run, wanted, timing)
    for platform in dict.fromkeys(run.platforms[each.key] for each in wanted):
        here = [each for each in wanted if run.platforms[each.key] is platform]
        remote = await _shown(session, platform, here, timing)
        tagged = remote.tagged()
        for each in here:
            await _settle(session, run, platform, each, remote, tagged.get(each.key, ()))
    run.journal.flush()
    session.recorded = session.project.store.read()


async def _shown(session: Session, platform: Platform, wanted: Sequence[Wanted], timing: Timing) -> Remote:
    """The last of the looks: it shows something of every open create, or the grace is over."""
    records = [record for each in wanted if (record := session.recorded.record(each))]
    lags = any(each.place.platform == "agents" for each in wanted)
    delays = iter(timing.delays() if lags else ())
    told = False
    while True:
        remote = await look(platform, {record.id for record in records}, session.project.settings.project, whole=True)
        tagged = remote.tagged()
        shown = all(made_by(session.recorded.intent(each, "create"), tagged.get(each.key, ())) for each in wanted)
        pause = None if shown else next(delays, None)
        if pause is None:
            return remote
        if not told:
            session.reporter.say(f"an earlier create is still open; looking for what it made, {timing.grace:.0f} s at most")
            told = True
        await asyncio.sleep(pause)


async def _settle(
    session: Session, run: Run, platform: Platform, wanted: Wanted, remote: Remote, tagged: Sequence[JSONObject]
) -> None:
    recorded, before = session.recorded, session.recorded.record(wanted)
    made = made_by(recorded.intent(wanted, "create"), tagged)
    alive = before is not None and before.id in remote.objects
    kept = next((there for there in made if not alive or (before and there["id"] == before.id)), None)
    for there in made:
        if there is not kept:
            await platform.delete(there["id"])
    if kept is None:
        run.journal.intend(wanted, None)
        return
    record, payload, _ = adopted(wanted, kept, before, recorded.payloads, own=True)
    run.journal.record(wanted, record, payload)
