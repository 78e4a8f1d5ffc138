"""The digests that each instance had, from the store's records and its earlier versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..declare.compatibility import compare_schemas
from ..declare.sentences import of_the_past
from ..store.versions import StoreChange, StoreVersions
from ..types import Change, Compatibility, EvalResult, Held, JSONObject, Key, Location, Reader, Record
from .diff import payload_changes
from .schema_change import output_schema_of

__all__ = ["HistoryEntry", "InstanceHistory", "instance_histories", "new_digests"]


@dataclass(frozen=True)
class HistoryEntry:
    """One digest that an instance had.

    Attributes:
        current: whether it is the one that the store records now.
        id: of the instance that had it.
        change: who recorded it, and when; None where nobody knows, or no commit holds it.
        committed: whether a commit holds it; None where git does not keep the store.
        changes: what differs from the digest before; nothing of the first one that is known.
        schema: what the change of the output schema did to the apps that read the answers.
        allowed: the paths whose breaking change was let through for this digest.
        evals_skipped: whether the digest came although its required evals had not passed.
        held: set where a rollback brought the digest back.
        evals: what evals found of it, by the text of a location and by dataset.
        before, payload: the payloads between which ``changes`` lie.
    """

    digest: str
    current: bool
    id: str
    change: StoreChange | None
    committed: bool | None
    payload: JSONObject = field(repr=False)
    before: JSONObject | None = field(default=None, repr=False)
    changes: tuple[Change, ...] = ()
    schema: Compatibility | None = None
    allowed: tuple[str, ...] = ()
    evals_skipped: bool = False
    held: Held | None = None
    evals: Mapping[str, Mapping[str, EvalResult]] = field(default_factory=dict)


@dataclass(frozen=True)
class InstanceHistory:
    """An assistant in an environment at one location, and the digests that it had, newest first."""

    name: str
    environment: str
    location: Location
    record: Record | None
    entries: tuple[HistoryEntry, ...]


@dataclass(frozen=True)
class _Found:
    digest: str
    version: int
    record: Record
    known: bool  # whether the version is the first that has it
    held: Held | None = None
    deployed: bool = False  # whether what the record lets through is of this digest


def instance_histories(versions: StoreVersions, keys: Sequence[Key]) -> list[InstanceHistory]:
    """The history of these assistants in these environments, the location where each is recorded now first."""
    parents = _readable_parents(versions)
    out = []
    for key in keys:
        for location in _locations(versions, key):
            found = list(_walk(versions, parents, key, location))
            if found:
                record = versions.present.record_at(key, location)
                out.append(InstanceHistory(*key, location, record, _entries(versions, found, record)))
    return out


def _locations(versions: StoreVersions, key: Key) -> list[Location]:
    seen: dict[Location, None] = {}
    for version in versions.versions:
        if record := (version.records or {}).get(key):
            seen |= dict.fromkeys((record.location, *(other.location for other in record.elsewhere.values())))
    return list(seen)


def _readable_parents(versions: StoreVersions) -> list[tuple[int, ...]]:
    """For each version those that it was made from; in the place of one that cannot be read, what that was made from."""
    out: list[tuple[int, ...]] = [()] * len(versions.versions)
    for position in reversed(range(len(versions.versions))):
        readable: list[int] = []
        for parent in versions.versions[position].parents:
            readable += out[parent] if versions.versions[parent].records is None else [parent]
        out[position] = tuple(dict.fromkeys(readable))
    return out


def _walk(versions: StoreVersions, parents: Sequence[Sequence[int]], key: Key, location: Location) -> Iterator[_Found]:
    """Yield each digest of an instance, newest first, with the first version that has it.

    At a merge the way goes on to a version with the same record, as ``git blame`` does, else to the first that has one.
    """

    def record_of(position: int) -> Record | None:
        held = (versions.versions[position].records or {}).get(key)
        return held.at(location) if held else None

    at: int | None = 0
    newest = record_of(0)  # the last record that has the digest which is followed
    while at is not None:
        record = record_of(at)
        before = [(position, record_of(position)) for position in parents[at]]
        if same := [position for position, other in before if _is_same(record, other)]:
            at = same[0]
            continue
        older, other = next((each for each in before if each[1]), before[0] if before else (None, None))
        if record and newest:
            for index, digest in enumerate(new_digests(record, other)):
                current = newest if index == 0 else record
                held = current.held if index == 0 else None
                deployed = digest == (current.held.origin if current.held else current.digest)
                yield _Found(digest, at, current, index == 0 or other is not None, held, deployed)
        at, newest = older, other


def _is_same(record: Record | None, other: Record | None) -> bool:
    return not new_digests(record, other) if record and other else record is other


def new_digests(record: Record, before: Record | None) -> list[str]:
    """The digests that a record tells of and an earlier one of the same instance does not, newest first."""
    forward = _without_rollback(record)
    if before is None:
        found = forward
    elif record.history == before.history:  # as in the first environment, which keeps none
        found = [forward[0]] if record.held and not before.held else []
    else:
        known = _without_rollback(before)
        found = next(forward[:index] for index in range(len(forward) + 1) if _continues(forward, index, known))
    if before and found and found[-1] == before.digest:  # a rollback had brought it there already
        found = found[:-1]
    last = found[0] if found else before.digest if before else None
    return found if record.digest == last else [record.digest, *found]


def _without_rollback(record: Record) -> list[str]:
    """The digests of an instance as they were deployed, newest first."""
    return [record.held.origin if record.held else record.digest, *record.history]


def _continues(forward: Sequence[str], index: int, known: Sequence[str]) -> bool:
    """Whether the digests from an index on are those that were known; one that came again is no longer among them."""
    rest = [digest for digest in known if digest not in forward[:index]]
    return forward[index:] == rest[: len(forward) - index]


def _entries(versions: StoreVersions, found: Sequence[_Found], record: Record | None) -> tuple[HistoryEntry, ...]:
    out = []
    for index, each in enumerate(found):
        payload = versions.payloads[each.digest]
        before = found[index + 1].digest if index + 1 < len(found) else None
        earlier = versions.payloads[before] if before else None
        schema = None
        if before and earlier is not None:
            old, new = output_schema_of(earlier), output_schema_of(payload)
            compared = compare_schemas(old, versions.readers.get(before), new, versions.readers.get(each.digest, Reader()))
            schema = _of_the_past(compared) if compared else None
        change = versions.versions[each.version].change if each.known else None
        out.append(
            HistoryEntry(
                each.digest,
                current=index == 0 and record is not None,
                id=each.record.id,
                change=change,
                committed=bool(each.version) if versions.tracked else None,
                payload=payload,
                before=earlier,
                changes=payload_changes(earlier, payload) if earlier is not None else (),
                schema=schema,
                allowed=each.record.allowed if each.deployed else (),
                evals_skipped=each.record.evals_skipped and each.deployed,
                held=each.held,
                evals=versions.evals.get(each.digest, {}),
            )
        )
    return tuple(out)


def _of_the_past(schema: Compatibility) -> Compatibility:
    return replace(schema, changes=tuple(replace(change, why=of_the_past(change.why)) for change in schema.changes))
