"""The metadata tags that say whose instance a remote object is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RESERVED", "is_ours"]

RESERVED = "asst."  # metadata keys of this package's own tags

TAGS = ("asst.project", "asst.name", "asst.environment", "asst.digest", "asst.nonce")


def is_ours(metadata: Mapping[str, Any], project_name: str) -> bool:
    """Whether an object's metadata carries the tags of one of this project's instances."""
    return metadata.get("asst.project") == project_name and all(f"{RESERVED}{key}" in metadata for key in ("name", "environment"))
