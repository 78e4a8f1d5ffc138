"""An instance that holds another payload than the one declared, whatever put it there: nothing of it stays behind."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, Host
from loopback import Fault, Loopback

from invoke_assistants import AsstError, Refused, RowsFailed, commands
from invoke_assistants.config.project import Project
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.reconcile.diff import update_body
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.store import Store
from invoke_assistants.types import PendingOperation

PLAIN = 'Assistant("one", model="m", instructions="Do it.", metadata={"team": "blue"})'
RICH = (
    'Assistant("one", model="m", instructions="Do it.", metadata={"team": "blue", "cost": "1"}, service_tier="priority",'
    ' reasoning={"effort": "high"}, verbosity="low")'
)
EXTRA = {"service_tier", "reasoning.effort", "text.verbosity", "metadata.cost"}


def declare(host: Host, assistant: str) -> None:
    host.declare(f"{MODELS}ASSISTANTS = [{assistant}]")


@pytest.fixture
def plain(host: Host) -> Host:
    """A host whose one assistant, with few fields, is made in both environments."""
    declare(host, PLAIN)
    host.create()
    return host


def fields(agent: dict[str, Any]) -> tuple[Any, ...]:
    """The fields that only the other payload sets, and the metadata pairs that are not our tags."""
    pairs = {key: value for key, value in agent["metadata"].items() if not key.startswith("asst.")}
    return agent["service_tier"], agent["reasoning"]["effort"], agent["text"]["verbosity"], pairs


UNSET = ("auto", None, "medium", {"team": "blue"})
SET = ("priority", "high", "low", {"team": "blue", "cost": "1"})


def held(host: Host, server: Loopback, environment: str) -> tuple[Any, ...]:
    return fields(server.agents()[host.ids()["one", environment]])


@pytest.mark.parametrize("also", ["", " More."])
def test_a_revert_of_code_and_store_takes_production_back_whole(plain: Host, server: Loopback, also: str) -> None:
    """Deployed, then code and store reverted in git: nothing says in_sync, and --overwrite leaves nothing of it there."""
    before = plain.path.read_bytes()
    declare(plain, RICH.replace("Do it.", f"Do it.{also}"))
    commands.deploy(plain.root)
    assert held(plain, server, "production") == SET
    server.edit(plain.ids()["one", "production"], metadata={"theirs": "x"})
    plain.path.write_bytes(before)
    declare(plain, PLAIN)
    rows = {row.environment: row for row in commands.plan(plain.root)}
    assert rows["development"].state == "changed"
    assert rows["production"].state == "drifted"
    assert {change.field for change in rows["development"].changes} >= EXTRA
    assert EXTRA | {"metadata.theirs"} <= {change.field for change in rows["production"].changes}
    assert plain.inv("asst.plan", "--check").code == 3
    server.seen.clear()
    with pytest.raises(Refused, match="another checkout wrote agent_.*service_tier.*--overwrite"):
        commands.deploy(plain.root)
    assert server.writes() == []
    commands.deploy(plain.root, overwrite=True)
    assert held(plain, server, "development") == held(plain, server, "production") == UNSET
    assert server.agents()[plain.ids()["one", "production"]]["instructions"] == "Do it."
    assert plain.inv("asst.plan", "--check").code == 0


@pytest.mark.parametrize(("command", "environment"), [("asst.update", "development"), ("asst.deploy", "production")])
def test_a_killed_update_that_is_taken_back(plain: Host, server: Loopback, command: str, environment: str) -> None:
    """Killed behind its commit, the code then taken back: known as ours, without a refusal, and taken back remotely."""
    declare(plain, RICH)
    last = f"/v1/agents/{plain.ids()['one', environment]}"
    running: list[subprocess.Popen[str]] = []
    server.faults.append(
        lambda seen: (
            (server.call("POST", seen.path.removeprefix("/v1"), seen.body), running[0].kill(), Fault(hang=3))[2]
            if (seen.method, seen.path) == ("POST", last)
            else None
        )
    )
    running.append(plain.start(command))
    running[0].communicate(timeout=60)
    server.faults.clear()
    assert held(plain, server, environment) == SET
    assert "pending" in plain.store
    declare(plain, PLAIN)
    [row] = [row for row in commands.plan(plain.root) if row.environment == environment]
    assert (row.state, row.error, row.note) == ("changed", None, None)
    assert {change.field for change in row.changes} == EXTRA
    commands.deploy(plain.root)
    assert held(plain, server, "development") == held(plain, server, "production") == UNSET
    assert {row.state for row in commands.status(plain.root)} == {"in_sync"}
    assert "pending" not in plain.store


def test_a_killed_update_with_a_default_in_the_record(host: Host, server: Loopback) -> None:
    """The record set what is the default anyway, and the update that dropped it was killed: known as ours, and in sync."""
    declare(host, 'Assistant("one", model="m", instructions="Do it.", verbosity="medium")')
    host.create()
    declare(host, 'Assistant("one", model="m", instructions="Do it well.")')
    running: list[subprocess.Popen[str]] = []
    server.faults.append(
        lambda seen: (
            (server.call("POST", seen.path.removeprefix("/v1"), seen.body), running[0].kill(), Fault(hang=3))[2]
            if seen.method == "POST" and seen.path.endswith(host.ids()["one", "production"])
            else None
        )
    )
    running.append(host.start("asst.deploy"))
    running[0].communicate(timeout=60)
    server.faults.clear()
    server.seen.clear()
    commands.deploy(host.root)
    assert server.writes() == []
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}
    assert "pending" not in host.store


def test_a_hit_with_another_payload_is_another_checkouts_work(plain: Host, server: Loopback, tmp_path: Path) -> None:
    """A clone without the store adopts what is tagged; that its payload is another is seen, though what is declared agrees."""
    declare(plain, RICH)
    commands.deploy(plain.root)
    clone = Host(tmp_path / "clone", plain.env)
    declare(clone, PLAIN)
    rows = commands.create(clone.root)
    assert {(row.action, "another checkout wrote" in (row.note or "")) for row in rows} == {("adopt", True)}
    assert clone.ids() == plain.ids()
    for record in clone.store["assistants"]["one"].values():
        assert "tag" not in record
        assert record["digest"] != plain.store["assistants"]["one"]["production"]["digest"]
    planned = {row.environment: row for row in commands.plan(clone.root)}
    assert (planned["development"].state, planned["production"].state) == ("changed", "drifted")
    assert {change.field for change in planned["production"].changes} == EXTRA
    with pytest.raises(AsstError, match="one in development is as declared: run inv asst.update"):
        commands.deploy(clone.root, env="production")
    commands.deploy(clone.root, overwrite=True)
    assert held(clone, server, "development") == held(clone, server, "production") == UNSET
    assert {row.state for row in commands.status(clone.root)} == {"in_sync"}


def test_a_hit_whose_every_field_is_declared(host: Host, server: Loopback, tmp_path: Path) -> None:
    """A payload that declares all that can be declared, adopted by a clone of other code: refused in production all the same."""
    full = (
        'Assistant("one", model="m", instructions="Do it.", metadata={"team": "blue"}, service_tier="priority",'
        ' reasoning={"effort": "high", "summary": "auto"}, verbosity="low")'
    )
    declare(host, full)
    host.create()
    clone = Host(tmp_path / "clone", host.env)
    declare(clone, full.replace("Do it.", "Do it well."))
    commands.create(clone.root)
    assert {(row.environment, row.state) for row in commands.plan(clone.root)} == {
        ("development", "changed"), ("production", "drifted"),
    }  # fmt: skip


def test_another_checkouts_update_with_more_fields(plain: Host, server: Loopback, tmp_path: Path) -> None:
    """Somebody else's update set fields that this code has not: said and taken back in development, refused in production."""
    other = Host(tmp_path / "other", plain.env)
    other.path.write_bytes(plain.path.read_bytes())
    declare(other, RICH)
    commands.deploy(other.root)
    with pytest.raises(Refused, match="one in production: another checkout wrote"):
        commands.deploy(plain.root)
    [row] = commands.update(plain.root)
    assert (row.action, "another checkout wrote" in (row.note or "")) == ("update", True)
    assert {change.field for change in row.changes} == EXTRA
    assert held(plain, server, "development") == UNSET
    assert held(plain, server, "production") == SET


