"""Deleting instances, and taking over existing objects."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from conftest import MODELS, THREE, Host
from loopback import Fault, Loopback, error_body

from invoke_assistants import AsstError, Refused, RowsFailed, SettingsError, commands
from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.reconcile.timing import Timing


def names(server: Loopback) -> set[str]:
    return {agent["name"] for agent in server.agents().values()}


def test_deleting_an_environment(host: Host, server: Loopback) -> None:
    """Its instances go, remotely and from the store; the other environment stays; a second delete finds nothing."""
    host.create()
    rows = commands.delete(host.root, env="production", yes=True)
    assert {(row.environment, row.action) for row in rows} == {("production", "delete")}
    assert names(server) == {"planner_development", "judge_development", "talker_development"}
    assert {key[1] for key in host.ids()} == {"development"}
    assert "pending" not in host.store
    assert commands.delete(host.root, env="production", yes=True) == []


def test_deleting_what_is_no_longer_declared(host: Host, server: Loopback) -> None:
    """--undeclared leaves what is declared; a recorded name can be given with --only."""
    host.create()
    host.declare(MODELS + 'ASSISTANTS = [Assistant("talker", model="gpt-6-luna", instructions="Talk.")]')
    assert {row.name for row in commands.delete(host.root, ["judge"], undeclared=True, yes=True)} == {"judge"}
    assert {row.name for row in commands.delete(host.root, undeclared=True, yes=True)} == {"planner"}
    assert names(server) == {"talker_development", "talker_production"}
    assert {row.state for row in commands.status(host.root)} <= {"changed", "in_sync"}


def test_deleting_needs_a_word(host: Host, server: Loopback) -> None:
    """What to delete must be said, and confirmed: a terminal is asked, else --yes."""
    host.create()
    with pytest.raises(SettingsError, match="say what to delete"):
        commands.delete(host.root, yes=True)
    with pytest.raises(SettingsError, match="recorded: judge, planner, talker; did you mean 'judge'"):
        commands.delete(host.root, ["juge"], yes=True)
    server.seen.clear()
    with pytest.raises(Refused, match="3 instances would be deleted; --yes goes on"):
        commands.delete(host.root, env="development")
    with pytest.raises(Refused):
        commands.delete(host.root, env="development", confirm=lambda question, rows: False)
    assert commands.delete(host.root, env="development", dry_run=True)[0].action == "delete"
    assert server.writes() == []
    asked: list[str] = []
    commands.delete(host.root, ["judge"], env="development", confirm=lambda question, rows: bool(asked.append(question)) or True)
    assert host.ids().keys() >= {("planner", "development")}
    assert "judge in development (agent_" in asked[0]
    assert host.inv("asst.delete", "--env", "production").code == 3
    assert host.inv("asst.delete", "--env", "production", "--yes").code == 0


def test_only_objects_with_our_tags_are_deleted(host: Host, server: Loopback) -> None:
    """A recorded object that lost its tags might be anybody's: exit 3, nothing is deleted."""
    host.create()
    id = host.ids()["judge", "development"]
    server.call("POST", f"/agents/{id}", {"metadata": {}})
    with pytest.raises(Refused, match=f"{id} does not carry our tags"):
        commands.delete(host.root, env="development", yes=True)
    assert len(server.agents()) == 6


def test_deleting_what_is_gone_already(host: Host, server: Loopback) -> None:
    """It is forgotten; but where a key sees nothing of an environment, nothing is forgotten."""
    host.create()
    server.call("DELETE", f"/agents/{host.ids()['judge', 'development']}")
    commands.delete(host.root, ["judge"], env="development", yes=True)
    assert ("judge", "development") not in host.ids()
    for name in ("planner", "talker"):
        server.call("DELETE", f"/agents/{host.ids()[name, 'development']}")
    with pytest.raises(Refused, match="sees none of its 2 recorded instances"):
        commands.delete(host.root, env="development", yes=True)
    assert len(host.ids()) == 5


