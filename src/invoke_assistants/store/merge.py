"""The three-way merge of two versions of the store, record by record. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..errors import StoreError
from ..types import JSONObject, Key, Tables
from .entries import Slot, documents, entries
from .remarks import add_evals, dump_evals, dump_reader, parse_evals, parse_reader

__all__ = ["Conflict", "Side", "changed_keys", "merge"]

Side = Literal["ours", "theirs"]
_NO_SIDES: Mapping[Key, Side] = MappingProxyType({})


@dataclass(frozen=True)
class Conflict:
    """A record or an open request that both sides changed differently; ``None`` means that a version has no entry."""

    slot: Slot
    base: JSONObject | None
    ours: JSONObject | None
    theirs: JSONObject | None

    @property
    def key(self) -> Key:
        """The assistant's name and the environment's."""
        return self.slot.key


def merge(
    base: Tables | None, ours: Tables, theirs: Tables, sides: Mapping[Key, Side] = _NO_SIDES
) -> tuple[Tables | None, tuple[Conflict, ...]]:
    """Merge two versions: an entry that one side left unchanged is taken from the other; unused payloads are dropped.

    Args:
        base: the common ancestor; None where each side began on its own.
        ours, theirs: the tables of valid stores.
        sides: which side to take where both changed an entry differently.

    Returns:
        The merged tables and no conflict, or None and every conflict: nothing half merged is ever written.

    Raises:
        StoreError: the versions are not of the same project and format.
    """
    form = ours["store"]["format"]
    for other in (base, theirs):
        if other is not None and other["store"]["format"] != form:
            found = _describe_format(other["store"]["format"])
            raise StoreError(f"the sides are of different stores: {_describe_format(form)} and {found}")
    records, conflicts = _merge_table("assistants", base, ours, theirs, sides)
    pending, open_conflicts = _merge_table("pending", base, ours, theirs, sides)
    if conflicts or open_conflicts:
        return None, (*conflicts, *open_conflicts)
    payloads = {**theirs.get("payloads", {}), **ours.get("payloads", {})}
    named = {digest for entry in (*records.values(), *pending.values()) for digest in _digests(entry)}
    merged: Tables = {
        "assistants": documents(records),
        "payloads": {digest: payloads[digest] for digest in sorted(named)},
        "store": {"format": form, **_merge_lineage(base, ours, theirs)},
    }
    readers = _merge_readers(base, ours, theirs, named)
    evals = _merge_evals(base, ours, theirs, {digest for entry in records.values() for digest in _digests(entry)})
    optional = {"pending": documents(pending), "readers": readers, "evals": evals}
    return merged | {name: table for name, table in optional.items() if table}, ()


def changed_keys(base: Tables | None, ours: Tables, theirs: Tables) -> list[Key]:
    """The assistants and environments whose record or open request a side changed, sorted."""
    found: set[Key] = set()
    for table in ("assistants", "pending"):
        before = entries(base, table)
        for side in (entries(ours, table), entries(theirs, table)):
            found |= {slot.key for slot in before.keys() | side.keys() if before.get(slot) != side.get(slot)}
    return sorted(found)


def _merge_lineage(base: Tables | None, ours: Tables, theirs: Tables) -> JSONObject:
    """The lineage of a merged store: the base's, else the smaller of the sides'; none where none has one."""
    if base and (kept := base["store"].get("lineage")):
        return {"lineage": kept}
    found = [lineage for side in (ours, theirs) if (lineage := side["store"].get("lineage"))]
    return {"lineage": min(found, key=lambda lineage: str(lineage["id"]))} if found else {}


def _merge_readers(base: Tables | None, ours: Tables, theirs: Tables, named: Container[str]) -> JSONObject:
    """The readers of both sides; where both changed one, it takes only what both take."""
    before, our, their = ({} if side is None else side.get("readers", {}) for side in (base, ours, theirs))
    merged = {}
    for digest in sorted(our.keys() | their.keys()):
        was, mine, other = before.get(digest), our.get(digest), their.get(digest)
        if other in (was, mine) or mine == was:
            kept = mine if other in (was, mine) else other
        else:
            kept = dump_reader(parse_reader(digest, mine or {}).stricter(parse_reader(digest, other or {})))
        if kept and digest in named:
            merged[digest] = kept
    return merged


def _merge_evals(base: Tables | None, ours: Tables, theirs: Tables, recorded: Container[str]) -> JSONObject:
    """What evals found on both sides; of a result that both changed the worse one, and none is lost while it is of use."""
    before, our, their = (
        {digest: parse_evals(digest, value) for digest, value in (side or {}).get("evals", {}).items()}
        for side in (base, ours, theirs)
    )
    both = add_evals(our, their)
    for digest, places in our.items():
        for where, found in places.items():
            for sha, mine in found.items():
                was, other = before.get(digest, {}).get(where, {}).get(sha), both[digest][where][sha]
                worse = min(mine, other, key=lambda each: (each.passed, each.rate, str(each)))
                both[digest][where][sha] = mine if other == was else other if mine == was else worse
    return {digest: dump_evals(found) for digest, found in both.items() if digest in recorded}


def _merge_table(
    table: str, base: Tables | None, ours: Tables, theirs: Tables, sides: Mapping[Key, Side]
) -> tuple[dict[Slot, JSONObject], list[Conflict]]:
    before, our_entries, their_entries = (entries(version, table) for version in (base, ours, theirs))
    merged: dict[Slot, JSONObject] = {}
    conflicts: list[Conflict] = []
    slots = before.keys() | our_entries.keys() | their_entries.keys()
    for slot in sorted(slots, key=lambda slot: (slot.name, slot.label)):
        was, our, their = before.get(slot), our_entries.get(slot), their_entries.get(slot)
        side = "ours" if their in (was, our) else "theirs" if our == was else sides.get(slot.key)
        if side is None and our and their and _without_history(our) == _without_history(their):
            merged[slot] = max(our, their, key=lambda entry: (len(entry.get("history", ())), entry.get("history", ())))
        elif side is None:
            conflicts.append(Conflict(slot, was, our, their))
        elif (taken := our if side == "ours" else their) is not None:
            merged[slot] = taken
    return merged, conflicts


def _without_history(entry: JSONObject) -> JSONObject:
    """An entry as it is now: different histories alone are no conflict."""
    return {key: value for key, value in entry.items() if key != "history"}


def _digests(entry: JSONObject) -> Iterator[str]:
    yield entry["digest"]
    yield from entry.get("history", ())
    if held := entry.get("held"):
        yield held["from"]
    for other in entry.get("elsewhere", {}).values():
        yield from _digests(other)


def _describe_format(form: JSONObject) -> str:
    return f"project {form.get('project')!r:.80}, format {form.get('version')!r:.20}"
