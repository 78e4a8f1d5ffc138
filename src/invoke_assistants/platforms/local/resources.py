"""The Agents API's resources as openai-python 3.54 types them: what a request may hold, and every default resolved.

Limits and defaults are those in the SDK's parameter documentation (``openai.types.beta.agent_create_params``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["Agent", "AgentUpdate", "Configuration", "Metadata", "Strict", "given", "merged", "resolved"]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier = Literal["auto", "default", "flex", "priority", "fast", "ultrafast"]
Level = Literal["low", "medium", "high"]


class Strict(BaseModel):
    """No unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class TextFormat(Strict):
    type: Literal["text"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class Text(Strict):
    format: Annotated[TextFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Level | None = None


class Reasoning(Strict):
    effort: Effort | None = None
    summary: Literal["concise", "detailed", "auto"] | None = None


class Compaction(Strict):
    async_: bool | None = Field(default=False, alias="async")


class Experimental(Strict):
    time_awareness: bool = False


class MultiAgent(Strict):
    enabled: bool
    max_concurrent_subagents: int | None = None


class Function(Strict):
    type: Literal["function"]
    name: str
    description: str
    parameters: dict[str, Any]
    async_: bool = Field(default=False, alias="async")
    defer_loading: bool = False


class ToolSearch(Strict):
    type: Literal["tool_search"]


class Programmatic(Strict):
    type: Literal["programmatic_tool_calling"]
    enabled: bool = True


class HTTPTransport(Strict):
    type: Literal["http"]
    server_url: str
    headers: dict[str, str] | None = None


class StdioTransport(Strict):
    type: Literal["stdio"]
    command: str
    cwd: str
    args: list[str] | None = None
    env_vars: list[str] | None = None


class MCP(Strict):
    type: Literal["mcp"]
    server_label: str
    transport: Annotated[HTTPTransport | StdioTransport, Field(discriminator="type")]
    allowed_tools: list[str] | None = None
    connection_origin: Literal["service", "environment"] | None = None
    credential_id: str | None = None
    request_metadata: dict[str, Any] | None = None
    required: bool = False


class Location(Strict):
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearch(Strict):
    type: Literal["web_search"]
    allowed_domains: list[str] | None = None
    context_size: Level | None = None
    location: Location | None = None
    mode: Literal["disabled", "cached", "live"] | None = None


class ComputerUse(Strict):
    type: Literal["computer_use"]
    include_screenshots: bool = False


class Automations(Strict):
    type: Literal["automations"]


Tool = Annotated[Function | ToolSearch | Programmatic | MCP | WebSearch | ComputerUse | Automations, Field(discriminator="type")]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]


class Configuration(Strict):
    """What a session may set anew: anything left out is unchanged, null goes back to the default."""

    model: str = Field(default="", min_length=1)
    instructions: str | None = Field(default=None, max_length=1_048_576)
    compaction: Compaction | None = None
    experimental: Experimental | None = None
    multi_agent: MultiAgent | None = None
    reasoning: Reasoning | None = None
    service_tier: Tier | None = None
    text: Text | None = None
    tools: list[Tool] | None = None


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
