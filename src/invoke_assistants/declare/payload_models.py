"""The fields and values of an instance's configuration, as openai-python types them, and errors in the API's terms. Pure.

``check`` and the embedded platform validate with the same models; importing them needs no openai. A test holds their
fields and values equal to the SDK's (``openai.types.beta.agent_create_params``,
``openai.types.responses.response_create_params``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["SDK_VERSION", "Configuration", "FieldError", "Pinned", "Strict", "field_errors", "validate"]

SDK_VERSION = "3.57"  # the newest openai-python with exactly these types; they have not changed since 3.54
SIMILARITY = 0.75  # a value this close to a known one is a misspelling: "hihg" is, "web_fetch" for web_search is not

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


class Configuration(Strict):
    """The fields that a session may override: one that is left out stays as it is, null restores the default."""

    model: str = Field(default="", min_length=1)
    instructions: str | None = Field(default=None, max_length=1_048_576)
    compaction: Compaction | None = None
    experimental: Experimental | None = None
    multi_agent: MultiAgent | None = None
    reasoning: Reasoning | None = None
    service_tier: Tier | None = None
    text: Text | None = None
    tools: list[Tool] | None = None


class PinnedReasoning(Reasoning):
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    mode: str | None = None


class Pinned(Strict):
    """The fields that go with each call of the Responses API, whose types have some more values."""

    reasoning: PinnedReasoning | None = None
    service_tier: Literal[Tier, "scale"] | None = None
    text: Text | None = None
    tools: list[Tool] | None = None


@dataclass(frozen=True)
class FieldError:
    """One field or value that a configuration may not have.

    Args:
        param: the field's path, such as ``tools[0].name``.
        code: OpenAI's error code.
        reason: what is wrong, to follow ``param`` in a message.
        newer: whether an API newer than the SDK's types may take it.
    """

    param: str
    code: str
    reason: str
    newer: bool = False


def validate(kind: type[Strict], value: Any) -> list[FieldError]:
    """Validate plain JSON and return every error."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        return field_errors(kind, error)
    return []


def field_errors(kind: type[Strict], error: ValidationError) -> list[FieldError]:
    """Translate pydantic's errors into the API's terms."""
    return [_field_error(kind, item) for item in error.errors(include_url=False)]


def _field_error(kind: type[Strict], item: Any) -> FieldError:
    param, models = _locate(kind, item["loc"])
    found = item["type"]
    if found in ("missing", "union_tag_not_found"):
        return FieldError(param if found == "missing" else f"{param}.type", "missing_required_parameter", "it is missing")
    if found == "extra_forbidden":
        return _unknown_value(param, "unknown_parameter", item["loc"][-1], [key for model in models for key in _fields(model)])
    if found == "literal_error":
        return _unknown_value(param, "invalid_value", item["input"], item["ctx"]["expected"].split("'")[1::2])
    if found == "union_tag_invalid":
        return _unknown_value(param, "invalid_value", item["input"]["type"], [_discriminator(model) for model in models])
    return FieldError(param, "invalid_type" if found.endswith("_type") else "invalid_value", item["msg"])


def _unknown_value(param: str, code: str, value: Any, known: Sequence[str]) -> FieldError:
    """The error for an unknown field or value: a misspelling of a known one, or perhaps of a newer API."""
    close = get_close_matches(value.casefold(), known, n=1, cutoff=SIMILARITY) if isinstance(value, str) else []
    names = ", ".join(known)
    if close or not isinstance(value, str):
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return FieldError(param, code, f"{value!r:.80} is unknown; known: {names}{hint}")
    sdk = f"openai-python {SDK_VERSION} (installed: {version('openai')})"
    return FieldError(param, code, f"{value!r:.80} is unknown to {sdk}, which names {names}", newer=True)


def _locate(kind: type[Strict], steps: Iterable[int | str]) -> tuple[str, list[type[Strict]]]:
    """Translate the path of a pydantic error: return the field as the API writes it, and the models that may stand there.

    For an unknown field the models are those of the object around it.
    """
    param, here = "", [kind]
    for step in steps:
        if isinstance(step, int):
            param += f"[{step}]"
        elif len(here) > 1:  # pydantic's own step: the discriminator, which picks one of several models
            here = [model for model in here if _discriminator(model) == step] or here
        else:
            param += f".{step}" if param else step
            here = [each for model in here if step in _fields(model) for each in _models_in(_fields(model)[step])] or here
    return param, here


def _fields(model: type[Strict]) -> dict[str, Any]:
    """The type of each field, by its name in JSON."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _discriminator(model: type[Strict]) -> str:
    return str(next(iter(get_args(model.model_fields["type"].annotation)), "")) if "type" in model.model_fields else ""


def _models_in(annotation: Any) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
