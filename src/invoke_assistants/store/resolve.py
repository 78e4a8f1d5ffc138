"""Resolving a git conflict of the store: git's versions, the sides to take, and the merged file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Refused, RowsFailed, SettingsError, StoreError
from ..text import count, did_you_mean, join_errors
from ..types import JSONObject, Key, Step, Tables, short
from . import git
from .document import Document
from .entries import Slot, entries
from .file_storage import FileStorage, GitVersion
from .merge import Conflict, Side, changed_keys, merge
from .store import Store

__all__ = ["GitVersions", "choose_sides", "describe_conflict", "file_of", "resolve_conflicts"]

ALL = "all"


@dataclass(frozen=True)
class GitVersions:
    """The three versions of a store to merge, each valid; ``base`` is None where the sides have no common ancestor."""

    base: Tables | None
    ours: Tables
    theirs: Tables

    @classmethod
    def in_git(cls, store: Store, root: Path) -> GitVersions | None:
        """Read git's versions of a store in conflict; return None where git has no conflict and the store is valid.

        Raises:
            StoreError: git cannot be asked, a version is not a store of this project, or the store is broken without a conflict.
        """
        storage = file_of(store)
        path = storage.path
        found = git.unmerged_versions(path, root)
        if not found:
            _require_valid(store, storage)
            return None
        if not found.keys() >= {2, 3}:
            raise StoreError(f"one side of the merge has no {path}: keep it with git add {path.name}, or git rm {path.name}")
        base, ours, theirs = (
            Store(GitVersion(path, side, found[stage]), store.project).tables() if stage in found else None
            for stage, side in ((1, "base"), (2, "ours"), (3, "theirs"))
        )
        assert ours is not None
        assert theirs is not None
        return cls(base, ours, theirs)

    def merged(self, sides: Mapping[Key, Side] | None = None) -> tuple[Tables | None, tuple[Conflict, ...]]:
        """Merge them: the tables and no conflict, or None and every conflict."""
        return merge(self.base, self.ours, self.theirs, sides or {})


def file_of(store: Store) -> FileStorage:
    """The file of a store.

    Raises:
        SettingsError: it is not kept in a file, and so not in git.
    """
    if not isinstance(store.storage, FileStorage):
        raise SettingsError(f"the store is {store.storage.label}, which git does not keep: there is no conflict to resolve")
    return store.storage


def _require_valid(store: Store, storage: FileStorage) -> None:
    try:
        store.read()
    except StoreError as error:
        path, line = storage.path, Document(storage.label, storage.content(), storage.remedy).conflict_line
        broken = f"{path}, line {line}: merge conflict markers" if line else str(error)
        raise StoreError(
            f"{broken}; git knows of no conflict here: git checkout --merge -- {path.name} brings back one that was added, git"
            f" checkout COMMIT -- {path.name} the file of a commit before it"
        ) from None


def choose_sides(conflicts: Sequence[Conflict], ours: Iterable[str], theirs: Iterable[str]) -> dict[Key, Side]:
    """The side that each conflict takes, where one was chosen: NAME:ENV goes before NAME, NAME before ``all``.

    Raises:
        SettingsError: a choice matches no conflict, or the same one is made for both sides.
    """
    chosen: dict[str, Side] = {}
    known = {ALL}.union(*({each.slot.name, ":".join(each.key)} for each in conflicts))
    choices: tuple[tuple[Side, Iterable[str]], ...] = (("ours", ours), ("theirs", theirs))
    for side, names in choices:
        for name in names:
            if name not in known:
                listed = ", ".join(sorted({":".join(each.key) for each in conflicts})) or "none"
                hint = did_you_mean(name, known)
                raise SettingsError(f"--{side} {name:.140}: there is no such conflict; there are: {listed}{hint}")
            if chosen.setdefault(name, side) != side:
                raise SettingsError(f"{name} cannot be both --ours and --theirs: name one side")
    return {each.key: chosen[name] for each in conflicts for name in (ALL, each.slot.name, ":".join(each.key)) if name in chosen}


def resolve_conflicts(store: Store, root: Path, versions: GitVersions, sides: Mapping[Key, Side]) -> list[Step]:
    """Write the merged store, tell git, and return a step for each instance that a side changed. The lock must be held.

    Raises:
        RowsFailed: conflicts remain; nothing was written.
        Refused: the file is a valid store that is none of the versions; nothing was written.
        StoreError: the file cannot be written, or git does not accept it.
    """
    tables, conflicts = versions.merged(sides)
    _refuse_if_changed(store, versions, tables)
    if tables is None:
        raise _unresolved(conflicts, sides)
    store.replace(tables)
    git.add(file_of(store).path, root)
    return [_step(key, tables, versions) for key in changed_keys(versions.base, versions.ours, versions.theirs)]


def _refuse_if_changed(store: Store, versions: GitVersions, merged: Tables | None) -> None:
    """Raise where a merge by hand, or a command run after the merge, has written a store that would be lost."""
    try:
        current = store.tables()
    except StoreError:
        return
    if current not in (None, versions.ours, versions.theirs, merged):
        path = file_of(store).path
        raise Refused(
            f"{path} was changed since the merge: git add {path.name} keeps what it holds, git checkout --merge --"
            f" {path.name} brings the conflict back for inv asst.resolve"
        )


def _unresolved(conflicts: Sequence[Conflict], sides: Mapping[Key, Side]) -> RowsFailed:
    steps = [
        Step(*each.key, _platform(each.slot, each.ours or each.theirs), None, error=describe_conflict(each)) for each in conflicts
    ]
    choices: dict[Key, str] = {**sides, **{each.key: "ours" for each in conflicts}}
    command = " ".join(["inv asst.resolve", *(f"--{side} {':'.join(key)}" for key, side in sorted(choices.items()))])
    how = f"nothing was written; give all choices at once: {command} (--theirs takes their side; NAME alone or all covers more)"
    return RowsFailed(f"{count(len(steps), 'conflict')}: {join_errors(step.error for step in steps)}: {how}", steps)


def describe_conflict(conflict: Conflict) -> str:
    """What each side has in a conflict, and in which fields they differ."""
    ours, theirs = conflict.ours, conflict.theirs
    differ = ""
    if ours and theirs:
        fields = sorted(field for field in ours.keys() | theirs.keys() if ours.get(field) != theirs.get(field))
        differ = f" (they differ in {', '.join(fields)})"
    name, environment = conflict.key
    return f"{name} in {environment}: ours {_describe_entry(ours)}, theirs {_describe_entry(theirs)}{differ}"


def _describe_entry(entry: JSONObject | None) -> str:
    if entry is None:
        return "has none"
    what = entry["id"] if "id" in entry else f"an open {entry['kind']}"
    held = f" (rolled back from {short(entry['held']['from'])})" if "held" in entry else ""
    return f"{what} {short(entry['digest'])}{held}"


def _platform(slot: Slot, entry: JSONObject | None) -> str:
    return slot.location.platform if slot.location else str((entry or {})["platform"])


def _step(key: Key, tables: Tables, versions: GitVersions) -> Step:
    record = entries(tables, "assistants").get(Slot(*key))
    lost = [id for id in _new_ids(key, versions, record) if not record or id != record["id"]]
    note = f"{', '.join(lost)} is no longer recorded: delete it if nothing uses it" if lost else None
    if record:
        return Step(*key, record["platform"], None, id=record["id"], digest=record["digest"], note=note)
    return Step(*key, _last_platform(key, versions), None, note=note)


def _new_ids(key: Key, versions: GitVersions, merged: JSONObject | None) -> Iterator[str]:
    """Yield the ids that the sides newly recorded, at the merged record's location if there is one."""
    before, *sides = (
        entries(version, "assistants").get(Slot(*key)) for version in (versions.base, versions.ours, versions.theirs)
    )
    for side in sides:
        here = side and (not merged or all(side[field] == merged[field] for field in ("platform", "origin")))
        if side and here and side["id"] != (before or {}).get("id"):
            yield side["id"]


def _last_platform(key: Key, versions: GitVersions) -> str:
    """The platform of an instance that the merged store does not have: of its record, or of its open request alone."""
    for version in (versions.ours, versions.theirs, versions.base):
        for table in ("assistants", "pending"):
            for slot, entry in entries(version, table).items():
                if slot.key == key:
                    return _platform(slot, entry)
    raise AssertionError("unreachable")
