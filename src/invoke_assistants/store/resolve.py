"""Settling a merge of the store: git's versions of it, the choices of the command line, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Refused, RowsFailed, SettingsError, StoreError
from ..text import count, join_errors, nearest
from ..types import JSONObject, Key, Step, Tables, short
from . import git
from .file_storage import GitVersion
from .merge import Conflict, Side, changed, merge
from .store import Store

__all__ = ["GitVersions", "chosen", "settle"]

ALL = "all"


@dataclass(frozen=True)
class GitVersions:
    """The three versions of a store that are to be merged, each valid; ``base`` is None where each side began anew."""

    base: Tables | None
    ours: Tables
    theirs: Tables

    @classmethod
    def in_git(cls, store: Store, root: Path) -> GitVersions | None:
        """The versions that git holds of a store in conflict, or None where it holds none and the store is whole.

        Raises:
            StoreError: git cannot be asked, a version is no store of this project, or the store is broken otherwise.
        """
        path = store.storage.path
        found = git.versions(path, root)
        if not found:
            _whole(store)
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
        """What ``merge`` says of them."""
        return merge(self.base, self.ours, self.theirs, sides or {})


def _whole(store: Store) -> None:
    try:
        store.read()
    except StoreError as error:
        path, line = store.storage.path, store.storage.conflict()
        broken = f"{path}, line {line}: merge conflict markers" if line else str(error)
        raise StoreError(
            f"{broken}; git knows of no conflict here: git checkout --merge -- {path.name} brings back one that was added, git"
            f" checkout COMMIT -- {path.name} the file of a commit before it"
        ) from None


def chosen(conflicts: Sequence[Conflict], ours: Iterable[str], theirs: Iterable[str]) -> dict[Key, Side]:
    """Which side each conflict takes, where one was chosen: NAME:ENV goes before NAME, NAME before ``all``.

    Raises:
        SettingsError: a choice meets no conflict, or the same one is made for both sides.
    """
    taken: dict[str, Side] = {}
    known = {ALL}.union(*({each.name, ":".join(each.key)} for each in conflicts))
    both: tuple[tuple[Side, Iterable[str]], ...] = (("ours", ours), ("theirs", theirs))
    for side, names in both:
        for name in names:
            if name not in known:
                listed = ", ".join(sorted({":".join(each.key) for each in conflicts})) or "none"
                raise SettingsError(f"--{side} {name:.140}: there is no such conflict; there are: {listed}{nearest(name, known)}")
            if taken.setdefault(name, side) != side:
                raise SettingsError(f"{name} cannot be both --ours and --theirs: name one side")
    return {each.key: taken[name] for each in conflicts for name in (ALL, each.name, ":".join(each.key)) if name in taken}


def settle(store: Store, root: Path, versions: GitVersions, sides: Mapping[Key, Side]) -> list[Step]:
    """Write the merged store and tell git; the lock must be held. The rows of what a side changed come back.

    Raises:
        RowsFailed: conflicts remain; nothing was written.
        Refused: the file is a whole store that is none of the versions; nothing was written.
        StoreError: it cannot be written, or git does not take it.
    """
    tables, conflicts = versions.merged(sides)
    _refuse_if_touched(store, versions, tables)
    if tables is None:
        raise _remaining(conflicts, sides)
    store.replace(tables)
    git.add(store.storage.path, root)
    return [_row(key, tables, versions) for key in changed(versions.base, versions.ours, versions.theirs)]


def _refuse_if_touched(store: Store, versions: GitVersions, merged: Tables | None) -> None:
    """Raise where a hand merge, or a command after the merge, put a store there that would be lost."""
    try:
        current = store.tables()
    except StoreError:
        return
    if current not in (None, versions.ours, versions.theirs, merged):
        path = store.storage.path
        raise Refused(
            f"{path} was changed since the merge: git add {path.name} keeps what it holds, git checkout --merge --"
            f" {path.name} brings the conflict back for inv asst.resolve"
        )


def _remaining(conflicts: Sequence[Conflict], sides: Mapping[Key, Side]) -> RowsFailed:
    rows = [
        Step(each.name, each.environment, _platform(each.ours or each.theirs, each.location), None, error=_told(each))
        for each in conflicts
    ]
    choices: dict[Key, str] = {**sides, **{each.key: "ours" for each in conflicts}}
    command = " ".join(["inv asst.resolve", *(f"--{side} {':'.join(key)}" for key, side in sorted(choices.items()))])
    how = f"nothing was written; give all choices at once: {command} (--theirs for their side; NAME alone and all take more)"
    return RowsFailed(f"{count(len(rows), 'conflict')}: {join_errors(row.error for row in rows)}: {how}", rows)


def _told(conflict: Conflict) -> str:
    ours, theirs = conflict.ours, conflict.theirs
    where = f"{conflict.name} in {conflict.environment}"
    differ = ""
    if ours and theirs:
        fields = sorted(field for field in ours.keys() | theirs.keys() if ours.get(field) != theirs.get(field))
        differ = f" (they differ in {', '.join(fields)})"
    return f"{where}: ours {_side(ours)}, theirs {_side(theirs)}{differ}"


def _side(entry: JSONObject | None) -> str:
    if entry is None:
        return "has none"
    what = entry["id"] if "id" in entry else f"an open {entry['kind']}"
    return f"{what} {short(entry['digest'])}"


def _platform(entry: JSONObject | None, location: str | None) -> str:
    return location.split(" ")[0] if location else str((entry or {})["platform"])


def _row(key: Key, tables: Tables, versions: GitVersions) -> Step:
    name, environment = key
    stands = tables["assistants"].get(name, {}).get(environment)
    lost = [id for id in _ids_made(key, versions, stands) if not stands or id != stands["id"]]
    note = f"{', '.join(lost)} is recorded no more: delete it where nothing uses it" if lost else None
    if stands:
        return Step(name, environment, stands["platform"], None, id=stands["id"], digest=stands["digest"], note=note)
    return Step(name, environment, _last_platform(key, versions), None, note=note)


def _ids_made(key: Key, versions: GitVersions, stands: JSONObject | None) -> Iterable[str]:
    """The ids that a side brought in, of the standing record's place if one stands; that of the base may be gone remotely."""
    before, *sides = (
        (version or {}).get("assistants", {}).get(key[0], {}).get(key[1], {})
        for version in (versions.base, versions.ours, versions.theirs)
    )
    for side in sides:
        here = not stands or all(side.get(field) == stands[field] for field in ("platform", "origin"))
        if side and side["id"] != before.get("id") and here:
            yield side["id"]


def _last_platform(key: Key, versions: GitVersions) -> str:
    """Where the instance was that no version of the merge has any more; an open request alone has a place, too."""
    for version in (versions.ours, versions.theirs, versions.base or {}):
        if record := version.get("assistants", {}).get(key[0], {}).get(key[1]):
            return str(record["platform"])
        for where in version.get("pending", {}).get(key[0], {}):
            if where.split(" ")[0] == key[1]:
                return str(where.split(" ")[1])
    raise AssertionError("unreachable")
