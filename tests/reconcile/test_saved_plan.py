"""A saved plan is done exactly as it was made, or refused before anything is written."""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import THREE, Host, examples
from copies import begin
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Fault, Loopback

from invoke_assistants import AsstError, Refused, RowsFailed, SettingsError, StoreError, commands
from invoke_assistants.declare.digest import digest
from invoke_assistants.reconcile.diff import FIELDS, declarable_fields
from invoke_assistants.reconcile.plan import Plan
from invoke_assistants.reconcile.rows import json_value, row_of
from invoke_assistants.reconcile.saved_plan import SavedPlan, refuse_if_stale, refuse_other_scope, refuse_to_save, remote_digest
from invoke_assistants.types import LOCAL, Change, Desired, Location, Record, State, Step

TALKER = THREE.split("ASSISTANTS")[0] + 'ASSISTANTS = [Assistant("talker", model="m", instructions="Talk.")]'


@pytest.fixture
def saved(host: Host, server: Loopback) -> Path:
    """All is created and the planner edited in the code; the file of the plan that would bring it to both environments."""
    begin(host, server, "created", lambda: commands.create(host.root))
    host.edit("Plan it.", "Plan it well.")
    commands.plan(host.root, out=host.root / "next.plan")
    return host.root / "next.plan"


def refused(host: Host, server: Loopback, saved: Path, match: str) -> Refused:
    """The refusal of a deploy of the saved plan; nothing was written, here or there."""
    before = host.path.read_bytes()
    server.seen.clear()
    with pytest.raises(Refused, match=match) as caught:
        commands.deploy(host.root, saved=saved)
    assert caught.value.exit_code == 3
    assert server.writes() == []
    assert host.path.read_bytes() == before
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_saved_plan_is_done_as_it_was_made(host: Host, server: Loopback, saved: Path, tmp_path: Path) -> None:
    """The deploy writes what the plan said, with the requests that a plain deploy sends, one for one."""
    shutil.copytree(host.root, tmp_path / "copy")
    server.seen.clear()
    rows = commands.deploy(host.root, saved=saved)
    with_plan = [(seen.method, seen.path, seen.body) for seen in server.seen]
    assert [row.key for row in rows if row.action == "update"] == [("planner", "development"), ("planner", "production")]
    assert {row.action for row in commands.plan(host.root)} == {"none"}

    for (name, environment), id in host.ids().items():
        before = next(body for _, path, body in with_plan if path.endswith(id)) if name == "planner" else None
        if before:
            server.call("POST", f"/agents/{id}", {**before, "instructions": "Plan it."})
            metadata = {**before["metadata"], "asst.digest": json.loads((tmp_path / "copy/assistants_store.json").read_text())[
                "assistants"][name][environment]["digest"]}  # fmt: skip
            server.call("POST", f"/agents/{id}", {"metadata": metadata})
    shutil.copy(tmp_path / "copy/assistants_store.json", host.path)
    server.seen.clear()
    commands.deploy(host.root)
    assert [(seen.method, seen.path, seen.body) for seen in server.seen] == with_plan


def test_the_file_holds_what_the_plan_was_made_from(host: Host, server: Loopback, saved: Path) -> None:
    """Its rows are those of --json; its digests are the store's, and those of the objects as answered; made again it is equal."""
    plan = json.loads(saved.read_text())
    assert plan["rows"] == json.loads(json_value([row_of(step) for step in commands.plan(host.root)]))
    assert (plan["format"], plan["version"], plan["project"]) == ("invoke-assistants plan", 1, "host")
    assert (plan["only"], plan["env"]) == ([], None)
    assert plan["environments"] == [
        {"name": name, "platform": "agents", "origin": server.origin} for name in ("development", "production")
    ]
    for (name, environment), id in host.ids().items():
        assert plan["recorded"][name][environment] == host.store["assistants"][name][environment]["digest"]
        assert plan["remote"][name][environment] == digest({key: server.agents()[id][key] for key in ("name", *FIELDS)})
    before = saved.read_bytes()
    commands.plan(host.root, out=saved)
    assert saved.read_bytes() == before
    assert not list(host.root.glob("*.tmp"))


