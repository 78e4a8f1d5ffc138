"""Platform ``responses``: an instance is a pinned configuration, a payload that the store keeps under an id. Nothing is remote.

The Responses API has no object that holds a configuration, so each call sends the pinned payload. Managing releases
therefore needs no key and no network.
"""

from __future__ import annotations

import hashlib
import json

from ..declare.payload import create_body
from ..types import PINNED, Desired, JSONObject, State

__all__ = ["PinnedPlatform"]


class PinnedPlatform:
    """The pinned configurations in a store, as objects that can be listed and changed like those of an API.

    A change lasts as long as this object; whoever makes it also records it in the store.
    """

    def __init__(self, recorded: State, project: str) -> None:
        self._releases: dict[str, JSONObject] = {}
        for key, each in recorded.records.items():
            if record := each.at(PINNED):
                desired = Desired(*key, 0, PINNED, project, recorded.payloads[record.digest], record.remote_digest)
                self._releases[record.id] = {"id": record.id, "created_at": 0, **create_body(desired, "0" * 32)}

    async def list_page(self, after: str | None) -> tuple[list[JSONObject], bool]:
        """See ``Platform``. The first page holds all of them."""
        return ([] if after else [*self._releases.values()]), False

    async def retrieve(self, id: str) -> JSONObject | None:
        """See ``Platform``."""
        return self._releases.get(id)

    async def create(self, body: JSONObject) -> JSONObject:
        """See ``Platform``. Every clone of the project derives the same id."""
        identity = [body["metadata"][f"asst.{key}"] for key in ("project", "name", "environment")]
        id = "rel_" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
        self._releases[id] = {"id": id, "created_at": 0, **body}
        return self._releases[id]

    async def update(self, id: str, body: JSONObject) -> JSONObject:
        """See ``Platform``. The id stays."""
        self._releases[id] = {**self._releases[id], **body}
        return self._releases[id]

    async def list_models(self) -> list[JSONObject] | None:
        """See ``Platform``. The store has no models."""
        return None

    async def delete(self, id: str) -> None:
        """See ``Platform``."""
        self._releases.pop(id, None)
