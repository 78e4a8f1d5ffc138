"""The records and open requests of the store's file: where each stands, its JSON, and the checks of what is read. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from ..types import DIGEST, ID, NONCE, SLUG, Held, JSONObject, Key, Location, PendingOperation, Record, Tables

__all__ = [
    "InvalidEntry",
    "Slot",
    "documents",
    "dump_pending",
    "dump_record",
    "entries",
    "parse_pending",
    "parse_record",
]

RECORD_FIELDS = frozenset(
    {"id", "platform", "origin", "digest", "tag", "history", "elsewhere", "allowed", "held", "evals_skipped"}
)
KINDS = ("create", "update", "delete")


class InvalidEntry(ValueError):
    """An entry that this package would not write; ``needles`` are texts by which to find its line in the file, one in another."""

    def __init__(self, needle: str, reason: str, *, table: str | None = None) -> None:
        super().__init__(reason)
        self.needles = (needle,) if table is None else (table, needle)


class Slot(NamedTuple):
    """Where an entry stands in its table: a record in ``assistants``, an open request at a location in ``pending``."""

    name: str
    environment: str
    location: Location | None = None

    @classmethod
    def parse(cls, name: str, label: str) -> Slot:
        """The slot of an assistant that ``label`` names.

        Raises:
            ValueError: the label is neither ``ENVIRONMENT`` nor ``ENVIRONMENT PLATFORM ORIGIN``.
        """
        environment, _, location = label.partition(" ")
        return cls(name, environment, Location.parse(location) if location else None)

    @property
    def label(self) -> str:
        """The key of the entry in its assistant's document."""
        return f"{self.environment} {self.location}" if self.location else self.environment

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.name, self.environment


def entries(tables: Tables | None, table: str) -> dict[Slot, JSONObject]:
    """The entries of a table of a valid store."""
    found = (tables or {}).get(table, {})
    return {Slot.parse(name, label): entry for name, document in found.items() for label, entry in document.items()}


def documents(by_slot: Mapping[Slot, JSONObject]) -> dict[str, JSONObject]:
    """The documents of a table that holds these entries: one for each assistant."""
    out: dict[str, JSONObject] = {}
    for slot, entry in by_slot.items():
        out.setdefault(slot.name, {})[slot.label] = entry
    return out


def dump_record(record: Record) -> JSONObject:
    """A record as JSON, without the fields that are empty."""
    out: JSONObject = {
        "digest": record.digest,
        "id": record.id,
        "origin": record.location.origin,
        "platform": record.location.platform,
    }
    if record.tag and record.tag != record.digest:
        out["tag"] = record.tag
    if record.history:
        out["history"] = list(record.history)
    if record.allowed:
        out["allowed"] = list(record.allowed)
    if record.held:
        out["held"] = _dump_held(record.held)
    if record.evals_skipped:
        out["evals_skipped"] = True
    if record.elsewhere:
        out["elsewhere"] = {location: dump_record(other) for location, other in record.elsewhere.items()}
    return out


