"""Rollback: back to what an environment had, held there, and forward again with nothing of it left."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import MODELS, Host, examples
from copies import begin
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Fault, Loopback, Seen

from invoke_assistants import Refused, RowsFailed, SettingsError, StoreError, commands
from invoke_assistants.declare.digest import digest
from invoke_assistants.reconcile.consent import Consent
from invoke_assistants.reconcile.planning import plan_update
from invoke_assistants.reconcile.records import record_of_pending, record_of_update, successor
from invoke_assistants.reconcile.remote import as_recorded
from invoke_assistants.reconcile.rollback import Rollback, plan_rollback
from invoke_assistants.store.merge import merge
from invoke_assistants.store.resolve import describe_conflict
from invoke_assistants.types import Desired, Held, JSONObject, Location, PendingOperation, Record, State, Step, short

MANY = 20
TOOLS = 'tools=TOOLS, metadata={{"team": "blue", "version": "{n}"}}, reasoning={{"effort": "low"}}'
# What each assistant has in each version: fields come and go, in the payload, below it, and in production alone.
VARIANTS = [
    ['verbosity="low"', "", 'verbosity="high", service_tier="flex"'],
    [TOOLS, 'metadata={{"team": "blue"}}', TOOLS],
    ["", 'service_tier="priority", reasoning={{"effort": "high", "summary": "auto"}}', 'reasoning={{"effort": "low"}}'],
    ["output=Strict", "output=Verdict", 'output=Plan, environments={{"production": {{"model": "gpt-6-astra"}}}}'],
    [
        'environments={{"production": {{"verbosity": "low", "metadata": {{"a": "1"}}}}}}',
        'metadata={{"b": "2"}}',
        "output=Verdict",
    ],
]


STRICT = """
class Strict(BaseModel, extra="forbid"):
    title: str = ""
