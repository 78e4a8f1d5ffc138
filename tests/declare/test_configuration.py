"""The configuration of an instance: the SDK's fields and values, validated alike by check and the embedded platform."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from conftest import MODELS, Host
from openai.types.beta.agent_create_params import AgentCreateParams
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.shared_params.reasoning import Reasoning
from pydantic import TypeAdapter

from invoke_assistants import Assistant
from invoke_assistants.declare.digest import digest
from invoke_assistants.declare.payload import build_payload, find_problems, find_warnings
from invoke_assistants.declare.payload_models import SDK_VERSION, Configuration, Pinned, validate
from invoke_assistants.emulator.agent_models import Agent
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.transport import Transport
from invoke_assistants.types import Desired, Location


def names(node: Any, root: Any, where: str = "") -> Iterator[str]:
    """Yield the path of each field and value in a JSON schema; an object's type is part of the path."""
    if "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    for key in ("anyOf", "oneOf"):
        for part in node.get(key, ()) if {"type": "string"} not in node.get(key, ()) else ():  # then any string will do
            yield from names(part, root, where)
    for value in node.get("enum", [node["const"]] if "const" in node else []):
        yield f"{where} = {value}"
    if isinstance(node.get("items"), dict):
        yield from names(node["items"], root, f"{where}[]")
    properties = node.get("properties", {})
    kind = properties.get("type", {}).get("const", "")
    for name, entry in properties.items():
        location = f"{where}{f'<{kind}>' if kind else ''}.{name.rstrip('_')}"  # the SDK calls one async_
        yield location
        yield from names(entry, root, location)


def assert_same_names(ours: Any, theirs: Any) -> None:
    mine, sdks = (set(names(schema, schema)) for schema in (ours, theirs))
    more = sorted(sdks - mine)
    assert not more, (
        f"openai {openai.__version__} names {more}: add them in configuration.py, and raise its SDK_VERSION to this version"
    )
    if openai.__version__.startswith(f"{SDK_VERSION}."):
        assert mine == sdks, f"openai {openai.__version__} does not name {sorted(mine - sdks)}: take them out of configuration.py"


def test_the_fields_and_values_are_the_sdks() -> None:
    """An agent has every field and value of the SDK's create; an older SDK may have fewer."""
    assert_same_names(Agent.model_json_schema(), TypeAdapter(AgentCreateParams).json_schema())


def test_what_goes_to_the_responses_api_has_the_values_of_its_own_types() -> None:
    """Reasoning and service tiers are those of the SDK's request."""
    ours = Pinned.model_json_schema()
    assert_same_names({**ours["$defs"]["PinnedReasoning"], "$defs": {}}, TypeAdapter(Reasoning).json_schema())
    tier = typing.get_type_hints(ResponseCreateParamsNonStreaming)["service_tier"]
    assert_same_names(ours["properties"]["service_tier"], TypeAdapter(tier).json_schema())


def check_offline(platform: str, **fields: Any) -> tuple[list[str], list[str]]:
    """The problems and the warnings of a declaration on a platform."""
    declaration = Assistant("one", model="any-model-at-all", **fields)
    payload = build_payload(declaration, "development")
    desired = Desired("one", "development", 0, Location(platform, "x"), "p", payload, digest(payload))
    return find_problems(declaration, desired), find_warnings(desired)


MISSPELT: list[tuple[dict[str, Any], str]] = [
    ({"reasoning": {"effort": "hihg"}},
     "reasoning.effort: 'hihg' is unknown; known: none, minimal, low, medium, high, xhigh, max; did you mean 'high'?"),
    ({"reasoning": {"efort": "high"}}, "reasoning.efort: 'efort' is unknown; known: effort, summary"),
    ({"verbosity": "Low"}, "verbosity: 'Low' is unknown; known: low, medium, high; did you mean 'low'?"),
    ({"service_tier": "priorty"}, "did you mean 'priority'?"),
    ({"tools": [{"type": "web_search"}, {"type": "web_search", "contextsize": "low"}]},
     "tools[1].contextsize: 'contextsize' is unknown; known: type, allowed_domains, context_size"),
    ({"tools": [{"type": "web_search", "mode": "lvie"}]}, "tools[0].mode: 'lvie' is unknown"),
]  # fmt: skip
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "function", "name": "f", "parameters": {}}]}, "tools[0].description: it is missing"),
    ({"tools": [{"name": "f"}]}, "is missing"),
    ({"tools": [{"type": ["web_search"]}]}, "tools[0]: ['web_search'] is unknown; known: function, "),
    ({"tools": [{"type": "web_search", "allowed_domains": "a.org"}]}, "tools[0].allowed_domains: Input should be a valid list"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort: 3 is unknown"),
]
NEWER: list[tuple[dict[str, Any], str]] = [
    ({"verbosity": "loud"}, "verbosity: 'loud'"),
    ({"service_tier": "x"}, "service_tier: 'x'"),
    ({"reasoning": {"effort": "deepest"}}, "reasoning.effort: 'deepest'"),
    ({"reasoning": {"budget": 3}}, "reasoning.budget: 'budget'"),
]
KINDS = [{"tools": [{"type": "web_fetch"}]}, {"tools": [{"type": "shell", "image": "x"}]}]