def test_a_delete_whose_answers_are_lost(host: Host, server: Loopback) -> None:
    """Lost after the commit: settled by asking for the id. Refused: said, and the record stays."""
    host.create()
    server.once(Fault(after=True, reset=True), "DELETE", "/v1/agents/")
    commands.delete(host.root, ["judge"], env="development", yes=True)
    assert ("judge", "development") not in host.ids()
    server.once(Fault(status=400, raw=error_body("no", "in use")), "DELETE", "/v1/agents/")
    with pytest.raises(RowsFailed, match="400 in use"):
        commands.delete(host.root, ["planner"], env="development", yes=True)
    assert ("planner", "development") in host.ids()
    assert "pending" not in host.store


def test_a_delete_that_was_killed_goes_on(host: Host, server: Loopback) -> None:
    """All of an environment deleted, killed before it was recorded: the rerun knows that it was us."""
    host.create()
    deleted: list[str] = []
    server.faults.append(
        lambda seen: (
            (server.call("DELETE", seen.path.removeprefix("/v1")), deleted.append(seen.path), Fault(hang=5))[2]
            if seen.method == "DELETE"
            else None
        )
    )
    process = host.start("asst.delete", "--env", "development", "--yes")
    while len(deleted) < 3:
        assert process.poll() is None
    process.kill()
    process.communicate()
    server.faults.clear()
    assert len(host.store["pending"]) == 3
    commands.delete(host.root, env="development", yes=True)
    assert {key[1] for key in host.ids()} == {"production"}
    assert "pending" not in host.store


def test_a_delete_that_was_killed_and_is_not_wanted_any_more(host: Host, server: Loopback) -> None:
    """Killed before anything was deleted, then an update or a create: nothing of the delete stays open."""
    host.create()
    process = host.start("asst.delete", "--env", "development", "--yes")
    server.faults.append(lambda seen: (process.kill(), Fault(hang=3))[1] if seen.method == "DELETE" else None)
    process.communicate()
    server.faults.clear()
    assert len(host.store["pending"]) == 3
    assert len(server.agents()) == 6
    host.edit("Judge it.", "Judge it well.")
    commands.create(host.root)
    assert "pending" not in host.store
    commands.update(host.root)
    assert "pending" not in host.store


def test_deleted_and_created_again(host: Host, server: Loopback) -> None:
    """A deleted instance is not created; create makes a new one, on the embedded platform under another id."""
    commands.create(host.root)
    before = host.ids()
    commands.delete(host.root, ["judge"], yes=True)
    assert {row.state for row in commands.status(host.root, ["judge"])} == {"not_created"}
    commands.create(host.root)
    assert host.ids().keys() == before.keys()
    assert host.ids()["judge", "production"] != before["judge", "production"]


def duplicate(server: Loopback, id: str) -> str:
    """Another object with the same tags, as another clone's create leaves it."""
    agent = server.agents()[id]
    body = {key: agent[key] for key in ("model", "name", "instructions", "text", "tools", "metadata")}
    return str(server.call("POST", "/agents", {**body, "metadata": {**body["metadata"], "asst.nonce": "f" * 32}})["id"])


def test_a_leftover_duplicate_blocks_nothing(host: Host, server: Loopback) -> None:
    """Of a row with a living instance it is a note; new assistants are made beside it; delete --id takes it away."""
    commands.create(host.root, ["judge"])
    id = host.ids()["judge", "development"]
    extra = duplicate(server, id)
    rows = {row.key: row for row in commands.create(host.root, timing=Timing(grace=0.1))}
    assert len(host.ids()) == 6
    assert f"{extra} carries the same tags; {id} is the recorded one" in (rows["judge", "development"].note or "")
    host.edit("Judge it.", "Judge it well.")
    assert all(row.error is None for row in commands.update(host.root))
    with pytest.raises(Refused, match="--yes goes on"):
        commands.delete(host.root, id=extra)
    [row] = commands.delete(host.root, id=extra, yes=True)
    assert (row.key, row.id, row.action) == (("judge", "development"), extra, "delete")
    assert extra not in server.agents()
    assert host.ids()["judge", "development"] == id
    assert all("carries" not in (row.note or "") for row in commands.create(host.root))


