"""``inv asst.show``: one assistant's instances whole, as they are recorded and as the service has them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import Host
from loopback import Fault, Loopback

from invoke_assistants import commands
from invoke_assistants.declare.output_fields import output_fields
from invoke_assistants.declare.strict_schema import output_schema
from invoke_assistants.errors import SettingsError
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.store import Store
from invoke_assistants.types import LOCAL, EvalCase, EvalResult, Held, PendingOperation, Record


def store_of(host: Host) -> Store:
    return Store(FileStorage(host.path), "host")


def test_what_is_recorded_is_shown_without_a_request(host: Host, server: Loopback) -> None:
    """Ids everywhere, payload, output, tags, what is open and what holds it: for people, and as one document; no key, no app."""
    host.create()
    server.seen.clear()
    store = store_of(host)
    state = store.read()
    key = ("planner", "production")
    record, payload = state.records[key], state.payloads[state.records[key].digest]
    result = EvalResult(1.0, 0.9, True, (EvalCase("first", "pass", ("pass",)),))
    other = state.records["judge", "production"].digest
    held = replace(record, held=Held(other, "too slow"), allowed=("steps[].minutes",))
    store.commit(
        records={key: held, ("planner", "development"): Record("agent_there", LOCAL, other)},
        payloads=[(record.digest, payload)],
        pending={(key, record.location): PendingOperation("update", other)},
        evals={record.digest: {str(record.location): {f"sha256:{'f' * 64}": result}}},
    )
    env = {"OPENAI_API_KEY": "", "ASST_ASSISTANTS": "no.such.app:ASSISTANTS"}
    shown = host.inv("asst.show", "planner", env=env)
    assert (shown.code, shown.err) == (0, "")
    for line in (
        f"  id         {record.id}", f"  location   agents at {server.origin}", f"  digest     {record.digest[7:15]}",
        f"  remark     held at {record.digest[7:15]}, rolled back from {other[7:15]}: too slow",
        f"  remark     breaking changes let through for {other[7:15]}: steps[].minutes",
        f"  evals      passed on agents at {server.origin}: 1 of 1 case, rate 1.00, minimum 0.90, dataset ffffffff",
        f"  pending    an open update to {other[7:15]}", f"  elsewhere  agent_there on local, {other[7:15]}",
        f"  tags       project=host, name=planner, environment=production, digest={record.digest[7:15]}",
        "    instructions: Plan it.", "    steps[].title: string", "        In a few words.", "  payload    as in development",
    ):  # fmt: skip
        assert line in shown.out.splitlines()
    document = host.inv("asst.show", "planner", "--json", env=env).json
    assert [(row["environment"], row["id"], row["state"]) for row in document["rows"]] == [
        (each["environment"], each["id"], None) for each in document["instances"]
    ]
    _, production = document["instances"]
    assert production["payload"] == payload
    assert production["schema"] == payload["text"]["format"]["schema"]
    assert {"path": "steps[].title", "type": "string", "description": "In a few words."} in production["fields"]
    assert production["pending"] == [
        {"platform": "agents", "origin": server.origin, "kind": "update", "digest": other, "answered": None}
    ]
    assert production["held"] == {"from": other, "message": "too slow"}
    assert production["evals"][0]["cases"] == [{"name": "first", "label": "pass", "runs": ["pass"]}]
    assert (production["remote"], production["defaults"]) == (None, None)
    assert [each["id"] for each in document["instances"][0]["elsewhere"]] == ["agent_there"]
    assert server.seen == []


def test_the_service_is_asked_and_differences_are_marked(host: Host, server: Loopback) -> None:
    """One request for each instance: what it holds, what it filled in, and how it differs; its text steers no terminal."""
    commands.create(host.root, ["judge"])
    edited, id = host.ids()["judge", "production"], host.ids()["judge", "development"]
    server.edit(edited, instructions="Judge \x1b[2J it.", service_tier="flex")
    server.seen.clear()
    shown = host.inv("asst.show", "judge", "--remote")
    assert shown.code == 0
    assert {(each.method, each.path) for each in server.seen} == {("GET", f"/v1/agents/{each}") for each in (id, edited)}
    assert len(server.seen) == 2
    assert "  service    as recorded\n" in shown.out
    assert f"  service    {edited} was edited by hand: instructions\n" in shown.out
    assert '      - "Judge \\x1b[2J it."\n      + "Judge it."\n' in shown.out
    assert '      service_tier: "flex"\n' in shown.out
    assert "\x1b" not in shown.out
    document = host.inv("asst.show", "judge", "--env", "production", "--remote", "--json").json
    assert [(row["state"], row["changes"]) for row in document["rows"]] == [
        ("drifted", [{"field": "instructions", "before": "Judge \x1b[2J it.", "after": "Judge it."}])
    ]
    [instance] = document["instances"]
    assert instance["remote"]["metadata"]["asst.name"] == "judge"
    assert instance["defaults"]["service_tier"] == "flex"
    assert "metadata.team" not in instance["defaults"]


def test_what_cannot_be_asked_is_an_error_of_its_row(host: Host, server: Loopback) -> None:
    """A deleted object, a service that refuses, a location that no setting reaches: the rest is shown, and the exit code is 1."""
    commands.create(host.root, ["judge"])
    server.call("DELETE", f"/v1/agents/{host.ids()['judge', 'production']}")
    gone = host.inv("asst.show", "judge", "--remote", "--json")
    assert gone.code == 1
    assert [row["state"] for row in gone.json["rows"]] == ["in_sync", "missing"]
    assert "was deleted remotely: inv asst.create makes it anew" in gone.json["error"]
    server.faults.append(lambda _: Fault(status=401))
    views = commands.show("judge", "development", host.root, remote=True)
    assert views[0].error
    assert "judge in development" in views[0].error
    unreached = host.inv(
        "asst.show", "judge", "--env", "production", "--remote", env={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    )
    assert unreached.code == 1
    assert "which is not where production is now" in unreached.out
    assert "which no environment of the settings reaches" in unreached.err


def test_without_a_name_one_is_asked_for(local_host: Host) -> None:
    """In our words, and as a document for --json; another task may follow."""
    for command, *more in (["asst.show"], ["asst.show", "asst.check"]):
        plain = local_host.inv(command, *more)
        assert (plain.code, plain.out) == (1, "")
        assert plain.err == "asst.show takes the name of an assistant: inv asst.show NAME; inv asst.status lists them\n"
    assert local_host.inv("asst.show", "--json").json["instances"] == []


def test_names(local_host: Host) -> None:
    """What is recorded and no longer declared is shown; a name that is nowhere is refused, with what may have been meant."""
    with pytest.raises(SettingsError, match="judge is declared and not created yet: run inv asst.create --only judge"):
        commands.show("judge", root=local_host.root)
    with pytest.raises(SettingsError, match="no assistant 'juge'; known: judge, planner, talker; did you mean 'judge'"):
        commands.show("juge", root=local_host.root)
    commands.create(local_host.root, ["judge"], "development")
    with pytest.raises(SettingsError, match="judge is not recorded in production, but in development"):
        commands.show("judge", "production", local_host.root)
    local_host.edit('Assistant("judge"', 'Assistant("referee"')
    [view] = commands.show("judge", root=local_host.root, remote=True)
    assert view.remote
    assert view.remote.step.state == "in_sync"


def test_an_open_create_is_shown(local_host: Host) -> None:
    """An instance that is being made has no id yet."""
    commands.create(local_host.root, ["judge"], "development")
    state = store_of(local_host).read()
    digest = state.records["judge", "development"].digest
    pending = {(("judge", "production"), LOCAL): PendingOperation("create", digest, "f" * 32)}
    store_of(local_host).commit(pending=pending)
    _, view = commands.show("judge", root=local_host.root, remote=True)
    assert (view.record, view.remote, view.error, [*view.pending]) == (None, None, None, [LOCAL])
    assert "  id         none yet\n" in local_host.inv("asst.show", "judge", "--env", "production").out


SHAPES: Any = '''
from __future__ import annotations
from typing import Annotated, Literal
from pydantic import BaseModel, Field
class Node(BaseModel):
    """A node."""
    value: int = Field(ge=1, lt=10)
    children: list[Node]
class Shapes(BaseModel):
    kind: Literal["a", "b"]
    root: Node | None = Field(description="The first one.")
    words: Annotated[list[str], Field(min_length=2, max_length=3)]
    odd: int | str
    code: str = Field(pattern="^[a-z]+$", max_length=3)
'''


def test_the_fields_of_an_answer_are_readable() -> None:
    """Each field with its place, its type in words, and its description; a model that holds itself ends."""
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(SHAPES, __file__, "exec"), space)
    space["Shapes"].model_rebuild(_types_namespace=space)
    schema = json.loads(json.dumps(output_schema(space["Shapes"])))
    assert {each.path: (each.type, each.description) for each in output_fields(schema)} == {
        "kind": ('"a" | "b"', None),
        "root": ("Node or null", "The first one."),
        "root.value": ("integer (≥ 1, < 10)", None),
        "root.children": ("list of Node", None),
        "words": ("list of string (2 to 3 items)", None),
        "odd": ("integer or string", None),
        "code": ("string (at most 3 characters, pattern ^[a-z]+$)", None),
    }
