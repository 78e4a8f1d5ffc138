"""Reading a write back: what its own answer holds otherwise than it was sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..declare.digest import digest
from ..declare.tags import NONCE_TAG, TAGS, metadata_of
from ..text import printable
from ..types import Change, JSONObject
from .diff import USER_JSON, compare, declarable_fields

__all__ = ["answered_digest", "format_not_taken", "not_taken"]

_COMPARED_TAGS = frozenset(TAGS) - {NONCE_TAG}  # those that a plan compares
_SHOWN = 4  # differences in one message
_ROOM = 60  # characters of a value in it
_LEAD = 12  # characters of a long text before its first difference


def not_taken(body: Mapping[str, Any], answer: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that a write's answer holds otherwise than they were sent, as a plan compares: from answered to sent.

    Any answer to a null is right. A field that is not in the answer counts as dropped.

    Args:
        body: what was sent; of its metadata, other people's pairs are not compared.
        declared: the payload whose metadata pairs are.
    """
    compared = _COMPARED_TAGS.union(declared.get("metadata") or {})
    pairs = {key: value for key, value in body["metadata"].items() if key in compared}
    return compare({**answer, "metadata": metadata_of(answer)}, _without_nulls({**body, "metadata": pairs}))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: each if key in USER_JSON else _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list | tuple) else value


def answered_digest(there: Mapping[str, Any], sent: Mapping[str, Any]) -> str | None:
    """The digest of an object's name and every field that an assistant can declare, without other people's metadata pairs.

    Args:
        sent: the payload that the object was to be brought to.

    Returns:
        None where the object holds what is not JSON, as NaN.
    """
    ours = {*TAGS, *(sent.get("metadata") or {})}
    pairs = {key: value for key, value in metadata_of(there).items() if key in ours}
    fields: JSONObject = {**declarable_fields(there), "metadata": pairs}
    try:
        return digest(fields)
    except (ValueError, RecursionError):
        return None


def format_not_taken(changes: Sequence[Change]) -> str:
    """The error of a write that was not taken as it was sent: each path, what was sent and what came back."""
    shown = [_format_change(change) for change in changes[:_SHOWN]]
    more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return f"the service did not take what was sent: {'; '.join(shown)}{more}; inv asst.plan shows what it holds"


def _format_change(change: Change) -> str:
    sent, answered, start = change.after, change.before, 0
    if isinstance(sent, str) and isinstance(answered, str) and max(len(sent), len(answered)) > _ROOM:
        same = next((at for at, pair in enumerate(zip(sent, answered, strict=False)) if pair[0] != pair[1]), None)
        start = max(0, (min(len(sent), len(answered)) if same is None else same) - _LEAD)
    return printable(f"{change.field} (sent {_excerpt(sent, start)}, answered {_excerpt(answered, start)})")


def _excerpt(value: Any, start: int) -> str:
    """A value as JSON that fits a message; of a long text the part that begins at ``start``."""
    if value is None:
        return "nothing"
    text = json.dumps(f"…{value[start:]}" if start else value, ensure_ascii=False)
    return text if len(text) <= _ROOM else f"{text[:_ROOM]}…"
