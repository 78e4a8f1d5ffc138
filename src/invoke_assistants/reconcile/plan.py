"""Declared, recorded and remote become a verdict per instance, and a verdict a row per command. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..declare.digest import digest as digest_of
from ..declare.tags import is_ours
from ..types import HISTORY, Action, Change, Desired, JSONObject, Key, PendingOperation, Record, Row, State, Status
from .diff import compare, going, leftovers, remote_payload, reset_body, reset_changes, too_many_pairs, update_body

__all__ = [
    "Remote",
    "Verdict",
    "adopted",
    "judge",
    "made_by",
    "offline",
    "owner",
    "row_to_delete",
    "rows_for",
    "undeclared",
    "updated",
    "with_duplicates",
]

_PULL = "pull the store, or commit it back from CI (a store that was reverted, or is older, looks the same)"
_OPEN = "a create is still open: inv asst.create settles it"


@dataclass(frozen=True)
class Remote:
    """What a look at one platform showed: objects by id, and by whose instance they are tagged, oldest first."""

    objects: Mapping[str, JSONObject] = field(default_factory=lambda: MappingProxyType({}))
    project: str = ""

    def tagged(self) -> dict[Key, list[JSONObject]]:
        """This project's tagged objects by assistant and environment; of equal age the lower id first."""
        out: dict[Key, list[JSONObject]] = {}
        for item in sorted(self.objects.values(), key=lambda item: (item.get("created_at", 0), item["id"])):
            metadata = item.get("metadata") or {}
            if is_ours(metadata, self.project):
                out.setdefault((metadata["asst.name"], metadata["asst.environment"]), []).append(item)
        return out


@dataclass(frozen=True)
class Verdict:
    """What one wanted instance is. ``record`` is what the store should hold of it from here on.

    ``body`` is what an update sends, None where nothing is to be sent or the object is another row's.
    """

    desired: Desired
    state: Status
    record: Record | None = None
    remote: JSONObject | None = None
    changes: tuple[Change, ...] = ()
    drift: str | None = None
    note: str | None = None
    body: JSONObject | None = None

    def row(self, action: Action = "none", error: str | None = None, *, needs_confirmation: bool = False) -> Row:
        """This verdict as a row, with what a command would do about it."""
        desired = self.desired
        return Row(
            desired.name, desired.environment, desired.location.platform, self.state, action,
            self.record.id if self.record else None, desired.digest, self.changes, error, self.note, needs_confirmation,
        )  # fmt: skip


def judge(desired: Desired, recorded: State, remote: Remote) -> Verdict:
    """The verdict on one instance, three-way: the first case that holds of the design's list (a) to (e)."""
    record = recorded.record(desired)
    if record is None:
        return Verdict(desired, "not_created", note=_elsewhere(desired, recorded))
    there = remote.objects.get(record.id)
    if there is None:
        return Verdict(desired, "missing", record, note=f"{record.id} was deleted remotely")
    if other := _whose(desired, there):
        drift = f"{record.id} is the instance of another row ({other}), which nothing here writes: inv asst.forget"
        return Verdict(desired, "drifted", record, there, _identity(desired, there, record), f"{drift} {' '.join(desired.key)}")
    payload = recorded.payloads[record.digest]
    remote_digest = (there.get("metadata") or {}).get("asst.digest")
    lost = _identity(desired, there, record)
    intent = recorded.pending_operation(desired, "update")
    pending = recorded.payloads[intent.digest] if intent else {}
    if intent and not lost and remote_digest == intent.digest and not compare(there, pending):
        record, payload = _now(record, intent.digest, remote_digest, desired), pending
    unknown = remote_digest not in (None, desired.digest, record.remote_digest)  # nobody here knows which fields that payload set
    left: tuple[Change, ...] = ()
    if unknown:
        changes = reset_changes(there, desired.payload) or (Change("metadata.asst.digest", remote_digest, desired.digest),)
    else:
        left = (*leftovers(there, payload, desired.payload), *leftovers(there, pending, desired.payload))
        changes = (*compare(there, desired.payload), *{change.field: change for change in left}.values())
    if not changes and not lost:
        return Verdict(desired, "in_sync", _now(record, desired.digest, remote_digest, desired), there)
    body = reset_body(desired, there) if unknown else update_body(desired, payload, there, pending)
    if not unknown:  # what the body takes away is told, whatever it holds
        left = (*(change for each in (payload, pending) for change in going(there, each, desired.payload)), *left)
        changes = (*compare(there, desired.payload), *{change.field: change for change in left}.values())
    verdict = Verdict(desired, "changed", record, there, (*lost, *changes), body=body)
    edited = (*lost, *compare(there, payload))
    if not edited and remote_digest == record.remote_digest:
        return verdict
    if remote_digest and remote_digest != record.remote_digest and not lost:
        note = f"another checkout wrote {record.id} ({_fields(changes)})"
        if desired.position == 0 or desired.location.platform == "local":
            return replace(verdict, note=note)
        return replace(verdict, state="drifted", drift=f"{note}: {_PULL}")
    return replace(verdict, state="drifted", drift=f"{record.id} was edited by hand: {_fields(edited)}")


