"""Agents as openai-python 3.54 types them: what a request may hold, and the defaults of every field.

Limits and defaults are those in the SDK's parameter documentation (``openai.types.beta.agent_create_params``).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ..declare.payload_models import Configuration
from ..types import JSONObject

__all__ = ["Agent", "AgentUpdate", "Metadata", "fill_defaults", "merge_update", "request_fields"]

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
MERGED_BY_KEY = frozenset({"text", "reasoning", "experimental"})  # an update replaces any other field as a whole


class AgentUpdate(Configuration):
    """The body of an update."""

    name: str | None = Field(default=None, max_length=128)
    metadata: Metadata | None = None


class Agent(AgentUpdate):
    """The body of a create."""

    model: str = Field(min_length=1)


def request_fields(request: Configuration) -> JSONObject:
    """The fields that a request sets, in the API's names; an explicit null stays."""
    fields = request.model_dump(by_alias=True, exclude_unset=True)
    if request.tools is not None:
        fields["tools"] = [tool.model_dump(by_alias=True) for tool in request.tools]
    return fields


def merge_update(agent: JSONObject, update: JSONObject) -> JSONObject:
    """The body that would create the agent as it is after the update."""
    before = {key: agent[key] for key in Agent.model_fields if key in agent}
    return before | {key: agent[key] | value if key in MERGED_BY_KEY and value else value for key, value in update.items()}


def fill_defaults(body: JSONObject) -> JSONObject:
    """The fields of an agent with every default filled in, as the service answers them.

    Args:
        body: the validated body of a create, in the API's names; null means the default.
    """
    fields = {key: value for key, value in body.items() if value is not None}
    text, reasoning = fields.get("text", {}), fields.get("reasoning", {})
    multi_agent = fields.get("multi_agent", {"enabled": False})
    return {
        "compaction": {"async": bool(fields.get("compaction", {}).get("async"))},
        "experimental": {"time_awareness": fields.get("experimental", {}).get("time_awareness", False)},
        "instructions": fields.get("instructions"),
        "metadata": fields.get("metadata", {}),
        "model": fields["model"],
        "multi_agent": {
            "enabled": multi_agent["enabled"],
            "max_concurrent_subagents": (multi_agent.get("max_concurrent_subagents") or 6) if multi_agent["enabled"] else None,
        },
        "name": fields.get("name"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": fields.get("service_tier", "auto"),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tools": [_fill_tool_defaults(tool) for tool in fields.get("tools", [])],
    }


def _fill_tool_defaults(tool: JSONObject) -> JSONObject:
    if tool["type"] == "mcp":
        empty: dict[str, Any] = {"headers": {}} if tool["transport"]["type"] == "http" else {"args": [], "env_vars": []}
        transport = _replace_nulls(tool["transport"], empty)
        return _replace_nulls({**tool, "transport": transport}, {"connection_origin": "service", "request_metadata": {}})
    if tool["type"] == "web_search":
        return _replace_nulls(tool, {"context_size": "medium", "mode": "live"})
    return tool


def _replace_nulls(fields: JSONObject, defaults: JSONObject) -> JSONObject:
    return fields | {key: value for key, value in defaults.items() if fields.get(key) is None}
