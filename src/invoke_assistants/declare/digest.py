"""The payload's digest, the SHA-256 of its canonical JSON, and the size of a value as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical", "digest", "json_size"]


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys, except in any ``properties``: a model answers in the order of its schema."""

    def ordered(node: Any, keep: bool) -> Any:
        if isinstance(node, Mapping):
            return {key: ordered(node[key], key == "properties") for key in (node if keep else sorted(node))}
        return [ordered(item, False) for item in node] if isinstance(node, list | tuple) else node

    return json.dumps(ordered(value, False), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(payload: Mapping[str, Any]) -> str:
    """``sha256:`` and the SHA-256 of the payload's canonical JSON, in hex."""
    return "sha256:" + hashlib.sha256(canonical(payload).encode("utf-8", "surrogatepass")).hexdigest()


def json_size(value: Any) -> int:
    """The bytes of a value as compact UTF-8 JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
