"""Creates whose answer was lost: they are a row everywhere, and whoever ends their row settles them first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MODELS, Host
from loopback import Fault, Loopback

from invoke_assistants import AsstError, PlatformError, Refused, RowsFailed, commands
from invoke_assistants.reconcile.timing import Timing

QUICK = Timing(grace=0.4, unknown=0.1, again=0.05)
JUDGE = MODELS + 'ASSISTANTS = [Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.")]'
NOBODY = MODELS + "ASSISTANTS = []"


@pytest.fixture
def lost(host: Host, server: Loopback) -> Host:
    """One assistant whose create in development was carried out, and whose answer and first looks were lost."""
    host.declare(JUDGE)

    def decide(seen: Any) -> Fault | None:
        if seen.method == "POST":
            return Fault(after=True, reset=True)
        return Fault(status=500) if server.writes() else None

    server.faults.append(decide)
    with pytest.raises(RowsFailed):
        commands.create(host.root, env="development", timing=QUICK)
    server.faults.clear()
    assert len(server.agents()) == 1
    assert host.store["assistants"] == {}
    server.seen.clear()
    return host


def test_an_open_create_that_left_the_code_is_a_row_until_it_is_settled(lost: Host, server: Loopback) -> None:
    """status, plan and create show it; delete --undeclared, which is named where anything is declared, deletes what it made."""
    lost.declare(NOBODY)
    for verb in (commands.status, commands.plan, commands.create):
        [row] = verb(lost.root)
        assert (row.key, row.state, row.action) == (("judge", "development"), "undeclared", "none")
        assert "nothing is declared" in (row.note or "")
    assert server.seen == []
    lost.declare(MODELS + 'ASSISTANTS = [Assistant("talker", model="gpt-6-luna")]')
    for verb in (commands.status, commands.plan):
        [row] = [each for each in verb(lost.root) if each.name == "judge"]
        assert (row.state, row.note) == ("undeclared", "a create is still open: inv asst.delete --undeclared settles it")
    [planned] = commands.delete(lost.root, undeclared=True, dry_run=True)
    [id] = server.agents()
    assert (planned.action, planned.id) == ("delete", id)
    assert "pending" in lost.store
    [row] = commands.delete(lost.root, undeclared=True, yes=True, timing=QUICK)
    assert (row.action, row.id) == ("delete", id)
    assert server.agents() == {}
    assert lost.store["assistants"] == {}
    assert "pending" not in lost.store


def test_a_torn_down_environment_leaves_nothing(lost: Host, server: Loopback) -> None:
    """What an open create made goes with its environment, though the list shows it late and another row is recorded."""
    lost.declare(JUDGE[:-1] + ', Assistant("talker", model="gpt-6-luna")]')
    commands.create(lost.root, ["talker"], "development", timing=QUICK)
    server.lag = 1.0
    for there in server.service._read()["agents"].values():
        assert there["metadata"]["asst.environment"] == "development"
    commands.delete(lost.root, env="development", yes=True, timing=Timing(grace=4))
    assert server.agents() == {}
    assert lost.store["assistants"] == {}
    assert "pending" not in lost.store


def test_an_open_create_of_which_nothing_is_found(host: Host, server: Loopback) -> None:
    """Once the list has had its time the create is dropped; the row says that there was nothing."""
    host.declare(JUDGE)
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "POST" or server.writes() else None)
    with pytest.raises(RowsFailed):
        commands.create(host.root, env="development", timing=QUICK)
    server.faults.clear()
    [row] = commands.delete(host.root, env="development", yes=True, timing=QUICK)
    assert (row.action, row.note) == ("none", "its open create had made nothing")
    assert "pending" not in host.store


def test_deleting_an_open_create_where_the_platform_cannot_be_read(lost: Host, server: Loopback) -> None:
    """Nothing is concluded and nothing is lost: the create stays open."""
    before = lost.path.read_bytes()
    server.faults.append(lambda seen: Fault(status=400))
    with pytest.raises(PlatformError):
        commands.delete(lost.root, env="development", yes=True, timing=QUICK)
    assert lost.path.read_bytes() == before


def test_deleting_an_open_create_needs_a_word(lost: Host, server: Loopback) -> None:
    """Unconfirmed, nothing is written, neither remotely nor in the store."""
    before = lost.path.read_bytes()
    with pytest.raises(Refused, match="--yes goes on"):
        commands.delete(lost.root, env="development", timing=QUICK)
    assert server.writes() == []
    assert lost.path.read_bytes() == before


def test_the_oldest_of_several_with_one_nonce_stays_the_others_go(lost: Host, server: Loopback) -> None:
    """All of them are ours: deleting the row deletes them all."""
    [agent] = server.agents().values()
    server.call("POST", "/agents", {key: agent[key] for key in ("model", "name", "metadata")})
    commands.delete(lost.root, env="development", yes=True, timing=QUICK)
    assert server.agents() == {}


def existing(server: Loopback) -> str:
    return str(server.call("POST", "/agents", {"model": "gpt-4", "instructions": "Old."})["id"])


def test_adopt_settles_an_open_create_first(lost: Host, server: Loopback) -> None:
    """It finds what the create made, records it, and is refused with its id; the next create has nothing to do."""
    [made] = server.agents()
    other = existing(server)
    with pytest.raises(AsstError, match=f"judge in development is {made} already") as caught:
        commands.adopt("judge", "development", other, lost.root, timing=QUICK)
    assert caught.value.exit_code == 1
    assert lost.ids() == {("judge", "development"): made}
    assert "pending" not in lost.store
    assert "asst.project" not in server.agents()[other]["metadata"]
    [row] = commands.create(lost.root, env="development", timing=QUICK)
    assert row.action == "none"


def test_adopting_what_an_open_create_made(lost: Host, server: Loopback) -> None:
    """The id that the open create made is the row's instance: that is what was asked for."""
    [made] = server.agents()
    [row] = commands.adopt("judge", "development", made, lost.root, timing=QUICK)
    assert (row.id, row.error) == (made, None)
    assert lost.ids() == {("judge", "development"): made}
    assert "pending" not in lost.store