"""


def version(number: int, many: int = MANY) -> str:
    """The declarations of assistants as the code had them at some time."""
    lines = [
        f'    Assistant("a{index:02}", model="m{number}", instructions="Do it.", {VARIANTS[index % 5][number].format(n=number)}),'
        for index in range(many)
    ]
    return "\n".join([MODELS, STRICT, "ASSISTANTS = [", *lines, "]"])


def ship(host: Host, *numbers: int, many: int = MANY) -> None:
    """Deploy these versions, one after the other."""
    for number in numbers:
        host.declare(version(number, many))
        if not host.path.exists():
            commands.create(host.root)
        commands.deploy(host.root, allow_breaking=names(many))


def names(many: int = MANY) -> list[str]:
    return [f"a{index:02}" for index in range(many)]


def remote(host: Host, server: Loopback | None) -> dict[str, JSONObject]:
    """Every remote object, without the time of its last change; on ``responses`` what the store pins."""
    path = host.root / ".asst" / "local.json"
    agents = server.agents() if server else json.loads(path.read_text())["agents"] if path.exists() else {}
    return {id: {key: value for key, value in each.items() if key != "updated_at"} for id, each in agents.items()}


def records(host: Host, environment: str = "production") -> dict[str, Any]:
    return {name: rows[environment] for name, rows in host.store["assistants"].items()}


def digests(host: Host) -> dict[str, str]:
    return {name: record["digest"] for name, record in records(host).items()}


@pytest.mark.parametrize("platform", ["agents", "local", "responses"])
def test_many_assistants_back_twice_and_forward_again(
    host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    """Remotely each step back is field for field what that version was, and forward the store is byte for byte as before."""
    monkeypatch.setenv("ASST_PLATFORM", platform)
    service = server if platform == "agents" else None
    many = MANY if service else len(VARIANTS)  # more than are in flight at once where there are requests, else one of each kind
    seen, held = [], []
    for number in range(3):
        ship(host, number, many=many)
        seen.append({id: each for id, each in remote(host, service).items() if each["name"].endswith("_production")})
        held.append(digests(host))
    before, everything = host.path.read_bytes(), remote(host, service)
    assert len(host.store["readers"]) == 1
    assert "allowed" in records(host)["a03"]

    def now() -> dict[str, JSONObject]:
        return {id: each for id, each in remote(host, service).items() if each["name"].endswith("_production")}

    commands.rollback(host.root, env="production", message="Too slow")
    assert (now(), digests(host)) == (seen[1], held[1])
    commands.rollback(host.root, env="production")
    assert (now(), digests(host)) == (seen[0], held[0])
    for record in records(host).values():
        assert record["held"] == {"from": held[2][record_name(host, record)], "message": "Too slow"}
        assert record["history"] == [held[1][record_name(host, record)], held[0][record_name(host, record)]]
    commands.rollback(host.root, ["a03"], "production", to=held[1]["a03"])
    assert digests(host) == held[0] | {"a03": held[1]["a03"]}
    with pytest.raises(Refused, match=r"a00 in production is held at .*: Too slow; inv asst\.deploy --resume"):
        commands.deploy(host.root)
    commands.deploy(host.root, resume=True)  # to what the app that runs reads
    assert host.store == json.loads(before)
    assert host.path.read_bytes() == before
    assert remote(host, service) == everything


def record_name(host: Host, record: Any) -> str:
    return next(name for name, each in records(host).items() if each["id"] == record["id"])


@pytest.fixture
def three(host: Host, server: Loopback) -> Host:
    """Three assistants, deployed in three versions."""
    begin(host, server, "three versions", lambda: ship(host, 0, 1, 2, many=3))
    host.declare(version(2, 3))
    return host


def test_a_deploy_is_refused_everywhere_until_it_resumes(three: Host, server: Loopback) -> None:
    """Nothing is written in any environment, store included; exit 3 names the flag; --resume is what ends it."""
    assert three.inv("asst.rollback", "--env", "production", "--only", "a01", "--message", "Too\nslow").code == 0
    assert three.inv("asst.status", "--env", "production").out.endswith("\nnext: inv asst.deploy --resume --env production\n")
    three.edit('"Do it."', '"Do it well."')
    store, seen = three.path.read_bytes(), remote(three, server)
    result = three.inv("asst.deploy", "--json")
    assert result.code == 3
    [error] = [row["error"] for row in result.json["rows"] if row["error"]]
    assert error.startswith("a01 in production is held at ")
    assert error.endswith(": Too slow; inv asst.deploy --resume goes forward")
    assert three.inv("asst.plan", "--check").code == 3
    assert (three.path.read_bytes(), remote(three, server)) == (store, seen)
    assert "next: inv asst.deploy --resume\n" in three.inv("asst.plan", "--env", "production").out
    at = short(digests(three)["a01"])
    assert any(line.startswith("a01") and line.endswith(at) for line in three.inv("asst.status").out.splitlines())
    notes = {step.key: step.note for step in commands.status(three.root)}
    assert str(notes["a01", "production"]).startswith("held at ")
    assert [key for key, note in notes.items() if note] == [("a01", "production")]
    commands.update(three.root)
    resumed = three.inv("asst.admin", "--resume", env={"ACTION": "deploy"})
    assert resumed.code == 0, resumed.err
    assert "no longer held at" in resumed.out
    assert all("held" not in record for record in records(three).values())


def test_forward_to_something_new_keeps_what_was_left(three: Host) -> None:
    """The digest that was rolled back from comes into the history, no digest is there twice, and none is dropped."""
    v2, v1, v0 = (records(three)["a00"][key] for key in ("digest", "history", "history"))
    assert v1 == v0
    commands.rollback(three.root, env="production")
    commands.rollback(three.root, env="production")
    three.edit('"m2"', '"m3"')
    commands.deploy(three.root, resume=True)
    after = records(three)["a00"]
    assert after["history"] == [v2, *v1]
    assert after["digest"] not in after["history"]
    assert three.store["payloads"].keys() >= {*after["history"]}


def test_a_hold_at_what_is_declared_ends_with_the_next_deploy(three: Host, server: Loopback) -> None:
    """Rolled back, then the code reverted: nothing is unsafe, nothing is sent, and the digest left comes into the history."""
    v2 = records(three)["a00"]
    commands.rollback(three.root, env="production")
    three.declare(version(1, 3))
    commands.update(three.root)
    rows = {step.key: step for step in commands.plan(three.root)}
    assert {step.state for step in rows.values()} == {"in_sync"}
    assert "the next inv asst.deploy ends the hold" in str(rows["a00", "production"].note)
    before = three.path.read_bytes()
    commands.create(three.root)
    assert three.path.read_bytes() == before
    server.seen.clear()
    commands.deploy(three.root)
    assert server.writes() == []
    after = records(three)["a00"]
    assert (after["digest"], after["history"]) == (v2["history"][0], [v2["digest"], v2["history"][1]])
    assert "held" not in after


def test_what_has_no_earlier_digest_is_left_alone_or_named(three: Host, server: Loopback) -> None:
    """A new assistant is a note; with --only it is exit 1, while the others go back."""
    three.edit("ASSISTANTS = [", 'ASSISTANTS = [\n    Assistant("new", model="m", instructions="New."),\n'
               '    Assistant("unmade", model="m", instructions="New."),')  # fmt: skip
    commands.create(three.root, ["new"])
    before = records(three)["new"]
    rows = {step.name: step for step in commands.rollback(three.root, env="production")}
    assert [step.action for step in rows.values()] == ["none", "none", "update", "update", "update"]
    assert "is the earliest digest that is recorded" in str(rows["new"].note)
    assert "not created" in str(rows["unmade"].note)
    assert records(three)["new"] == before
    with pytest.raises(RowsFailed, match="new in production: .* there is none to roll back to") as failed:
        commands.rollback(three.root, ["new", "a00"], "production")
    assert {step.name: step.action for step in failed.value.rows} == {"new": "none", "a00": "update"}
    with pytest.raises(RowsFailed, match="earliest"):  # nor is there anything after the first of all
        commands.rollback(three.root, ["a00"], "production")


def test_a_rollback_that_takes_nothing_back_is_an_error(host: Host, server: Loopback) -> None:
    """Each instance says why it stays; nothing is written, and a job that was to take production back does not look green."""
    ship(host, 0, many=2)
    before, sent = host.path.read_bytes(), len(server.writes())
    failed = host.inv("asst.rollback", "--env", "production", "--json")
    assert failed.code == 1
    for row in json.loads(failed.out)["rows"]:
        assert row["error"].endswith("is the earliest digest that is recorded, so there is none to roll back to")
    assert (host.path.read_bytes(), len(server.writes())) == (before, sent)


def test_several_that_go_back_are_told_as_such(three: Host) -> None:
    """Each goes back to its own digest before, which need not be one deploy's; one alone needs no such line."""
    told = "3 instances go back, each to the digest that it had before; --only NAME takes back one alone"
    assert told in three.inv("asst.rollback", "--env", "production", "--dry-run").err
    assert "go back, each" not in three.inv("asst.rollback", "--env", "production", "--dry-run", "--only", "a00").err