def owner(desired: Desired, there: JSONObject) -> str | None:
    """Whose instance an object's tags say it is, and what to do, where that is another project's or row's than the wanted one."""
    other = _whose(desired, there)
    if other and is_ours(there.get("metadata") or {}, desired.identity["asst.project"]):
        return f"{other}: declare it by that name, or inv asst.delete --id {there['id']}"
    return other and f"{other}: it can be used there alone"


def _whose(desired: Desired, there: JSONObject) -> str | None:
    metadata = there.get("metadata") or {}
    tags = {key: metadata[key] for key in desired.identity if key in metadata}
    if tags.items() <= desired.identity.items():
        return None
    words = {"asst.name": "", "asst.environment": "in ", "asst.project": "of project "}
    return " ".join(f"{word}{tags[key]:.80}" for key, word in words.items() if key in tags)


def _fields(changes: Iterable[Change]) -> str:
    return ", ".join(dict.fromkeys(change.field for change in changes))


def _identity(desired: Desired, there: JSONObject, record: Record) -> tuple[Change, ...]:
    """The remote name and tags that are no longer ours; none of the values are part of a payload."""
    tags = {**desired.identity, "asst.digest": record.remote_digest}
    metadata = there.get("metadata") or {}
    changed = [] if there.get("name") == desired.remote_name else [Change("name", there.get("name"), desired.remote_name)]
    for tag, value in tags.items():
        if metadata.get(tag) != value and (tag != "asst.digest" or not metadata.get(tag)):
            changed.append(Change(f"metadata.{tag}", metadata.get(tag), value))
    return tuple(changed)


def _now(record: Record, digest: str, remote_digest: str | None, desired: Desired) -> Record:
    """The record once the instance holds ``digest``; history is kept for the environments after the first."""
    history = record.history
    if digest != record.digest and desired.position > 0:
        history = (record.digest, *history)[:HISTORY]
    return replace(record, digest=digest, tag=remote_digest if remote_digest != digest else None, history=history)


def updated(verdict: Verdict) -> Record:
    """The record of an instance that was just brought to its declared payload."""
    assert verdict.record is not None
    return _now(verdict.record, verdict.desired.digest, verdict.desired.digest, verdict.desired)


def adopted(
    desired: Desired, there: JSONObject, before: Record | None, payloads: Mapping[str, JSONObject], *, own: bool
) -> tuple[Record, JSONObject, tuple[Change, ...]]:
    """The record of a tagged object that becomes this store's instance, the payload it names, and what differs.

    An object that another checkout made with another payload is recorded with all that it holds and without its tag, so
    that the next plan sees another checkout's work as it is.

    Args:
        before: the record that this one follows at the same place.
        payloads: those that the store holds, by digest.
        own: the object carries the nonce of our own create.
    """
    remote_digest: str | None = (there.get("metadata") or {}).get("asst.digest")
    held = remote_payload(there, desired.payload)
    if own and remote_digest is not None and remote_digest in payloads:
        payload = payloads[remote_digest]  # what it was made with, so that a removed field is seen
    elif remote_digest == desired.digest or (remote_digest == digest_of(held) and not own):
        payload = desired.payload  # what differs is an edit by hand; or else the record's tag would be the object's
    else:
        payload = held
    digest, tag = digest_of(payload), remote_digest if own else None
    history = _now(before, digest, tag, desired).history if before else ()
    changes = (*compare(there, desired.payload), *leftovers(there, payload, desired.payload))
    if not own and remote_digest != desired.digest:
        changes = reset_changes(there, desired.payload)
    return Record(there["id"], desired.location, digest, tag if tag != digest else None, history), payload, changes


def offline(desired: Iterable[Desired], recorded: State) -> dict[str, JSONObject]:
    """Every recorded instance as it would be if nobody had touched it: for a plan without a request."""
    objects: dict[str, JSONObject] = {}
    for each in desired:
        if record := recorded.record(each):
            payload = recorded.payloads[record.digest]
            tags = {**each.identity, "asst.digest": record.remote_digest}
            metadata = {**payload.get("metadata", {}), **tags}
            objects[record.id] = {**payload, "id": record.id, "name": each.remote_name, "metadata": metadata}
    return objects