def test_an_adopted_objects_fields_are_recorded_and_go(host: Host, server: Loopback) -> None:
    """``adopt`` of an id records all that an assistant can declare, so that an update clears it; other people's pairs stay."""
    declare(host, PLAIN)
    body = {"model": "m", "instructions": "Do it.", "service_tier": "flex", "reasoning": {"effort": "low"}, "tools": []}
    id = server.call("POST", "/agents", {**body, "metadata": {"theirs": "kept"}})["id"]
    [adopted] = commands.adopt("one", "production", id, host.root)
    assert "metadata.theirs" not in {change.field for change in adopted.changes}
    payload = host.store["payloads"][host.store["assistants"]["one"]["production"]["digest"]]
    assert payload["service_tier"] == "flex"
    assert payload["reasoning"] == {"effort": "low", "summary": None}
    assert payload["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    [row] = commands.plan(host.root, env="production")
    assert (row.state, row.error) == ("changed", None)
    assert {change.field for change in row.changes} >= {"service_tier", "reasoning.effort"}
    host.create()
    commands.deploy(host.root)
    assert held(host, server, "production") == ("auto", None, "medium", {"theirs": "kept", "team": "blue"})
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}


def test_adopting_a_tagged_id(plain: Host, server: Loopback, tmp_path: Path) -> None:
    """The way back from a lost store: in sync where the tag is the declared digest, another checkout's work where it is not."""
    clone = Host(tmp_path / "clone", plain.env)
    declare(clone, PLAIN)
    id = plain.ids()["one", "production"]
    commands.adopt("one", "production", id, clone.root)
    assert [row.state for row in commands.status(clone.root, env="production")] == ["in_sync"]
    clone.path.unlink()
    declare(plain, RICH)
    commands.deploy(plain.root)
    server.seen.clear()
    commands.adopt("one", "production", id, clone.root)
    assert server.writes() == []
    [row] = commands.plan(clone.root, env="production")
    assert (row.state, {change.field for change in row.changes}) == ("drifted", EXTRA)


