"""The main job, against the Agents API on a real socket: create, update, deploy, plan and status as functions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from conftest import MODELS, THREE, Host
from loopback import Loopback

from invoke_assistants import AsstError, DeclarationError, Refused, RowsFailed, SettingsError, commands
from invoke_assistants.types import Step


def states(rows: list[Step]) -> set[tuple[str | None, str]]:
    return {(row.state, row.action) for row in rows}


def test_create_makes_one_instance_per_environment(host: Host, server: Loopback) -> None:
    """3 assistants × 2 environments are 6 posts; names, tags, payloads and ids are as designed; nothing stays open."""
    rows = commands.create(host.root)
    assert states(rows) == {("not_created", "create")}
    agents = server.agents()
    assert sorted(agent["name"] for agent in agents.values()) == sorted(
        f"{name}_{environment}" for name in ("planner", "judge", "talker") for environment in ("development", "production")
    )
    assert host.ids() == {(row.name, row.environment): row.id for row in rows}
    for (name, environment), id in host.ids().items():
        metadata = agents[id]["metadata"]
        assert {key: metadata[f"asst.{key}"] for key in ("project", "name", "environment")} == {
            "project": "host", "name": name, "environment": environment,
        }  # fmt: skip
        assert metadata["asst.digest"] == host.store["assistants"][name][environment]["digest"]
        assert metadata["asst.nonce"]
    assert agents[host.ids()["judge", "production"]]["model"] == "gpt-6-astra"
    assert "pending" not in host.store
    posts = server.writes()
    assert len(posts) == 6
    assert all(seen.headers["openai-beta"] == "agents=v1" for seen in server.seen)
    assert len({seen.body["metadata"]["asst.nonce"] for seen in posts}) == 6


def test_creating_again_writes_nothing(host: Host, server: Loopback) -> None:
    """The second create sends no write and leaves every file byte for byte."""
    host.create()
    before, server.seen[:] = host.path.stat(), []
    assert states(commands.create(host.root)) == {("in_sync", "none")}
    assert server.writes() == []
    assert host.path.stat().st_mtime_ns == before.st_mtime_ns


def test_one_change_is_one_write_per_environment(host: Host, server: Loopback) -> None:
    """After an edit, update writes the development instance once, and deploy the production one once."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    assert [(row.name, row.action) for row in commands.plan(host.root) if row.action != "none"] == [("planner", "update")] * 2
    server.seen.clear()
    rows = commands.update(host.root)
    assert [(row.name, row.environment, row.action) for row in rows] == [
        ("planner", "development", "update"), ("judge", "development", "none"), ("talker", "development", "none"),
    ]  # fmt: skip
    assert [seen.path for seen in server.writes()] == [f"/v1/agents/{host.ids()['planner', 'development']}"]
    server.seen.clear()
    commands.deploy(host.root)
    assert [seen.path for seen in server.writes()] == [f"/v1/agents/{host.ids()['planner', 'production']}"]
    assert all(agent["instructions"] != "Plan it." for agent in server.agents().values())
    assert {row.action for row in commands.plan(host.root)} == {"none"}
    record = host.store["assistants"]["planner"]
    assert "history" not in record["development"]
    assert len(record["production"]["history"]) == 1
    assert record["production"]["history"][0] in host.store["payloads"]


def test_a_noop_deploy_reads_one_page(host: Host, server: Loopback) -> None:
    """Environments with one URL, key and project share one look at the list."""
    host.create()
    server.seen.clear()
    commands.deploy(host.root)
    assert [(seen.method, seen.path) for seen in server.seen] == [("GET", "/v1/agents")]


def test_drift_by_hand_is_refused_and_overwritten_on_demand(host: Host, server: Loopback) -> None:
    """A field edited remotely is named, nothing is written anywhere; --overwrite puts it right and keeps foreign metadata."""
    host.create()
    id = host.ids()["judge", "production"]
    server.edit(id, instructions="Be kind.", metadata={"theirs": "kept"})
    host.edit("Plan it.", "Plan it well.")
    server.seen.clear()
    before = host.path.read_bytes()
    with pytest.raises(Refused, match=f"judge in production: {id} was edited by hand: instructions; --overwrite") as caught:
        commands.deploy(host.root)
    assert caught.value.exit_code == 3
    assert [row.error is not None for row in caught.value.rows] == [False, False, False, True, False, False]
    assert [row.note for row in commands.status(host.root) if row.state == "drifted"] == [
        f"{id} was edited by hand: instructions"
    ]
    assert server.writes() == []
    assert host.path.read_bytes() == before
    commands.update(host.root)  # the other environment is not in its way
    commands.deploy(host.root, overwrite=True)
    agent = server.agents()[id]
    assert (agent["instructions"], agent["metadata"]["theirs"], agent["metadata"]["team"]) == ("Judge it.", "kept", "blue")