@pytest.mark.parametrize("platform", ["agents", "responses", "local"])
@pytest.mark.parametrize(("fields", "expected"), MISSPELT, ids=str)
def test_a_misspelt_value_is_refused_with_the_right_one(platform: str, fields: dict[str, Any], expected: str) -> None:
    """On every platform the message names the field, the known values and the closest one."""
    [problem], warned = check_offline(platform, **fields)
    assert warned == []
    if platform != "responses":  # whose types name some values more
        assert expected in problem
    assert "did you mean" in problem


@pytest.mark.parametrize(("fields", "expected"), MISSPELT, ids=str)
def test_a_misspelt_value_of_one_environment_is_refused_there(fields: dict[str, Any], expected: str) -> None:
    """What only production is configured with is checked as the rest: the message names the right value."""
    declaration = Assistant("one", model="m", environments={"production": fields})
    for environment in ("development", "production"):
        payload = build_payload(declaration, environment)
        desired = Desired("one", environment, 0, Location("agents", "x"), "p", payload, digest(payload))
        found = find_problems(declaration, desired)
        assert [expected in each and "did you mean" in each for each in found] == [True] * (environment == "production")


@pytest.mark.parametrize("platform", ["agents", "local"])
def test_a_misspelt_kind_of_tool_is_refused_with_the_right_one(platform: str) -> None:
    """The message names the tool's index."""
    [problem], warned = check_offline(platform, tools=[{"type": "tool_search"}, {"type": "web_serch"}])
    assert problem.startswith("tools[1]: 'web_serch' is unknown; known: function, tool_search, ")
    assert problem.endswith("; did you mean 'web_search'?")
    assert warned == []
    [problem], warned = check_offline("responses", tools=[{"type": "web_serch"}])
    assert problem == "tools[0] is 'web_serch'; on responses these can be used: function, web_search; did you mean 'web_search'?"
    assert warned == []


@pytest.mark.parametrize("platform", ["agents", "responses", "local"])
@pytest.mark.parametrize(("fields", "expected"), WRONG, ids=str)
def test_what_no_api_takes_is_refused(platform: str, fields: dict[str, Any], expected: str) -> None:
    """A missing field or one of the wrong type is a problem."""
    found, warned = check_offline(platform, **fields)
    assert warned == []
    if platform != "responses":
        assert expected in found[0]
    assert found