@pytest.mark.parametrize("tags", [{"asst.project": "another"}, {"asst.environment": "development"}, {"asst.name": "other"}])
def test_what_carries_anothers_tags_is_never_written(plain: Host, server: Loopback, tags: dict[str, str]) -> None:
    """A recorded id whose object is another project's or row's by now: refused with 3, whatever the flags and answers."""
    id = plain.ids()["one", "production"]
    server.edit(id, metadata=tags)
    declare(plain, PLAIN.replace("Do it.", "Do it well."))
    before = server.agents()[id]
    server.seen.clear()
    asked: list[str] = []
    for options in ({}, {"overwrite": True}, {"confirm": lambda question, rows: bool(asked.append(question)) or True}):
        with pytest.raises(Refused, match=f"one in production: {id} is the instance of another row .*inv asst.forget one prod"):
            commands.deploy(plain.root, **options)
    assert asked == []
    assert server.writes() == []
    result = plain.inv("asst.deploy", "--overwrite", "--yes", "--json")
    assert result.code == 3
    assert result.rows()["one", "production"]["state"] == "drifted"
    commands.update(plain.root)
    assert server.agents()[id] == before
    with pytest.raises(Refused):
        commands.delete(plain.root, env="production", yes=True)


def test_anothers_object_in_the_first_environment(plain: Host, server: Loopback) -> None:
    """The same for update, also where the other row's digest stands there, which would be gone on with otherwise."""
    id = plain.ids()["one", "development"]
    server.edit(id, name="theirs_development", metadata={"asst.project": "another", "asst.digest": f"sha256:{'0' * 64}"})
    declare(plain, PLAIN.replace("Do it.", "Do it well."))
    server.seen.clear()
    with pytest.raises(Refused, match="is the instance of another row"):
        commands.update(plain.root, overwrite=True)
    assert server.writes() == []
    [row] = [row for row in commands.create(plain.root) if row.environment == "development"]
    assert (row.action, row.state) == ("none", "drifted")


