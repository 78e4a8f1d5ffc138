"""Settling creates that an earlier run left open, without making anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..platforms.platform import Platform
from ..types import Desired, JSONObject
from .apply import Run, Timing
from .plan import Remote, adopted, made_by
from .refresh import refresh
from .session import Session

__all__ = ["settle_creates"]


async def settle_creates(session: Session, desired: Sequence[Desired], timing: Timing) -> None:
    """Record what each open create made, and drop the create; ``session.recorded`` is then what the store holds.

    Of several objects with a create's own nonce the oldest stays. A create of which nothing is to be found once the list
    has had its time (``timing.grace``) made nothing.

    Raises:
        PlatformError: the platform cannot be read or written; the creates stay open.
    """
    run = await session.begin(Run, desired, timing)
    for platform in dict.fromkeys(run.platforms[each.key] for each in desired):
        here = [each for each in desired if run.platforms[each.key] is platform]
        remote = await _shown(session, platform, here, timing)
        tagged = remote.tagged()
        for each in here:
            await _settle(session, run, platform, each, remote, tagged.get(each.key, ()))
    run.buffer.flush()
    session.recorded = session.project.store.read()


async def _shown(session: Session, platform: Platform, desired: Sequence[Desired], timing: Timing) -> Remote:
    """The last of the looks: it shows something of every open create, or the grace is over."""
    records = [record for each in desired if (record := session.recorded.record(each))]
    lags = any(each.location.platform == "agents" for each in desired)
    delays = iter(timing.delays() if lags else ())
    told = False
    while True:
        remote = await refresh(platform, {record.id for record in records}, session.project.settings.project, whole=True)
        tagged = remote.tagged()
        shown = all(made_by(session.recorded.pending_operation(each, "create"), tagged.get(each.key, ())) for each in desired)
        pause = None if shown else next(delays, None)
        if pause is None:
            return remote
        if not told:
            session.reporter.say(f"an earlier create is still open; looking for what it made, {timing.grace:.0f} s at most")
            told = True
        await asyncio.sleep(pause)


async def _settle(
    session: Session, run: Run, platform: Platform, desired: Desired, remote: Remote, tagged: Sequence[JSONObject]
) -> None:
    recorded, before = session.recorded, session.recorded.record(desired)
    made = made_by(recorded.pending_operation(desired, "create"), tagged)
    alive = before is not None and before.id in remote.objects
    kept = next((there for there in made if not alive or (before and there["id"] == before.id)), None)
    for there in made:
        if there is not kept:
            await platform.delete(there["id"])
    if kept is None:
        run.buffer.intend(desired, None)
        return
    record, payload, _ = adopted(desired, kept, before, recorded.payloads, own=True)
    run.buffer.record(desired, record, payload)
