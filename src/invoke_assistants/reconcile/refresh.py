"""Refreshing: what the platforms hold of the recorded ids and of our tags. Changes nothing."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from ..declare.tags import is_ours, metadata_of
from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import Desired, JSONObject, Location
from .diff import FIELDS
from .remote import Listing, Remote
from .schema_change import output_schema_of
from .world import World

__all__ = ["Wanted", "list_objects", "refresh", "refresh_again", "refresh_to_create"]

T = TypeVar("T")

KEPT = ("id", "created_at", "name", *FIELDS)  # of an object
PAGE = 100  # objects
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
    places = dict[Platform, set[tuple[str, Location]]]()
    for each in desired:
        record = world.state.record(each)
        if record is None and each.environment not in complete:
            continue
        platform = platforms[each.key] = await world.platform(each)
        ids.setdefault(platform, set()).update({record.id} if record else ())
        places.setdefault(platform, set()).add((each.environment, each.location))
        if each.environment in complete:
            listed.add(platform)
    known = Counter((environment, record.location) for (_, environment), record in world.state.records.items())
    wanted = Wanted(world.project_name, desired)
    found = await side_by_side(
        list_objects(
            platform, looked_for, wanted, complete=platform in listed, recorded=sum(known[each] for each in places[platform])
        )
        for platform, looked_for in ids.items()
    )
    listings = dict(zip(ids, found, strict=True))
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
    before = {id(each): each for each in remote.listings.values()}

    async def again(each: Listing) -> Listing:
        assert each.platform is not None  # a plan without a request asks nothing
        ids = frozenset[str]() if tagged else each.ids
        return await list_objects(each.platform, ids, Wanted(each.project), complete=tagged or each.complete)

    listings = dict(zip(before, await side_by_side(map(again, before.values())), strict=True))
    return Remote({key: listings[id(each)] for key, each in remote.listings.items()})


async def side_by_side(looks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of them at once; at the first error, in their order, the rest is cancelled: looks change nothing."""
    tasks = [asyncio.create_task(look) for look in looks]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Wanted:
    """What is kept of the objects that a look shows: of this project's and the recorded ones, what is read of them later.

    Args:
        project: the namespace of our tags.
        desired: instances whose output schemas are kept once, and not with each object that holds the same.
        ids: of other objects to keep.
    """

    def __init__(self, project: str, desired: Iterable[Desired] = (), ids: Collection[str] = ()) -> None:
        self.project = project
        self.ids = ids
        schemas = {id(schema): schema for each in desired if (schema := output_schema_of(each.payload))}
        self._schemas = {json.dumps(schema): schema for schema in schemas.values()}
        self._texts: dict[str, str] = {}

    def of(self, objects: Iterable[JSONObject], ids: Collection[str]) -> dict[str, JSONObject]:
        """What is kept of some objects, by id; ``ids`` are the recorded ones."""
        return {
            each["id"]: self._kept(each)
            for each in objects
            if each["id"] in ids or each["id"] in self.ids or is_ours(metadata_of(each), self.project)
        }

    def _kept(self, there: JSONObject) -> JSONObject:
        kept = {key: there[key] for key in KEPT if key in there}
        if isinstance(text := kept.get("instructions"), str):
            kept["instructions"] = self._texts.setdefault(text, text)
        if schema := output_schema_of(there):
            known = self._schemas.setdefault(json.dumps(schema), schema)
            kept["text"] = {**there["text"], "format": {**there["text"]["format"], "schema": known}}
        return kept


async def list_objects(
    platform: Platform, ids: Collection[str], wanted: Wanted, *, complete: bool = False, recorded: int = 0
) -> Listing:
    """Look for ids on one platform.

    Page until every id is seen; after k pages, retrieve the rest one by one where k or fewer remain, and all of them where
    they are fewer than the pages of what is recorded there. An id that no page shows counts as gone only after its own
    request says 404.

    Args:
        ids: the recorded ids to look for.
        wanted: what is kept of what is seen.
        complete: read every page.
        recorded: how many objects are there at least, as far as the store knows.

    Raises:
        PlatformError: the platform cannot be read, or its pages make no sense; nothing is concluded from a part.
    """
    for attempt in range(3):
        try:
            return await _list_once(platform, frozenset(ids), wanted, complete, recorded)
        except PlatformError as error:
            # Only a cursor can be unknown here: its object was deleted between two pages, so begin again.
            if error.status != 404 or attempt == 2:
                raise
    raise AssertionError("unreachable")


async def _list_once(platform: Platform, ids: frozenset[str], wanted: Wanted, complete: bool, recorded: int) -> Listing:
    objects: dict[str, JSONObject] = {}
    seen: set[str] = set()
    unseen = set(ids)
    after, pages = None, 0
    more = complete or len(ids) >= math.ceil(recorded / PAGE)
    while more and (complete or len(unseen) > pages):
        data, more = await platform.list_page(after)
        pages += 1
        fresh = {item["id"] for item in data}
        if (more and not data) or len(fresh) != len(data) or fresh & seen or pages > MAX_PAGES:
            raise PlatformError("the service's list repeats itself or does not end: try again later", unknown=True)
        objects |= wanted.of(data, ids)
        seen |= fresh
        unseen -= fresh
        after = data[-1]["id"] if data else None
    found = await asyncio.gather(*(platform.retrieve(id) for id in sorted(unseen)))
    objects |= wanted.of((item for item in found if item is not None), ids)
    return Listing(objects, wanted.project, ids, complete, platform)
