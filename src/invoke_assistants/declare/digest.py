"""The payload's digest, the SHA-256 of its canonical JSON, and the size and the depth of a value as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["DEEPEST", "SchemaTexts", "canonical", "digest", "is_too_deep", "json_size"]

SchemaTexts = dict[int, tuple[Any, str]]  # by identity: schemas that many payloads share, and their canonical JSON

_quoted = json.encoder.encode_basestring  # a text as JSON, with what is not ASCII as it is
_scalar = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_JSON = (dict, list)
DEEPEST = 128  # levels of what others wrote; what reads it calls itself for each


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys, except in any ``properties``: a model answers in the order of its schema."""
    return _canonical(value, None)


def _canonical(value: Any, texts: SchemaTexts | None, key: str = "") -> str:
    """As ``canonical``, of the value of a key."""
    if type(value) is dict or isinstance(value, Mapping):
        if key == "schema" and texts is not None and id(value) in texts:
            return texts[id(value)][1]
        keys = value if key == "properties" else sorted(value)
        members = [
            f"{_quoted(name)}:{_quoted(item) if type(item := value[name]) is str else _canonical(item, texts, name)}"
            for name in keys
        ]
        text = "{" + ",".join(members) + "}"
        if key == "schema" and texts is not None:
            texts[id(value)] = value, text  # which stays alive with its text, so that no other value gets its identity
        return text
    if isinstance(value, list | tuple):
        return "[" + ",".join([_quoted(item) if type(item) is str else _canonical(item, texts) for item in value]) + "]"
    return _scalar(value)


def digest(payload: Mapping[str, Any], texts: SchemaTexts | None = None) -> str:
    """``sha256:`` and the SHA-256 of the payload's canonical JSON, in hex.

    Args:
        texts: those of the schemas of earlier payloads, none of which is changed meanwhile; this payload's join them.
    """
    return "sha256:" + hashlib.sha256(_canonical(payload, texts).encode("utf-8", "surrogatepass")).hexdigest()


def json_size(value: Any) -> int:
    """The bytes of a value as compact UTF-8 JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def is_too_deep(value: Any) -> bool:
    """Whether JSON is nested in more than ``DEEPEST`` levels."""
    level = [value] if type(value) in _JSON else []
    for _ in range(DEEPEST):
        if not level:
            return False
        level = [child for each in level for child in (each.values() if type(each) is dict else each) if type(child) in _JSON]
    return True
