"""Answers that a schema allows: the shortest ones, and such as a reader may refuse. Pure."""

from __future__ import annotations

import itertools
import math
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from .schema_graph import Branch, Node, Schema
from .schema_values import EXACT, SAMPLES, takes_number, takes_text

__all__ = ["NoSample", "Samples"]

LONGEST = 100_000  # values in an example
WORDS = ("text", "Other text", "a", "A", "aa", "1", "12", "12345", "a1", "-", " ", "", "!")
VARIANTS = 8  # branches of a field that are tried
TRIES = 20  # strings made of a pattern in search of one that fits
REPETITION = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|([*+])")  # group 1: an escape or a class, which stays; 2: * or +


class NoSample(ValueError):
    """No value is known that the schema allows."""


class Samples:
    """Values of a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._heights: dict[int, float] = {}
        self._shortest: dict[int, tuple[Any, int]] = {}
        self._making: set[int] = set()
        self._measure()

    def _measure(self) -> None:
        """Find how deep the flattest value of each node is: what a recursive schema ends with."""
        nodes = list(self._nodes())
        changed = True
        while changed:
            changed = False
            for node in nodes:
                height = min((self._height(branch) for branch in self._schema.branches(node)), default=math.inf)
                if height < self._heights.get(id(node), math.inf):
                    self._heights[id(node)] = height
                    changed = True

    def _nodes(self) -> Iterator[Node]:
        """Every node that can be reached, the inner ones mostly first."""
        seen: dict[int, Node] = {}
        waiting: list[Node] = [self._schema.root]
        while waiting:
            node = waiting.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                for branch in self._schema.branches(node):
                    waiting += _inner(branch)
        yield from reversed(seen.values())

    def _height(self, branch: Branch) -> float:
        if branch.kind == "other":
            return math.inf
        inner = _inner(branch) if branch.kind == "object" or branch.node.get("minItems") else []
        return max((self._heights.get(id(node), math.inf) + 1 for node in inner), default=0)

    def _sample(self, node: Node) -> tuple[Any, int]:
        """A short value that a node allows, and its size."""
        if id(node) not in self._shortest:
            if id(node) in self._making:
                raise NoSample
            self._making.add(id(node))
            try:
                self._shortest[id(node)] = self._first_of(node)
            finally:
                self._making.discard(id(node))
        return self._shortest[id(node)]

    def _first_of(self, node: Node) -> tuple[Any, int]:
        """The value of the flattest branch that has one."""
        branches = self._schema.branches(node)
        for branch in sorted(branches, key=lambda each: (self._height(each), each.kind == "null")):
            if self._height(branch) < math.inf:
                with suppress(NoSample):
                    return self._of_branch(branch)
        raise NoSample

    def _of_branch(self, branch: Branch, length: int | None = None) -> tuple[Any, int]:
        if branch.kind == "object":
            fields = {name: self._sample(node) for name, node in branch.properties.items()}
            return _limited({name: value for name, (value, _) in fields.items()}, 1 + sum(size for _, size in fields.values()))
        if branch.kind == "array":
            count = branch.node.get("minItems", 0) if length is None else length
            item, size = self._sample(branch.node["items"]) if count else (None, 0)
            if not branch.node.get("minItems", 0) <= count <= branch.node.get("maxItems", count) or count * size > LONGEST:
                raise NoSample
            return _limited([item] * count, 1 + count * size)
        value = next(self._scalars(branch, ()), NoSample)
        if value is NoSample:
            raise NoSample
        return value, 1

    def values(self, branch: Branch, against: tuple[Branch, ...] = ()) -> Iterator[Any]:
        """Values of a branch, those first at which it may differ from other branches; none where none are known."""
        with suppress(NoSample):
            yield from self._values(branch, against)

    def _values(self, branch: Branch, against: tuple[Branch, ...]) -> Iterator[Any]:
        if branch.kind == "array":
            yield from self._lists(branch, against)
        elif branch.kind == "object":
            yield from self._objects(branch)
        elif branch.kind != "other":
            yield from self._scalars(branch, against)

    def _objects(self, branch: Branch) -> Iterator[Any]:
        """The shortest object, and each with another kind of value in one field."""
        shortest = self._of_branch(branch)[0]
        yield shortest
        for name, node in branch.properties.items():
            yield from ({**shortest, name: value} for value in self._of_each_kind(node))

    def _lists(self, branch: Branch, against: tuple[Branch, ...]) -> Iterator[Any]:
        """Lists just too long or too short for others, the shortest one, and one with each kind of item."""
        keys = (("maxItems", 1), ("minItems", -1))
        lengths = [each.node[key] + step for each in against for key, step in keys if key in each.node]
        for length in (*lengths, None):
            with suppress(NoSample):
                yield self._of_branch(branch, length)[0]
        if branch.node.get("maxItems") != 0:
            yield from (self.around(branch, "[]", value) for value in self._of_each_kind(branch.node["items"]))

    def _of_each_kind(self, node: Node) -> Iterator[Any]:
        for branch in self._schema.branches(node)[:VARIANTS]:
            yield from islice(self.values(branch), 1)

    def _scalars(self, branch: Branch, against: tuple[Branch, ...]) -> Iterator[Any]:
        if branch.values is not None:
            yield from branch.values
        elif branch.kind == "boolean":
            yield from (True, False)
        elif branch.kind == "string":
            yield from _texts(branch.node, [each.node for each in against if each.kind == "string"])
        else:
            yield from _numbers(branch, [each.node for each in against])

    @property
    def size(self) -> int:
        """How many values the shortest answer has."""
        with suppress(NoSample):
            return self._sample(self._schema.root)[1]
        return 1

    def around(self, branch: Branch, name: str, value: Any) -> Any:
        """An object with a value in a field, or a list with a value in it (``[]``).

        Raises:
            NoSample: no values are known for the rest.
        """
        if name != "[]":
            return {field: value if field == name else self._sample(node)[0] for field, node in branch.properties.items()}
        more = branch.node.get("minItems", 1) - 1
        item, size = self._sample(branch.node["items"]) if more > 0 else (None, 0)
        if branch.node.get("maxItems") == 0 or more * size > LONGEST:
            raise NoSample
        return [value, *[item] * more]


def _inner(branch: Branch) -> list[Node]:
    if branch.kind == "object":
        return list(branch.properties.values())
    return [branch.node["items"]] if branch.kind == "array" else []


def _limited(value: Any, size: int) -> tuple[Any, int]:
    if size > LONGEST:
        raise NoSample
    return value, size


def _texts(node: Node, against: list[Node]) -> Iterator[str]:
    """Texts that a node allows; the lengths that others do not allow come first."""
    lengths = [each[key] + step for each in against for key, step in (("maxLength", 1), ("minLength", -1)) if key in each]
    bases = [SAMPLES[node["format"]]] if node.get("format") in SAMPLES else [*WORDS]
    if "pattern" in node:
        bases += _matching(node["pattern"])
    lengths = [length for length in lengths if 0 <= length <= LONGEST]
    shortest = node.get("minLength", 0)
    fitted = (_of_length(base, length) for length in lengths for base in bases)
    padded = (_of_length(base, shortest) for base in bases if len(base) < shortest <= LONGEST)
    cut = (base[: node["maxLength"]] for base in bases if "maxLength" in node)
    for text in itertools.chain(fitted, bases, padded, cut):
        if takes_text(text, node):
            yield text


def _of_length(text: str, length: int) -> str:
    return (text * (length // max(len(text), 1) + 1))[:length] if text else "a" * length


def _matching(pattern: str) -> list[str]:
    """Texts made from a pattern, the same ones each time; none where it is not understood."""
    import rstr

    bounded = REPETITION.sub(lambda match: match[1] or f"{{{int(match[2] == '+')},3}}", pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return [rstr.Rstr(random.Random(seed)).xeger(bounded) for seed in range(TRIES)]  # noqa: S311
    except (FutureWarning, re.error, LookupError, ValueError, TypeError, OverflowError):
        return []


def _numbers(branch: Branch, against: list[Node]) -> Iterator[float]:
    """Numbers that a branch allows, those near to the bounds of others first."""
    whole = branch.kind == "integer"
    bounds = [
        each[key]
        for each in (*against, branch.node)
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        if key in each
    ]
    near = [bound + sign * step for bound in bounds for step in (0, 1, 0.5, 0.25) for sign in (1, -1)]
    plain = [0, 1, 2, 3, 0.5, 1.5] if whole or not against else [0.5, 1.5, 0, 1, 2, 3]
    found: list[float] = [*near, *plain, *(2 * bound for bound in bounds)]
    if multiple := branch.node.get("multipleOf"):
        counts = [value / multiple for value in (*bounds, 0)]
        found += [multiple * (math.floor(count) + more) for count in counts if abs(count) < EXACT for more in (0, 1, 2, 3, -1)]
    for value in dict.fromkeys(_plain(each) for each in found if abs(each) < math.inf):
        if takes_number(value, branch.node) and (isinstance(value, int) or not whole):
            yield value


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