def test_deleting_by_id(host: Host, server: Loopback) -> None:
    """A recorded instance is forgotten with it; what carries other tags, is not there or is no id is refused."""
    commands.create(host.root, ["judge"])
    id = host.ids()["judge", "development"]
    [planned] = commands.delete(host.root, id=id, dry_run=True)
    assert (planned.action, planned.id, len(server.agents())) == ("delete", id, 2)
    result = host.inv("asst.delete", "--id", id, "--env", "development", "--yes", "--json")
    assert (result.code, result.json["rows"][0]["id"], result.json["rows"][0]["state"]) == (0, id, None)
    assert host.ids().keys() == {("judge", "production")}
    assert "pending" not in host.store
    foreign = existing(server, metadata={"asst.project": "another", "asst.name": "judge", "asst.environment": "production"})
    with pytest.raises(Refused, match=f"{foreign} does not carry the tags of project host"):
        commands.delete(host.root, id=foreign, yes=True)
    with pytest.raises(AsstError, match="there is no agent_nowhere in development, production"):
        commands.delete(host.root, id="agent_nowhere", yes=True)
    with pytest.raises(SettingsError, match="is not an id"):
        commands.delete(host.root, id="../x", yes=True)
    with pytest.raises(SettingsError, match="--id names the one object"):
        commands.delete(host.root, ["judge"], id=id, yes=True)
    assert len(server.agents()) == 2


def test_deleting_by_id_in_another_environment_than_its_own(host: Host, server: Loopback) -> None:
    """--env is kept to: what is development's is not deleted where production was named."""
    commands.create(host.root, ["judge"])
    id = host.ids()["judge", "development"]
    with pytest.raises(Refused, match="is an instance of judge in development, not in production: leave --env out"):
        commands.delete(host.root, id=id, env="production", yes=True)
    assert id in server.agents()


def test_deleting_by_id_what_another_row_records(host: Host, server: Loopback) -> None:
    """An object that is recorded for a row whose tags it does not carry: named, deleted, and forgotten there."""
    commands.create(host.root, ["judge", "talker"], "development")
    ids = host.ids()
    stored = host.store
    stored["assistants"]["judge"]["development"]["id"] = ids["talker", "development"]
    host.path.write_text(json.dumps(stored))
    [planned] = commands.delete(host.root, id=ids["talker", "development"], dry_run=True)
    assert "recorded for judge in development, recorded for talker in development" in (planned.note or "")
    commands.delete(host.root, id=ids["talker", "development"], yes=True)
    assert host.store["assistants"] == {}
    assert {*server.agents()} == {ids["judge", "development"]}


def test_a_delete_by_id_whose_answer_is_lost_or_refused(host: Host, server: Loopback) -> None:
    """Lost after the commit: settled by asking for it. Refused: said, and the record stays with nothing open."""
    commands.create(host.root, ["judge"])
    ids = host.ids()
    server.once(Fault(after=True, reset=True), "DELETE", "/v1/agents/")
    commands.delete(host.root, id=ids["judge", "development"], yes=True)
    assert host.ids().keys() == {("judge", "production")}
    server.once(Fault(status=400, raw=error_body("no", "in use")), "DELETE", "/v1/agents/")
    with pytest.raises(AsstError, match="in use"):
        commands.delete(host.root, id=ids["judge", "production"], yes=True)
    assert host.ids().keys() == {("judge", "production")}
    assert "pending" not in host.store


ENVIRONMENTS = """
[tool.asst.environments.development]
[tool.asst.environments.production]
"""


def test_an_environment_that_left_the_settings(host: Host, server: Loopback) -> None:
    """status names the command, and the command deletes it: with the credentials of an environment at the same origin."""
    host.declare(THREE, ENVIRONMENTS + "[tool.asst.environments.preview]\n")
    host.create()
    host.declare(THREE, ENVIRONMENTS)
    assert {row.key[1] for row in commands.status(host.root) if row.state == "undeclared"} == {"preview"}
    assert "next: inv asst.delete --undeclared" in host.inv("asst.status").out
    rows = commands.delete(host.root, ["judge"], env="preview", yes=True)
    assert [row.key for row in rows] == [("judge", "preview")]
    rows = commands.delete(host.root, undeclared=True, yes=True)
    assert {row.key for row in rows} == {("planner", "preview"), ("talker", "preview")}
    assert len(server.agents()) == 6
    assert {key[1] for key in host.ids()} == {"development", "production"}


