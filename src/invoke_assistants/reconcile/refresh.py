"""Refreshing: what the platforms hold of the recorded ids and of our tags. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence

from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Desired, JSONObject
from .remote import Listing, Remote
from .world import World

__all__ = ["list_objects", "refresh", "refresh_again", "refresh_to_create"]

MAX_PAGES = 1_000  # of 100 objects each; a list that goes on is a broken one


async def refresh(world: World, desired: Sequence[Desired], *, complete: Iterable[str] = ()) -> Remote:
    """Look for the recorded objects of these instances, on each platform once.

    Args:
        complete: the environments whose platforms are listed to the last page, since something may have to be adopted or made.

    Raises:
        PlatformError: a platform cannot be read.
        SettingsError: a key is missing.
    """
    complete = set(complete)
    platforms, ids, listed = {}, dict[Platform, set[str]](), set[Platform]()
    for each in desired:
        record = world.state.record(each)
        if record is None and each.environment not in complete:
            continue
        platform = platforms[each.key] = await world.platform(each)
        ids.setdefault(platform, set()).update({record.id} if record else ())
        if each.environment in complete:
            listed.add(platform)
    listings = {
        platform: await list_objects(platform, looked_for, world.project_name, complete=platform in listed)
        for platform, looked_for in ids.items()
    }
    return Remote({key: listings[platform] for key, platform in platforms.items()})


async def refresh_to_create(world: World, desired: Sequence[Desired]) -> Remote:
    """As ``refresh``, with a complete list of every environment in which an instance is to be made or a create is open."""
    state = world.state
    complete = {each.environment for each in desired if not state.record(each) or state.pending_operation(each, "create")}
    remote = await refresh(world, desired, complete=complete)
    gone = {
        each.environment
        for each in desired
        if (record := state.record(each)) and record.id not in remote.listing(each.key).objects
    }
    return await refresh(world, desired, complete=complete | gone) if gone else remote


async def refresh_again(remote: Remote, *, tagged: bool = False) -> Remote:
    """The same look once more; with ``tagged``, for the tagged objects alone, in complete lists."""
    listings: dict[int, Listing] = {}
    for before in remote.listings.values():
        if id(before) not in listings:
            assert before.platform is not None  # a plan without a request asks nothing
            ids = frozenset[str]() if tagged else before.ids
            complete = tagged or before.complete
            listings[id(before)] = await list_objects(before.platform, ids, before.project, complete=complete)
    return Remote({key: listings[id(before)] for key, before in remote.listings.items()})


async def list_objects(platform: Platform, ids: Collection[str], project: str, *, complete: bool = False) -> Listing:
    """Look for ids on one platform.

    Page until every id is seen; after k pages, retrieve the rest one by one where k or fewer remain. An id that no page
    shows counts as gone only after its own request says 404.

    Args:
        ids: the recorded ids.
        project: the namespace of our tags.
        complete: read every page.

    Raises:
        PlatformError: the platform cannot be read, or its pages make no sense; nothing is concluded from a part.
    """
    for attempt in range(3):
        try:
            return await _list_once(platform, frozenset(ids), project, complete)
        except PlatformError as error:
            # Only a cursor can be unknown here: its object was deleted between two pages, so begin again.
            if error.status != 404 or attempt == 2:
                raise
    raise AssertionError("unreachable")


async def _list_once(platform: Platform, ids: frozenset[str], project: str, complete: bool) -> Listing:
    objects: dict[str, JSONObject] = {}
    unseen = set(ids)
    more, after, pages = True, None, 0
    while more and (complete or len(unseen) > pages):
        data, more = await platform.list_page(after)
        pages += 1
        fresh = {item["id"]: item for item in data}
        if (more and not data) or len(fresh) != len(data) or fresh.keys() & objects.keys() or pages > MAX_PAGES:
            raise PlatformError("the service's list repeats itself or does not end: try again later", unknown=True)
        objects |= fresh
        unseen -= fresh.keys()
        after = data[-1]["id"] if data else None
    for item in await asyncio.gather(*(platform.retrieve(id) for id in sorted(unseen))):
        if item is not None:
            objects[item["id"]] = item
    return Listing(objects, project, ids, complete, platform)