def test_to_takes_a_digest_that_the_instance_had(three: Host, server: Loopback) -> None:
    """In full or from 8 hex digits on; anything else lists what there is, and writes nothing."""
    v2, (v1, v0) = records(three)["a00"]["digest"], records(three)["a00"]["history"]
    server.seen.clear()
    for text in ("0" * 8, v0[7:14], "latest", "sha256:", v0[7:15] + "x"):
        with pytest.raises(SettingsError, match=f"there are: a00 {v2[7:15]}, {v1[7:15]}, {v0[7:15]}; a01"):
            commands.rollback(three.root, env="production", to=text)
    assert server.seen == []
    rows = {step.name: step for step in commands.rollback(three.root, env="production", to=v0[7:15])}
    assert {name: step.action for name, step in rows.items()} == {"a00": "update", "a01": "none", "a02": "none"}
    assert "it never had" in str(rows["a01"].note)
    assert (digests(three)["a00"], "held" in records(three)["a01"]) == (v0, False)
    server.seen.clear()
    commands.rollback(three.root, env="production", to=v0)
    assert server.writes() == []
    [step] = commands.rollback(three.root, ["a00"], "production", to=v2)  # where it came from: held there all the same
    assert str(step.note).startswith(f"held at {v2[7:15]}; ")
    assert records(three)["a00"]["held"]["from"] == records(three)["a00"]["digest"] == v2
    commands.deploy(three.root)
    assert records(three)["a00"] == {**records(three)["a00"], "digest": v2, "history": [v1, v0]}
    with pytest.raises(RowsFailed, match=f"a00 in production: at {v2[7:15]} already"):
        commands.rollback(three.root, ["a00"], "production", to=v2)


def test_the_first_environment_has_no_history(three: Host) -> None:
    """An error says what to do instead; so does one without an environment."""
    result = three.inv("asst.rollback", "--env", "development")
    assert result.code == 1
    assert "git revert the change, then inv asst.update" in result.err
    with pytest.raises(SettingsError, match="--env production"):
        commands.rollback(three.root)


def test_what_a_deploy_refuses_a_rollback_refuses(three: Host, server: Loopback) -> None:
    """Drift by hand and by another checkout: 3, nothing written; --overwrite puts the earlier values there, whole."""
    id = three.ids()["a00", "production"]
    server.edit(id, model="by-hand", service_tier="priority")
    store, seen = three.path.read_bytes(), remote(three, server)
    with pytest.raises(Refused, match="edited by hand.*--overwrite puts the earlier values"):
        commands.rollback(three.root, env="production")
    assert (three.path.read_bytes(), remote(three, server)) == (store, seen)
    commands.rollback(three.root, env="production", overwrite=True)
    assert server.agents()[id]["model"] == "m1"
    three.path.write_bytes(store)  # as in a checkout that has not pulled the rollback
    with pytest.raises(Refused, match="another checkout wrote"):
        commands.deploy(three.root)


def test_what_is_gone_or_open_is_an_error_of_its_row(three: Host, server: Loopback) -> None:
    """Deleted remotely, or a create is open: named, and the others go back; a key that sees nothing is refused."""
    ids = three.ids()
    server.call("DELETE", f"/agents/{ids['a00', 'production']}")
    with pytest.raises(RowsFailed, match="a00 in production: .* was deleted remotely: run inv asst.create"):
        commands.rollback(three.root, env="production")
    assert [name for name, record in records(three).items() if "held" in record] == ["a01", "a02"]
    for name in ("a01", "a02"):
        server.call("DELETE", f"/agents/{ids[name, 'production']}")
    with pytest.raises(Refused, match="sees none of its 3 recorded instances"):
        commands.rollback(three.root, env="production")