def test_what_no_setting_reaches_is_refused_and_can_be_forgotten(host: Host, server: Loopback) -> None:
    """No URL is made from a record: the origin is named with forget, which drops the record and touches nothing."""
    host.declare(THREE, ENVIRONMENTS + "[tool.asst.environments.preview]\n")
    commands.create(host.root, ["judge"])
    stored = host.store
    stored["assistants"]["judge"]["preview"]["origin"] = "127.0.0.1:9"
    host.path.write_text(json.dumps(stored))
    host.declare(THREE, ENVIRONMENTS)
    id = host.ids()["judge", "preview"]
    server.seen.clear()
    with pytest.raises(Refused, match=r"is on agents at 127\.0\.0\.1:9, which no .*inv asst.forget judge preview"):
        commands.delete(host.root, undeclared=True, yes=True)
    assert server.seen == []
    result = host.inv("asst.forget", "judge", "preview", "--json")
    assert (result.code, result.rows()["judge", "preview"]["id"]) == (0, id)
    assert ("judge", "preview") not in host.ids()
    assert commands.delete(host.root, undeclared=True, yes=True) == []
    assert id in host.inv("asst.forget", "judge", "production").out + str(stored)
    with pytest.raises(SettingsError, match="nothing is recorded of 'judge' in 'preview'; recorded: judge in development"):
        commands.forget("judge", "preview", host.root)
    assert server.writes() == []
    assert len(server.agents()) == 3


