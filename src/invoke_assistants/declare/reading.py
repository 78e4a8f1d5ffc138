"""What the model that reads answers does with one of them: read it, refuse it, or what cannot be known. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ..types import Reader
from .schema_graph import Branch, Node, Schema
from .schema_values import reads_scalar, within

__all__ = ["ROOT", "Place", "Reading", "below"]

ROOT = "$"


def below(path: str, name: str) -> str:
    """The path of a field, or of the items (``[]``), of what is at a path."""
    base = "" if path == ROOT else path
    return base + name if name == "[]" or not base else f"{base}.{name}"


@dataclass(frozen=True)
class Place:
    """Where in the reader's own schema a value is read.

    Args:
        paths: where a ``Reader`` speaks of it. A recursive model is described once, at its outermost place; more than
            one path means that two models cannot be told apart.
        shared: whether several branches of a union have this path, so that what is said of it may be said of another one.
        checked: whether code of the app's own sees the value.
        outer: the definitions and objects around the value, each with its place.
        siblings: whether the object that was entered is one of several in a union.
    """

    paths: tuple[str, ...] = (ROOT,)
    shared: bool = False
    checked: bool = False
    outer: tuple[Around, ...] = ()
    siblings: bool = False


Around = tuple[str | Branch, Place]


class Reading:
    """A schema and what it does not say of its reader.

    Args:
        reader: None where nothing is recorded; then ``stand_in`` says what the reader may be.
    """

    def __init__(self, schema: Schema, reader: Reader | None, stand_in: Reader) -> None:
        self.schema = schema
        said = stand_in if reader is None else reader
        self._certain = reader is not None
        self._forbids, self._strict = frozenset(said.forbids_extras), frozenset(said.strict)
        self._defaults = frozenset(said.defaults if reader else ())
        self._validators = frozenset(said.validators)
        self._all = sorted(
            (path, fact) for fact in ("forbids_extras", "strict", "defaults", "validators") for path in ((*getattr(said, fact),))
        )

    @property
    def start(self) -> Place:
        """The root."""
        return self._checked(Place())

    def _checked(self, place: Place) -> Place:
        if place.checked or not self._validators.intersection(place.paths):
            return place
        return replace(place, checked=True)

    def enter(self, place: Place, branch: Branch, branches: Iterable[Branch]) -> Place:
        """The place inside of one of the branches of what is at a place."""
        here = Place(place.paths, place.shared, place.checked)
        outer = place.outer
        for reference in branch.references:
            known = next((there for key, there in outer if key == reference), None)
            here = known or here
            outer = outer if known else (*outer, (reference, here))
        siblings = sum(each.kind == branch.kind == "object" for each in branches) > 1
        if branch.kind == "object":
            here = _outermost(branch, here, outer)
            outer = (*outer, (branch, Place(here.paths, here.shared or siblings)))  # seen again, its siblings are not
        return self._checked(Place(here.paths, place.shared or here.shared, place.checked, outer, siblings))

    def field(self, place: Place, name: str, branches: Iterable[Branch]) -> Place:
        """The place of a field or of the items (``[]``), reached in one of the branches at a place."""
        having = sum(_has(branch, name) for branch in branches)
        paths = tuple(below(path, name) for path in place.paths)
        return self._checked(Place(paths, place.shared or having > 1, place.checked, place.outer))

    def _says(self, facts: frozenset[str], place: Place, shared: bool) -> bool | None:
        found = {path in facts for path in place.paths}
        if found == {False}:
            return False
        return True if found == {True} and not shared and self._certain else None

    def forbids(self, place: Place) -> bool | None:
        """Whether the object that was entered refuses fields that it does not declare."""
        return self._says(self._forbids, place, place.shared or place.siblings)

    def defaults(self, place: Place) -> bool | None:
        """Whether the field at a place may be absent."""
        return self._says(self._defaults, place, place.shared)

    def strict(self, place: Place) -> bool | None:
        """Whether the value at a place is not converted."""
        return self._says(self._strict, place, place.shared)

    def said_below(self, place: Place) -> tuple[tuple[str, str], ...]:
        """All that the reader says of what is at a place and below it."""
        found: list[tuple[str, str]] = []
        for path in place.paths:
            base = "" if path == ROOT else path
            for at in range(bisect_left(self._all, (base, "")), len(self._all)):
                where, fact = self._all[at]
                if not where.startswith(base):
                    break
                found.append((where[len(base) :], fact))
        return tuple(found)

    def reads(self, node: Node, value: Any, place: Place) -> bool | None:
        """Whether the reader reads a value: True or False where that is certain."""
        if place.checked:
            return None
        branches = self.schema.branches(node)
        verdict: bool | None = False
        for branch in branches:
            found = self.branch_reads(branch, value, self.enter(place, branch, branches), branches)
            if found:
                return True
            verdict = None if found is None else verdict
        return verdict

    def branch_reads(self, branch: Branch, value: Any, place: Place, branches: tuple[Branch, ...]) -> bool | None:
        """As ``reads``, for one of the branches at a place that has been entered."""
        if place.checked:
            return None
        if branch.kind == "object":
            return self._object_reads(branch, value, place, branches) if isinstance(value, dict) else False
        if branch.kind == "array":
            if not isinstance(value, list) or not within(len(value), branch.node, "Items"):
                return False
            inside = self.field(place, "[]", branches)
            return _all_read(self.reads(branch.node["items"], each, inside) for each in value)
        strict = self.strict(place)
        return reads_scalar(branch, value, strict)

    def _object_reads(self, branch: Branch, value: dict[str, Any], place: Place, branches: tuple[Branch, ...]) -> bool | None:
        extra = [self.field(place, name, branches).checked for name in value.keys() - branch.properties.keys()]
        forbidden = self.forbids(place) if extra else False
        absent = [self.missing(self.field(place, name, branches)) for name in branch.properties if name not in value]
        if True in extra:  # what is absent may be called by another name
            absent = [None for _ in absent]
        inside = (
            self.reads(node, value[name], self.field(place, name, branches))
            for name, node in branch.properties.items()
            if name in value
        )
        return _all_read(chain([None if True in extra or forbidden is None else not forbidden], absent, inside))

    def missing(self, place: Place) -> bool | None:
        """Whether the reader does without the field at a place."""
        return None if place.checked else self.defaults(place)


def _has(branch: Branch, name: str) -> bool:
    return branch.kind == "array" if name == "[]" else branch.kind == "object" and name in branch.properties


def _outermost(branch: Branch, here: Place, outer: tuple[Around, ...]) -> Place:
    """Where a model is described: its outermost place, both places where it may be another model."""
    for other, there in outer:
        if isinstance(other, Branch) and branch.properties and other.properties == branch.properties:
            same = other.node.get("title") == branch.node.get("title")
            paths = there.paths if same else tuple(dict.fromkeys((*here.paths, *there.paths)))
            return Place(paths, here.shared or there.shared)
    return here


def _all_read(found: Iterable[bool | None]) -> bool | None:
    verdict: bool | None = True
    for each in found:
        if each is False:
            return False
        verdict = verdict and each
    return verdict
