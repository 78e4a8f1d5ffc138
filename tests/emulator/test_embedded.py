"""The embedded API: which requests it accepts and refuses, and who may read its files."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.transport import Transport

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA: dict[str, Any] = {
    "$schema": DIALECT,
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture
def service(tmp_path: Path) -> EmbeddedAPI:
    return EmbeddedAPI(tmp_path / ".asst" / "local.json")


def sdk(service: EmbeddedAPI) -> openai.OpenAI:
    http_client = httpx2.Client(transport=Transport(service))
    return openai.OpenAI(api_key="x", base_url="http://local/v1", http_client=http_client, max_retries=0)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def tool(parameters: str) -> str:
    return f'[{{"type": "function", "name": "f", "description": "d", "parameters": {parameters}}}]'


def test_a_schema_may_name_its_dialect(service: EmbeddedAPI) -> None:
    """Create, update and sessions accept and keep ``$schema`` at the root, where zod writes it; elsewhere it is refused."""
    text: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    with sdk(service) as client:
        made = client.beta.agents.create(model="m", text=text)
        changed = client.beta.agents.update(made.id, text=text)
        for agent in (made, changed, client.beta.agents.retrieve(made.id)):
            assert agent.to_dict()["text"]["format"]["schema"] == SCHEMA  # type: ignore[index]
        stream = client.beta.agents.sessions.create(
            agent={"model": "m", "text": text}, environment={"type": "none"}, input="x", stream=True
        )
        assert json.loads(stream.get_final_result().output_text)["a"]
        inner = {**SCHEMA, "properties": {"a": {"type": "string", "$schema": DIALECT}}}
        text = {"format": {"type": "json_schema", "schema": inner}}
        with pytest.raises(openai.BadRequestError, match=r"\$schema"):
            client.beta.agents.create(model="m", text=text)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '{"a": [-1e999]}', nested(150), nested(960), nested(100_000)])
@pytest.mark.parametrize("path", ["/v1/agents", "/v1/agents/sessions"])
def test_a_body_that_cannot_be_read_back_is_refused(service: EmbeddedAPI, path: str, value: str) -> None:
    """A number that is not JSON and too deep a nesting are a 400 in every field, and nothing is saved."""
    status, kept = service.handle("POST", "/v1/agents", {}, b'{"model": "m"}')
    assert status == 200
    for field in (f'"tools": {tool(value)}', f'"text": {value}', f'"metadata": {value}', f'"x": {value}'):
        agent = f'"model": "m", {field}'
        body = f'{{"agent": {{{agent}}}, "environment": {{"type": "none"}}, "input": "x"}}' if "sess" in path else f"{{{agent}}}"
        with ThreadPoolExecutor(1) as server:  # as in a server's thread, with an almost empty stack
            status, answer = server.submit(service.handle, "POST", path, {}, body.encode()).result()
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")  # type: ignore[index]
    assert service.handle("GET", "/v1/agents", {}, b"")[1]["data"] == [kept]  # type: ignore[index]
    assert service.handle("GET", "/v1/agents/sessions", {}, b"")[1]["data"] == []  # type: ignore[index]


def test_the_deepest_accepted_body_is_read_back(service: EmbeddedAPI) -> None:
    """The deepest accepted parameters survive a session's turn and are read from its file."""
    deep = next(
        depth for depth in range(200, 0, -1)
        if service.handle("POST", "/v1/agents", {}, f'{{"model": "m", "tools": {tool(nested(depth))}}}'.encode())[0] == 200
    )  # fmt: skip
    assert deep > 50
    with sdk(service) as client:
        [agent] = client.beta.agents.list()
        stream = client.beta.agents.sessions.create(agent_id=agent.id, environment={"type": "none"}, input="f it", stream=True)
        for event in stream:
            if event.type == "agent.session.requires_action":
                client.beta.agents.sessions.events.create(event.session.id, events=[{"type": "agent.session.input.cancel"}])
        [session] = client.beta.agents.sessions.list()
        assert (session.status, session.agent.tools[0].to_dict()["parameters"]) == ("idle", json.loads(nested(deep)))


