"""The payload: its digest, its comparison with a remote object, and the body of an update."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_assistants import Assistant
from invoke_assistants.declare.digest import canonical, digest
from invoke_assistants.declare.payload import build_payload, create_body
from invoke_assistants.emulator.agent_models import Agent, AgentUpdate, fill_defaults, merge_update, request_fields
from invoke_assistants.reconcile.diff import compare, remote_payload, reset_body, reset_changes, stale_fields, update_body
from invoke_assistants.types import Desired, Location

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "properties", "schema", "z"]), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["a", "b", "c", "text", "properties"]), json_values, max_size=5)


def reordered(value: Any, draw: Any, keep: bool = False) -> Any:
    if isinstance(value, dict):
        keys = list(value) if keep else draw(st.permutations(list(value)))
        return {key: reordered(value[key], draw, key == "properties") for key in keys}
    return [reordered(item, draw) for item in value] if isinstance(value, list) else value


@settings(max_examples=examples(200), deadline=None)
@given(objects, st.data())
def test_the_digest_knows_no_key_order_but_that_of_properties(value: Any, data: Any) -> None:
    """The order of keys does not change the digest, except inside ``properties``."""
    assert digest(reordered(value, data.draw)) == digest(value)


def test_the_order_of_properties_counts() -> None:
    """A model answers in the order of its schema, so another order is another payload."""
    one = {"schema": {"properties": {"a": 1, "b": 2}, "type": "object"}}
    other = {"schema": {"type": "object", "properties": {"b": 2, "a": 1}}}
    assert digest(one) != digest(other)
    assert [change.field for change in compare({"text": one}, {"text": other})] == ["text.schema.properties"]


def test_the_digest_is_sha256_of_compact_sorted_utf8() -> None:
    """The canonical form is documented, so that anybody can compute the digest."""
    payload = {"model": "m", "instructions": "Grüße"}
    expected = hashlib.sha256('{"instructions":"Grüße","model":"m"}'.encode()).hexdigest()
    assert digest(payload) == f"sha256:{expected}"
    assert json.loads(canonical(payload)) == payload


@settings(max_examples=examples(200), deadline=None)
@given(objects)
def test_the_canonical_form_is_the_json_modules(value: Any) -> None:
    """Each value is spelled as the json module spells it without blanks and with what is not ASCII as it is."""

    def ordered(node: Any, keep: bool) -> Any:
        if isinstance(node, dict):
            return {key: ordered(node[key], key == "properties") for key in (node if keep else sorted(node))}
        return [ordered(item, False) for item in node] if isinstance(node, list) else node

    assert canonical(value) == json.dumps(ordered(value, False), ensure_ascii=False, separators=(",", ":"))


@settings(max_examples=examples(200), deadline=None)
@given(objects)
def test_nothing_differs_from_itself(value: Any) -> None:
    """A remote object that holds the configured payload shows no change, whatever else it holds."""
    assert compare({**copy.deepcopy(value), "id": "x", "created_at": 1}, value) == ()


@settings(max_examples=examples(200), deadline=None)
@given(objects, objects)
def test_equal_digests_mean_no_change_and_back(one: Any, other: Any) -> None:
    """Payloads with the same digest compare equal in both directions."""
    same = not compare(one, other) and not compare(other, one)
    if digest(one) == digest(other):
        assert same


FULL = Assistant(
    "full",
    model="m",
    instructions="Do it.",
    reasoning={"effort": "low", "summary": "auto"},
    verbosity="low",
    service_tier="flex",
    metadata={"team": "blue", "cost": "1"},
    tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "defer_loading": True}],
)
BARE = Assistant("full", model="m", instructions="Do it.", reasoning={"effort": "low"}, metadata={"team": "blue"},
                 tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}])  # fmt: skip


def desired(assistant: Assistant[Any]) -> Desired:
    payload = build_payload(assistant, "development")
    return Desired(assistant.name, "development", 0, Location("local", "local"), "p", payload, digest(payload))


def remote_of(each: Desired) -> dict[str, Any]:
    """The object that the service returns for a create, defaults included."""
    return {"id": "agent_1", **fill_defaults(request_fields(Agent.model_validate(create_body(each, "n"))))}


@pytest.mark.parametrize("assistant", [FULL, BARE, Assistant("plain", model="m")])
def test_the_services_defaults_are_no_change(assistant: Assistant[Any]) -> None:
    """A default that the service fills in is never a change."""
    each = desired(assistant)
    assert compare(remote_of(each), each.payload) == ()


def test_what_is_no_longer_configured_is_seen_and_cleared() -> None:
    """A field that only the recorded payload has is a change while it holds, and the update clears it."""
    full, bare = desired(FULL), desired(BARE)
    remote = remote_of(full)
    assert compare(remote, bare.payload) == ()
    left = stale_fields(remote, full.payload, bare.payload)
    assert {change.field for change in left} == {
        "text.verbosity", "reasoning.summary", "service_tier", "metadata.cost", "tools[0].defer_loading",
    }  # fmt: skip
    body = update_body(bare, full.payload, remote)
    assert body["text"]["verbosity"] is None
    assert body["reasoning"] == {"summary": None, "effort": "low"}
    assert body["service_tier"] is None
    assert body["tools"] == bare.payload["tools"]
    after = {"id": "agent_1", **fill_defaults(merge_update(remote, body))}
    assert compare(after, bare.payload) == ()
    assert stale_fields(after, full.payload, bare.payload) == ()


def test_an_update_keeps_other_peoples_metadata() -> None:
    """An update replaces all metadata, so it sends foreign pairs again, but not a pair that the declaration dropped."""
    full, bare = desired(FULL), desired(BARE)
    remote = remote_of(full)
    remote["metadata"]["theirs"] = "kept"
    sent = update_body(bare, full.payload, remote)["metadata"]
    assert sent["theirs"] == "kept"
    assert "cost" not in sent
    assert sent["asst.digest"] == bare.digest
    assert sent["asst.nonce"] == "n"


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda r: r.update(model="other"), "model"),
        (lambda r: r["text"].update(format={"type": "json_schema", "schema": {}}), "text.format.type"),
        (lambda r: r["tools"].append({"type": "web_search"}), "tools"),
        (lambda r: r["tools"][0]["parameters"].update(extra=1), "tools[0].parameters.extra"),
        (lambda r: r["tools"][0].update(name="g"), "tools[0].name"),
        (lambda r: r["metadata"].update(team="red"), "metadata.team"),
        (lambda r: r["tools"][0].update(defer_loading=0), "tools[0].defer_loading"),
    ],
)
def test_an_edit_is_found_by_its_field(edit: Any, field: str) -> None:
    """Each kind of remote edit is found by its field: an extra key in user-written JSON counts, and 0 is not false."""
    each = desired(FULL)
    remote = remote_of(each)
    edit(remote)
    assert [change.field for change in compare(remote, each.payload)] == [field]


def test_an_environment_overrides_whole_fields_and_the_description_is_for_people() -> None:
    """Overrides replace a field whole; the description is in no payload and no digest."""
    one = Assistant(
        "a", model="m", description="one", metadata={"k": "v"}, environments={"production": {"model": "x", "metadata": {}}}
    )
    other = Assistant("a", model="m", description="other", metadata={"k": "v"})
    assert one.payload("development")["metadata"] == {"k": "v"}
    assert one.payload("production")["model"] == "x"
    assert "metadata" not in one.payload("production")
    assert one.digest("development") == other.digest("development") != one.digest("production")
    assert "one" not in json.dumps(one.payload("development"))


tools_ = st.lists(
    st.sampled_from(
        [
            {"type": "web_search", "context_size": "low", "mode": "cached", "location": {"city": "Rome"}},
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "defer_loading": True},
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
            {"type": "programmatic_tool_calling", "enabled": False},
            {
                "type": "mcp",
                "server_label": "s",
                "transport": {"type": "http", "server_url": "https://x"},
                "request_metadata": {"k": 1},
                "connection_origin": "environment",
            },
        ]
    ),
    max_size=2,
    unique_by=lambda tool: tool["type"],
)
declarations = st.builds(
    lambda **given: Assistant("one", **given),
    model=st.sampled_from(["m", "n"]),
    instructions=st.sampled_from(["", "Do it."]),
    verbosity=st.sampled_from([None, "low", "medium"]),
    reasoning=st.sampled_from([None, {"effort": "low"}, {"summary": "auto"}, {"effort": "high", "summary": None}]),
    service_tier=st.sampled_from([None, "auto", "flex"]),
    metadata=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2"])),
    tools=tools_,
)


def leaves(value: Any, field: str = "") -> dict[str, Any]:
    """Every value of a payload by its field."""
    if isinstance(value, dict) and value:
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{field}.{key}" if field else key).items()}
    if isinstance(value, list) and value:
        return {k: v for index, item in enumerate(value) for k, v in leaves(item, f"{field}[{index}]").items()}
    return {field: value}


@settings(max_examples=examples(300), deadline=None)
@given(declarations, declarations, st.dictionaries(st.sampled_from(["x", "y"]), st.just("theirs")))
def test_after_a_reset_an_object_holds_the_declared_payload_alone(
    other: Assistant[Any], declared: Assistant[Any], foreign: dict[str, str]
) -> None:
    """Whatever an object held, a reset makes it equal to a new one, and the changes list every field and pair that differs."""
    each, before = desired(declared), remote_of(desired(other))
    before["metadata"] |= foreign
    after = {
        "id": "agent_1",
        **fill_defaults(merge_update(before, request_fields(AgentUpdate.model_validate(reset_body(each, before))))),
    }
    assert after == remote_of(each)
    assert reset_changes(after, each.payload) == ()
    said = [change.field for change in reset_changes(before, each.payload)]
    was = leaves({**remote_payload(before, each.payload), "metadata": before["metadata"]})
    now = leaves({**remote_payload(after, each.payload), "metadata": after["metadata"]})
    for field in was.keys() | now.keys():
        if (was.get(field) or None) != (now.get(field) or None) and field != "metadata.asst.digest":
            whole = (f"{field[: len('tools[0]')]}.type", field)  # where a tool is of another kind, that says all of it
            assert any(one in whole or field.startswith((f"{one}.", f"{one}[")) for one in said), (field, said)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
        {"type": "web_search"},
        {"type": "programmatic_tool_calling"},
        {"type": "computer_use"},
        {"type": "tool_search"},
    ],
)
def test_a_default_is_no_field_that_goes(tool: dict[str, Any]) -> None:
    """A reset reports no default that the service filled in."""
    each = desired(Assistant("one", model="m", tools=[tool]))
    assert reset_changes(remote_of(each), each.payload) == ()


def test_an_mcp_tools_metadata_that_is_no_longer_declared_is_seen() -> None:
    """User-written JSON that a tool had and the declared tool lacks is a field that goes, too."""
    tool = {"type": "mcp", "server_label": "s", "transport": {"type": "http", "server_url": "https://x"}}
    full = desired(Assistant("one", model="m", tools=[{**tool, "request_metadata": {"tenant": "a"}}]))
    bare = desired(Assistant("one", model="m", tools=[tool]))
    [change] = stale_fields(remote_of(full), full.payload, bare.payload)
    assert (change.field, change.before, change.after) == ("tools[0].request_metadata.tenant", "a", None)
