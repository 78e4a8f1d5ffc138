"""Which branch of one union is which of another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from .schema_graph import Branch, key_of

__all__ = ["match_branches"]


def match_branches(ours: list[Branch], theirs: list[Branch]) -> tuple[list[tuple[Branch, Branch]], list[Branch], list[Branch]]:
    """The branches that are the same alternative in both, by what they are and not by where they stand, and those left over."""
    ours, theirs = list(ours), list(theirs)
    pairs: list[tuple[Branch, Branch]] = []
    for sign in SIGNS:
        known: dict[Hashable, list[Branch]] = {}
        for other in theirs:
            if (key := sign(other)) is not None:
                known.setdefault(key, []).append(other)
        for one in list(ours):
            if (key := sign(one)) is not None and known.get(key):
                other = known[key].pop(0)
                pairs.append((one, other))
                ours.remove(one)
                theirs.remove(other)
    return pairs, ours, theirs


def _same_value(branch: Branch) -> Hashable:
    """All that tells a branch apart."""
    node = branch.node
    if branch.kind == "object":
        return "object", node.get("title"), tuple(branch.properties), _constants(branch)
    listed = tuple(key_of(value) for value in branch.values) if branch.values is not None else None
    return branch.kind, listed, node.get("format"), node.get("pattern"), str(node.get("items"))


def _constants(branch: Branch) -> Hashable:
    """What tells objects of a union apart: fields with one value."""
    found = {name: node.get("const", *node.get("enum", ())[:1]) for name, node in branch.properties.items() if _is_constant(node)}
    return tuple(sorted((name, key_of(value)) for name, value in found.items())) or None


def _is_constant(node: object) -> bool:
    return isinstance(node, dict) and ("const" in node or len(node.get("enum", ())) == 1)


def _same_constants(branch: Branch) -> Hashable | None:
    return _constants(branch) if branch.kind == "object" else None


def _same_title(branch: Branch) -> Hashable | None:
    return branch.node.get("title") if branch.kind == "object" else None


def _same_fields(branch: Branch) -> Hashable | None:
    return frozenset(branch.properties) if branch.kind == "object" else None


def _same_text(branch: Branch) -> Hashable | None:
    return (branch.kind, branch.values is None, branch.node.get("format")) if branch.kind not in ("object", "other") else None


def _same_kind(branch: Branch) -> Hashable | None:
    return branch.kind


SIGNS: tuple[Callable[[Branch], Hashable | None], ...] = (
    _same_value, _same_constants, _same_title, _same_fields, _same_text, _same_kind,
)  # fmt: skip
