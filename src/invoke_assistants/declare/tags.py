"""The metadata tags that mark a remote object as ours: whose instance it is, its digest, and the nonce of its create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types import IDENTITY_TAGS

__all__ = ["DIGEST_TAG", "NONCE_TAG", "RESERVED", "TAGS", "is_ours", "metadata_of"]

RESERVED = "asst."  # no metadata key of a user's own may begin with it
DIGEST_TAG, NONCE_TAG = "asst.digest", "asst.nonce"
TAGS = (*IDENTITY_TAGS, DIGEST_TAG, NONCE_TAG)


def metadata_of(there: Mapping[str, Any] | None) -> Mapping[str, str]:
    """The metadata of a remote object, tags included; empty where it has none, or there is no object."""
    metadata: Mapping[str, str] = (there or {}).get("metadata") or {}
    return metadata


def is_ours(metadata: Mapping[str, Any], project_name: str) -> bool:
    """Whether an object's metadata carries the tags of one of this project's instances."""
    project, *others = IDENTITY_TAGS
    return metadata.get(project) == project_name and all(tag in metadata for tag in others)
