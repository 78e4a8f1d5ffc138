"""What a reader makes of one change, with an answer that it refuses where there is one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ..types import Verdict
from .answer_samples import NoSample, Samples
from .reading import Place, Reading
from .schema_graph import Branch
from .sentences import Phrases

__all__ = ["At", "Finding", "Judge", "Refusal"]

TRIED = 60  # values tried in search of one that is refused
SHOWN = 1_000_000  # values in all examples of a comparison
HARMLESS = ("description_changed", "order_changed")
WORSE: tuple[Verdict, ...] = ("compatible", "unknown", "breaking")

Refusal = tuple[Any, Any]  # a value, and the answer that holds it


@dataclass(frozen=True)
class Finding:
    """A change in one direction.

    Args:
        phrase: what the reader does, a verb first; empty where the change is nothing to it.
    """

    path: str
    kind: str
    verdict: Verdict
    phrase: str
    example: Any = None


@dataclass(frozen=True)
class At:
    """Where a comparison is.

    Args:
        path: as people read it.
        place: the reader's.
        branches: what the reader reads here.
        outer: the way from the root, outermost first: where it was, the reader's branch and the writer's, and the field
            or the items (``[]``) that it went into.
    """

    path: str
    place: Place
    branches: tuple[Branch, ...]
    outer: tuple[tuple[At, Branch, Branch, str], ...] = ()


class Judge:
    """Collects findings, by path and kind, in the order in which they are made; of two for one key, the worse."""

    def __init__(self, reading: Reading, samples: Samples) -> None:
        self.findings: dict[tuple[str, str], Finding] = {}
        self.paths: set[str] = set()
        self.reading, self.samples = reading, samples
        self.trying = False
        self._left = SHOWN

    @contextmanager
    def trial(self) -> Generator[None, None, None]:
        """Collect findings without examples, and forget them at the end."""
        findings, trying, paths = self.findings, self.trying, self.paths
        self.findings, self.trying, self.paths = {}, True, set()
        try:
            yield
        finally:
            self.findings, self.trying, self.paths = findings, trying, paths

    @property
    def all_fine(self) -> bool:
        """Whether the reader reads everything so far."""
        return all(found.verdict == "compatible" for found in self.findings.values())

    @contextmanager
    def pardoning(self, reads: Callable[[], bool]) -> Generator[None, None, None]:
        """Take back what is found meanwhile and is not fine, if the reader reads it in another way."""
        before = dict(self.findings)
        yield
        changed = [key for key, found in self.findings.items() if found.verdict != "compatible" and before.get(key) != found]
        if changed and reads():
            for key in changed:
                self.findings[key] = before.get(key) or replace(self.findings[key], verdict="compatible", phrase="", example=None)

    def fine(self, at: At, kind: str) -> None:
        """A change that the reader does not feel, unless code of the app's own sees it."""
        if at.place.checked and kind not in HARMLESS:
            self.unknown(at, kind, Phrases.checked)
        else:
            self._add(Finding(at.path, kind, "compatible", ""))

    def unknown(self, at: At, kind: str, phrase: str) -> None:
        """A change of which it cannot be said what the reader does."""
        self._add(Finding(at.path, kind, "unknown", Phrases.checked if at.place.checked else phrase))

    def breaking(self, at: At, kind: str, phrase: str, example: Any) -> None:
        """A change that the reader feels."""
        self._add(Finding(at.path, kind, "breaking", phrase, example))

    def values(self, at: At, kind: str, values: Iterable[Any], phrase: str | Callable[[Any], str], *, fine: bool = False) -> None:
        """A change that lets values in: breaking with the first that is refused, unknown where none is."""
        if at.place.checked or fine:
            self.fine(at, kind)
        elif self.trying or (found := self.refusal(at, values)) is None:
            self.unknown(at, kind, Phrases.perhaps)
        else:
            self.breaking(at, kind, phrase if isinstance(phrase, str) else phrase(found[0]), found[1])

    def refusal(self, at: At, values: Iterable[Any]) -> Refusal | None:
        """The first of the values that the reader refuses in an answer of the other schema, and that answer."""
        for value in islice(values, TRIED):
            if self._refused_by(at, value, None) and (found := self._answer(at, value)) is not None:
                return value, found[0]
        return None

    def _answer(self, at: At, value: Any) -> tuple[Any] | None:
        """The answer around a refused value; None where a branch of a union around it may read that."""
        if self._left < 0:
            return None
        try:
            for there, one, other, name in reversed(at.outer):
                value = self.samples.around(other, name, value)
                if not self._refused_by(there, value, one):
                    return None
        except NoSample:
            return None
        self._left -= self.samples.size
        return (value,)

    def _refused_by(self, at: At, value: Any, known: Branch | None) -> bool:
        """Whether all branches refuse a value; of ``known`` it is certain."""
        others = (branch for branch in at.branches if branch is not known)
        return all(self.reads(at, branch, value) is False for branch in others)

    def reads(self, at: At, branch: Branch, value: Any) -> bool | None:
        """Whether one of the reader's branches reads a value."""
        return self.reading.branch_reads(branch, value, self.reading.enter(at.place, branch, at.branches), at.branches)

    def _add(self, finding: Finding) -> None:
        key = finding.path, finding.kind
        self.paths.add(finding.path)
        known = self.findings.get(key)
        if known is None or WORSE.index(finding.verdict) > WORSE.index(known.verdict):
            self.findings[key] = finding