def test_a_sample_that_cannot_end_fails_its_turn(service: EmbeddedAPI) -> None:
    """A schema that no finite value matches ends the turn with an error that says so; the session goes on."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "required": ["next"], "additionalProperties": False}
    schema = {**SCHEMA, "properties": {"a": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}}
    text: Any = {"format": {"type": "json_schema", "schema": schema}}
    with sdk(service) as client:
        sessions = client.beta.agents.sessions
        stream = sessions.create(agent={"model": "m", "text": text}, environment={"type": "none"}, input="x", stream=True)
        failed, idle = list(stream)[-2:]
        assert failed.type == "agent.session.turn.failed"
        assert failed.turn.error is not None
        assert failed.turn.error.to_dict() == {
            "code": "invalid_request",
            "message": "no finite value matches the schema: #/$defs/N always contains itself",
        }
        assert idle.type == "agent.session.idle"


@pytest.mark.parametrize("limit", ["9" * 5000, "0", "101", "-1", "", "1.0", "²"])
@pytest.mark.parametrize("path", ["/v1/agents", "/v1/agents/sessions"])
def test_an_invalid_limit_is_refused(service: EmbeddedAPI, path: str, limit: str) -> None:
    """A limit other than 1 to 100 is a 400 that names the parameter."""
    status, answer = service.handle("GET", path, {"limit": limit}, b"")
    assert (status, answer["error"]["param"]) == (400, "limit")  # type: ignore[index]


@pytest.mark.parametrize("below", ["automations", "environments", "vaults", "environments/templates", "automations/a_1/pause"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_other_resources_are_no_agents(service: EmbeddedAPI, method: str, below: str) -> None:
    """404 for an unknown route below /agents, not for an unknown agent."""
    status, answer = service.handle(method, f"/v1/agents/{below}", {}, b'{"model": "m"}')
    assert (status, answer["error"]["code"]) == (404, "unknown_url")  # type: ignore[index]


def test_the_models_of_the_agents_are_listed(service: EmbeddedAPI) -> None:
    """Each model of an agent is listed once; another model, and any other route of OpenAI's, is a 404 that says what exists."""
    with sdk(service) as client:
        assert list(client.models.list()) == []
        for model in ("m", "org/n", "m"):
            client.beta.agents.create(model=model)
        assert {model.id for model in client.models.list()} == {"m", "org/n"}
        assert client.models.retrieve("org/n").id == "org/n"
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve("o")
        assert refused.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError, match="has /v1/agents, its sessions and /v1/models"):
            client.responses.create(model="m", input="x")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Folders are 0700 and files 0600, sessions and locks too, whatever the umask; older files are closed to others."""
    folder = tmp_path / ".asst"

    def used() -> dict[str, int]:
        with sdk(EmbeddedAPI(folder / "local.json")) as client:
            id = client.beta.agents.create(model="m").id
            client.beta.agents.sessions.create(
                agent_id=id, environment={"type": "none"}, input="x", stream=True
            ).get_final_result()
        return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}

    def closed(modes: dict[str, int]) -> bool:
        return all(mode == (0o700 if name in (".asst", "sessions") else 0o600) for name, mode in modes.items())

    before = os.umask(0)
    try:
        first = used()
        assert len(first) > 3
        assert closed(first), first
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        (tmp_path / "else").write_text("not ours")
        (tmp_path / "else").chmod(0o644)
        (folder / "link").symlink_to(tmp_path / "else")
        EmbeddedAPI(folder / "local.json")
        (folder / "link").unlink()
        assert stat.S_IMODE((tmp_path / "else").stat().st_mode) == 0o644
        assert closed({path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))})
        assert closed(used())
    finally:
        os.umask(before)