ELEVEN = {f"k{number}": "v" for number in range(11)}


@pytest.mark.parametrize("verb", [commands.update, commands.deploy])
def test_more_metadata_than_the_api_takes_is_counted_before(host: Host, server: Loopback, verb: Any) -> None:
    """11 declared pairs, 5 tags and a foreign one: the row says which they are and what helps; the others go on."""
    host.declare(MODELS + f'ASSISTANTS = [Assistant("one", model="m", metadata={ELEVEN}), Assistant("two", model="m")]')
    host.create()
    host.edit('"m", metadata', '"n", metadata')
    host.edit('Assistant("two", model="m"', 'Assistant("two", model="n"')
    id = host.ids()["one", "development"]
    server.edit(id, metadata={})
    with server.service._transaction() as state:  # as a service might that counts otherwise
        state["agents"][id]["metadata"]["theirs"] = "x"
    server.seen.clear()
    message = f"one in development: {id} would have 17 metadata pairs, and the API takes 16: 5 tags of ours, 11 declared"
    with pytest.raises(RowsFailed, match=rf"{message} \(k0, .*\), 1 that others put there \(theirs\): declare fewer") as caught:
        verb(host.root)
    assert not any(seen.path.endswith(id) for seen in server.writes())
    assert len(server.writes()) == 1
    assert caught.value.exit_code == 1
    [row] = commands.plan(host.root, ["one"], "development")
    assert (row.state, row.action) == ("changed", "none")
    assert "17 metadata pairs" in (row.error or "")


def test_more_metadata_after_a_declaration_grew(host: Host, server: Loopback) -> None:
    """A foreign pair was there first, then the declaration grew: counted; with one pair fewer declared it goes through."""
    host.declare(MODELS + 'ASSISTANTS = [Assistant("one", model="m")]')
    host.create()
    id = host.ids()["one", "development"]
    server.edit(id, metadata={"theirs": "x"})
    host.declare(MODELS + f'ASSISTANTS = [Assistant("one", model="m", metadata={ELEVEN})]')
    server.seen.clear()
    with pytest.raises(RowsFailed, match=r"17 metadata pairs.*\(theirs\)"):
        commands.update(host.root)
    assert server.writes() == []
    host.edit("'k10': 'v'", "")
    commands.update(host.root)
    assert server.agents()[id]["metadata"]["theirs"] == "x"
    assert len(server.agents()[id]["metadata"]) == 16


def test_an_object_with_too_much_metadata_to_adopt(host: Host, server: Loopback) -> None:
    """12 foreign pairs leave no room for our 5 tags: refused before anything is written, with the pairs."""
    declare(host, PLAIN)
    id = server.call("POST", "/agents", {"model": "m", "metadata": {f"t{number}": "x" for number in range(12)}})["id"]
    server.seen.clear()
    with pytest.raises(AsstError, match=rf"{id} would have 17 metadata pairs.*12 that others put there \(t0, .*remove 1 of"):
        commands.adopt("one", "development", id, host.root)
    assert server.writes() == []
    assert not host.path.exists()


class Heard:
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def start(self, label: str, total: int) -> None: ...
    def advance(self) -> None: ...


def embedded(host: Host) -> EmbeddedAPI:
    return EmbeddedAPI(host.root / ".asst" / "local.json")


def agents(host: Host) -> dict[str, Any]:
    return {id: fields(agent) for id, agent in embedded(host)._read()["agents"].items()}


@pytest.fixture
def pulled(local_host: Host, tmp_path: Path) -> Host:
    """A checkout on the embedded platform that has pulled a colleague's deploy, code and store; its own ``.asst`` is older."""
    colleague = Host(tmp_path / "colleague", local_host.env)
    for host in (local_host, colleague):
        declare(host, RICH)
        commands.create(host.root)
    declare(colleague, PLAIN)
    commands.deploy(colleague.root)
    declare(local_host, PLAIN)
    local_host.path.write_bytes(colleague.path.read_bytes())
    assert [*agents(local_host).values()] == [SET, SET]
    return local_host