def test_create_leaves_a_drifted_instance(host: Host, server: Loopback) -> None:
    """Create names it and goes on."""
    commands.create(host.root)
    server.edit(host.ids()["judge", "production"], instructions="Be kind.")
    server.seen.clear()
    row = next(row for row in commands.create(host.root) if row.state == "drifted")
    assert (row.name, row.action, row.error) == ("judge", "none", None)
    assert "edited by hand" in (row.note or "")
    assert server.writes() == []


def test_one_missing_instance(host: Host, server: Loopback) -> None:
    """Update and deploy do the other rows and name the id; create makes it anew; status and plan show it."""
    host.create()
    id = host.ids()["judge", "development"]
    server.call("DELETE", f"/agents/{id}")
    host.edit("Plan it.", "Plan it well.")
    with pytest.raises(RowsFailed, match=f"judge in development: {id} was deleted remotely: run inv asst.create"):
        commands.deploy(host.root)
    by_key = {row.key: row for row in commands.status(host.root)}
    assert by_key["planner", "development"].state == "in_sync"
    assert by_key["planner", "production"].state == "changed"  # production was not started
    assert by_key["judge", "development"].state == "missing"
    rows = {row.key: row for row in commands.create(host.root)}
    assert rows["judge", "development"].action == "recreate"
    assert host.ids()["judge", "development"] not in (id, None)
    assert len(server.agents()) == 6
    commands.deploy(host.root)
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}


def test_a_key_that_sees_nothing_is_refused(host: Host, server: Loopback, tmp_path: Path) -> None:
    """Another project's key: exit 3 with the key variable, for every verb, and nothing is written; --recreate goes on."""
    host.create()
    before = host.path.read_bytes()
    for id in host.ids().values():
        server.call("DELETE", f"/agents/{id}")
    server.seen.clear()
    for verb in (commands.create, commands.update, commands.deploy):
        with pytest.raises(Refused, match="development: the key in OPENAI_API_KEY sees none of its 3 recorded instances"):
            verb(host.root)
    with pytest.raises(Refused):
        commands.update(host.root, only=["judge"])
    assert {row.state for row in commands.status(host.root)} == {"missing"}
    assert server.writes() == []
    assert host.path.read_bytes() == before
    assert states(commands.create(host.root, recreate=True)) == {("missing", "recreate")}
    assert len(server.agents()) == 6


def test_update_and_deploy_never_create(host: Host, server: Loopback) -> None:
    """What is not created is an error that names create; the others go on."""
    commands.create(host.root, only=["planner"])
    host.edit("Plan it.", "Plan it well.")
    with pytest.raises(RowsFailed, match=r"judge in development is not created: run inv asst\.create"):
        commands.update(host.root)
    assert len(server.agents()) == 2
    assert server.agents()[host.ids()["planner", "development"]]["instructions"] == "Plan it well."


def test_update_works_in_the_first_environment_only(host: Host) -> None:
    """Another one is an error that names deploy; the first by name is fine."""
    host.create()
    assert {row.environment for row in commands.update(host.root, env="development")} == {"development"}
    with pytest.raises(SettingsError, match="inv asst.deploy --env production"):
        commands.update(host.root, env="production")