def test_what_is_made_anew_while_held_stays_there(three: Host, server: Loopback) -> None:
    """The object is deleted by hand: create makes it with the held payload, and the hold and the history stay."""
    commands.rollback(three.root, ["a00"], "production", message="Stay")
    before = records(three)["a00"]
    server.call("DELETE", f"/agents/{before['id']}")
    commands.create(three.root)
    after = records(three)["a00"]
    assert after["id"] != before["id"]
    assert {**after, "id": before["id"]} == before
    assert server.agents()[after["id"]]["model"] == "m1"


def test_a_dry_run_writes_nothing(three: Host, server: Loopback) -> None:
    """It exits with 2, and names the command that would do it, in one line that steers no terminal."""
    store = three.path.read_bytes()
    server.seen.clear()
    result = three.inv("asst.rollback", "--env", "production", "--only", "a00", "--dry-run", "--message", "Too\nslow\x1b[2J")
    assert (result.code, server.writes(), three.path.read_bytes()) == (2, [], store)
    assert "next: inv asst.rollback --only a00 --env production --message 'Too slow\\x1b[2J'\n" in result.out


KILLED: dict[str, tuple[str, bool]] = {
    "before the list": ("GET", False),
    "in a request": ("POST", False),
    "after a request": ("POST", True),
}


def kill_at(server: Loopback, method: str, number: int, act: Callable[[], None], *, after: bool) -> None:
    """Act once, at the request of that number, before the service carries it out or after."""
    count = [0]

    def decide(seen: Seen) -> Fault | None:
        count[0] += seen.method == method
        if seen.method != method or count[0] != number:
            return None
        if after:
            server.call(method, seen.path.removeprefix("/v1"), seen.body)
        act()
        return Fault(hang=1.0)

    server.faults.append(decide)


@pytest.mark.parametrize("point", KILLED)
@pytest.mark.parametrize("then", ["the same again", "a deploy"])
def test_a_killed_rollback(three: Host, server: Loopback, point: str, then: str) -> None:
    """Run again it goes on and no further; a deploy after it goes nowhere unless it resumes. Then all is as it was."""
    before, at_first = three.path.read_bytes(), remote(three, server)
    earlier = {name: record["history"][0] for name, record in records(three).items()}
    method, after = KILLED[point]
    running: list[subprocess.Popen[str]] = []
    kill_at(server, method, 1 if method == "GET" else 2, lambda: running[0].kill(), after=after)
    running.append(three.start("asst.rollback", "--env", "production", "--message", "Slow", env={"ASST_CONCURRENCY": "1"}))
    running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL
    server.faults.clear()
    begun = method == "POST"
    assert ("pending" in three.store) is begun
    if then == "a deploy":
        if begun:
            sent, store = remote(three, server), three.path.read_bytes()
            with pytest.raises(Refused, match="--resume"):
                commands.deploy(three.root)
            assert (remote(three, server), three.path.read_bytes()) == (sent, store)
    else:
        commands.rollback(three.root, env="production")
        assert digests(three) == earlier
        assert {record["held"]["message"] for record in records(three).values()} == {"Slow" if begun else ""}
        assert "pending" not in three.store
    commands.deploy(three.root, resume=True)
    assert (three.path.read_bytes(), remote(three, server)) == (before, at_first)


DIES = """
import os, signal
left = [int(os.environ.get("DIES_AT", "0"))]
fsync = os.fsync
def dying(descriptor):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = dying
"""


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_rollback_killed_while_the_store_is_written(three: Host, server: Loopback, at: int) -> None:
    """Before and behind the write of the pending operations, and of the results: the same again goes on and no further."""
    before, at_first = three.path.read_bytes(), remote(three, server)
    earlier = {name: record["history"][0] for name, record in records(three).items()}
    three.declare(version(2, 3) + DIES)
    process = three.start("asst.rollback", "--env", "production", env={"DIES_AT": str(at), "ASST_CONCURRENCY": "1"})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    three.declare(version(2, 3))
    if at < 4:  # else all was recorded
        commands.rollback(three.root, env="production")
    assert digests(three) == earlier
    assert "pending" not in three.store
    commands.deploy(three.root, resume=True)
    assert (three.path.read_bytes(), remote(three, server)) == (before, at_first)


