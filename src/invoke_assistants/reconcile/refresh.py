"""Looking at a platform: the pages of its list, and single objects where that is shorter. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from ..errors import PlatformError
from ..platforms.platform import Platform
from ..types import JSONObject
from .plan import Remote

__all__ = ["refresh"]

MAX_PAGES = 1_000  # of 100 objects each; a list that goes on is a broken one


async def refresh(platform: Platform, ids: Collection[str], project: str, *, whole: bool = False) -> Remote:
    """What a platform holds of the recorded ids.

    Pages until every id is seen; after k pages the rest is retrieved one by one if that is k requests or fewer. An id
    that no page shows counts as gone only after its own request says 404.

    Args:
        ids: the recorded ids.
        project: the namespace of our tags.
        whole: read every page, since something may have to be adopted or created.

    Raises:
        PlatformError: the platform cannot be read, or its pages make no sense; nothing is concluded from a part.
    """
    for attempt in range(3):
        try:
            return await _look(platform, set(ids), project, whole)
        except PlatformError as error:
            # Only a cursor can be unknown here: its object was deleted between two pages, so begin again.
            if error.status != 404 or attempt == 2:
                raise
    raise AssertionError("unreachable")


async def _look(platform: Platform, unseen: set[str], project: str, whole: bool) -> Remote:
    objects: dict[str, JSONObject] = {}
    more, after, pages = whole or bool(unseen), None, 0
    while more and (whole or (unseen and len(unseen) > pages)):
        data, more = await platform.list_page(after)
        pages += 1
        fresh = {item["id"]: item for item in data}
        if (more and not data) or len(fresh) != len(data) or fresh.keys() & objects.keys() or pages > MAX_PAGES:
            raise PlatformError("the service's list of agents repeats itself or does not end: try again later", unknown=True)
        objects |= fresh
        unseen -= fresh.keys()
        after = data[-1]["id"] if data else None
    for item in await asyncio.gather(*(platform.retrieve(id) for id in sorted(unseen))):
        if item is not None:
            objects[item["id"]] = item
    return Remote(objects, project)
