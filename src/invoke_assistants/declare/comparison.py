"""One direction of a comparison: a reader of one schema meets the answers of another one. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from .answer_samples import Samples
from .branch_matching import match_branches
from .judgement import At, Finding, Judge, Refusal
from .reading import ROOT, Reading, below
from .schema_graph import ANNOTATIONS, Branch, Node, Sameness, Schema, key_of
from .schema_values import bound_changes
from .sentences import Phrases

__all__ = ["Comparison", "TooLarge"]

PLACES = 20  # paths at which a change of a shared definition is listed
DEEPEST = 40  # fields and lists inside of each other
MOST = 50_000  # pairs of nodes


class TooLarge(ValueError):
    """Two schemas have too many parts to be compared."""


class Comparison:
    """A walk through two schemas at once."""

    def __init__(self, reading: Reading, writer: Schema) -> None:
        self._reading, self._writer = reading, writer
        self._reader = reading.schema
        self._samples = Samples(writer)
        self._judge = Judge(reading, self._samples)
        self._same = Sameness(self._reader, writer).same
        self._active: set[tuple[Any, ...]] = set()
        self._visits: Counter[tuple[Any, ...]] = Counter()
        self._covered: dict[tuple[Any, ...], bool] = {}
        self._left = MOST

    def run(self) -> dict[tuple[str, str], Finding]:
        """Compare the roots; each change once, by path and kind, in the order of the schema.

        Raises:
            TooLarge: there are too many parts.
        """
        root = self._reader.root
        self._compare(root, self._writer.root, At(ROOT, self._reading.start, self._reader.branches(root)))
        return self._judge.findings

    def _compare(self, ours: Node, theirs: Node, at: At) -> None:
        if self._same(ours, theirs):
            return
        self._left -= 1
        if self._left < 0:
            raise TooLarge
        pair = (id(self._reader.resolve(ours)[0]), id(self._writer.resolve(theirs)[0]), at.place.paths, at.place.checked)
        if pair in self._active:
            return
        if len(at.outer) > DEEPEST:
            self._judge.unknown(at, "type_changed", Phrases.too_deep)
            return
        self._active.add(pair)
        self._compare_nodes(ours, theirs, at)
        self._active.discard(pair)

    def _compare_nodes(self, ours: Node, theirs: Node, at: At) -> None:
        words, others = self._reader.annotations(ours), self._writer.annotations(theirs)
        titles = words.pop("title", None), others.pop("title", None)
        if words != others:
            self._judge.fine(at, "description_changed")
        self._compare_branches(self._writer.branches(theirs), at)
        if titles[0] != titles[1] and at.path not in self._judge.paths:  # a union has a title where its one branch has none
            self._judge.fine(at, "description_changed")

    def _compare_branches(self, all_theirs: tuple[Branch, ...], at: At) -> None:
        ours, theirs = ([each for each in branches if each.kind != "null"] for branches in (at.branches, all_theirs))
        if ours and theirs:
            if len(ours) < len(at.branches) and len(theirs) == len(all_theirs):
                self._judge.fine(at, "nullable_removed")
            elif len(ours) == len(at.branches) and len(theirs) < len(all_theirs):
                self._judge.values(at, "nullable_added", [None], Phrases.no_null)
        else:
            ours, theirs = list(at.branches), list(all_theirs)
        if len(ours) == len(theirs) == 1:
            self._compare_pair(ours[0], theirs[0], at)
        else:
            self._compare_unions(ours, theirs, at)

    def _compare_unions(self, ours: list[Branch], theirs: list[Branch], at: At) -> None:
        pairs, gone, new = match_branches(ours, theirs)
        for one, other in pairs:
            if one.inside and other.inside and any(one.node.get(key) != other.node.get(key) for key in ANNOTATIONS):
                self._judge.fine(at, "description_changed")
            rest = [branch for branch in at.branches if branch is not one]
            with self._judge.pardoning(lambda rest=rest, other=other: self._covered_by(rest, other, at)):  # type: ignore[misc]
                self._compare_pair(one, other, at)
        for branch in new:
            fine = self._covered_by(at.branches, branch, at)
            self._judge.values(at, "union_widened", self._samples.values(branch), Phrases.no_branch(branch), fine=fine)
        if gone:
            self._judge.fine(at, "union_narrowed")
        if not gone and not new and [ours.index(one) for one, _ in pairs] != [theirs.index(other) for _, other in pairs]:
            self._judge.fine(at, "order_changed")

    def _covered_by(self, branches: list[Branch] | tuple[Branch, ...], other: Branch, at: At) -> bool:
        """Whether one of the reader's branches reads all values of a branch of the writer."""
        return not at.place.checked and any(self._covers(one, other, at) for one in branches)

    def _covers(self, one: Branch, other: Branch, at: At) -> bool:
        key = (one.kind, id(one.node), other.kind, id(other.node), at.place.paths, at.place.shared)
        if key not in self._covered:
            known, active = set(self._covered), self._active
            self._covered[key] = True  # what is recursive is covered unless it is refused somewhere
            self._active = set()
            with self._judge.trial():
                self._compare_pair(one, other, at)
                covered = self._judge.all_fine
            self._active = active
            if not covered:  # what was found meanwhile may rest on it
                self._covered = {each: was for each, was in self._covered.items() if each in known or not was}
            self._covered[key] = covered
        return self._covered[key]

    def _compare_pair(self, one: Branch, other: Branch, at: At) -> None:
        inside = replace(at, place=self._reading.enter(at.place, one, at.branches))
        if inside.place.checked and not at.place.checked:
            at = inside
        if "other" in (one.kind, other.kind):
            if not self._same(one.node, other.node):
                self._judge.unknown(at, "type_changed", Phrases.not_understood)
        elif one.kind != other.kind:
            self._compare_types(one, other, at)
        elif one.values is not None or other.values is not None:
            self._compare_values(one, other, at)
        else:
            self._compare_bounds(one, other, at)
            if one.kind == "string":
                self._compare_texts(one, other, at)
            elif one.kind == "array":
                self._into(at, inside, one, other, "[]")
            elif one.kind == "object":
                self._compare_objects(one, other, at, inside)

    def _compare_types(self, one: Branch, other: Branch, at: At) -> None:
        numbers = {one.kind, other.kind} == {"number", "integer"} and one.values is None and other.values is None
        fine = (numbers and one.kind == "number") or self._reads_all(one, other, at)
        self._refuse(at, "type_changed", one, other, Phrases.other_type(one, other), fine=fine)
        if numbers:
            self._compare_bounds(one, other, at)

    def _reads_all(self, one: Branch, other: Branch, at: At) -> bool:
        """Whether a branch reads each value of one that has few."""
        few = other.kind in ("boolean", "null") or other.values is not None
        return few and all(self._judge.reads(at, one, value) is True for value in self._samples.values(other))

    def _refuse(self, at: At, kind: str, one: Branch, other: Branch, phrase: Any, *, fine: bool = False) -> None:
        """Judge that a branch meets all values of another one."""
        values = self._samples.values(other, (one,) if one.kind != "string" or other.kind == "string" else ())
        refused = (value for value in values if self._judge.reads(at, one, value) is False)
        self._judge.values(at, kind, refused, phrase, fine=fine)

    def _compare_values(self, one: Branch, other: Branch, at: At) -> None:
        """Compare branches of one type, of which one lists its values, or both do."""
        if one.values is None or other.values is None:
            kind, phrase = ("enum_narrowed", Phrases.refused) if one.values is None else ("enum_widened", Phrases.only_listed)
            self._refuse(at, kind, one, other, phrase, fine=self._reads_all(one, other, at))
            return
        ours, theirs = ([key_of(value) for value in values] for values in (one.values, other.values))
        if added := tuple(value for kind, value in theirs if (kind, value) not in ours):
            new = replace(other, values=added)
            self._refuse(at, "enum_widened", one, new, Phrases.no_value, fine=self._reads_all(one, new, at))
        if any(key not in theirs for key in ours):
            self._judge.fine(at, "enum_narrowed")
        if not added and len(ours) == len(theirs) and ours != theirs:
            self._judge.fine(at, "order_changed")

    def _compare_bounds(self, one: Branch, other: Branch, at: At) -> None:
        for name, how, bound in bound_changes(one, other):
            if how == "tightened":
                self._judge.fine(at, "bound_tightened")
            else:
                self._refuse(at, "bound_loosened", one, other, Phrases.bound(name, bound))

    def _compare_texts(self, one: Branch, other: Branch, at: At) -> None:
        ours, theirs = one.node.get("pattern"), other.node.get("pattern")
        if ours is not None and theirs is not None and ours != theirs:
            self._judge.unknown(at, "pattern_changed", Phrases.two_patterns)
        elif ours != theirs:
            self._refuse(at, "pattern_changed", one, other, Phrases.pattern(ours), fine=ours is None)
        ours, theirs = one.node.get("format"), other.node.get("format")
        if ours != theirs:
            self._refuse(at, "format_changed", one, other, Phrases.form(ours), fine=ours is None)

    def _into(self, at: At, inside: At, one: Branch, other: Branch, name: str) -> None:
        """Compare a field that both have, or the items."""
        ours, theirs = (branch.node["items"] if name == "[]" else branch.properties[name] for branch in (one, other))
        place = self._reading.field(inside.place, name, at.branches)
        outer = (*at.outer, (at, one, other, name))
        self._compare(ours, theirs, At(below(at.path, name), place, self._reader.branches(ours), outer))

    def _compare_objects(self, one: Branch, other: Branch, at: At, inside: At) -> None:
        """Compare two objects: a recursive pair once, a shared one at so many paths."""
        pair = (self._reader.model_of(one), self._writer.model_of(other), inside.place.checked, inside.place.shared)
        seen = (*pair, self._reading.said_below(inside.place))
        active = (*pair, inside.place.paths)
        self._visits[seen] += not self._judge.trying
        if active not in self._active and self._visits[seen] <= PLACES:
            self._active.add(active)
            self._compare_fields(one, other, at, inside)
            self._active.discard(active)

    def _compare_fields(self, one: Branch, other: Branch, at: At, inside: At) -> None:
        ours, theirs = one.properties, other.properties
        refusal: list[Refusal | None] = []  # the answer without the old fields and with the new ones; made once
        for name in dict.fromkeys((*ours, *theirs)):
            if name in ours and name in theirs:
                self._into(at, inside, one, other, name)
                continue
            place = self._reading.field(inside.place, name, at.branches)
            field = At(below(at.path, name), place, at.branches, at.outer)
            if name in ours:
                kind, phrases, reads = "field_removed", Phrases.needed, self._reading.missing(place)
            else:
                forbidden = self._reading.forbids(inside.place)
                kind, phrases, reads = "field_added", Phrases.forbids, None if forbidden is None else not forbidden
            if reads:
                self._judge.fine(field, kind)
                continue
            if reads is False and not refusal and not place.checked and not self._judge.trying:
                refusal.append(self._judge.refusal(at, self._samples.values(other)))
            if reads is False and refusal and refusal[0] and not place.checked:
                self._judge.breaking(field, kind, phrases[0], refusal[0][1])
            else:
                self._judge.unknown(field, kind, phrases[1])
        if [name for name in ours if name in theirs] != [name for name in theirs if name in ours]:
            self._judge.fine(at, "order_changed")