def _elsewhere(desired: Desired, recorded: State) -> str | None:
    told = []
    if record := recorded.records.get(desired.key):
        locations = [record.location, *(other.location for other in record.elsewhere.values())]
        told.append("recorded on " + ", ".join(location.shown for location in locations))
    told += [f"a create is still open on {location.shown}" for key, location in recorded.open_creates() if key == desired.key]
    return "; ".join(told) or None


def made_by(intent: PendingOperation | None, tagged: Sequence[JSONObject]) -> list[JSONObject]:
    """Of one instance's tagged objects those that an open create made: they carry its nonce."""
    nonce = intent.nonce if intent else None
    return [there for there in tagged if nonce and there["metadata"].get("asst.nonce") == nonce]


def with_duplicates(verdict: Verdict, tagged: Sequence[JSONObject]) -> Verdict:
    """The verdict of a living instance with a note of the other objects that carry its tags."""
    others = [there["id"] for there in tagged if verdict.record and there["id"] != verdict.record.id]
    if verdict.remote is None or verdict.record is None or not others:
        return verdict
    verb = "carries" if len(others) == 1 else "carry"
    which = f"{', '.join(others)} {verb} the same tags; {verdict.record.id} is the recorded one"
    return replace(verdict, note=_both(verdict.note, which, *(f"inv asst.delete --id {id} deletes it" for id in others)))


def _both(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


def rows_for(command: str, verdict: Verdict, recorded: State, *, overwrite: bool = False) -> Row:
    """What a command (``create``, ``update``, ``deploy``, ``plan``, ``status``) would do about one instance."""
    desired, state = verdict.desired, verdict.state
    name = f"{desired.name} in {desired.environment}"
    actions: dict[Status, Action] = {"not_created": "create", "missing": "recreate"}
    open_ = recorded.pending_operation(desired, "create") is not None
    if state in actions and (command == "create" or (command, state) == ("plan", "not_created")):
        return replace(verdict, note=_OPEN if open_ else verdict.note).row(actions[state])
    if command in ("status", "create"):
        note = _OPEN if open_ else _both(verdict.drift, verdict.note)
        return replace(verdict, note=note).row("adopt" if open_ and command == "create" else "none")
    if state == "not_created":
        recorded_on = f" ({verdict.note})" if verdict.note else ""
        return verdict.row(error=f"{name} is not created{recorded_on}: run inv asst.create")
    if state == "missing":
        gone = verdict.record.id if verdict.record else ""
        action: Action = "recreate" if command == "plan" else "none"
        return verdict.row(action, f"{name}: {gone} was deleted remotely: run inv asst.create to make it anew")
    if open_:
        return verdict.row(error=f"{name}: a create is still open: run inv asst.create to settle it")
    if state == "in_sync":
        return verdict.row()
    if verdict.body is None:
        return verdict.row("none", f"{name}: {verdict.drift}", needs_confirmation=True)
    if verdict.drift and not overwrite:
        return verdict.row(
            "update", f"{name}: {verdict.drift}; --overwrite puts the declared values in its place", needs_confirmation=True
        )
    if many := too_many_pairs(verdict.body, desired.payload):
        assert verdict.record is not None
        return verdict.row("none", f"{name}: {verdict.record.id} would have {many}")
    return verdict.row("update")


def row_to_delete(verdict: Verdict, recorded: State, tagged: Sequence[JSONObject]) -> Row:
    """What ``delete`` would do about one recorded instance or open create: only an object with our tags is deleted.

    Args:
        tagged: what carries the row's tags.
    """
    desired, there = verdict.desired, verdict.remote
    tags = (there or {}).get("metadata") or {}
    if there is not None and any(tags.get(key) != value for key, value in desired.identity.items()):
        error = f"{desired.name} in {desired.environment}: {there['id']} does not carry our tags, so it is not ours to delete"
        return verdict.row("none", error, needs_confirmation=True)
    if intent := recorded.pending_operation(desired, "create"):
        made = [object_["id"] for object_ in made_by(intent, tagged)]
        row = replace(verdict, note="a create is still open: what it made is deleted, too").row("delete")
        return replace(row, id=row.id or next(iter(made), None))
    return verdict.row() if verdict.record is None else verdict.row("delete")


def undeclared(recorded: State, declared: Iterable[Key]) -> list[Row]:
    """A row for each recorded instance and each open create of an assistant or environment that is no longer declared."""
    rows = {
        key: Row(*key, record.location.platform, "undeclared", id=record.id, digest=record.digest)
        for key, record in recorded.records.items()
    }
    for (key, location), intent in recorded.open_creates().items():
        row = rows.get(key, Row(*key, location.platform, "undeclared", digest=intent.digest))
        rows[key] = replace(row, note="a create is still open: inv asst.delete --undeclared settles it")
    return [rows[key] for key in sorted(rows.keys() - set(declared))]