def test_deploying_one_environment_needs_those_before(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """--env production trusts the store about development and does not read it; without it, it is refused."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    with pytest.raises(AsstError, match=r"planner in development is as declared: run inv asst\.update first"):
        commands.deploy(host.root, env="production")
    commands.update(host.root)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", "sk-production")
    assert commands.deploy(host.root, env="production")[0].action == "update"


def test_deploy_through_an_environment(host: Host) -> None:
    """Environments after the given one are left alone."""
    host.create()
    assert {row.environment for row in commands.deploy(host.root, through="development")} == {"development"}


def test_only_narrows_and_unknown_names_are_suggested(host: Host, server: Loopback) -> None:
    """--only acts on these alone; a wrong name lists the known and the nearest."""
    commands.create(host.root, only=["judge"], env="production")
    assert set(host.ids()) == {("judge", "production")}
    with pytest.raises(SettingsError, match="declared: planner, judge, talker; did you mean 'judge'"):
        commands.create(host.root, only=["juge"])
    with pytest.raises(SettingsError, match="did you mean 'production'"):
        commands.create(host.root, env="prod")


def test_dry_runs_write_nothing(host: Host, server: Loopback) -> None:
    """No request that writes, no store, no lock."""
    rows = commands.create(host.root, dry_run=True)
    assert states(rows) == {("not_created", "create")}
    assert not host.path.exists()
    commands.create(host.root)
    host.edit("Plan it.", "Plan it well.")
    server.seen.clear()
    assert ("changed", "update") in states(commands.update(host.root, dry_run=True))
    assert ("changed", "update") in states(commands.deploy(host.root, dry_run=True))
    assert server.writes() == []


def test_with_nothing_recorded_status_and_plan_need_no_key(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh project can look around before it has a key; not one request is sent."""
    monkeypatch.delenv("OPENAI_API_KEY")
    assert states(commands.status(host.root)) == {("not_created", "none")}
    assert states(commands.plan(host.root)) == {("not_created", "create")}
    assert server.seen == []


def test_status_shows_what_is_no_longer_declared(host: Host) -> None:
    """A recorded assistant that the app dropped is shown as undeclared, and nothing else happens to it."""
    host.create()
    host.declare(MODELS + 'ASSISTANTS = [Assistant("talker", model="gpt-6-luna", instructions="Talk.")]')
    rows = commands.status(host.root)
    assert [(row.name, row.environment) for row in rows if row.state == "undeclared"] == [
        ("judge", "development"), ("judge", "production"), ("planner", "development"), ("planner", "production"),
    ]  # fmt: skip
    assert all(row.id for row in rows)


def test_switching_platforms_and_back_loses_nothing(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of another place are kept under elsewhere, unchanged, and found again."""
    host.create()
    ids, before = host.ids(), host.store["assistants"]["judge"]["production"]
    monkeypatch.setenv("ASST_PLATFORM", "local")
    rows = commands.status(host.root)
    assert {row.state for row in rows} == {"not_created"}
    assert all(f"recorded on agents at {server.origin}" in (row.note or "") for row in rows)
    commands.create(host.root)
    record = host.store["assistants"]["judge"]["production"]
    assert record["platform"] == "local"
    assert record["elsewhere"] == {f"agents {server.origin}": before}
    monkeypatch.setenv("ASST_PLATFORM", "agents")
    server.seen.clear()
    bytes_before = host.path.read_bytes()
    assert states(commands.create(host.root)) == {("in_sync", "none")}
    assert host.path.read_bytes() == bytes_before
    host.edit("Judge it.", "Judge it well.")
    commands.deploy(host.root)
    assert host.ids()["judge", "production"] == ids["judge", "production"]
    assert set(host.store["assistants"]["judge"]["production"]["elsewhere"]) == {"local local"}


def test_another_clone_adopts_what_is_tagged(host: Host, server: Loopback, tmp_path: Path) -> None:
    """A clone without the store finds the instances by their tags: no twin, the same ids."""
    host.create()
    clone = Host(tmp_path / "clone", host.env)
    rows = commands.create(clone.root)
    assert states(rows) == {("not_created", "adopt")}
    assert clone.ids() == host.ids()
    assert len(server.agents()) == 6
    assert {row.state for row in commands.status(clone.root)} == {"in_sync"}


def test_an_adopted_instance_of_another_checkout(host: Host, server: Loopback, tmp_path: Path) -> None:
    """Adopted with another payload: gone on in development, refused in production until the store is pulled."""
    host.create()
    clone = Host(tmp_path / "clone", host.env)
    clone.declare(THREE.replace("Plan it.", "Plan it otherwise."))
    commands.create(clone.root)
    assert clone.ids() == host.ids()
    rows = {row.key: row for row in commands.plan(clone.root)}
    assert rows["planner", "development"].state == "changed"
    assert rows["planner", "production"].state == "drifted"
    with pytest.raises(Refused, match="another checkout wrote .*: pull the store, or commit it back from CI"):
        commands.deploy(clone.root)
    commands.update(clone.root)
    assert server.agents()[clone.ids()["planner", "development"]]["instructions"] == "Plan it otherwise."


def test_two_checkouts_that_share_the_first_environment(host: Host, server: Loopback, tmp_path: Path) -> None:
    """Development is where people overwrite each other: it is said and gone on with."""
    host.create()
    other = Host(tmp_path / "other", host.env)
    other.path.write_bytes(host.path.read_bytes())
    other.declare(THREE.replace("Plan it.", "Other's plan."))
    commands.update(other.root)
    host.edit("Plan it.", "My plan.")
    [row] = [row for row in commands.update(host.root) if row.action == "update"]
    assert "another checkout wrote" in (row.note or "")
    assert server.agents()[host.ids()["planner", "development"]]["instructions"] == "My plan."


def test_a_store_that_ci_did_not_commit_back(host: Host, server: Loopback, tmp_path: Path) -> None:
    """CI deployed and threw its store away: the next deploy with new code is refused and says why."""
    host.create()
    ci = Host(tmp_path / "ci", host.env)
    ci.path.write_bytes(host.path.read_bytes())
    for each in (host, ci):
        each.declare(THREE.replace("Plan it.", "Second."))
    commands.deploy(ci.root)
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}
    host.declare(THREE.replace("Plan it.", "Third."))
    with pytest.raises(
        Refused, match="planner in production: another checkout wrote .*commit it back from CI .*older, looks the same"
    ):
        commands.deploy(host.root)


def test_a_fresh_clone_on_local_is_in_sync_at_once(local_host: Host, tmp_path: Path) -> None:
    """The embedded platform puts back what the committed store names, under the same ids; deleted ones stay deleted."""
    local_host.create()
    before = local_host.path.read_bytes()
    (local_host.root / ".asst" / "local.json").unlink()
    assert states(commands.status(local_host.root)) == {("in_sync", "none")}
    commands.create(local_host.root)
    assert local_host.path.read_bytes() == before
    other = Host(tmp_path / "other", local_host.env)
    commands.create(other.root)
    assert other.ids() == local_host.ids()


def test_deleted_on_local_stays_deleted(local_host: Host) -> None:
    """An id that was deleted in the embedded platform is neither put back nor given again."""
    from invoke_assistants.emulator.api import EmbeddedAPI

    local_host.create()
    id = local_host.ids()["judge", "development"]
    EmbeddedAPI(local_host.root / ".asst" / "local.json").handle("DELETE", f"/v1/agents/{id}", {}, b"")
    assert {row.state for row in commands.status(local_host.root, only=["judge"], env="development")} == {"missing"}
    commands.create(local_host.root)
    assert local_host.ids()["judge", "development"] != id


def test_the_plan_from_the_store_alone(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a request and without a key: what the code changed since the last deploy."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    server.seen.clear()
    monkeypatch.delenv("OPENAI_API_KEY")
    rows = commands.plan(host.root, from_store=True)
    assert [(row.name, row.changes[0].before, row.changes[0].after) for row in rows if row.changes] == [
        ("planner", "Plan it.", "Plan it well.")
    ] * 2
    assert server.seen == []


def test_verbs_work_inside_a_running_loop(host: Host) -> None:
    """An async program can call them; its loop is not disturbed."""

    async def main() -> list[Step]:
        return commands.create(host.root)

    assert len(asyncio.run(main())) == 6


def test_the_root_is_found_as_at_run_time(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a root: ASST_ROOT, else upward from the current folder."""
    (host.root / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(host.root / "deep" / "er")
    assert len(commands.status()) == 6
    monkeypatch.chdir("/")
    monkeypatch.setenv("ASST_ROOT", str(host.root))
    assert len(commands.status()) == 6


@pytest.mark.parametrize("many", [250, 700])
def test_a_look_stays_short_among_many(host: Host, server: Loopback, many: int) -> None:
    """Pages of 100, and single requests where those are fewer; a tagged match on the last page is found."""
    host.create()
    server.fill(many)
    server.seen.clear()
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}
    pages = [seen for seen in server.seen if seen.path == "/v1/agents"]
    assert all(seen.query["limit"] == "100" for seen in pages)
    assert len(server.seen) <= 12 + 1  # 6 pages, then 6 ids; the models
    host.path.unlink()
    assert states(commands.create(host.root)) == {("not_created", "adopt")}
    assert len(server.agents()) == many + 6


def test_a_same_name_without_tags_is_somebody_elses(host: Host, server: Loopback) -> None:
    """An agent that only has the display name is not adopted."""
    foreign = server.call("POST", "/agents", {"model": "m", "name": "planner_development"})
    host.create()
    assert foreign["id"] not in host.ids().values()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import nothing_like_that",
            r"cannot import hosted_\w+: ModuleNotFoundError: No module named 'nothing_like_that' \(hosted",
        ),
        ("def broken(:", r"cannot import hosted_\w+: SyntaxError: invalid syntax \(hosted_\w+\.py, line 1\)$"),
        ("raise SystemExit(3)", "cannot import .*SystemExit"),
        ("X = 1", "has no ASSISTANTS"),
        ("ASSISTANTS = 3", "must be a list"),
        ("ASSISTANTS = [3]", r"\[0\] is 3, which is not an Assistant"),
        (MODELS + 'a = Assistant("a", model="m")\nASSISTANTS = [a, a]', "two assistants are called a"),
        (MODELS + 'ASSISTANTS = {"b": Assistant("a", model="m")}', "the key 'b' stands for the assistant a"),
        (MODELS + 'ASSISTANTS = [Assistant("a", model="m", output=int)]', "neither a Pydantic model nor a dataclass"),
        (MODELS + 'ASSISTANTS = [Assistant("a", model="m", environments={"prod": {}})]', "did you mean 'production'"),
        (
            MODELS + 'ASSISTANTS = [Assistant("a", model="m", environments={"prod": {}})]',
            "assistant a has environments={'prod': …} in its declaration, which is not an environment of the settings",
        ),
    ],
)
def test_bad_declarations_are_one_line(host: Host, server: Loopback, source: str, message: str) -> None:
    """Whatever is wrong with the app is one line that names it; nothing is written anywhere."""
    host.declare(source)
    for verb in (commands.create, commands.status, commands.check):
        with pytest.raises((SettingsError, DeclarationError), match=message) as caught:
            verb(host.root)
        assert "\n" not in str(caught.value)
    assert not host.path.exists()
    assert server.seen == []


