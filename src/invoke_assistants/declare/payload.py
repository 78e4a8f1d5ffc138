"""The payload: what an instance is configured with, built from a declaration and checked offline. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..text import did_you_mean
from ..types import Desired, JSONObject
from .declaration import Declaration, plain
from .digest import json_size
from .function_tools import define_tools
from .request_bodies import SUPPORTED_TOOLS
from .strict_schema import lint_output, output_schema
from .tags import DIGEST_TAG, NONCE_TAG

__all__ = ["build_payload", "create_body", "find_naming_problems", "find_payload_problems", "find_problems", "find_warnings"]

# Limits of the Agents API, from the parameter documentation of openai-python 3.54 (`client.beta.agents.create`).
MAX_INSTRUCTIONS = 1_048_576  # characters
MAX_NAME = 128  # characters of the remote name
MAX_PAIRS, MAX_PAIR_KEY, MAX_PAIR_VALUE = 16, 64, 512  # metadata: pairs, characters
MAX_TOOLS = 3 * 1024 * 1024  # bytes of the list of tools as compact UTF-8 JSON


def build_payload(declaration: Declaration[Any], environment: str) -> JSONObject:
    """Build the payload of an assistant in one environment: everything that is configured remotely, nothing else.

    Its output schema is shared by all payloads with the same output model, and must not be changed.

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
    """The body of the request that creates an instance: its payload, its remote name, our tags."""
    tags = {**desired.identity, DIGEST_TAG: desired.digest, NONCE_TAG: nonce}
    return {**desired.payload, "name": desired.remote_name, "metadata": {**desired.payload.get("metadata", {}), **tags}}


def find_problems(declaration: Declaration[Any], desired: Desired) -> list[str]:
    """Find offline what the platform would refuse in a declared instance; each line names the field or the limit."""
    return [*find_payload_problems(declaration, desired), *find_naming_problems(desired)]


def find_payload_problems(declaration: Declaration[Any], desired: Desired) -> list[str]:
    """Those of the problems that all instances with the same payload on the same platform have."""
    found: list[str] = []
    if declaration.output and desired.payload["text"]["format"]["type"] == "json_schema":
        found += lint_output(declaration.output)
    found += _exceeded_limits(desired.payload)
    found += [text for text, newer in _type_errors(desired) if not newer]
    try:
        json.dumps(desired.payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        found.append("some text holds a lone surrogate, which is not valid Unicode")
    return found


def find_naming_problems(desired: Desired) -> list[str]:
    """Those of the problems that an instance's remote name and metadata have."""
    name = desired.remote_name
    long = f"the remote name {name!r} has {len(name)} characters; at most {MAX_NAME} are allowed"
    return [*([long] if len(name) > MAX_NAME else []), *_metadata_problems(create_body(desired, "n" * 32)["metadata"])]


def find_warnings(desired: Desired) -> list[str]:
    """Find offline what this package does not know in a declared instance and a newer API may take."""
    return [f"{text}; a newer API may take it" for text, newer in _type_errors(desired) if newer]


def _exceeded_limits(payload: JSONObject) -> Iterator[str]:
    instructions = payload["instructions"] or ""
    if len(instructions) > MAX_INSTRUCTIONS:
        yield f"instructions have {len(instructions):,} characters; at most {MAX_INSTRUCTIONS:,} are allowed"
    if (size := json_size(payload["tools"])) > MAX_TOOLS:
        yield f"tools hold {size:,} bytes of JSON; at most {MAX_TOOLS:,} (3 MiB) are allowed"


def _metadata_problems(pairs: Mapping[str, str]) -> Iterator[str]:
    if len(pairs) > MAX_PAIRS:
        yield f"metadata has {len(pairs)} pairs with our 5 tags; at most {MAX_PAIRS} are allowed"
    for key, value in pairs.items():
        if not 1 <= len(key) <= MAX_PAIR_KEY:
            yield f"metadata key {key!r:.80} has {len(key)} characters; 1 to {MAX_PAIR_KEY} are allowed"
        if len(value) > MAX_PAIR_VALUE:
            yield f"metadata[{key!r:.80}] has {len(value)} characters; at most {MAX_PAIR_VALUE} are allowed"


def _type_errors(desired: Desired) -> Iterator[tuple[str, bool]]:
    """Yield what the API's types do not allow, and whether a newer API may allow it (never on ``local``)."""
    platform, payload = desired.location.platform, desired.payload
    typed = {key: payload[key] for key in ("text", "reasoning", "tools", "service_tier") if key in payload}
    if typed == {"text": {"format": typed["text"]["format"]}, "tools": []}:  # as made where nothing is given: never wrong
        return
    from .payload_models import Configuration, Pinned, validate

    unusable: set[str] = set()
    for index, tool in enumerate(payload["tools"] if platform == "responses" else ()):
        where, kind = f"tools[{index}]", tool.get("type")
        if kind not in list(SUPPORTED_TOOLS):  # a list: the kind may be unhashable
            unusable.add(where)
            usable = f"{', '.join(sorted(SUPPORTED_TOOLS))}{did_you_mean(str(kind), SUPPORTED_TOOLS)}"
            yield f"{where} is {kind!r:.80}; on responses these can be used: {usable}", False
    for error in validate(Pinned if platform == "responses" else Configuration, typed):
        if error.param not in unusable:
            yield f"{error.param.removeprefix('text.')}: {error.reason}", error.newer and platform != "local"