def parse_record(slot: Slot, value: Any, payloads: Container[str], *, nested: bool = False) -> Record:
    """Check a record's JSON and return the record.

    Args:
        payloads: the digests of the store's payloads.
        nested: it stands under ``elsewhere`` of another record, so it may have no ``elsewhere`` of its own.

    Raises:
        InvalidEntry: it is not a record of this package, or it names a payload that is not there.
    """
    where = f"{slot.name} in {slot.environment}"
    if not SLUG.fullmatch(slot.name) or not SLUG.fullmatch(slot.environment) or not isinstance(value, dict):
        raise InvalidEntry(slot.name, f"{where!r:.160} is not a record of an assistant")
    texts = [value.get(field) for field in ("id", "platform", "origin", "digest")]
    history, others, tag = value.get("history", []), value.get("elsewhere", {}), value.get("tag")
    if not all(isinstance(text, str) for text in texts) or not isinstance(history, list) or value.keys() - RECORD_FIELDS:
        raise InvalidEntry(slot.name, f"the record of {where} is not ours")
    if not isinstance(others, dict) or (nested and others):
        raise InvalidEntry("elsewhere", f"the record of {where} is not ours")
    if not ID.fullmatch(value["id"]):
        raise InvalidEntry(slot.name, f"the id of {where} is not one that the service gives (3 to 128 letters, digits, '_', '-')")
    if tag is not None and not _is_digest(tag):
        raise InvalidEntry(slot.name, f"the tag of {where} is not a digest")
    held = value.get("held")
    if not _are_remarks(value.get("allowed", []), held, value.get("evals_skipped", False)):
        raise InvalidEntry(slot.name, f"the record of {where} is not ours")
    for digest in (value["digest"], *history, *([held["from"]] if held else ())):
        if not _is_digest(digest) or digest not in payloads:
            raise InvalidEntry(str(digest)[:80], f"the record of {where} names a payload that is not there")
    elsewhere = {location: parse_record(slot, other, payloads, nested=True) for location, other in others.items()}
    if any(str(record.location) != location for location, record in elsewhere.items()):
        raise InvalidEntry("elsewhere", f"the record of {where} is not ours")
    location = Location(value["platform"], value["origin"])
    return Record(
        value["id"], location, value["digest"], tag, tuple(history), elsewhere, tuple(value.get("allowed", ())),
        _parse_held(held), value.get("evals_skipped", False),
    )  # fmt: skip


def _are_remarks(allowed: Any, held: Any, skipped: Any) -> bool:
    """Whether what a record keeps beside its digest has the right shape."""
    paths = isinstance(allowed, list) and all(isinstance(path, str) for path in allowed)
    return paths and _is_hold(held) and isinstance(skipped, bool)


def _is_hold(value: Any) -> bool:
    """Whether it is what ``_dump_held`` made, or None."""
    texts = (
        isinstance(value, dict) and value.keys() == {"from", "message"} and all(isinstance(each, str) for each in value.values())
    )
    return value is None or texts


def _dump_held(held: Held | None) -> JSONObject | None:
    return {"from": held.origin, "message": held.message} if held else None


def _parse_held(value: JSONObject | None) -> Held | None:
    return Held(value["from"], value["message"]) if value else None


def dump_pending(operation: PendingOperation) -> JSONObject:
    """An open request as JSON."""
    more = {
        "allowed": list(operation.allowed),
        "answered": operation.answered,
        "evals_skipped": operation.evals_skipped,
        "held": _dump_held(operation.held),
        "nonce": operation.nonce,
    }
    return {"digest": operation.digest, "kind": operation.kind, **{key: value for key, value in more.items() if value}}


def parse_pending(name: str, label: str, value: Any, payloads: Container[str]) -> tuple[tuple[Key, Location], PendingOperation]:
    """Check an open request's JSON; return the instance and location that it is for, and the request.

    Raises:
        InvalidEntry: it is not a request of this package, or it names a payload that is not there.
    """
    invalid = InvalidEntry("pending", f"the open request of {name!r:.80} is not ours")
    try:
        slot = Slot.parse(name, label)
    except ValueError:
        raise invalid from None
    if slot.location is None or not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise invalid
    digest, nonce = value.get("digest"), value.get("nonce")
    if not isinstance(digest, str) or digest not in payloads:
        raise invalid
    if bool(NONCE.fullmatch(str(nonce or ""))) is not (value["kind"] == "create"):
        raise invalid
    answered, allowed, skipped = value.get("answered"), value.get("allowed", []), value.get("evals_skipped", False)
    held = value.get("held")
    if (answered is not None and not _is_digest(answered)) or not _are_remarks(allowed, held, skipped):
        raise invalid
    if held and (value["kind"] != "update" or held["from"] not in payloads):
        raise invalid
    operation = PendingOperation(value["kind"], digest, nonce, answered, tuple(allowed), skipped, _parse_held(held))
    return (slot.key, slot.location), operation


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None
