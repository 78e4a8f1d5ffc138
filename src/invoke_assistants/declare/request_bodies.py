"""The body of a request made from a payload: for the Responses API, or for chat completions. Pure.

A payload is written in the Agents API's terms; those of the requests are openai-python 3.54's types
(``responses.ToolParam``, ``responses.ResponseTextConfigParam``, ``chat.completion_create_params``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..types import JSONObject

__all__ = ["SUPPORTED_TOOLS", "chat_request", "responses_request"]

SUPPORTED_TOOLS = frozenset({"function", "web_search"})  # the types of tools that these requests have, too


def responses_request(payload: Mapping[str, Any]) -> JSONObject:
    """The part of a payload that goes with each call of the Responses API."""
    text = dict(payload["text"])
    if text["format"]["type"] == "json_schema":
        text["format"] = {"type": "json_schema", **_named_schema(text["format"]["schema"])}
    tools = [_translate_tool(tool) for tool in payload["tools"] if tool.get("mode") != "disabled"]
    body = {**payload, "text": text, "tools": tools}
    return {key: value for key, value in body.items() if value not in (None, [], {})}


def chat_request(payload: Mapping[str, Any]) -> JSONObject:
    """The part of a payload that goes with a call of chat completions, messages apart; it has no server-side tools."""
    body: JSONObject = {"model": payload["model"]}
    if payload["text"]["format"]["type"] == "json_schema":
        schema = _named_schema(payload["text"]["format"]["schema"])
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    functions = [_translate_tool(tool) for tool in payload["tools"] if tool["type"] == "function"]
    if functions:
        body["tools"] = [{"type": "function", "function": {k: v for k, v in each.items() if k != "type"}} for each in functions]
    if effort := (payload.get("reasoning") or {}).get("effort"):
        body["reasoning_effort"] = effort
    return body


def _named_schema(schema: Mapping[str, Any]) -> JSONObject:
    """A strict schema under the name that both endpoints require: 1 to 64 letters, digits, ``_`` and ``-``."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title", "")))[:64]
    return {"name": name or "output", "schema": dict(schema), "strict": True}


def _translate_tool(tool: Mapping[str, Any]) -> JSONObject:
    if tool["type"] == "function":
        # The Agents API takes free-form parameters; here they would be strict by default.
        return {"type": "function", **{key: tool[key] for key in ("name", "description", "parameters")}, "strict": False}
    location = {key: value for key, value in (tool.get("location") or {}).items() if value is not None}
    found: JSONObject = {
        "search_context_size": tool.get("context_size"),
        "filters": {"allowed_domains": tool["allowed_domains"]} if tool.get("allowed_domains") else None,
        "user_location": {"type": "approximate", **location} if location else None,
        "external_web_access": False if tool.get("mode") == "cached" else None,
    }
    return {"type": "web_search", **{key: value for key, value in found.items() if value is not None}}
