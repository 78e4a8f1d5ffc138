"""What a refresh showed of the remote side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from ..declare.tags import DIGEST_TAG, NONCE_TAG, is_ours, metadata_of
from ..platforms.platform import Platform
from ..types import Desired, JSONObject, Key, PendingOperation, State
from .diff import declarable_fields

__all__ = ["Listing", "Remote", "as_recorded", "made_by"]


@dataclass(frozen=True)
class Listing:
    """What one look at one platform showed.

    Args:
        objects: by id.
        project: the namespace of our tags.
        ids: the recorded ids that were looked for.
        complete: whether every page was read, so that what is not here is not there.
        platform: where it was made; None without a request.
    """

    objects: Mapping[str, JSONObject] = field(default_factory=lambda: MappingProxyType({}))
    project: str = ""
    ids: frozenset[str] = frozenset()
    complete: bool = False
    platform: Platform | None = None

    @cached_property
    def tagged(self) -> Mapping[Key, list[JSONObject]]:
        """This project's objects by the assistant and environment of their tags, oldest first; of equal age the lower id."""
        found: dict[Key, list[JSONObject]] = {}
        for item in sorted(self.objects.values(), key=lambda item: (item.get("created_at", 0), item["id"])):
            metadata = metadata_of(item)
            if is_ours(metadata, self.project):
                found.setdefault((metadata["asst.name"], metadata["asst.environment"]), []).append(item)
        return found


@dataclass(frozen=True)
class Remote:
    """What one refresh showed: for each instance that was looked for, the listing of the platform that it lives on."""

    listings: Mapping[Key, Listing] = field(default_factory=lambda: MappingProxyType({}))

    def listing(self, key: Key) -> Listing:
        """The listing to look for an instance in; an empty one where none was made."""
        return self.listings.get(key, Listing())

    def listing_of(self, platform: Platform) -> Listing:
        """The listing of a platform; an empty one where none was made."""
        return next((each for each in self.listings.values() if each.platform is platform), Listing())

    def tagged(self, key: Key) -> list[JSONObject]:
        """The objects that carry an instance's tags, oldest first."""
        return self.listing(key).tagged.get(key, [])

    def seen_of(self, desired: Desired, state: State) -> dict[str, JSONObject]:
        """What a person was shown of one instance: its recorded object and, where all was read, those with its tags."""
        listing, record = self.listing(desired.key), state.record(desired)
        recorded = [listing.objects[record.id]] if record and record.id in listing.objects else []
        tagged = self.tagged(desired.key) if listing.complete else []
        return {there["id"]: declarable_fields(there) for there in (*recorded, *tagged)}


def as_recorded(desired: Iterable[Desired], state: State) -> Remote:
    """Every recorded instance as it would be if nobody had touched it: for a plan without a request."""
    objects: dict[str, JSONObject] = {}
    recorded = {each.key: (each, record) for each in desired if (record := state.record(each))}
    for each, record in recorded.values():
        payload = state.payloads[record.digest]
        metadata = {**payload.get("metadata", {}), **each.identity, DIGEST_TAG: record.remote_digest}
        objects[record.id] = {**payload, "id": record.id, "name": each.remote_name, "metadata": metadata}
    listing = Listing(objects)
    return Remote(dict.fromkeys(recorded, listing))


def made_by(pending: PendingOperation | None, tagged: Sequence[JSONObject]) -> list[JSONObject]:
    """Of one instance's tagged objects those that an open create made: they carry its nonce."""
    nonce = pending.nonce if pending else None
    return [there for there in tagged if nonce and metadata_of(there).get(NONCE_TAG) == nonce]