def test_a_killed_resume(three: Host, server: Loopback) -> None:
    """Killed behind its first request: that row is forward, the others wait for --resume, and then all is as it was."""
    before, at_first = three.path.read_bytes(), remote(three, server)
    commands.rollback(three.root, env="production")
    running: list[subprocess.Popen[str]] = []
    kill_at(server, "POST", 1, lambda: running[0].kill(), after=True)
    running.append(three.start("asst.deploy", "--resume", env={"ASST_CONCURRENCY": "1"}))
    running[0].communicate(timeout=60)
    server.faults.clear()
    with pytest.raises(Refused, match="--resume") as refused:
        commands.deploy(three.root)
    assert [step.key for step in refused.value.rows if step.error] == [("a01", "production"), ("a02", "production")]
    commands.deploy(three.root, resume=True)
    assert (three.path.read_bytes(), remote(three, server)) == (before, at_first)


def test_a_request_that_is_refused_leaves_its_rollback_open(three: Host, server: Loopback) -> None:
    """One row fails, two are held. The same again tries that row, and takes the two no further; then they can go further."""
    earlier = {name: record["history"] for name, record in records(three).items()}
    server.once(Fault(status=400), path=f"/v1/agents/{three.ids()['a01', 'production']}")
    with pytest.raises(RowsFailed, match="a01 in production"):
        commands.rollback(three.root, env="production", message="Slow")
    assert ["held" in record for record in records(three).values()] == [True, False, True]
    rows = commands.rollback(three.root, env="production")
    assert [step.action for step in rows] == ["none", "update", "none"]
    assert "finished first" in str(rows[0].note)
    assert digests(three) == {name: history[0] for name, history in earlier.items()}
    commands.rollback(three.root, env="production")
    assert digests(three) == {name: history[1] for name, history in earlier.items()}


def test_a_rollback_that_the_service_did_not_take(three: Host, server: Loopback) -> None:
    """A field that comes back otherwise: exit 1, no hold recorded, and yet a deploy is refused; the same again ends it."""
    id, before = three.ids()["a00", "production"], three.path.read_bytes()
    answer = {**server.agents()[id], "model": "other"}

    def takes_another_model(seen: Seen) -> Fault | None:
        if (seen.method, seen.path) != ("POST", f"/v1/agents/{id}"):
            return None
        server.call("POST", f"/agents/{id}", {**seen.body, "model": "other"})
        return Fault(raw=json.dumps({**answer, **server.agents()[id]}).encode())

    server.faults.append(takes_another_model)
    with pytest.raises(RowsFailed, match="did not take what was sent: model"):
        commands.rollback(three.root, ["a00"], "production")
    server.faults.clear()
    assert "held" not in records(three)["a00"]
    for steps in (commands.plan(three.root), commands.status(three.root)):
        [told] = [str(step.error or step.note) for step in steps if step.key == ("a00", "production")]
        assert "held at " in told
    assert "an open rollback to " in three.inv("asst.show", "a00").out
    with pytest.raises(Refused, match="a00 in production is held at .*--resume"):
        commands.deploy(three.root)
    commands.rollback(three.root, ["a00"], "production")
    assert (server.agents()[id]["model"], "held" in records(three)["a00"]) == ("m1", True)
    commands.deploy(three.root, resume=True)
    assert three.path.read_bytes() == before


def test_an_answer_that_was_lost(three: Host, server: Loopback) -> None:
    """Where the answer is lost, the object says that it was done."""
    server.once(Fault(after=True, reset=True), times=9)
    commands.rollback(three.root, env="production")
    assert all("held" in record for record in records(three).values())
    assert "pending" not in three.store


def test_an_interrupted_rollback_goes_on_with_what_is_open(three: Host, server: Loopback) -> None:
    """What was under way is recorded, the rest stays open, and the same again does just that; the message says so."""
    running: list[subprocess.Popen[str]] = []
    kill_at(server, "POST", 1, lambda: running[0].send_signal(signal.SIGINT), after=True)
    running.append(three.start("asst.rollback", "--env", "production", env={"ASST_CONCURRENCY": "1"}))
    _, err = running[0].communicate(timeout=60)
    assert running[0].returncode == 130
    assert "inv asst.status shows what was rolled back; the same command finishes what is open, or else goes a digest" in err
    server.faults.clear()
    assert ["held" in record for record in records(three).values()] == [True, False, False]
    assert {*three.store["pending"]} == {"a01", "a02"}
    rows = commands.rollback(three.root, env="production")
    assert [step.action for step in rows] == ["none", "update", "update"]


