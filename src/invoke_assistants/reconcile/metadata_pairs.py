"""The limit of metadata pairs, which our tags and other people's pairs share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..declare.payload import MAX_PAIRS
from ..declare.tags import TAGS

__all__ = ["too_many_pairs"]


def too_many_pairs(body: Mapping[str, Any], declared: Mapping[str, Any]) -> str | None:
    """The error for a body with more metadata pairs than the API takes; None where they are few enough."""
    pairs: Mapping[str, str] = body["metadata"]
    if len(pairs) <= MAX_PAIRS:
        return None
    own = [key for key in pairs if key in declared.get("metadata", {})]
    others = [key for key in pairs if key not in TAGS and key not in own]
    counted = [f"{len(pairs) - len(own) - len(others)} tags of ours"]
    counted += [f"{len(own)} declared ({', '.join(own)})"] if own else []
    counted += [f"{len(others)} that others put there ({', '.join(others)})"]
    fewer = "declare fewer, or remove" if own else "remove"
    return (
        f"{len(pairs)} metadata pairs, and the API takes {MAX_PAIRS}: {', '.join(counted)}: {fewer}"
        f" {len(pairs) - MAX_PAIRS} of the others' remotely"
    )