def test_a_done_plan_is_stale(host: Host, server: Loopback, saved: Path) -> None:
    """Doing it twice is refused and says that it is done, unless more has changed; one with nothing to do can be done again."""
    commands.deploy(host.root, saved=saved)
    error = refused(host, server, saved, "is done already: nothing was written$")
    assert str(error) == f"the plan in {saved} is done already: nothing was written"
    server.edit(host.ids()["judge", "production"], instructions="By hand.")
    refused(
        host, server, saved, "planner in production: recorded and remote are no longer what they were: it is as planned already"
    )
    server.edit(host.ids()["judge", "production"], instructions="Judge it.")
    commands.plan(host.root, out=saved)
    for _ in range(2):
        assert {row.action for row in commands.deploy(host.root, saved=saved)} == {"none"}


REMOTE: dict[str, dict[str, Any]] = {
    "instructions": {"instructions": "By hand."},
    "a field that is not declared": {"service_tier": "priority"},
    "metadata of others": {"metadata": {"cost": "1"}},
    "its name": {"name": "other"},
    "tools": {"tools": []},
}


@pytest.mark.parametrize("edit", REMOTE.values(), ids=REMOTE)
@pytest.mark.parametrize("name", ["planner", "judge"])
def test_a_remote_object_that_changed(host: Host, server: Loopback, saved: Path, name: str, edit: dict[str, Any]) -> None:
    """Its name, its metadata, or what an Assistant can declare changed, in a row that is written or in one that is not."""
    id = host.ids()[name, "production"]
    if edit == {"tools": []} and not server.agents()[id]["tools"]:
        edit = {"tools": [{"type": "web_search"}]}
    server.edit(id, **edit)
    error = refused(
        host, server, saved, f"{name} in production: remote is no longer what it was; nothing was written: inv asst.plan"
    )
    assert [row.key for row in error.rows if row.error] == [(name, "production")]


def test_a_declaration_that_changed(host: Host, server: Loopback, saved: Path) -> None:
    """Another edit in the code, of the same row or of another."""
    host.edit("Plan it well.", "Plan it best.")
    host.edit("Judge it.", "Judge it well.")
    error = refused(host, server, saved, "planner in development: declared is no longer what it was")
    assert {row.key for row in error.rows if row.error} == {
        (name, environment) for name in ("planner", "judge") for environment in ("development", "production")
    }


def test_a_record_that_changed(host: Host, server: Loopback, saved: Path) -> None:
    """Somebody updates development meanwhile: recorded and remote differ, the rest is left, and a plain deploy does it."""
    commands.update(host.root)
    error = refused(host, server, saved, "planner in development: recorded and remote are no longer what they were: it is as")
    assert "inv asst.deploy does what is left, or inv asst.plan --out" in str(error)
    commands.deploy(host.root)


def test_a_store_of_an_older_commit(host: Host, server: Loopback, saved: Path) -> None:
    """The remote side is as planned and the store names another digest: recorded alone is named."""
    store = host.store
    planner = store["assistants"]["planner"]["production"]
    planner["digest"], planner["tag"] = store["assistants"]["judge"]["production"]["digest"], planner["digest"]
    host.path.write_text(json.dumps(store))
    refused(host, server, saved, "planner in production: recorded is no longer what it was")


def test_a_record_of_another_object(host: Host, server: Loopback, saved: Path) -> None:
    """The store names another id, whose object looks the same."""
    store = host.store
    id = store["assistants"]["planner"]["production"]["id"]
    twin = server.call("POST", "/agents", {key: server.agents()[id][key] for key in ("name", *FIELDS)})
    store["assistants"]["planner"]["production"]["id"] = twin["id"]
    host.path.write_text(json.dumps(store))
    refused(host, server, saved, "planner in production: recorded is no longer what it was")


def test_an_object_that_is_gone(host: Host, server: Loopback, saved: Path) -> None:
    """A missing row is stale, and nothing of the others is done."""
    server.call("DELETE", f"/agents/{host.ids()['judge', 'development']}")
    refused(host, server, saved, "judge in development: remote is no longer what it was")


def test_rows_that_came_or_went(host: Host, server: Loopback, saved: Path) -> None:
    """An assistant more in the code, and one less."""
    host.edit('Assistant("talker"', 'Assistant("newcomer"')
    error = refused(host, server, saved, "newcomer in development was not in the plan")
    assert "talker in production is no longer declared" in str(error)


