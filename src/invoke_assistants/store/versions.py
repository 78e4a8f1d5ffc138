"""What the store held before: the versions of its file in git, or the revisions of a shared store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import StoreError
from ..text import count
from ..types import EvalResult, JSONObject, Key, Reader, Record, State
from . import git
from .document import Document
from .file_storage import FileStorage
from .store import Store
from .strict_json import load_json
from .tables import parse_state

# As this package writes them: a string holds no line break, so the indentation says where something stands.
_PAYLOADS, _ENTRY = b'\n  "payloads": {', b'\n    "sha256:'

__all__ = ["StoreChange", "StoreVersion", "StoreVersions", "read_versions"]


@dataclass(frozen=True)
class StoreChange:
    """Who changed the store, and when; without a commit, a shared store alone knows the time."""

    commit: str | None
    author: str | None
    date: str | None
    subject: str | None


@dataclass(frozen=True)
class StoreVersion:
    """What the store held at one time.

    Args:
        records: None where that version cannot be read.
        change: who made this version of the one before; None where nobody knows.
        parents: the positions of the versions that it was made from.
    """

    records: Mapping[Key, Record] | None
    change: StoreChange | None
    parents: tuple[int, ...]


@dataclass(frozen=True)
class StoreVersions:
    """The versions of a store, each before those that it was made from; the first is the store as it is.

    Attributes:
        payloads, readers, evals: of all versions, by digest.
        project: whose store it is; None where nothing is recorded and no setting names one.
        tracked: whether git keeps the store, so that what no commit holds is not committed.
        notes: what could not be found out, for people.
    """

    versions: Sequence[StoreVersion]
    present: State
    project: str | None
    payloads: dict[str, JSONObject] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)
    evals: dict[str, Mapping[str, Mapping[str, EvalResult]]] = field(default_factory=dict)
    tracked: bool = False
    notes: tuple[str, ...] = ()


def read_versions(store: Store) -> StoreVersions:
    """Read a store and what git, or the store itself, still has of its earlier versions.

    Raises:
        StoreError: the store as it is cannot be read; what is missing of its past is in the notes instead.
    """
    present = store.read()
    reader = _Reader(store)
    reader.keep(present)
    found: list[StoreVersion] = []
    notes: list[str] = []
    tracked, change = False, None
    try:
        if isinstance(store.storage, FileStorage):
            found = reader.read_commits(store.storage)
            tracked = bool(found)
            if not found:
                notes.append(f"git does not track {store.storage.path.name}: what is known is what the store keeps")
        else:
            change, found = reader.read_revisions()
    except StoreError as error:
        notes.append(f"earlier versions of the store are not known: {error}")
    if any(version.change is None for version in found) and tracked:
        notes.append("the clone is shallow: git fetch --unshallow brings what was before")
    if many := sum(version.records is None for version in found):
        notes.append(f"{count(many, 'earlier version')} of the store cannot be read and {'is' if many == 1 else 'are'} left out")
    first = StoreVersion(present.records, change, (1,) if found else ())
    return StoreVersions(
        [first, *found], present, store.project, reader.payloads, reader.readers, reader.evals, tracked, tuple(notes)
    )


class _Reader:
    """Reads versions of a store, and keeps once what many of them hold."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked: set[str] = set()
        self.payloads: dict[str, JSONObject] = {}
        self.readers: dict[str, Reader] = {}
        self.evals: dict[str, Mapping[str, Mapping[str, EvalResult]]] = {}

    def keep(self, state: State) -> None:
        """Keep what a version holds by digest, unless a later one holds it."""
        self.payloads = {**state.payloads, **self.payloads}
        self.readers = {**state.readers, **self.readers}
        for digest, places in state.evals.items():
            later = self.evals.get(digest, {})
            self.evals[digest] = {where: {**found, **later.get(where, {})} for where, found in places.items()} | {
                where: found for where, found in later.items() if where not in places
            }

    def read_commits(self, storage: FileStorage) -> list[StoreVersion]:
        """The versions in git, newest first."""
        commits = git.file_versions(storage.path)
        place = {each.commit: position for position, each in enumerate(commits, 1)}
        found = []
        for each, content in zip(commits, git.read_contents(commits, storage.path), strict=True):
            change = StoreChange(each.commit, each.author, each.date, each.subject) if each.author is not None else None
            parents = tuple(place[parent] for parent in each.parents if parent in place)
            found.append(StoreVersion(self._records(content), change, parents))
        return found

    def read_revisions(self) -> tuple[StoreChange | None, list[StoreVersion]]:
        """When a shared store was last changed, and the revisions that it keeps, newest first."""
        revisions = self._store.storage.revisions()
        # A version was made when the one before it was replaced.
        first, *made = [*(StoreChange(None, None, each.replaced_at, None) for each in revisions), None]
        last = len(revisions)
        return first, [
            StoreVersion(self._records(each.content), change, (position + 1,) if position < last else ())
            for position, (each, change) in enumerate(zip(revisions, made, strict=True), 1)
        ]

    def _records(self, content: bytes | None) -> Mapping[Key, Record] | None:
        """The records of one version; None where it is no store of this project."""
        if content is None:
            return None
        try:
            state = parse_state(self._document(content), self._store.project, self._checked)
        except StoreError:
            return None
        self.keep(state)
        return state.records

    def _document(self, content: bytes) -> Document:
        """An earlier document, of whose payloads only those are parsed that no later one holds: they are most of it.

        Raises:
            StoreError: it is not ours.
        """
        label = self._store.storage.label
        start = content.find(_PAYLOADS)
        end = content.find(b"\n  }", start)
        if start < 0 or end < 0:  # somebody formatted it
            return Document(label, content, "")
        first, last = start + len(_PAYLOADS), end
        document = Document(label, content[:first] + content[last:], "")
        tables = document.tables or {}
        for text in content[first:last].split(_ENTRY)[1:]:
            digest = f"sha256:{text[:64].decode('ascii', 'replace')}"
            known = self.payloads.get(digest)
            tables["payloads"][digest] = load_json(label, text[67:].rstrip(b",\n")) if known is None else known
        return document
