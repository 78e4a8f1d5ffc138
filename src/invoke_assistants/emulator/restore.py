"""Restore the agents that the store records but the embedded API's file lacks, or holds in an older state. Pure."""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from ..declare.payload import create_body
from ..errors import StoreError
from ..types import LOCAL, Desired, JSONObject, Key, State
from .agent_models import Agent, fill_defaults, request_fields
from .validation import validation_error

__all__ = ["restore_agents"]


def restore_agents(state: JSONObject, recorded: State, project: str, now: int) -> dict[Key, bool]:
    """Restore each recorded agent that is missing or carries another tag, with its recorded id, tags and payload.

    Deleted agents stay deleted. An agent stays as it is, edited by hand or not, if it carries the record's tag, the tag of
    our pending update, no digest, or the identity of another assistant.

    Args:
        state: the content of the embedded API's file; changed in place.
        recorded: the store's content.
        project: the project's name.
        now: seconds since 1970.

    Returns:
        For each restored agent, whether it was there under another tag.

    Raises:
        StoreError: a recorded payload is not valid.
    """
    restored: dict[Key, bool] = {}
    for key, each in recorded.records.items():
        record = each.at(LOCAL)
        if record is None or record.id in state["deleted"]:
            continue
        desired = Desired(*key, 0, LOCAL, project, recorded.payloads[record.digest], record.remote_digest)
        agent = state["agents"].get(record.id)
        tags = agent["metadata"] if agent else {}
        pending = recorded.pending_operation(desired, "update")
        known = (None, record.remote_digest, pending.digest if pending else None)
        if agent and (tags.get("asst.digest") in known or not desired.identity.items() <= tags.items()):
            continue
        nonce = tags.get("asst.nonce") or hashlib.sha256(record.id.encode()).hexdigest()[:32]
        created = agent["created_at"] if agent else now
        state["agents"][record.id] = {
            "id": record.id, "object": "agent", "created_at": created, "updated_at": now, **_agent_fields(desired, nonce),
        }  # fmt: skip
        restored[key] = agent is not None
    return restored


def _agent_fields(desired: Desired, nonce: str) -> JSONObject:
    try:
        return fill_defaults(request_fields(Agent.model_validate(create_body(desired, nonce))))
    except ValidationError as error:
        reason = str(validation_error(Agent, error))
        raise StoreError(f"{desired.name} in {desired.environment} cannot be restored on local: {reason}") from None
