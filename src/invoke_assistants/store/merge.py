"""Two versions of the store and the one that both come from become one, record by record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..errors import StoreError
from ..types import JSONObject, Key, Tables

__all__ = ["Conflict", "Side", "changed", "merge"]

Side = Literal["ours", "theirs"]
_Slot = tuple[str, str]  # an assistant's name; an environment, in the pending table followed by a place
_Entries = Mapping[_Slot, JSONObject]
_NONE: Mapping[Key, Side] = MappingProxyType({})


@dataclass(frozen=True)
class Conflict:
    """What the two sides changed differently: a record, or the request that is open at ``location``; None is none."""

    name: str
    environment: str
    base: JSONObject | None
    ours: JSONObject | None
    theirs: JSONObject | None
    location: str | None = None

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.name, self.environment


def merge(
    base: Tables | None, ours: Tables, theirs: Tables, sides: Mapping[Key, Side] = _NONE
) -> tuple[Tables | None, tuple[Conflict, ...]]:
    """Merge three-way: what one side left as it was is taken from the other; payloads that nothing names are dropped.

    Args:
        base: what both sides come from; None where each began on its own.
        ours, theirs: the tables of valid stores.
        sides: which side to take where both changed the same thing differently.

    Returns:
        The merged tables and no conflict; or None, so that nothing half merged is ever written, and each conflict.

    Raises:
        StoreError: the versions are not of the same project and format.
    """
    form = ours["store"]["format"]
    for other in (base, theirs):
        if other is not None and other["store"]["format"] != form:
            raise StoreError(f"the sides are of different stores: {_told(form)} and {_told(other['store']['format'])}")
    records, conflicts = _three_way("assistants", base, ours, theirs, sides)
    pending, open_conflicts = _three_way("pending", base, ours, theirs, sides)
    if conflicts or open_conflicts:
        return None, (*conflicts, *open_conflicts)
    payloads = {**theirs.get("payloads", {}), **ours.get("payloads", {})}
    named = {digest for entry in (*records.values(), *pending.values()) for digest in _digests(entry)}
    merged: Tables = {
        "assistants": _by_name(records),
        "payloads": {digest: payloads[digest] for digest in sorted(named)},
        "store": {"format": form},
    }
    return merged | ({"pending": _by_name(pending)} if pending else {}), ()


def changed(base: Tables | None, ours: Tables, theirs: Tables) -> list[Key]:
    """The assistants and environments of which a side changed the record or an open request, sorted."""
    found: set[Key] = set()
    for table in ("assistants", "pending"):
        before, *after = (_entries(version, table) for version in (base, ours, theirs))
        for side in after:
            slots = before.keys() | side.keys()
            found |= {_key(slot) for slot in slots if before.get(slot) != side.get(slot)}
    return sorted(found)


def _three_way(
    table: str, base: Tables | None, ours: Tables, theirs: Tables, sides: Mapping[Key, Side]
) -> tuple[dict[_Slot, JSONObject], list[Conflict]]:
    before, mine, others = (_entries(version, table) for version in (base, ours, theirs))
    settled: dict[_Slot, JSONObject] = {}
    conflicts: list[Conflict] = []
    for slot in sorted(before.keys() | mine.keys() | others.keys()):
        was, our, their = before.get(slot), mine.get(slot), others.get(slot)
        side = "ours" if their in (was, our) else "theirs" if our == was else sides.get(_key(slot))
        if side is None and our and their and _without_history(our) == _without_history(their):
            settled[slot] = max(our, their, key=lambda entry: (len(entry.get("history", ())), entry.get("history", ())))
        elif side is None:
            conflicts.append(Conflict(*_key(slot), was, our, their, slot[1].partition(" ")[2] or None))
        elif (taken := our if side == "ours" else their) is not None:
            settled[slot] = taken
    return settled, conflicts


def _without_history(entry: JSONObject) -> JSONObject:
    """What an entry is now: what it was before is no reason for a conflict."""
    return {key: value for key, value in entry.items() if key != "history"}


def _entries(tables: Tables | None, table: str) -> _Entries:
    documents = (tables or {}).get(table, {})
    return {(name, inner): entry for name, document in documents.items() for inner, entry in document.items()}


def _key(slot: _Slot) -> Key:
    return slot[0], slot[1].partition(" ")[0]


def _by_name(entries: _Entries) -> dict[str, JSONObject]:
    out: dict[str, JSONObject] = {}
    for (name, inner), entry in entries.items():
        out.setdefault(name, {})[inner] = entry
    return out


def _digests(entry: JSONObject) -> Iterable[str]:
    yield entry["digest"]
    yield from entry.get("history", ())
    for other in entry.get("elsewhere", {}).values():
        yield from _digests(other)


def _told(form: JSONObject) -> str:
    return f"project {form.get('project')!r:.80}, format {form.get('version')!r:.20}"
