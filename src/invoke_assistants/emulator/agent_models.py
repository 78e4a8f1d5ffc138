"""The Agents API's resources as openai-python 3.54 types them: what a request may hold, and every default resolved.

Limits and defaults are those in the SDK's parameter documentation (``openai.types.beta.agent_create_params``).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ..declare.configuration import Configuration, Strict

__all__ = ["Agent", "AgentUpdate", "Configuration", "Metadata", "Strict", "given", "merged", "resolved"]

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]


class AgentUpdate(Configuration):
    """What an update may hold."""

    name: str | None = Field(default=None, max_length=128)
    metadata: Metadata | None = None


class Agent(AgentUpdate):
    """What a create may hold."""

    model: str = Field(min_length=1)


def given(request: Configuration) -> dict[str, Any]:
    """What a request holds, in wire names, its own nulls included."""
    fields = request.model_dump(by_alias=True, exclude_unset=True)
    if request.tools is not None:
        fields["tools"] = [tool.model_dump(by_alias=True) for tool in request.tools]
    return fields


def merged(resource: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """The create body that would make a resource as it is after an update."""
    by_key = ("text", "reasoning", "experimental")
    kept = {key: resource[key] for key in Agent.model_fields if key in resource}
    return kept | {key: resource[key] | value if key in by_key and value else value for key, value in update.items()}


def resolved(request: dict[str, Any]) -> dict[str, Any]:
    """The fields of an agent's resource, every default filled in as the service answers it.

    Args:
        request: a validated create body in wire names, nulls and all.
    """
    fields = {key: value for key, value in request.items() if value is not None}
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
        "tools": [_resolved_tool(tool) for tool in fields.get("tools", [])],
    }


def _resolved_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] == "mcp":
        transport = dict(tool["transport"])
        empty: dict[str, Any] = {"headers": {}} if transport["type"] == "http" else {"args": [], "env_vars": []}
        transport |= {key: value for key, value in empty.items() if transport.get(key) is None}
        defaults = {"connection_origin": "service", "request_metadata": {}}
        filled = {key: value for key, value in defaults.items() if tool.get(key) is None}
        return {**tool, "transport": transport, **filled}
    if tool["type"] == "web_search":
        return {**tool, "context_size": tool["context_size"] or "medium", "mode": tool["mode"] or "live"}
    return tool