@pytest.fixture
def half(three: Host, server: Loopback) -> Host:
    """As ``three``, with a deploy of a further version, of which the service takes one row otherwise than it was sent."""
    server.taken = lambda body: {**body, "model": "other"} if body["name"].endswith("a00_production") else body
    three.edit('"m2"', '"m3"')
    with pytest.raises(RowsFailed, match="a00 in production: .* did not take"):
        commands.deploy(three.root)
    server.taken = None
    return three


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
def test_back_from_a_deploy_that_was_half_taken(half: Host, server: Loopback, explicit: bool, earlier: bool) -> None:
    """The row goes back to what is recorded of it, also where nothing else is; forward again all is as after any deploy."""
    store = half.store
    next(iter(store["pending"]["a00"].values()))["allowed"] = ["$.x"]
    if not earlier:
        store["assistants"]["a00"]["production"].pop("history")
    half.path.write_text(json.dumps(store))
    before = store["assistants"]["a00"]["production"]
    [row] = commands.rollback(half.root, ["a00"], "production", to=before["digest"] if explicit else None)
    assert row.action == "update"
    assert server.agents()[before["id"]]["model"] == "m2"
    after, deployed = records(half)["a00"], half.store["assistants"]["a00"]["development"]["digest"]
    history = [before["digest"], *before.get("history", ())]
    assert (after["digest"], after["held"]["from"], after["history"]) == (before["digest"], deployed, history)
    commands.deploy(half.root, resume=True)
    assert records(half)["a00"] == {**before, "digest": deployed, "history": history, "allowed": ["$.x"]}


def test_back_from_a_resume_that_was_half_taken(three: Host, server: Loopback) -> None:
    """The row goes back to where it was held, and the store is what it was."""
    commands.rollback(three.root, env="production", message="Slow")
    before = three.path.read_bytes()
    server.taken = lambda body: {**body, "model": "other"}
    with pytest.raises(RowsFailed, match="a00 in production: .* did not take"):
        commands.deploy(three.root, ["a00"], resume=True)
    server.taken = None
    commands.rollback(three.root, ["a00"], "production")
    assert three.path.read_bytes() == before


def test_to_where_it_is_recorded_puts_that_back(three: Host, server: Loopback) -> None:
    """Edited by hand: --to its own digest is refused as any drift, and --overwrite brings the recorded values back."""
    at = records(three)["a00"]
    server.edit(at["id"], model="by-hand")
    with pytest.raises(Refused, match="edited by hand.*--overwrite puts the earlier values"):
        commands.rollback(three.root, ["a00"], "production", to=at["digest"])
    commands.rollback(three.root, ["a00"], "production", to=at["digest"], overwrite=True)
    assert server.agents()[at["id"]]["model"] == "m2"
    commands.deploy(three.root)
    assert records(three)["a00"] == at


@pytest.fixture
def open_(three: Host, server: Loopback) -> Host:
    """As ``three``, with a rollback of which the service refuses one row."""
    server.once(Fault(status=400), path=f"/v1/agents/{three.ids()['a01', 'production']}")
    with pytest.raises(RowsFailed, match=r"--only a01 --to DIGEST goes elsewhere, .*--only a01 --resume drops the rollback"):
        commands.rollback(three.root, env="production", message="Slow")
    return three


def test_an_open_rollback_stays_open(open_: Host, server: Loopback) -> None:
    """A create, and a deploy of the row as it is, do not drop it; plan and status tell of it; the next rollback finishes it."""
    earlier = {name: record["history"][0] for name, record in records(open_).items()}
    commands.create(open_.root)
    commands.deploy(open_.root, ["a01"])
    for steps in (commands.plan(open_.root), commands.status(open_.root)):
        note = next(str(step.note) for step in steps if step.key == ("a01", "production"))
        assert note.startswith(f"to be rolled back to {short(earlier['a01'])}: Slow, which is still open; inv asst.rollback")
    store = open_.path.read_bytes()
    open_.edit('"m2"', '"m3"')
    commands.update(open_.root)
    with pytest.raises(Refused, match=r"a01 in production is to be rolled back .* inv asst\.deploy --resume drops it"):
        commands.deploy(open_.root, ["a01"])
    open_.edit('"m3"', '"m2"')
    commands.update(open_.root)
    assert json.loads(store)["pending"] == open_.store["pending"]
    commands.rollback(open_.root, env="production")
    assert digests(open_) == earlier


def test_what_ends_an_open_rollback(open_: Host, server: Loopback) -> None:
    """A deploy that resumes drops it, without a request where nothing differs; so does a rollback to another digest."""
    store = open_.path.read_bytes()
    commands.rollback(open_.root, ["a00"], "production")  # which is not held up
    assert digests(open_)["a00"] == records(open_)["a00"]["history"][1]
    open_.path.write_bytes(store)
    server.seen.clear()
    [row] = [each for each in commands.deploy(open_.root, ["a01"], resume=True) if each.environment == "production"]
    assert str(row.note).startswith("no longer to be rolled back to ")
    assert ("pending" in open_.store, server.writes()) == (False, [])
    for to in (digests(open_)["a01"], records(open_)["a01"]["history"][1]):
        open_.path.write_bytes(store)
        commands.rollback(open_.root, ["a01"], "production", to=to)
        assert ("pending" in open_.store, digests(open_)["a01"]) == (False, to)


ASKED = f"""{MODELS}
class Old(BaseModel):
    good: bool

class New(Old):
    score: int

ASSISTANTS = [
    Assistant("judge", output=Old, model="m", instructions="Judge."),
    Assistant("text", model="m0", instructions="Talk."),
]
"""