def test_adopt_while_an_open_create_cannot_be_settled(lost: Host, server: Loopback) -> None:
    """Nothing is adopted, the create keeps its nonce."""
    other = existing(server)
    before = lost.path.read_bytes()
    server.faults.append(lambda seen: Fault(status=400) if seen.query.get("limit") else None)
    with pytest.raises(PlatformError):
        commands.adopt("judge", "development", other, lost.root, timing=QUICK)
    assert lost.path.read_bytes() == before
    assert server.writes() == []


def test_adopt_where_an_open_create_made_nothing(host: Host, server: Loopback) -> None:
    """After the grace the row is free, and the object is adopted."""
    host.declare(JUDGE)
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "POST" or server.writes() else None)
    with pytest.raises(RowsFailed):
        commands.create(host.root, env="development", timing=QUICK)
    server.faults.clear()
    other = existing(server)
    commands.adopt("judge", "development", other, host.root, timing=QUICK)
    assert host.ids() == {("judge", "development"): other}
    assert "pending" not in host.store
    commands.create(host.root, env="development", timing=QUICK)
    assert len(server.agents()) == 1


def test_an_open_create_of_another_platform_is_told(lost: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is open on agents says so where the settings say local."""
    lost.declare(JUDGE, '[tool.asst.environments.development]\nplatform = "local"\n')
    monkeypatch.delenv("ASST_PLATFORM")
    [row] = commands.status(lost.root)
    assert f"a create is still open on agents at {server.origin}" in (row.note or "")


@pytest.fixture
def recorded_and_open(host: Host, server: Loopback) -> str:
    """A create that was answered and recorded, whose last look failed: the record and the open create stand side by side."""
    host.declare(JUDGE)
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "GET" and server.writes() else None)
    with pytest.raises(RowsFailed):
        commands.create(host.root, env="development", timing=QUICK)
    server.faults.clear()
    assert "pending" in host.store
    return host.ids()["judge", "development"]


@pytest.mark.parametrize("late", [False, True])
def test_what_is_no_longer_ours_is_not_deleted_though_a_create_is_open(
    host: Host, server: Loopback, recorded_and_open: str, late: bool
) -> None:
    """Its tags were taken over by another project, before the delete or in the middle of its looks: refused, it stays."""
    theirs = {"asst.project": "another", "asst.name": "judge", "asst.environment": "development"}

    def take_over(seen: Any) -> None:
        if seen.method == "GET":
            server.call("POST", f"/agents/{recorded_and_open}", {"metadata": theirs})

    if late:
        looks = iter([None, take_over])
        server.faults.append(lambda seen: (next(looks, None) or (lambda _: None))(seen) if seen.method == "GET" else None)
    else:
        server.call("POST", f"/agents/{recorded_and_open}", {"metadata": theirs})
    with pytest.raises(Refused, match="does not carry our tags, so it is not ours to delete"):
        commands.delete(host.root, env="development", yes=True, timing=QUICK)
    assert recorded_and_open in server.agents()


def test_deleting_one_object_keeps_no_orphan_of_an_open_create(lost: Host, server: Loopback) -> None:
    """A store with a record and an open create of another object, as a merge leaves it: both are known to the end."""
    [made] = server.agents()
    agent = server.agents()[made]
    body = {key: agent[key] for key in ("model", "name", "metadata")}
    other = server.call("POST", "/agents", {**body, "metadata": {**body["metadata"], "asst.nonce": "e" * 32}})["id"]
    stored = lost.store
    digest = agent["metadata"]["asst.digest"]
    stored["assistants"] = {
        "judge": {"development": {"digest": digest, "id": other, "origin": server.origin, "platform": "agents"}}
    }
    lost.path.write_text(json.dumps(stored))
    commands.delete(lost.root, id=other, yes=True, timing=QUICK)
    left = {*server.agents()}
    assert other not in left
    assert left == set() or left == {*lost.ids().values()}
    assert "pending" not in lost.store


def test_a_teardown_says_what_is_elsewhere(lost: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A create that is open on another platform is named, and left as it is."""
    monkeypatch.setenv("ASST_PLATFORM", "local")
    said: list[str] = []

    class Listening:
        def say(self, message: str) -> None:
            said.append(message)

        def start(self, label: str, total: int) -> None:
            pass

        def advance(self) -> None:
            pass

    assert commands.delete(lost.root, env="development", yes=True, reporter=Listening()) == []
    assert said == [f"judge in development: what is on agents at {server.origin} is left as it is"]