def test_a_syntax_error_is_told_with_its_path(host: Host) -> None:
    """Of the module that has it, be it one that the declarations import: two files may have one name."""
    (host.root / "part_of_the_app").mkdir()
    (host.root / "part_of_the_app" / "models.py").write_text("x = 1\ndef broken(:\n")
    host.declare("import part_of_the_app.models")
    with pytest.raises(SettingsError, match=r"SyntaxError: invalid syntax \(part_of_the_app/models\.py, line 2\)$"):
        commands.check(host.root)


@pytest.mark.parametrize("tags", ["dict[str, int]", "dict[str, typing.Any]", "dict"])
def test_a_schema_that_strict_mode_refuses_stops_before_any_request(host: Host, server: Loopback, tags: str) -> None:
    """Found offline, with the model and the field, by check and by every writing verb."""
    declared = f'class Open(BaseModel):\n    tags: {tags}\nASSISTANTS = [Assistant("a", model="m", output=Open)]'
    host.declare(f"import typing\n{MODELS}{declared}")
    assert all("Open.tags: an open object" in (row.error or "") for row in commands.check(host.root))
    for verb in (commands.create, commands.update, commands.deploy, commands.plan):
        with pytest.raises(DeclarationError, match=r"a in development: Open\.tags: an open object.*run inv asst\.check"):
            verb(host.root)
    assert server.seen == []