def test_what_the_app_cannot_read_is_told_and_not_refused(host: Host) -> None:
    """The declared model needs a field that the earlier schema has not: its place and why, in the text and in the JSON."""
    host.declare(ASKED)
    host.create()
    host.edit("output=Old", "output=New")
    host.edit('"m0"', '"m1"')
    commands.deploy(host.root)
    result = host.inv("asst.rollback", "--env", "production", "--json")
    assert result.code == 0, result.err
    schema = {name: row["schema"] for (name, _), row in result.rows().items()}
    assert schema["text"] is None
    assert schema["judge"]["verdict"] == "breaking"
    assert {change["path"]: change["verdict"] for change in schema["judge"]["changes"]}["score"] == "breaking"
    assert result.err.count("score: The app that runs now") == 1
    assert [line.strip()[:8] for line in result.err.splitlines() if "held at " in line] == ["held at "] * 2
    assert {name for name, record in records(host).items() if "allowed" in record} == set()
    assert host.inv("asst.rollback", "--env", "production", "--only", "judge").code == 1  # no earlier one


def test_what_was_let_through_forward_is_not_let_through_back(host: Host, server: Loopback) -> None:
    """The deploy that is left let the same path through: what the rollback does to the app is told as breaking all the same."""
    host.declare(ASKED)
    host.create()
    host.edit("output=Old", "output=New")
    server.taken = lambda body: {**body, "model": "other"} if body["name"].endswith("judge_production") else body
    with pytest.raises(RowsFailed, match="judge in production: .* did not take"):
        commands.deploy(host.root)
    server.taken, store = None, host.store
    next(iter(store["pending"]["judge"].values()))["allowed"] = ["score"]
    host.path.write_text(json.dumps(store))
    result = host.inv("asst.rollback", "--env", "production")
    assert "    breaking score: " in result.out
    assert records(host)["judge"]["allowed"] == ["score"]


PLACE = Location("agents", "api.openai.com")
PAYLOADS: list[JSONObject] = [
    {
        "model": f"m{number % 3}",
        "text": {"format": {"type": "text"}},
        "tools": [],
        **({"service_tier": "flex"} if number > 2 else {}),
    }
    for number in range(5)
]
actions = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), st.integers(0, 4)),
        st.tuples(st.just("declare"), st.integers(0, 4)),
        st.tuples(st.just("rollback"), st.none()),
        st.tuples(st.just("to"), st.integers(0, 9)),
    ),
    max_size=12,
)


def wants(number: int) -> Desired:
    return Desired("a", "production", 1, PLACE, "p", PAYLOADS[number], digest(PAYLOADS[number]))


def done(step: Step, state: State) -> State:
    """The store after a step was carried out."""
    record = record_of_update(step) if step.action == "update" else step.record
    assert record is not None
    payloads = {**state.payloads, step.target.digest: step.target.payload}
    return State({step.key: record}, {each: payloads[each] for each in record.digests()})


@settings(max_examples=examples(400), deadline=None)
@given(actions)
def test_any_way_back_and_forth(steps: list[tuple[str, int | None]]) -> None:
    """No digest is in a history twice, the present one is not in its own, and forward to where it began nothing is left."""
    desired = wants(0)
    state = State({desired.key: Record("agent_1", PLACE, desired.digest)}, {desired.digest: desired.payload})
    undisturbed = state
    for kind, number in steps:
        record = state.records[desired.key]
        if kind in ("declare", "deploy"):
            desired = wants(number or 0)
        if kind == "declare":
            continue
        if kind == "deploy":
            [kept] = plan_update([desired], state, as_recorded([desired], state))
            assert kept.needs_confirmation is bool(record.held and record.digest != desired.digest)
            [step] = plan_update([desired], state, as_recorded([desired], state), Consent(resume=True))
        else:
            known = sorted(record.digests())
            to = known[number % len(known)] if number is not None else None
            [step] = plan_rollback([desired], state, as_recorded([desired], state), Rollback(to=to))
            if step.remote is None:
                continue
            if to is None and record.held:
                at = record.history.index(record.digest) + 1 if record.digest in record.history else 0
                assert record.history[at] == step.target.digest
        state = done(step, state)
        after = state.records[desired.key]
        assert len({*after.history}) == len(after.history)
        if after.held:
            assert after.history == undisturbed.records[desired.key].history
            assert after.held.origin == undisturbed.records[desired.key].digest
            back = wants(next(index for index in range(5) if wants(index).digest == after.held.origin))
            [forward] = plan_update([back], state, as_recorded([back], state), Consent(resume=True))
            assert done(forward, state) == undisturbed
        else:
            assert after.digest not in after.history
            undisturbed = state