@pytest.mark.parametrize("platform", ["agents", "responses"])
@pytest.mark.parametrize(("fields", "expected"), NEWER, ids=str)
def test_what_a_newer_api_may_take_is_a_warning(platform: str, fields: dict[str, Any], expected: str) -> None:
    """The warning names the field, the SDK's version and the values that it knows; nothing is refused."""
    found, [warned] = check_offline(platform, **fields)
    assert found == []
    assert warned.startswith(
        f"{expected} is unknown to openai-python {SDK_VERSION} (installed: {openai.__version__}), which names "
    )
    assert warned.endswith("; a newer API may take it")


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_a_new_kind_of_tool_is_a_warning_where_it_is_sent_as_it_is(fields: dict[str, Any]) -> None:
    """On responses, where tools are translated, it is a problem."""
    found, [warned] = check_offline("agents", **fields)
    assert found == []
    assert f"'{fields['tools'][0]['type']}' is unknown to openai-python" in warned
    [problem], warned_of = check_offline("responses", **fields)
    assert "on responses these can be used" in problem
    assert warned_of == []


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"verbosity": "low", "service_tier": "flex", "reasoning": {"effort": "max", "summary": None}},
        {"tools": [{"type": "web_search", "location": {"city": "Bern"}}, {"type": "automations"}]},
        {"tools": [{"type": "mcp", "server_label": "m", "transport": {"type": "http", "server_url": "https://a.org"}}]},
        {"tools": [{"type": "function", "name": "f", "description": "", "parameters": {"any": {"thing": [1]}}, "async": True}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_sdk_names_is_taken(fields: dict[str, Any]) -> None:
    """Any model name is accepted, and so is anything inside a function's parameters."""
    for platform in ("agents", "local"):
        assert check_offline(platform, **fields) == ([], [])


def test_each_api_has_its_own_values() -> None:
    """A service tier that only the Responses API has is accepted there, and a warning elsewhere."""
    assert check_offline("responses", service_tier="scale", reasoning={"context": "auto"}) == ([], [])
    assert check_offline("agents", service_tier="scale")[1]


@pytest.mark.parametrize("fields", [*(fields for fields, _ in (*MISSPELT, *WRONG, *NEWER)), *KINDS], ids=str)
def test_the_embedded_platform_refuses_what_check_refuses_for_it(tmp_path: Path, fields: dict[str, Any]) -> None:
    """It answers 400 with the same field and the same words."""
    declaration = Assistant("one", model="m", **fields)
    [problem, *_], warned = check_offline("local", **fields)
    transport = Transport(EmbeddedAPI(tmp_path / "local.json"))
    with openai.OpenAI(api_key="none", base_url="http://local/v1", http_client=httpx2.Client(transport=transport)) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.beta.agents.create(**build_payload(declaration, "development"))
        assert list(client.beta.agents.list()) == []
    assert warned == []
    param, _, reason = problem.partition(": ")
    assert str(refused.value.param).removeprefix("text.") == param
    assert refused.value.code in ("missing_required_parameter", "unknown_parameter", "invalid_value", "invalid_type")
    if refused.value.code.startswith("invalid"):
        assert reason.removesuffix("?") in refused.value.message


def test_a_place_is_named_as_the_api_writes_it() -> None:
    """Indexes are in brackets, and pydantic's own steps are left out."""
    tool = {"type": "mcp", "server_label": "m", "transport": {"type": "stdio", "command": "c", "cwd": 3}}
    assert [error.param for error in validate(Configuration, {"tools": [tool, {"type": "mcp", "transport": {"type": "x"}}]})] == [
        "tools[0].transport.cwd", "tools[1].server_label", "tools[1].transport",
    ]  # fmt: skip


DOUBTFUL = MODELS + 'ASSISTANTS = [Assistant("one", model="m", verbosity="loud"), Assistant("two", model="m")]\n'


def test_check_shows_a_warning_and_goes_on(host: Host) -> None:
    """Check exits with 0 and does not call that row fine; other commands go on, since the service has the last word."""
    host.declare(DOUBTFUL)
    done = host.inv("asst.check")
    assert (done.code, done.err) == (0, "")
    assert f"unknown to openai-python {SDK_VERSION}" in done.out
    assert done.out.splitlines()[-2:] == ["none of 4 would be refused, 2 with a warning", "next: inv asst.plan"]
    assert host.inv("asst.plan").code == 0
    done = host.inv("asst.check", "--json")
    assert (done.code, done.json["ok"]) == (0, True)
    assert f"unknown to openai-python {SDK_VERSION}" in done.err


@pytest.mark.parametrize("value", ["loud", "lwo", "hihg"])
def test_check_shows_which_assistant_a_warning_is_about(host: Host, value: str) -> None:
    """A warning or an error stands below the first row of each assistant that it is about, and nowhere else."""
    declared = [f'Assistant("{name}", model="m", verbosity="{value}")' for name in ("one", "two")]
    host.declare(f"{MODELS}ASSISTANTS = [{', '.join(declared)}]\n")
    lines = host.inv("asst.check").out.splitlines()
    for name in ("one", "two"):
        [at] = [index for index, line in enumerate(lines) if line.split()[:2] == [name, "development"]]
        assert f"    verbosity: '{value}' is unknown" in lines[at + 1]
        assert lines[at + 2].split()[:2] == [name, "production"]


def test_check_refuses_for_the_embedded_platform_what_it_would_refuse(local_host: Host) -> None:
    """The embedded platform has no newer version; create refuses the declaration before it writes anything."""
    local_host.declare(DOUBTFUL)
    done = local_host.inv("asst.check")
    assert done.code == 1
    assert done.out.count("verbosity: 'loud' is unknown") == 1
    assert done.err == "2 of 4 would be refused\n"
    error = local_host.inv("asst.check", "--json").json["error"]
    assert error.startswith("one in development: verbosity: 'loud' is unknown")
    assert "; one in production: verbosity: 'loud' is unknown" in error
    done = local_host.inv("asst.create")
    assert done.code == 1
    assert "one in development: verbosity: 'loud' is unknown" in done.err
    assert not local_host.path.exists()
