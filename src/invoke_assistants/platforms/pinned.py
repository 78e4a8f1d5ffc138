"""Platform ``responses``: an instance is a release, a payload pinned in the store under an id; nothing is there remotely.

The Responses API has no object that holds a configuration, so each call is sent the pinned payload. Managing releases
therefore needs no key and no network.
"""

from __future__ import annotations

import hashlib
import json

from ..declare.payload import create_body
from ..types import PINNED, Desired, JSONObject, State

__all__ = ["PinnedPlatform"]


class PinnedPlatform:
    """The releases that a store holds, as objects that can be listed and changed like those of an API.

    A change is kept by who asked for it, in the store's record; here it lasts as long as the run.
    """

    def __init__(self, recorded: State, project: str) -> None:
        self._objects: dict[str, JSONObject] = {}
        for key, each in recorded.records.items():
            if record := each.at(PINNED):
                desired = Desired(*key, 0, PINNED, project, recorded.payloads[record.digest], record.remote_digest)
                self._objects[record.id] = {"id": record.id, "created_at": 0, **create_body(desired, "0" * 32)}

    async def page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """All releases at once."""
        return ([] if after else [*self._objects.values()]), False

    async def retrieve(self, id: str) -> JSONObject | None:
        """One release, or None where there is none."""
        return self._objects.get(id)

    async def create(self, body: JSONObject) -> JSONObject:
        """A new release, under an id that every clone of the project derives alike."""
        identity = [body["metadata"][f"asst.{key}"] for key in ("project", "name", "environment")]
        id = "rel_" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
        self._objects[id] = {"id": id, "created_at": 0, **body}
        return self._objects[id]

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """Another payload under the same id."""
        self._objects[id] = {**self._objects[id], **body}
        return self._objects[id]

    async def delete(self, id: str) -> None:
        """No more release of that id."""
        self._objects.pop(id, None)