def test_a_plan_after_a_pull_on_local_shows_what_is_recorded(pulled: Host) -> None:
    """What is merely older is shown as the store records it, with a note; nothing is written."""
    before = (pulled.root / ".asst" / "local.json").read_bytes()
    for verb in (commands.plan, commands.status, lambda root, **more: commands.deploy(root, dry_run=True, **more)):
        heard = Heard()
        assert {row.state for row in verb(pulled.root, reporter=heard)} == {"in_sync"}
        assert sum("one in production: the embedded platform held another payload" in line for line in heard.said) == 1
    assert (pulled.root / ".asst" / "local.json").read_bytes() == before


@pytest.mark.parametrize("command", [("asst.deploy",), ("asst.update",), ("asst.create",), ("asst.run", "one", "Hi")])
def test_a_pull_on_local_blocks_nothing(pulled: Host, command: tuple[str, ...]) -> None:
    """Commands that write, and asking, bring the embedded platform's objects up to the store, and go on."""
    before = pulled.path.read_bytes()
    result = pulled.inv(*command)
    assert result.code == 0, result.err
    assert [*agents(pulled).values()] == [UNSET, UNSET]
    assert pulled.path.read_bytes() == before
    assert {row.state for row in commands.status(pulled.root)} == {"in_sync"}


def test_code_that_goes_on_after_a_pull_on_local(pulled: Host) -> None:
    """An edit on top of what was pulled is an ordinary deploy."""
    declare(pulled, PLAIN.replace("Do it.", "Do it well."))
    assert {(row.state, row.action) for row in commands.deploy(pulled.root)} == {("changed", "update")}
    assert [*agents(pulled).values()] == [UNSET, UNSET]


def test_an_edit_by_hand_on_local_stays_drift(local_host: Host) -> None:
    """Under the record's tag it is somebody's edit: shown, refused, and not taken back by looking."""
    declare(local_host, PLAIN)
    local_host.create()
    id = local_host.ids()["one", "production"]
    embedded(local_host).handle("POST", f"/v1/agents/{id}", {}, b'{"instructions": "By hand."}')
    assert {row.state for row in commands.status(local_host.root)} == {"in_sync", "drifted"}
    with pytest.raises(Refused, match="edited by hand"):
        commands.deploy(local_host.root)
    assert embedded(local_host)._read()["agents"][id]["instructions"] == "By hand."


def test_a_killed_update_on_local_is_ours(local_host: Host) -> None:
    """What an update of ours did before it was killed is known by its open intent, and not taken back by looking."""
    declare(local_host, PLAIN)
    local_host.create()
    declare(local_host, RICH)
    [each, _] = Project.load(local_host.root, ()).desired(Project.load(local_host.root, ()).settings.environments)
    id, store = local_host.ids()["one", "development"], Store(FileStorage(local_host.path), "host")
    slot = each.key, each.location
    store.commit(pending={slot: PendingOperation("update", each.digest)}, payloads=[(each.digest, each.payload)])
    there = embedded(local_host)._read()["agents"][id]
    body = json.dumps(update_body(each, store.read().payloads[store.read().records[each.key].digest], there))
    assert embedded(local_host).handle("POST", f"/v1/agents/{id}", {}, body.encode())[0] == 200
    assert [row.state for row in commands.status(local_host.root)] == ["in_sync", "changed"]
    commands.update(local_host.root)
    assert agents(local_host)[id] == SET
    assert "pending" not in local_host.store


def test_a_look_at_a_fresh_clone_on_local_writes_nothing(local_host: Host) -> None:
    """Status, plan and a dry run show what the store records, without its file; a command that writes puts it there."""
    declare(local_host, PLAIN)
    local_host.create()
    shutil.rmtree(local_host.root / ".asst")
    for verb in (commands.status, commands.plan, lambda root: commands.create(root, dry_run=True)):
        assert {row.state for row in verb(local_host.root)} == {"in_sync"}
    assert [path.name for path in (local_host.root / ".asst").iterdir()] == ["names"]  # for the shell's completion
    commands.create(local_host.root)
    assert [*agents(local_host).values()] == [UNSET, UNSET]