def test_the_stores_payloads_are_what_was_sent(host: Host, server: Loopback) -> None:
    """Each record's payload in the store is, key for key, what the create sent."""
    host.create()
    for seen in server.writes():
        record = host.store["assistants"][seen.body["metadata"]["asst.name"]][seen.body["metadata"]["asst.environment"]]
        payload = host.store["payloads"][record["digest"]]
        assert json.dumps({key: seen.body[key] for key in payload if key != "metadata"}) == json.dumps(
            {key: value for key, value in payload.items() if key != "metadata"}
        )


def test_an_overwrite_shows_all_that_it_takes_away(host: Host, server: Loopback) -> None:
    """Fields that are no longer declared and were edited by hand since: the plan lists each with the value that goes."""
    host.edit(
        '"judge", output=Verdict,', '"judge", output=Verdict, verbosity="low", reasoning={"effort": "low"}, service_tier="flex",'
    )
    commands.create(host.root, ["judge"])
    id = host.ids()["judge", "production"]
    server.edit(
        id, text={"verbosity": "high"}, reasoning={"effort": "high", "summary": "auto"}, service_tier="priority",
        metadata={"team": "red", "theirs": "kept"},
    )  # fmt: skip
    host.edit(' verbosity="low", reasoning={"effort": "low"}, service_tier="flex",', "")
    host.edit(', metadata={"team": "blue"}', "")
    host.edit("Judge it.", "Judge it well.")
    [row] = commands.plan(host.root, ["judge"], "production")
    changes = {change.field: (change.before, change.after) for change in row.changes}
    assert changes == {
        "instructions": ("Judge it.", "Judge it well."),
        "text.verbosity": ("high", None),
        "reasoning.effort": ("high", None),
        "reasoning.summary": ("auto", None),
        "service_tier": ("priority", None),
        "metadata.team": ("red", None),
    }
    commands.update(host.root, ["judge"])
    commands.deploy(host.root, ["judge"], overwrite=True)
    agent = server.agents()[id]
    assert agent["metadata"]["theirs"] == "kept"
    assert "team" not in agent["metadata"]
    assert commands.plan(host.root, ["judge"], "production")[0].state == "in_sync"
