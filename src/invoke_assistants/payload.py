"""What is configured remotely: building it, its digest, comparing it with a remote object, writing it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .declaration import RESERVED, Declaration, plain
from .functions import tools
from .records import Change, JSONObject, Wanted
from .request import TOOLS
from .schema import lint, output_schema, size

__all__ = [
    "as_taken_over",
    "build",
    "canonical",
    "compare",
    "create_body",
    "declarable",
    "digest",
    "going",
    "is_ours",
    "leftovers",
    "problems",
    "remote_payload",
    "reset_body",
    "reset_changes",
    "taking_over",
    "too_many_pairs",
    "update_body",
    "warnings",
]

# Limits of the Agents API, from the parameter documentation of openai-python 3.54 (`client.beta.agents.create`).
MAX_INSTRUCTIONS = 1_048_576  # characters
MAX_NAME = 128  # characters of the remote name
MAX_PAIRS, MAX_PAIR_KEY, MAX_PAIR_VALUE = 16, 64, 512  # metadata: pairs, characters
MAX_TOOLS = 3 * 1024 * 1024  # bytes of the tool list as compact UTF-8 JSON

USER_JSON = frozenset({"schema", "parameters", "request_metadata"})  # written by the user: an extra key is a change
FIELDS = ("model", "instructions", "text", "reasoning", "tools", "service_tier", "metadata")  # what can be declared
_NOTHING: Any = object()
TAGS = ("asst.project", "asst.name", "asst.environment", "asst.digest", "asst.nonce")
# What openai-python 3.54 documents of a field that was never sent, where that is neither off nor empty.
DEFAULTS = {"verbosity": "medium", "service_tier": "auto", "context_size": "medium", "mode": "live", "enabled": True}


def build(declaration: Declaration[Any], environment: str) -> JSONObject:
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
    payload["tools"] = tools(declaration, environment)
    if fields["service_tier"] is not None:
        payload["service_tier"] = fields["service_tier"]
    if fields["metadata"]:
        payload["metadata"] = fields["metadata"]
    return payload


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys, except in any ``properties``: a model answers in the order of its schema."""

    def ordered(node: Any, keep: bool) -> Any:
        if isinstance(node, Mapping):
            return {key: ordered(node[key], key == "properties") for key in (node if keep else sorted(node))}
        return [ordered(item, False) for item in node] if isinstance(node, list | tuple) else node

    return json.dumps(ordered(value, False), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(payload: Mapping[str, Any]) -> str:
    """``sha256:`` and the SHA-256 of the payload's canonical JSON, in hex."""
    return "sha256:" + hashlib.sha256(canonical(payload).encode("utf-8", "surrogatepass")).hexdigest()


def compare(remote: Any, configured: Any) -> tuple[Change, ...]:
    """The configured fields whose remote value differs. What the service filled in by itself is no difference."""
    return tuple(_compare(remote, configured, "", False))


def _compare(remote: Any, configured: Any, field: str, exact: bool) -> Iterator[Change]:
    if isinstance(configured, Mapping) and isinstance(remote, Mapping):
        for key, value in configured.items():
            if key in remote:
                yield from _compare(remote[key], value, _join(field, key), exact or key in USER_JSON)
            elif value is not None or exact:
                yield Change(_join(field, key), None, value)
        if exact:
            yield from (Change(_join(field, key), remote[key], None) for key in remote if key not in configured)
            same = remote.keys() == configured.keys()
            if same and field.endswith(".properties") and list(remote) != list(configured):
                yield Change(field, list(remote), list(configured))
    elif _is_list(configured) and _is_list(remote) and len(configured) == len(remote):
        for index, (there, here) in enumerate(zip(remote, configured, strict=True)):
            yield from _compare(there, here, f"{field}[{index}]", exact)
    elif remote != configured or isinstance(remote, bool) is not isinstance(configured, bool):
        yield Change(field, remote, configured)


def leftovers(remote: Any, recorded: Any, declared: Any) -> tuple[Change, ...]:
    """The fields that only the recorded payload has and whose recorded value the remote object still holds."""
    return tuple(_leftovers(remote, recorded, declared, ""))


def going(remote: Mapping[str, Any], recorded: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that ``update_body`` takes away, whatever the remote object holds there, but for defaults.

    They are those that the recorded payload has and the declared one has not, with all that the object holds in them.
    """
    held = _held(remote, recorded, declared)
    return tuple(change for change in _leftovers(remote, held, declared, "") if not _is_default(change))


def _held(remote: Any, recorded: Any, declared: Any) -> Any:
    """The recorded payload with what a remote object holds in the place of each field that is not declared."""
    if _is_list(recorded) and _is_list(remote) and _is_list(declared):
        return [_held(*each) for each in zip(remote, recorded, declared, strict=False)]
    if not isinstance(recorded, Mapping) or not isinstance(remote, Mapping):
        return remote
    out = {}
    for key in recorded:
        below = declared.get(key, _NOTHING) if isinstance(declared, Mapping) else _NOTHING
        whole = below is _NOTHING and key != "metadata"  # of which only the pairs that were ours go
        out[key] = remote.get(key) if whole else _held(remote.get(key), recorded[key], below)
    return out


def _leftovers(remote: Any, recorded: Any, declared: Any, field: str) -> Iterator[Change]:
    if isinstance(recorded, Mapping) and isinstance(remote, Mapping):
        for key, value in recorded.items():
            below = declared.get(key, _NOTHING) if isinstance(declared, Mapping) else _NOTHING
            told = key == "schema" or (key in USER_JSON and below is not _NOTHING)  # by _compare, to the last key
            if key in remote and value is not None and not told:
                yield from _leftovers(remote[key], value, below, _join(field, key))
    elif _is_list(recorded) and _is_list(declared) and _is_list(remote):
        for index, (there, then, now) in enumerate(zip(remote, recorded, declared, strict=False)):
            yield from _leftovers(there, then, now, f"{field}[{index}]")
    elif declared is _NOTHING and remote == recorded:
        yield Change(field, remote, None)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _join(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key


def remote_payload(remote: Mapping[str, Any], declared: Mapping[str, Any]) -> JSONObject:
    """What a remote object holds of every field that an assistant can declare, defaults included, as a payload.

    Of its metadata only the pairs that are declared: the others are other people's.
    """
    text, held = remote.get("text") or {}, remote.get("metadata") or {}
    payload: JSONObject = {
        "model": remote.get("model"),
        "instructions": remote.get("instructions"),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity")},
        "reasoning": {"effort": None, "summary": None, **(remote.get("reasoning") or {})},
        "tools": remote.get("tools") or [],
        "service_tier": remote.get("service_tier"),
    }
    if pairs := {key: held[key] for key in declared.get("metadata", {}) if key in held}:
        payload["metadata"] = pairs
    return {key: plain(value) for key, value in payload.items()}


def declarable(remote: Mapping[str, Any]) -> JSONObject:
    """A remote object's name and every field that an assistant can declare, as they are."""
    return {key: remote.get(key) for key in ("name", *FIELDS)}


def create_body(wanted: Wanted, nonce: str) -> JSONObject:
    """The body that creates an instance: its payload, its remote name, our tags."""
    tags = {**wanted.identity, "asst.digest": wanted.digest, "asst.nonce": nonce}
    return {**wanted.payload, "name": wanted.remote_name, "metadata": {**wanted.payload.get("metadata", {}), **tags}}


def update_body(
    wanted: Wanted, recorded: Mapping[str, Any], remote: Mapping[str, Any], pending: Mapping[str, Any] | None = None
) -> JSONObject:
    """The body that brings a remote object to the declared payload.

    A field that the recorded payload (or one of a pending update) had and the declared one has not is sent as null; other
    people's metadata pairs are sent again, since an update replaces all of them.
    """
    earlier = [recorded, pending or {}]
    body = _with_nulls(wanted.payload, earlier)
    held: Mapping[str, str] = remote.get("metadata") or {}
    ours = {*TAGS}.union(*(payload.get("metadata", {}) for payload in earlier))
    foreign = {key: value for key, value in held.items() if key not in ours}
    tags = {**wanted.identity, "asst.digest": wanted.digest}
    if "asst.nonce" in held:
        tags["asst.nonce"] = held["asst.nonce"]
    return {**body, "name": wanted.remote_name, "metadata": {**foreign, **wanted.payload.get("metadata", {}), **tags}}


def _with_nulls(declared: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> JSONObject:
    body: JSONObject = {key: None for payload in earlier for key in payload if key not in declared}
    for key, value in declared.items():
        nested = isinstance(value, Mapping) and key not in ("format", "metadata")
        below = [payload[key] for payload in earlier if isinstance(payload.get(key), Mapping)]
        body[key] = _with_nulls(value, below) if nested else plain(value)
    return body


def reset_body(wanted: Wanted, remote: Mapping[str, Any]) -> JSONObject:
    """The body that brings a remote object to the declared payload and nothing else, whatever set its other fields.

    Every field that an assistant can declare and this one does not is sent as null; of the metadata only our tags stay.
    """
    tags = {key: value for key, value in (remote.get("metadata") or {}).items() if key in TAGS}
    return update_body(wanted, remote_payload(remote, wanted.payload), {"metadata": tags})


def reset_changes(remote: Mapping[str, Any], declared: Mapping[str, Any]) -> tuple[Change, ...]:
    """What ``reset_body`` changes: the configured fields that differ, and each other field and metadata pair that goes."""
    held = remote_payload(remote, declared)
    gone = (change for change in leftovers(held, held, declared) if not _is_default(change))
    pairs = (remote.get("metadata") or {}).items()
    kept = {*TAGS, *declared.get("metadata", {})}
    return (
        *compare(remote, declared),
        *gone,
        *(Change(f"metadata.{key}", value, None) for key, value in pairs if key not in kept),
    )


def _is_default(change: Change) -> bool:
    key = change.field.rpartition(".")[2]
    return bool(change.before == DEFAULTS[key]) if key in DEFAULTS else not change.before


def taking_over(wanted: Wanted, there: Mapping[str, Any], nonce: str) -> JSONObject:
    """The body that makes an existing object an instance: our name and tags, nothing else of it changed."""
    tags = {**wanted.identity, "asst.digest": digest(remote_payload(there, wanted.payload)), "asst.nonce": nonce}
    return {"name": wanted.remote_name, "metadata": {**(there.get("metadata") or {}), **tags}}


def as_taken_over(wanted: Wanted, there: Mapping[str, Any]) -> bool:
    """Whether an object's tags say that it was taken over as it still is."""
    return (there.get("metadata") or {}).get("asst.digest") == digest(remote_payload(there, wanted.payload))


def too_many_pairs(body: Mapping[str, Any], declared: Mapping[str, Any]) -> str | None:
    """Why a body's metadata has more pairs than the API takes, which they are and what helps; None where it has not."""
    pairs: Mapping[str, str] = body["metadata"]
    if len(pairs) <= MAX_PAIRS:
        return None
    own = [key for key in pairs if key in declared.get("metadata", {})]
    others = [key for key in pairs if key not in TAGS and key not in own]
    counted = [f"{len(pairs) - len(own) - len(others)} tags of ours"]
    counted += [f"{len(own)} declared ({', '.join(own)})"] if own else []
    counted += [f"{len(others)} that others put there ({', '.join(others)})"]
    fewer = "declare fewer, or remove" if own else "remove"
    return (
        f"{len(pairs)} metadata pairs, and the API takes {MAX_PAIRS}: {', '.join(counted)}: {fewer}"
        f" {len(pairs) - MAX_PAIRS} of the others' remotely"
    )


def problems(declaration: Declaration[Any], wanted: Wanted) -> list[str]:
    """What the platform would refuse in a declared instance, offline; each names the model and field or the limit."""
    payload, found = wanted.payload, []
    form = payload["text"]["format"]
    if form["type"] == "json_schema":
        found += lint(form["schema"], declaration.output.__name__ if declaration.output else "schema")
    if len(payload["instructions"] or "") > MAX_INSTRUCTIONS:
        found.append(f"instructions have {len(payload['instructions']):,} characters; at most {MAX_INSTRUCTIONS:,} are allowed")
    if len(wanted.remote_name) > MAX_NAME:
        found.append(
            f"the remote name {wanted.remote_name!r} has {len(wanted.remote_name)} characters; at most {MAX_NAME} are allowed"
        )
    if (bytes_ := size(payload["tools"])) > MAX_TOOLS:
        found.append(f"tools hold {bytes_:,} bytes of JSON; at most {MAX_TOOLS:,} (3 MiB) are allowed")
    found += [text for text, newer in _misfits(wanted) if not newer]
    pairs = create_body(wanted, "n" * 32)["metadata"]
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


def warnings(wanted: Wanted) -> list[str]:
    """What of a declared instance this package does not know and a newer API may take, offline."""
    return [f"{text}; a newer API may take it" for text, newer in _misfits(wanted) if newer]


def _misfits(wanted: Wanted) -> Iterator[tuple[str, bool]]:
    """What does not fit the API's types, and whether a newer API may take it, which the embedded platform is not."""
    from .configuration import Configuration, Pinned, misfits

    platform, payload = wanted.place.platform, wanted.payload
    unusable = {}
    if platform == "responses":
        kinds = [(f"tools[{index}]", tool.get("type")) for index, tool in enumerate(payload["tools"])]
        unusable = {where: kind for where, kind in kinds if kind not in list(TOOLS)}  # it may be a list itself
    for where, kind in unusable.items():
        yield f"{where} is {kind!r:.80}; on responses these can be used: {', '.join(sorted(TOOLS))}", False
    typed = {key: payload[key] for key in ("text", "reasoning", "tools", "service_tier") if key in payload}
    for fault in misfits(Pinned if platform == "responses" else Configuration, typed):
        if fault.param not in unusable:
            yield f"{fault.param.removeprefix('text.')}: {fault.reason}", fault.newer and platform != "local"


def is_ours(metadata: Mapping[str, Any], project_name: str) -> bool:
    """Whether an object's metadata carries the tags of one of this project's instances."""
    return metadata.get("asst.project") == project_name and all(f"{RESERVED}{key}" in metadata for key in ("name", "environment"))