@pytest.mark.parametrize(
    ("asst", "match"),
    [
        ('environments = ["production", "development"]', "the environments' order is production, development, and was dev"),
        ('environments = ["development", "staging", "production"]', "the environment staging was not in the plan"),
        ('environments = ["production"]', "development is no longer an environment"),
        ('project = "other"', "is a plan for the project 'host', and this is 'other'"),
    ],
)
def test_other_settings(host: Host, server: Loopback, saved: Path, asst: str, match: str) -> None:
    """The environments, their order, and the project are the plan's own; where they differ, nothing is even asked."""
    host.declare(TALKER, asst)
    refused(host, server, saved, match)
    assert server.seen == []


def test_another_origin(host: Host, server: Loopback, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Development has moved to another platform: refused, with both places named."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    refused(host, server, saved, f"development is on local and was planned on agents at {server.origin}")


def test_a_narrowed_plan_is_done_narrowed(host: Host, server: Loopback) -> None:
    """--only and --env of the plan are those of its deploy; what lies outside may change meanwhile."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    commands.update(host.root, ["planner"])
    file = host.root / "production.plan"
    commands.plan(host.root, ["planner"], "production", out=file)
    server.edit(host.ids()["judge", "production"], instructions="By hand.")
    [row] = commands.deploy(host.root, saved=file)
    assert (row.key, row.action) == (("planner", "production"), "update")
    server.edit(host.ids()["planner", "production"], instructions="By hand.")
    refused(host, server, file, "inv asst.plan --out .*production.plan --only planner --env production makes a new one")
    host.declare(TALKER)
    refused(host, server, file, "planner is no longer declared")
    assert server.seen == []


def test_a_code_that_moved_on_is_stale_before_it_is_not_promoted(host: Host, server: Loopback) -> None:
    """A plan for production alone, and another edit that development lacks, too: 3 for the plan, not 1 for the promotion."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    commands.plan(host.root, env="production", out=(file := host.root / "production.plan"))
    with pytest.raises(AsstError, match="the store does not say that planner in development is as declared"):
        commands.deploy(host.root, saved=file)  # it overrides no refusal
    host.edit("Plan it well.", "Plan it best.")
    refused(host, server, file, "planner in production: declared is no longer what it was")


def test_a_plan_that_was_killed_half_way(host: Host, server: Loopback, saved: Path) -> None:
    """SIGKILL while production is written: the same plan is stale and names the plain deploy, which does the rest."""
    id = host.ids()["planner", "production"]
    server.once(Fault(hang=30), path=f"/v1/agents/{id}")
    running = host.start("asst.deploy", "--plan", str(saved))
    until = time.monotonic() + 30
    while not any(seen.path.endswith(id) for seen in server.writes()):
        assert time.monotonic() < until
        time.sleep(0.01)
    running.kill()
    running.communicate()
    done = host.inv("asst.deploy", "--plan", str(saved), "--json")
    assert (done.code, done.json["ok"]) == (3, False)
    assert "planner in development: recorded and remote are no longer what they were" in done.json["error"]
    assert "inv asst.deploy does what is left" in done.json["error"]
    assert done.rows()["planner", "development"]["error"]
    commands.deploy(host.root)
    assert server.agents()[id]["instructions"] == "Plan it well."


def test_a_pending_update_that_never_got_through_is_the_same_plan(host: Host, server: Loopback, saved: Path) -> None:
    """Killed before the first request left: nothing differs from what was planned, so the plan can be done."""
    server.once(Fault(status=400), path="/v1/agents/", times=9)
    with pytest.raises(RowsFailed):
        commands.deploy(host.root, saved=saved)
    server.faults.clear()
    assert [row.action for row in commands.deploy(host.root, saved=saved)].count("update") == 2


def test_drift_is_saved_and_still_refused(host: Host, server: Loopback) -> None:
    """A plan with drift asks for --overwrite when it is done, and then writes over exactly what was seen."""
    host.create()
    id = host.ids()["judge", "production"]
    server.edit(id, instructions="By hand.")
    commands.plan(host.root, out=(file := host.root / "next.plan"))
    error = refused(host, server, file, "edited by hand: instructions; --overwrite")
    assert "stale" not in str(error)
    server.edit(id, instructions="By another hand.")
    with pytest.raises(Refused, match="judge in production: remote is no longer what it was"):
        commands.deploy(host.root, saved=file, overwrite=True)
    server.edit(id, instructions="By hand.")
    commands.deploy(host.root, saved=file, overwrite=True)
    assert server.agents()[id]["instructions"] == "Judge it."


@pytest.mark.parametrize("platform", ["local", "responses"])
def test_a_fresh_clone_on_the_other_platforms(local_host: Host, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan saved in a clone that has no objects of the embedded platform yet is not stale by their coming back."""
    monkeypatch.setenv("ASST_PLATFORM", platform)
    local_host.create()
    shutil.rmtree(local_host.root / ".asst", ignore_errors=True)
    local_host.edit("Plan it.", "Plan it well.")
    commands.plan(local_host.root, out=(file := local_host.root / "next.plan"))
    assert [row.action for row in commands.deploy(local_host.root, saved=file)].count("update") == 2
    with pytest.raises(Refused, match="is done already"):
        commands.deploy(local_host.root, saved=file)


def test_a_plan_that_cannot_be_done_is_not_saved(host: Host, server: Loopback) -> None:
    """Rows that are not created, missing, another row's or in sight of no key: said, with a deploy's exit code, and no file."""
    file = host.root / "next.plan"
    commands.create(host.root, ["planner"])
    with pytest.raises(RowsFailed, match="no plan was saved to .*: judge in development is not created: run inv asst.create"):
        commands.plan(host.root, out=file)
    commands.create(host.root)
    ids = host.ids()
    server.call("DELETE", f"/agents/{ids['judge', 'production']}")
    with pytest.raises(RowsFailed, match="judge in production: .* was deleted remotely: run inv asst.create"):
        commands.plan(host.root, out=file)
    server.edit(ids["talker", "production"], metadata={"asst.name": "planner"})
    with pytest.raises(Refused, match="is the instance of another row"):
        commands.plan(host.root, ["talker"], out=file)
    for name in ("planner", "talker"):
        server.call("DELETE", f"/agents/{ids[name, 'production']}")
    with pytest.raises(Refused, match="production: the key in OPENAI_API_KEY sees none of its 3 recorded instances"):
        commands.plan(host.root, out=file)
    assert not file.exists()


def test_a_step_that_a_flag_lets_through_is_saved() -> None:
    """A breaking change is refused by the deploy without its flag, so its plan may be saved; a row that fails may not."""
    desired = Desired("judge", "production", 1, LOCAL, "p", {}, digest({}))
    step = Step.of(desired, "changed", action="update", error="the app cannot read it", needs_confirmation=True)
    refuse_to_save(Plan((step,)), "FILE")
    for stuck in (
        Step.of(desired, "changed", error="it would have too many pairs"),
        Step.of(desired, "in_sync", error="a create is still open"),
        Step.of(desired, "missing", action="recreate"),
    ):
        with pytest.raises(RowsFailed, match="no plan was saved to FILE"):
            refuse_to_save(Plan((step, stuck)), "FILE")


def test_other_files_are_left_alone(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--out writes over a plan and over nothing else; what can be no file is said before anything is asked."""
    host.create()
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("mine")
    Path("half.plan").write_text('{"format": "invoke-assistants plan", "version"')
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("link.plan").symlink_to("notes.txt")
    for name, error, match in (
        ("notes.txt", Refused, "notes.txt holds something else than a plan: name another file"),
        ("half.plan", Refused, "holds something else"),
        (host.path, Refused, "holds something else"),
        ("link.plan", Refused, "holds something else"),
        ("folder", SettingsError, "'folder' is not a file"),
        ("pipe", SettingsError, "'pipe' is not a file"),
        ("-", SettingsError, "--out takes the name of a file"),
        ("", SettingsError, "--out needs the name of a file"),
        ("a\0b", SettingsError, "cannot be read"),
        ("nowhere/next.plan", StoreError, "cannot be written: No such file"),
    ):
        with pytest.raises(error, match=match):
            commands.plan(host.root, out=name)
    assert Path("notes.txt").read_text() == "mine"
    Path("old.plan").write_text('{"format": "invoke-assistants plan", "version": 99}')
    commands.plan(host.root, out="old.plan")
    assert json.loads(Path("old.plan").read_text())["version"] == 1


BAD: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "empty": (lambda _: "", r"next.plan, line 1: not valid JSON"),
    "cut off": (lambda text: text[: len(text) // 2], r"next.plan, line \d+: not valid JSON"),
    "latin-1": (lambda _: b'{"format": "\xe9"}', "next.plan, line 1: not UTF-8"),
    "a key twice": (lambda text: text.replace('"env"', '"env": null, "env"', 1), "the key 'env' stands there twice"),
    "nested": (lambda _: "[" * 100_000, "nested too deep"),
    "null": (lambda _: "null", "next.plan is not a plan that inv asst.plan --out saved"),
    "the store": (lambda _: '{"assistants": {}}', "is not a plan that inv asst.plan --out saved"),
    "a newer one": (lambda text: text.replace('"version": 1', '"version": 2'), "is a plan of format version 2, and this"),
    "no rows": (lambda text: text.replace('"rows"', '"lines"'), "is a plan that was edited, or written by half"),
    "nested in its version": (
        lambda text: text.replace('"version": 1', '"version": ' + "[" * 600 + "]" * 600),
        "is not a plan that",
    ),
    "a row without an id": (lambda text: text.replace('"id"', '"name of it"', 1), "is a plan that was edited"),
    "other values": (lambda text: text.replace('"only": []', '"only": [1]'), "is a plan that was edited"),
}


@pytest.mark.parametrize(("damage", "match"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_line(host: Host, server: Loopback, saved: Path, damage: Callable[[str], Any], match: str) -> None:
    """Each is refused before any request, with its path and what is wrong."""
    content = damage(saved.read_text())
    saved.write_bytes(content if isinstance(content, bytes) else content.encode())
    server.seen.clear()
    with pytest.raises(AsstError, match=match) as caught:
        commands.deploy(host.root, saved=saved)
    assert (caught.value.exit_code, server.seen) == (1, [])
    assert len(str(caught.value)) < 600


def test_a_row_that_was_edited_in_the_file(host: Host, server: Loopback, saved: Path) -> None:
    """What the file says of a row must be what would be done."""
    saved.write_text(saved.read_text().replace('"after": "Plan it well."', '"after": "Plan nothing."'))
    refused(host, server, saved, "planner in development: what would be done is no longer what was planned")


def test_flags_that_contradict(host: Host, saved: Path) -> None:
    """A saved plan is narrowed when it is made; a plan without a look is none to be done."""
    for narrowed in (
        functools.partial(commands.deploy, only=["judge"]),
        functools.partial(commands.deploy, env="production"),
        functools.partial(commands.deploy, through="production"),
    ):
        with pytest.raises(SettingsError, match="leave --only and --env to inv asst.plan"):
            narrowed(host.root, saved=saved)
    with pytest.raises(SettingsError, match="--offline has not looked"):
        commands.plan(host.root, out=saved, from_store=True)
    with pytest.raises(SettingsError, match="there is no file 'missing.plan': inv asst.plan --out missing.plan makes one"):
        commands.deploy(host.root, saved="missing.plan")


def test_on_the_command_line(host: Host, server: Loopback) -> None:
    """plan and a dry run name the deploy to type, admin takes both flags, an empty name is an error, a done plan is said so."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    planned = host.inv("asst.plan", "--out", "next.plan", "--check")
    assert planned.code == 2
    assert planned.err == "saved the plan to next.plan\n"
    assert planned.out.endswith("next: inv asst.deploy --plan next.plan\n")
    dry = host.inv("asst.deploy", "--plan", "next.plan", "--dry-run", "--overwrite")
    assert (dry.code, dry.out.splitlines()[-1]) == (2, "next: inv asst.deploy --plan next.plan --overwrite")
    for verb in ("asst.deploy", "asst.admin"):
        empty = host.inv(verb, "--plan", "", env={"ACTION": "deploy"})
        assert (empty.code, empty.err) == (1, "--plan needs the name of a file\n")
    assert server.agents()[host.ids()["planner", "development"]]["instructions"] == "Plan it."
    done = host.inv("asst.admin", "--plan", "next.plan", env={"ACTION": "deploy"})
    assert done.code == 0, done.err
    assert "next:" not in done.out + host.inv("asst.plan", "--out", "none.plan").out
    again = host.inv("asst.deploy", "--plan", "next.plan", "--dry-run")
    assert (again.code, again.err) == (3, "the plan in next.plan is done already: nothing was written\n")


def test_a_plan_for_what_is_held_names_resume(host: Host) -> None:
    """Saved while a rollback holds an instance, its deploy is refused without --resume, and done with it."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    commands.deploy(host.root)
    commands.rollback(host.root, ["planner"], env="production")
    command = ("asst.deploy", "--plan", "held.plan")
    assert host.inv("asst.plan", "--out", "held.plan").out.endswith(f"next: inv {' '.join(command)} --resume\n")
    refused = host.inv(*command)
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert "held at" in refused.err
    assert host.inv(*command, "--resume", "--dry-run").out.endswith(f"next: inv {' '.join(command)} --resume\n")
    assert host.inv(*command, "--resume").code == 0
    assert "held" not in host.store["assistants"]["planner"]["production"]


plain = st.none() | st.booleans() | st.floats() | st.text("ab", max_size=2)
values = plain | st.lists(plain | st.lists(plain, max_size=2), max_size=2)
objects = st.fixed_dictionaries({}, optional=dict.fromkeys(("name", *FIELDS, "id", "created_at"), values))


@given(objects, objects)
@settings(max_examples=examples(200))
def test_objects_share_a_digest_only_where_all_declarable_fields_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The digest sees the name, the metadata and each field that can be declared, and nothing else."""
    same = json.dumps(declarable_fields(one), sort_keys=True) == json.dumps(declarable_fields(other), sort_keys=True)
    texts = json.dumps([one, other])
    if "NaN" not in texts and "Infinity" not in texts:  # which stand as strings
        assert (remote_digest(one) == remote_digest(other)) == same
    assert remote_digest({**one, "updated_at": 1}) == remote_digest(one)


slugs = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,9}", fullmatch=True)
keyed = st.dictionaries(st.tuples(slugs, slugs), st.none() | st.just("sha256:" + "0" * 64), max_size=3)
documents = st.builds(
    SavedPlan,
    file=st.just("FILE"),
    project=st.text(max_size=9),
    only=st.lists(slugs, max_size=2).map(tuple),
    env=st.none() | slugs,
    environments=st.lists(st.tuples(slugs, st.builds(Location, slugs, slugs)), max_size=2).map(tuple),
    rows=st.just(()),
    recorded=keyed,
    remote=keyed,
)


@given(documents, st.data())
@settings(max_examples=examples(200))
def test_what_was_written_is_read_and_the_rest_is_refused(plan: SavedPlan, data: st.DataObject) -> None:
    """A plan comes back from its JSON; with any value replaced by another, it comes back as another, or is refused in words."""
    document = json.loads(json.dumps(plan.to_json()))
    assert SavedPlan.parse("FILE", document) == plan
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(values)
    try:
        SavedPlan.parse("FILE", document)
    except ValueError as error:
        assert str(error).startswith("is ")  # noqa: PT017 - either is right


PAYLOAD = {"model": "m", "instructions": "i"}
TARGETS = [Desired("judge", each, at, LOCAL, "host", PAYLOAD, digest(PAYLOAD)) for at, each in enumerate(("first", "second"))]
RECORD = Record("agent_1", LOCAL, digest({}))
MADE = Plan(
    tuple(
        Step.of(each, "changed", RECORD, {"id": "agent_1", "model": "n"}, action="update", changes=(Change("model", "n", "m"),))
        for each in TARGETS
    )
)
PLACES = [(each.environment, LOCAL) for each in TARGETS]
STATE = State({each.key: RECORD for each in TARGETS}, {}, {})
DOCUMENT = SavedPlan.covering("FILE", "host", (), None, PLACES).made(MADE, (), STATE).to_json()


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in JSON."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places_in(each, (*path, key))


leaves = st.sampled_from([None, True, 0, -1, 1e400, "", "first", "judge", "\ud800"])
edits = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.sampled_from(["", "judge"]), leaves)


@given(st.sampled_from(sorted(places_in(DOCUMENT), key=str)), st.sampled_from(["drop", "put", "double"]), edits)
@settings(max_examples=examples(150))
def test_any_edit_of_a_file_is_refused_in_words(path: tuple[Any, ...], how: str, value: Any) -> None:
    """A value dropped, replaced or twice in its list: the plan is read or said not to be one, and then done or refused."""
    document = json.loads(json.dumps({"document": DOCUMENT}))
    at: Any = document
    for key in ("document", *path)[:-1]:
        at = at[key]
    last = ("document", *path)[-1]
    if how == "double" and isinstance(at, list):
        at.append(at[last])
    elif how == "drop" and path:
        del at[last]
    else:
        at[last] = value
    try:
        saved = SavedPlan.parse("FILE", document["document"])
        refuse_other_scope(saved, "host", PLACES, {"judge"})
        refuse_if_stale(saved, MADE, STATE)
    except (ValueError, Refused) as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right
