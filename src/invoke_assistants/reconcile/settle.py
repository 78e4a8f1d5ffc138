"""Settling creates that an earlier run left open, without making anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..platforms.platform import Platform
from ..types import Desired
from .executor import Executor
from .records import record_of_adopted
from .refresh import Wanted, list_objects
from .remote import Listing, made_by
from .world import World

__all__ = ["settle_creates"]


async def settle_creates(world: World, desired: Sequence[Desired]) -> None:
    """Record what each open create made, and drop the create; ``world.state`` is then what the store holds.

    Of several objects with a create's own nonce the oldest stays. A create of which nothing is to be found once the list
    has had its time (``timing.grace``) made nothing.

    Raises:
        PlatformError: the platform cannot be read or written; the creates stay open.
    """
    executor = await Executor.open(world, desired)
    for platform in dict.fromkeys(executor.platforms[each.key] for each in desired):
        here = [each for each in desired if executor.platforms[each.key] is platform]
        listing = await _list_until_shown(world, platform, here)
        for each in here:
            await _settle(world, executor, each, listing)
    executor.buffer.flush()
    world.state = world.project.store.read()


async def _list_until_shown(world: World, platform: Platform, desired: Sequence[Desired]) -> Listing:
    """The last of several looks: it shows something of every open create, or the grace is over."""
    ids = {record.id for each in desired if (record := world.state.record(each))}
    wanted = Wanted(world.project_name)
    lags = any(each.location.platform == "agents" for each in desired)
    delays = iter(world.timing.delays() if lags else ())
    announced = False
    while True:
        listing = await list_objects(platform, ids, wanted, complete=True)
        shown = all(made_by(world.state.pending_operation(each, "create"), listing.tagged.get(each.key, ())) for each in desired)
        pause = None if shown else next(delays, None)
        if pause is None:
            return listing
        if not announced:
            grace = world.timing.grace
            world.reporter.say(f"an earlier create is still open; looking for what it made, {grace:.0f} s at most")
            announced = True
        await asyncio.sleep(pause)


async def _settle(world: World, executor: Executor, desired: Desired, listing: Listing) -> None:
    """Keep one object of an open create, or none where a living instance is recorded; delete the others that it made."""
    before = world.state.record(desired)
    made = made_by(world.state.pending_operation(desired, "create"), listing.tagged.get(desired.key, ()))
    alive = before is not None and before.id in listing.objects
    kept = next((there for there in made if not alive or (before and there["id"] == before.id)), None)
    for there in made:
        if there is not kept:
            await executor.platforms[desired.key].delete(there["id"])
    if kept is None:
        executor.buffer.set_pending(desired, None)
        return
    record, payload = record_of_adopted(desired, kept, before, world.state.payloads, own=True)
    executor.buffer.record(desired, record, payload)