def test_records_of_another_platform_can_be_deleted_and_forgotten(
    host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undeclared assistant that is recorded on local as well goes from both, one place a run; forget drops one at a time."""
    commands.create(host.root, ["judge"], "development")
    monkeypatch.setenv("ASST_PLATFORM", "local")
    commands.create(host.root, ["judge"], "development")
    monkeypatch.setenv("ASST_PLATFORM", "agents")
    host.declare(MODELS + "ASSISTANTS = []")
    assert [row.platform for row in commands.delete(host.root, undeclared=True, yes=True)] == ["agents"]
    assert server.agents() == {}
    assert [row.platform for row in commands.delete(host.root, undeclared=True, yes=True)] == ["local"]
    assert host.store["assistants"] == {}
    assert commands.delete(host.root, undeclared=True, yes=True) == []


def test_forgetting_one_of_two_places(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place that counts now goes first, and the other one is named."""
    commands.create(host.root, ["judge"], "development")
    monkeypatch.setenv("ASST_PLATFORM", "local")
    commands.create(host.root, ["judge"], "development")
    [row] = commands.forget("judge", "development", host.root)
    assert row.platform == "local"
    assert f"still recorded on agents at {server.origin}" in (row.note or "")
    [row] = commands.forget("judge", "development", host.root)
    assert row.platform == "agents"
    assert host.store["assistants"] == {}


def test_an_undeclared_assistant_whose_only_instance_is_gone(host: Host, server: Loopback) -> None:
    """A key that sees nothing may be the wrong one: refused, and forget is named, which frees the others."""
    host.create()
    host.declare(MODELS + "ASSISTANTS = []")
    for name in ("planner", "talker", "judge"):
        server.call("DELETE", f"/agents/{host.ids()[name, 'development']}")
    with pytest.raises(Refused, match="sees none of its 3 .*; inv asst.forget NAME development drops the record") as caught:
        commands.delete(host.root, undeclared=True, yes=True)
    assert str(caught.value).count("sees none") == 1
    for name in ("planner", "talker", "judge"):
        assert host.inv("asst.forget", name, "development").code == 0
    assert len(commands.delete(host.root, undeclared=True, yes=True)) == 3
    assert server.agents() == {}


def test_what_is_gone_from_the_embedded_platform_is_forgotten(local_host: Host) -> None:
    """There is no wrong key for it: a delete needs no other word."""
    commands.create(local_host.root, ["judge"], "development")
    service = EmbeddedAPI(local_host.root / ".asst" / "local.json")
    assert service.handle("DELETE", f"/v1/agents/{local_host.ids()['judge', 'development']}", {}, b"")[0] == 200
    commands.delete(local_host.root, ["judge"], yes=True)
    assert local_host.store["assistants"] == {}


def test_where_nothing_is_declared_no_delete_is_named(local_host: Host) -> None:
    """An empty list is a slip: the rows say which setting names it, and nothing points at deleting all there is."""
    local_host.create()
    local_host.declare("ASSISTANTS = []")
    [module] = [path.stem for path in local_host.root.glob("hosted_*.py") if path.read_text() == "ASSISTANTS = []"]
    said = f"nothing is declared: {module}:ASSISTANTS, which the setting assistants (ASST_ASSISTANTS) names, is empty"
    for args in (["asst.status"], ["asst.plan"], ["asst.plan", "--markdown"]):
        done = local_host.inv(*args)
        shown = " ".join((done.out + done.err).replace("`", "").split())
        assert (done.code, said in shown) == (0, True), shown
        assert "6 undeclared" in shown
        assert "inv asst.delete" not in shown
        assert "inv asst.forget" not in shown
    assert local_host.inv("asst.check").out == "nothing is declared\n"
    assert len(local_host.ids()) == 6


def test_a_plan_tells_of_what_is_no_longer_declared(host: Host, server: Loopback) -> None:
    """After a rename the new name is to be created and the old one still stands: plan names both, and the command for each."""
    commands.create(host.root, ["judge"])
    host.declare(MODELS + 'ASSISTANTS = [Assistant("jury", output=Verdict, model="gpt-6-luna", instructions="Judge it.")]')
    result = host.inv("asst.plan")
    assert "undeclared" in result.out
    assert "inv asst.delete --undeclared" in result.out
    assert "inv asst.create" in result.out
    assert host.inv("asst.plan", "--check").code == 2
    assert {row.name for row in commands.plan(host.root, ["jury"])} == {"jury"}


def existing(server: Loopback, **fields: Any) -> str:
    agent = server.call("POST", "/agents", {"model": "gpt-4", "instructions": "Old.", "metadata": {"theirs": "kept"}, **fields})
    return str(agent["id"])


def test_adopting_an_existing_object(host: Host, server: Loopback) -> None:
    """It gets our name and tags and stays as it is otherwise; plan shows the difference, update brings it to the code."""
    id = existing(server)
    [row] = commands.adopt("judge", "development", id, host.root)
    assert (row.action, row.id) == ("adopt", id)
    agent = server.agents()[id]
    assert (agent["name"], agent["instructions"], agent["model"]) == ("judge_development", "Old.", "gpt-4")
    assert agent["metadata"]["theirs"] == "kept"
    [planned] = commands.plan(host.root, ["judge"], "development")
    assert (planned.state, planned.error) == ("changed", None)
    assert {change.field for change in planned.changes} >= {"model", "instructions", "metadata.team"}
    host.create()
    commands.update(host.root)
    assert server.agents()[id]["instructions"] == "Judge it."
    assert server.agents()[id]["metadata"]["theirs"] == "kept"
    assert len(server.agents()) == 6


def test_adopting_again_changes_nothing(host: Host, server: Loopback) -> None:
    """The same object for the same row: no write."""
    id = existing(server)
    commands.adopt("judge", "development", id, host.root)
    server.seen.clear()
    before = host.path.read_bytes()
    [row] = commands.adopt("judge", "development", id, host.root)
    assert row.action == "none"
    assert server.writes() == []
    assert host.path.read_bytes() == before


def test_what_cannot_be_adopted(host: Host, server: Loopback) -> None:
    """A wrong id, one that is not there, another row's, and a row that has a living instance."""
    host.create()
    ids = host.ids()
    server.seen.clear()
    with pytest.raises(AsstError, match="is not an id"):
        commands.adopt("judge", "development", "../x", host.root)
    with pytest.raises(
        AsstError, match="is agent_.* already: inv asst.forget planner development .* inv asst.delete --only planner"
    ):
        commands.adopt("planner", "development", existing(server), host.root)
    server.call("DELETE", f"/agents/{ids['judge', 'development']}")
    with pytest.raises(AsstError, match="there is no agent_nowhere"):
        commands.adopt("judge", "development", "agent_nowhere", host.root)
    other = ids["planner", "production"]
    said = rf"is the instance of another row \(planner in production of project host: declare .*inv asst.delete --id {other}\)"
    with pytest.raises(AsstError, match=said):
        commands.adopt("judge", "development", other, host.root)
    assert server.writes() == []
    server.edit(other, metadata={"asst.project": "kitchen", "asst.name": "chef", "asst.environment": "production"})
    with pytest.raises(AsstError, match=r"\(chef in production of project kitchen: it can be used there alone\)"):
        commands.adopt("judge", "development", other, host.root)
    id = existing(server)
    commands.adopt("judge", "development", id, host.root)
    assert host.ids()["judge", "development"] == id


@pytest.mark.parametrize("seen", [True, False])
def test_an_adopt_whose_answer_is_lost(host: Host, server: Loopback, seen: bool) -> None:
    """Looked at and recorded, or adopted by a rerun: in both cases as if the answer had come, foreign pairs and all."""
    id = existing(server)
    server.faults.append(lambda each: Fault(after=True, reset=True) if each.method == "POST" else None)
    if not seen:
        server.faults.append(lambda each: Fault(status=400) if each.method == "GET" and server.writes() else None)
        with pytest.raises(AsstError):
            commands.adopt("judge", "production", id, host.root)
        server.faults.clear()
    [row] = commands.adopt("judge", "production", id, host.root)
    assert (row.id, row.action) == (id, "adopt")
    [planned] = commands.plan(host.root, ["judge"], "production", allow_breaking=["judge"])
    assert (planned.state, planned.error) == ("changed", None)
    assert "metadata.theirs" not in {change.field for change in planned.changes}


def test_a_store_that_is_pulled_during_an_adopt(host: Host, server: Loopback) -> None:
    """It names another instance for the row: that stands, and both are named."""
    id = existing(server)
    pulled = host.root / "pulled"
    commands.create(host.root, ["judge"], "development")
    pulled.write_bytes(host.path.read_bytes())
    theirs = host.ids()["judge", "development"]
    commands.forget("judge", "development", host.root)
    server.faults.append(lambda each: host.path.write_bytes(pulled.read_bytes()) and None if each.method == "POST" else None)
    with pytest.raises(AsstError, match=f"the store was replaced during this run and names {theirs}"):
        commands.adopt("judge", "development", id, host.root)
    assert host.ids()["judge", "development"] == theirs


def test_adopt_on_the_command_line(host: Host, server: Loopback) -> None:
    """NAME ENV ID in this order; what is missing is said by Invoke."""
    id = existing(server)
    assert host.inv("asst.adopt", "judge", "production", id, "--json").rows()["judge", "production"]["id"] == id
    assert host.inv("asst.adopt", "judge").code != 0


@pytest.mark.parametrize(
    "line", ["OPENAI_API_KEY=sk-canary-12345678", "export OPENAI_API_KEY_PRODUCTION='x'", "OTHER=sk-canary-12345678"]
)
def test_a_tracked_env_file_with_a_key_is_refused_by_check(local_host: Host, line: str) -> None:
    """The file, the variable and the way out, beside what else is wrong; an untracked file is nobody's business."""
    path = local_host.root / ".env"
    path.write_text(f"ASST_PLATFORM=local\n{line}\n")
    assert local_host.inv("asst.check").code == 0
    for command in (["git", "init", "-q"], ["git", "add", ".env"]):
        subprocess.run(command, cwd=local_host.root, check=True)
    result = local_host.inv("asst.check")
    assert result.code == 1
    assert ".env is tracked by git" in result.err
    assert ".env.local" in result.err
    assert "canary" not in result.err + result.out
    local_host.edit("tools=TOOLS", "tools=[lambda: None]")
    both = local_host.inv("asst.check", "--json")
    assert ".env is tracked by git" in both.json["error"]
    assert "a lambda cannot be a tool" in both.rows()["planner", "production"]["error"]
    local_host.edit("tools=[lambda: None]", "tools=TOOLS")
    path.write_text("ASST_PLATFORM=local\nOPENAI_API_KEY=\n")
    assert local_host.inv("asst.check").code == 0