def test_a_rollback_to_what_looks_the_same_is_held_as_well() -> None:
    """Two digests whose objects are alike: nothing is sent, and yet only --resume ends the hold, with the tag as before."""
    plain, explicit = wants(0), replace(wants(0), payload={**PAYLOADS[0], "service_tier": None})
    explicit = replace(explicit, digest=digest(explicit.payload))
    record = Record("agent_1", PLACE, explicit.digest, history=(plain.digest,))
    state = State({plain.key: record}, {each.digest: each.payload for each in (plain, explicit)})
    remote = as_recorded([plain], state)
    [step] = plan_rollback([explicit], state, remote, Rollback())
    assert (step.state, step.action) == ("in_sync", "none")
    held = done(step, state)
    assert held.records[plain.key] == replace(record, digest=plain.digest, tag=explicit.digest, held=Held(explicit.digest))
    [kept] = plan_update([explicit], held, remote)
    assert kept.needs_confirmation
    [forward] = plan_update([explicit], held, remote, Consent(resume=True))
    assert done(forward, held) == state


def test_what_was_let_through_stays_with_its_digest() -> None:
    """Held elsewhere it waits for the digest that was left; going forward to another one drops it."""
    left = Record("agent_1", PLACE, "c", history=("b",), allowed=("$.x",), evals_skipped=True)
    desired = wants(0)
    held = successor(left, "b", "b", desired, Held("c"))
    assert successor(held, "c", "c", desired) == left
    assert successor(held, "d", "d", desired) == Record("agent_1", PLACE, "d", history=("c", "b"))
    assert successor(held, "b", "b", desired) == Record("agent_1", PLACE, "b", history=("c",))


def test_what_was_left_and_never_recorded_drops_no_digest() -> None:
    """Back from a deploy that was half done, to what is recorded: forward again, that is in the history, as after any deploy."""
    desired, recorded = wants(0), Record("agent_1", PLACE, "b", history=("a",), allowed=("$.x",))
    held = record_of_pending(recorded, PendingOperation("update", "b", held=Held("c"), allowed=("$.y",)), desired)
    assert held == Record("agent_1", PLACE, "b", history=("b", "a"), held=Held("c"), allowed=("$.y",))
    assert successor(held, "c", "c", desired) == replace(successor(recorded, "c", "c", desired), allowed=("$.y",))


def test_no_yes_to_another_question_ends_a_hold(three: Host, server: Loopback) -> None:
    """One row drifted, another one is held: a yes to overwriting the drift is none to going forward."""
    commands.rollback(three.root, ["a01"], "production")
    server.edit(three.ids()["a00", "production"], model="by-hand")
    asked: list[str] = []
    with pytest.raises(Refused, match="--resume"):
        commands.deploy(three.root, confirm=lambda question, steps: not asked.append(question))
    assert asked == []
    commands.deploy(three.root, resume=True, confirm=lambda question, steps: not asked.append(question))
    assert asked == ["Overwrite 1 instance changed remotely?"]


def test_two_branches_one_of_which_rolled_back(three: Host) -> None:
    """Rolled back on one side and written on the other: a conflict that says so, and either side makes a valid store."""
    base = three.store
    commands.rollback(three.root, ["a00"], "production")
    ours, left = three.store, digests(three)["a00"]
    three.path.write_text(json.dumps(base))
    commands.forget("a01", "production", three.root)
    theirs = three.store
    assert merge(base, ours, theirs)[1] == ()
    theirs["assistants"]["a00"]["production"]["digest"] = theirs["assistants"]["a02"]["production"]["digest"]
    _, [conflict] = merge(base, ours, theirs)
    origin = base["assistants"]["a00"]["production"]["digest"]
    assert f"{short(left)} (rolled back from {short(origin)}), theirs " in describe_conflict(conflict)
    merged, _ = merge(base, ours, theirs, {conflict.key: "ours"})
    three.path.write_text(json.dumps(merged))
    assert three.store["assistants"]["a00"] == ours["assistants"]["a00"]
    commands.status(three.root)


def test_an_open_rollback_needs_what_it_was_left_from(three: Host) -> None:
    """A store whose pending rollback names a payload that is not there, or is no update, is refused."""
    store = three.store
    slot = f"production agents {next(iter(records(three).values()))['origin']}"
    operation = {"kind": "update", "digest": digests(three)["a00"], "held": {"from": "sha256:" + "0" * 64, "message": ""}}
    wrong = ({"kind": "delete", "held": {"from": digests(three)["a00"], "message": ""}}, {}, {"held": {"from": 1}})
    for edit in wrong:
        three.path.write_text(json.dumps({**store, "pending": {"a00": {slot: {**operation, **edit}}}}))
        with pytest.raises(StoreError, match="the open request of 'a00' is not ours"):
            commands.status(three.root)


def test_payloads_of_an_open_rollback_stay() -> None:
    """What a pending rollback was left from is named by it, whatever the records say."""
    assert PendingOperation("update", "d", held=Held("from")).digests() == {"d", "from"}
