"""What is configured remotely: building it, its digest, comparing it with a remote object, writing it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..types import Desired, JSONObject
from .declaration import Declaration, plain
from .digest import canonical
from .function_tools import define_tools
from .request_bodies import SUPPORTED_TOOLS
from .strict_schema import lint, output_schema, size

__all__ = ["build_payload", "create_body", "find_problems", "find_warnings"]

# Limits of the Agents API, from the parameter documentation of openai-python 3.54 (`client.beta.agents.create`).
MAX_INSTRUCTIONS = 1_048_576  # characters
MAX_NAME = 128  # characters of the remote name
MAX_PAIRS, MAX_PAIR_KEY, MAX_PAIR_VALUE = 16, 64, 512  # metadata: pairs, characters
MAX_TOOLS = 3 * 1024 * 1024  # bytes of the tool list as compact UTF-8 JSON


def build_payload(declaration: Declaration[Any], environment: str) -> JSONObject:
    """The payload of an assistant in one environment: everything configured remotely, nothing else.

    Raises:
        DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
    """
    fields = {key: plain(value) for key, value in declaration.fields(environment).items()}
    output = declaration.output
    text: JSONObject = {"format": {"type": "text"}}
    if output is not None and output is not str:
        text = {"format": {"type": "json_schema", "schema": output_schema(output)}}
    if fields["verbosity"] is not None:
        text["verbosity"] = fields["verbosity"]
    payload: JSONObject = {"model": fields["model"], "instructions": fields["instructions"] or None, "text": text}
    if fields["reasoning"]:
        payload["reasoning"] = fields["reasoning"]
    payload["tools"] = define_tools(declaration, environment)
    if fields["service_tier"] is not None:
        payload["service_tier"] = fields["service_tier"]
    if fields["metadata"]:
        payload["metadata"] = fields["metadata"]
    return payload


def create_body(desired: Desired, nonce: str) -> JSONObject:
    """The body that creates an instance: its payload, its remote name, our tags."""
    tags = {**desired.identity, "asst.digest": desired.digest, "asst.nonce": nonce}
    return {**desired.payload, "name": desired.remote_name, "metadata": {**desired.payload.get("metadata", {}), **tags}}


def find_problems(declaration: Declaration[Any], desired: Desired) -> list[str]:
    """What the platform would refuse in a declared instance, offline; each names the model and field or the limit."""
    payload, found = desired.payload, []
    form = payload["text"]["format"]
    if form["type"] == "json_schema":
        found += lint(form["schema"], declaration.output.__name__ if declaration.output else "schema")
    if len(payload["instructions"] or "") > MAX_INSTRUCTIONS:
        found.append(f"instructions have {len(payload['instructions']):,} characters; at most {MAX_INSTRUCTIONS:,} are allowed")
    if len(desired.remote_name) > MAX_NAME:
        found.append(
            f"the remote name {desired.remote_name!r} has {len(desired.remote_name)} characters; at most {MAX_NAME} are allowed"
        )
    if (bytes_ := size(payload["tools"])) > MAX_TOOLS:
        found.append(f"tools hold {bytes_:,} bytes of JSON; at most {MAX_TOOLS:,} (3 MiB) are allowed")
    found += [text for text, newer in _type_errors(desired) if not newer]
    pairs = create_body(desired, "n" * 32)["metadata"]
    if len(pairs) > MAX_PAIRS:
        found.append(f"metadata has {len(pairs)} pairs with our 5 tags; at most {MAX_PAIRS} are allowed")
    for key, value in pairs.items():
        if not 1 <= len(key) <= MAX_PAIR_KEY:
            found.append(f"metadata key {key!r:.80} has {len(key)} characters; 1 to {MAX_PAIR_KEY} are allowed")
        if len(value) > MAX_PAIR_VALUE:
            found.append(f"metadata[{key!r:.80}] has {len(value)} characters; at most {MAX_PAIR_VALUE} are allowed")
    try:
        canonical(payload).encode()
    except UnicodeEncodeError:
        found.append("some text holds a lone surrogate, which is no valid Unicode")
    return found


def find_warnings(desired: Desired) -> list[str]:
    """What of a declared instance this package does not know and a newer API may take, offline."""
    return [f"{text}; a newer API may take it" for text, newer in _type_errors(desired) if newer]


def _type_errors(desired: Desired) -> Iterator[tuple[str, bool]]:
    """What does not fit the API's types, and whether a newer API may take it, which the embedded platform is not."""
    from .configuration import Configuration, Pinned, validate

    platform, payload = desired.location.platform, desired.payload
    unusable = {}
    if platform == "responses":
        kinds = [(f"tools[{index}]", tool.get("type")) for index, tool in enumerate(payload["tools"])]
        unusable = {where: kind for where, kind in kinds if kind not in list(SUPPORTED_TOOLS)}  # it may be a list itself
    for where, kind in unusable.items():
        yield f"{where} is {kind!r:.80}; on responses these can be used: {', '.join(sorted(SUPPORTED_TOOLS))}", False
    typed = {key: payload[key] for key in ("text", "reasoning", "tools", "service_tier") if key in payload}
    for error in validate(Pinned if platform == "responses" else Configuration, typed):
        if error.param not in unusable:
            yield f"{error.param.removeprefix('text.')}: {error.reason}", error.newer and platform != "local"
