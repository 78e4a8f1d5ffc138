"""The store's instances in the embedded platform's objects: what is lacking or older there is made as recorded. Pure."""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from ..declare.payload import create_body
from ..errors import StoreError
from ..types import LOCAL, Desired, JSONObject, Key, State
from .agent_models import Agent, given, resolved
from .validation import rejected

__all__ = ["put_back"]


def put_back(state: JSONObject, recorded: State, project: str, now: int) -> dict[Key, bool]:
    """Make what the store records and the state lacks, or holds under another tag, under its id, tags and payload.

    What was deleted stays deleted. What carries the record's tag, or that of an update of ours that got through, stays as
    it is, edits by hand included; so does what carries no digest, or another row's tags.

    Args:
        state: the embedded platform's; it is changed.
        now: seconds since 1970.

    Returns:
        By assistant and environment what was made, and whether it was there under another tag.

    Raises:
        StoreError: a recorded payload is none that the platform takes.
    """
    made: dict[Key, bool] = {}
    for key, each in recorded.records.items():
        record = each.at(LOCAL)
        if record is None or record.id in state["deleted"]:
            continue
        desired = Desired(*key, 0, LOCAL, project, recorded.payloads[record.digest], record.remote_digest)
        there = state["agents"].get(record.id)
        tags = there["metadata"] if there else {}
        intent = recorded.pending_operation(desired, "update")
        known = (None, record.remote_digest, intent.digest if intent else None)
        if there and (tags.get("asst.digest") in known or not desired.identity.items() <= tags.items()):
            continue
        nonce = tags.get("asst.nonce") or hashlib.sha256(record.id.encode()).hexdigest()[:32]
        created = there["created_at"] if there else now
        state["agents"][record.id] = {
            "id": record.id, "object": "agent", "created_at": created, "updated_at": now, **_fields(desired, nonce),
        }  # fmt: skip
        made[key] = there is not None
    return made


def _fields(desired: Desired, nonce: str) -> JSONObject:
    try:
        return resolved(given(Agent.model_validate(create_body(desired, nonce))))
    except ValidationError as error:
        what = str(rejected(Agent, error))
        raise StoreError(f"{desired.name} in {desired.environment} cannot be put back on local: {what}") from None
