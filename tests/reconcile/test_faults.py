"""What goes wrong in the world while instances are made and changed, and what must then hold.

After every run and re-run: the store is valid, each recorded id exists or is reported, there is at most one remote agent
per project, name and environment, and nothing that we did not make is deleted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CANARY, MODELS, THREE, Host
from loopback import Fault, Loopback, Seen, error_body

from invoke_assistants import AsstError, PlatformError, RowsFailed, StoreError, commands
from invoke_assistants.reconcile.timing import Timing

ONE = MODELS + 'ASSISTANTS = [Assistant("one", model="m", instructions="Do it.")]'
QUICK = Timing(grace=1.5, unknown=0.6, again=0.2, interrupt=1.0, flush=0.1)
LONG = "ASSISTANTS = [Assistant(f'a{i}', model='m', instructions='Do it.') for i in range(20)]"


@pytest.fixture
def one(host: Host) -> Host:
    """A host with one assistant, to be made in development."""
    host.declare(ONE, 'environments = ["development"]\n')
    return host


def invariant(host: Host, server: Loopback, desired: int) -> None:
    """Everything wanted is there once, recorded, settled; nothing of ours is left over."""
    ours = [agent for agent in server.agents().values() if agent["metadata"].get("asst.project") == "host"]
    names = [agent["name"] for agent in ours]
    assert len(set(names)) == len(names) == desired
    assert {agent["id"] for agent in ours} == set(host.ids().values())
    assert "pending" not in host.store
    assert sorted(path.name for path in host.root.glob("*.tmp")) == []


def quick_create(host: Host, **options: Any) -> list[Any]:
    return commands.create(host.root, timing=QUICK, **options)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(after=True, reset=True),
        Fault(after=True, truncate=True),
        Fault(after=True, status=500),
        Fault(after=True, raw=b"<html>"),
        Fault(after=True, raw=b"[" * 100_000),
        Fault(after=True, raw=b'{"id": ' + b"1" * 5_000 + b"}"),
    ],
    ids=["reset", "truncated", "500", "html", "nested", "a long number"],
)
def test_an_answer_lost_after_the_commit_is_settled_in_the_same_run(one: Host, server: Loopback, fault: Fault) -> None:
    """A complete list finds the nonce, so the run ends well with one agent and one POST."""
    server.once(fault)
    [row] = quick_create(one)
    assert (row.action, row.error) == ("adopt", None)
    assert len(server.writes()) == 1
    invariant(one, server, 1)


def test_a_read_timeout_after_the_commit(one: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer takes too long; what was made is found."""
    monkeypatch.setattr("invoke_assistants.platforms.agents.TIMEOUT", 0.5)
    server.once(Fault(after=True, hang=4))
    started = time.monotonic()
    [row] = quick_create(one)
    assert time.monotonic() - started < 4
    assert row.action == "adopt"
    invariant(one, server, 1)


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(status=500), Fault(status=408), Fault(status=409), Fault(raw=b"{}")])
def test_an_unknown_outcome_that_was_none_keeps_the_intent(one: Host, server: Loopback, fault: Fault) -> None:
    """No answer and no agent: exit 1 with the pending create kept; no second POST; the rerun makes one under its nonce."""
    server.once(fault)
    with pytest.raises(RowsFailed, match=r"run inv asst\.create again to settle it"):
        quick_create(one)
    assert len(server.writes()) == 1
    [intent] = one.store["pending"]["one"].values()
    assert server.agents() == {}
    quick_create(one)
    [agent] = server.agents().values()
    assert agent["metadata"]["asst.nonce"] == intent["nonce"]
    invariant(one, server, 1)


def test_a_storm_of_500_is_bounded(one: Host, server: Loopback) -> None:
    """A few looks, one clear failure, no second POST."""
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "POST" else None)
    with pytest.raises(RowsFailed, match="500"):
        quick_create(one)
    assert len(server.writes()) == 1
    assert len(server.seen) < 12
    assert "pending" in one.store


def test_a_read_is_retried_twice(one: Host, server: Loopback) -> None:
    """Reads are safe to send again; three failures end the run before anything is written."""
    server.once(Fault(status=503), "GET", times=2)
    quick_create(one)
    invariant(one, server, 1)
    server.once(Fault(status=503), "GET", times=3)
    with pytest.raises(PlatformError, match="development: 503"):
        commands.status(one.root)


def test_a_short_retry_after_is_waited_out_and_said(one: Host, server: Loopback) -> None:
    """429 with Retry-After 2: a look, a wait of at least two seconds, a word about it, then success."""
    server.once(Fault(status=429, headers={"Retry-After": "2"}, raw=error_body("rate_limit_exceeded")), times=2)
    said: list[str] = []

    class Heard:
        def say(self, message: str) -> None:
            said.append(message)

        def start(self, label: str, total: int) -> None: ...
        def advance(self) -> None: ...

    started = time.monotonic()
    quick_create(one, reporter=Heard())
    assert time.monotonic() - started >= 4
    assert sum("trying again in 2 s" in line for line in said) == 2
    assert [seen.method for seen in server.seen] == ["GET", "POST", "GET", "POST", "GET", "POST", "GET"]
    invariant(one, server, 1)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=429, headers={"Retry-After": "121"}, raw=error_body("rate_limit_exceeded")), "come back in 121 s, at 20"),
        (Fault(status=429, raw=error_body("insufficient_quota")), "quota"),
        (
            Fault(status=400, raw=error_body("invalid_value", "bad schema", "text.format.schema")),
            r"bad schema.*param text\.format\.schema",
        ),
        (
            Fault(status=401, raw=error_body("invalid_api_key", "Incorrect: sk-canary-0000000000")),
            "rejected the key in OPENAI_API_KEY",
        ),
        (Fault(status=403, raw=error_body(None, "sk-canary-0000000000")), "rejected the key in OPENAI_API_KEY"),
        (Fault(status=413, raw=error_body(None, "too large: sk-canary-0000000000")), r"413 too large: \*\*\*"),
    ],
    ids=["429 long", "quota", "400", "401", "403", "413"],
)
def test_a_refused_create_leaves_nothing_open(one: Host, server: Loopback, fault: Fault, expected: str) -> None:
    """One POST, a message that helps, the pending create cleared, the key in no message."""
    server.once(fault, times=9)
    with pytest.raises(RowsFailed, match=expected) as caught:
        quick_create(one)
    assert "canary" not in str(caught.value)
    assert len(server.writes()) == 1
    assert "pending" not in one.store
    server.faults.clear()
    quick_create(one)
    invariant(one, server, 1)


def test_a_rejected_key_ends_the_run_at_once(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every other request would meet as well is not tried for each of them."""
    monkeypatch.setenv("ASST_CONCURRENCY", "1")
    server.once(Fault(status=401), times=99)
    with pytest.raises(RowsFailed, match="not tried: "):
        quick_create(host)
    assert len(server.writes()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "https://nowhere.invalid/v1"])
def test_no_network(one: Host, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A port where nobody listens, a name that nobody has: one line, and nothing is open."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(PlatformError, match="development: cannot reach"):
        quick_create(one)
    assert not one.path.exists()


NO_LISTS = [
    b"<html>", b"", b'{"data": 5}', b"[]", b"null", b'{"object": "list"}', b'{"data": [{"id": 5}]}', b'{"data": [{}]}',
    b'{"data": [], "has_more": true}', b'{"data": [{"id": "agent_x"}, {"id": "agent_x"}]}',
    b'{"data": [{"id": "agent_x"}], "has_more": true}',
    b'{"data": ' * 100_000, b'{"data": [' + b"1" * 5_000 + b"]}",
    *(b'{"data": [{"id": "agent_x", "tools": ' + b"[" * deep + b"]" * deep + b"}]}" for deep in (128, 600)),
]  # fmt: skip


@pytest.mark.parametrize("body", NO_LISTS, ids=range(len(NO_LISTS)))
def test_a_list_that_is_not_the_apis_is_no_empty_list(one: Host, server: Loopback, body: bytes) -> None:
    """HTML, no data, foreign ids, pages that repeat: an error after a few requests, and no create."""
    server.faults.append(lambda seen: Fault(raw=body) if seen.method == "GET" else None)
    with pytest.raises(PlatformError):
        quick_create(one)
    assert server.writes() == []
    assert len(server.seen) <= 4
    assert not one.path.exists()


@pytest.mark.parametrize("said", [{}, {"has_more": None}], ids=["absent", "null"])
@pytest.mark.parametrize("many", [0, 122, 200])
def test_pages_that_do_not_say_whether_there_are_more(one: Host, server: Loopback, said: dict[str, None], many: int) -> None:
    """They are followed until one comes empty, as the SDK's pager does: a clone finds what is on the last, and makes no twin."""
    quick_create(one)
    [id] = one.ids().values()
    server.fill(many)
    one.path.unlink()

    def unsaid(seen: Seen) -> Fault | None:
        if seen.method != "GET":
            return None
        _, page = server.service.handle("GET", seen.path, seen.query, b"")
        assert isinstance(page, dict)
        del page["has_more"]
        return Fault(raw=json.dumps(page | said).encode())

    server.faults.append(unsaid)
    server.seen.clear()
    quick_create(one)
    assert list(one.ids().values()) == [id]
    assert server.writes() == []
    invariant(one, server, 1)


@pytest.mark.parametrize("id", [5, None, "", "../x", "a b", "x" * 200, CANARY])
def test_a_create_that_is_answered_with_no_proper_id(one: Host, server: Loopback, id: Any) -> None:
    """Nothing is stored of it; a complete list settles what was made."""
    server.once(Fault(after=True, raw=json.dumps({"id": id}).encode()))
    quick_create(one)
    invariant(one, server, 1)


def test_a_list_that_lags(one: Host, server: Loopback) -> None:
    """The new agent shows up two seconds late; the run waits for it."""
    server.lag = 1.0
    commands.create(one.root, timing=Timing(grace=5, unknown=4))
    server.lag = 0
    invariant(one, server, 1)


def test_a_lost_answer_on_a_list_that_lags(one: Host, server: Loopback) -> None:
    """An answer that is lost, on a list that lags: still found in the same run."""
    server.lag = 1.0
    server.once(Fault(after=True, reset=True))
    commands.create(one.root, timing=Timing(grace=5, unknown=4))
    server.lag = 0
    invariant(one, server, 1)


def test_two_agents_with_one_tag_stop_the_run(one: Host, server: Loopback) -> None:
    """Neither is ours to choose: both are named, none is deleted."""
    quick_create(one)
    [agent] = server.agents().values()
    copy = {key: agent[key] for key in ("model", "name", "metadata")}
    copy["metadata"] = {**copy["metadata"], "asst.nonce": "another"}
    twin = server.call("POST", "/agents", copy)
    one.path.unlink()
    server.seen.clear()
    with pytest.raises(RowsFailed, match="2 instances carry its tags") as caught:
        quick_create(one)
    assert agent["id"] in str(caught.value)
    assert twin["id"] in str(caught.value)
    assert server.writes() == []
    assert not one.path.exists()


@pytest.mark.parametrize("ours_is_older", [True, False])
def test_of_twins_made_at_the_same_time_the_oldest_stays(one: Host, server: Loopback, ours_is_older: bool) -> None:
    """Another clone posts while we do; by the server's clock the older stays, and only its maker deletes a loser."""
    made: list[dict[str, Any]] = []

    def rival(seen: Seen) -> None:
        if seen.method == "POST" and not made:
            clock = server.service.clock
            server.service.clock = lambda: clock() + (60 if ours_is_older else -60)
            other = {**seen.body, "metadata": {**seen.body["metadata"], "asst.nonce": "rival"}}
            made.append(server.call("POST", "/agents", other))
            server.service.clock = clock

    server.faults.append(rival)
    quick_create(one)
    [id] = one.ids().values()
    assert (id == made[0]["id"]) is not ours_is_older
    assert made[0]["id"] in server.agents()
    assert len(server.agents()) == (2 if ours_is_older else 1)  # the rival's own run deletes the rival
    methods = [seen.method for seen in server.seen]
    assert methods[:4] == ["GET", "POST", "GET", "GET" if ours_is_older else "DELETE"]  # a loser goes before any waiting
    assert "pending" not in one.store


def test_a_rival_on_a_service_that_sends_no_time(one: Host, server: Loopback) -> None:
    """Without ``created_at`` all objects are of one age: the lower id stays, and the create is settled."""
    handle, made = server.service.handle, list[str]()

    def timeless(*args: Any) -> Any:
        status, answer = handle(*args)
        for each in [answer, *answer.get("data", ())] if isinstance(answer, dict) else []:
            each.pop("created_at", None)
        return status, answer

    def rival(seen: Seen) -> None:
        if seen.method == "POST" and not made:
            other = {**seen.body, "metadata": {**seen.body["metadata"], "asst.nonce": "rival"}}
            made.append(server.call("POST", "/agents", other)["id"])

    server.service.handle = timeless  # type: ignore[method-assign]
    server.faults.append(rival)
    quick_create(one)
    assert "pending" not in one.store
    assert set(one.ids().values()) <= server.agents().keys()


def both_at_once(*hosts: Host, env: dict[str, str] | None = None) -> list[tuple[int, str]]:
    running = [host.start("asst.create", env=env) for host in hosts]
    ended = []
    for process in running:
        _, err = process.communicate(timeout=90)
        ended.append((process.returncode, err))
    return ended


def test_two_clones_at_once_end_with_one_agent_each(host: Host, server: Loopback, tmp_path: Path) -> None:
    """With real processes: the same ids in both stores, one agent per name and environment."""
    clone = Host(tmp_path / "clone", host.env)
    server.faults.append(lambda seen: time.sleep(0.03) or None if seen.method == "POST" else None)
    ended = both_at_once(host, clone)
    assert [code for code, _ in ended] == [0, 0], ended
    assert host.ids() == clone.ids()
    invariant(host, server, 6)
    invariant(clone, server, 6)


def test_two_runs_in_one_checkout(host: Host, server: Loopback) -> None:
    """The second waits, says for whom, and finds everything made."""
    gate = threading.Event()
    server.faults.append(lambda seen: gate.wait(1.5) and None if seen.method == "POST" else None)
    ended = both_at_once(host, host)
    assert [code for code, _ in ended] == [0, 0], ended
    assert any("waiting for assistants_store.json: held by inv asst.create (pid" in err for _, err in ended)
    invariant(host, server, 6)


POINTS = ["before the list", "in a POST", "after a POST", "in the second sweep", "in an election"]


def stop_at(server: Loopback, point: str, act: Callable[[], None], posts: int = 3) -> None:
    """Act once, when the server sees that point of a run."""
    count = {"GET": 0, "POST": 0, "DELETE": 0}
    lock = threading.Lock()
    done: list[bool] = []

    def decide(seen: Seen) -> Fault | None:
        with lock:
            count[seen.method] = count.get(seen.method, 0) + 1
            number = count[seen.method]
            first = not done and (
                (point == POINTS[0] and seen.method == "GET" and number == 1)
                or (point in POINTS[1:3] and seen.method == "POST" and number == posts)
                or (point == POINTS[3] and seen.method == "GET" and number == 2)
            )
            first = first or (not done and point == POINTS[4] and seen.method == "DELETE")
            if first:
                done.append(True)
            if point == POINTS[4] and seen.method == "POST" and number == 1:
                rival = {**seen.body, "metadata": {**seen.body["metadata"], "asst.nonce": "f" * 32}}
                clock = server.service.clock
                server.service.clock = lambda: clock() - 60
                server.call("POST", "/agents", rival)  # an older one, so that ours loses the election
                server.service.clock = clock
        if first:
            act()
            return Fault(after=point != POINTS[1], hang=1.2)
        return None

    server.faults.append(decide)


@pytest.mark.parametrize("point", POINTS)
def test_sigkill_at_any_point_and_a_rerun(host: Host, server: Loopback, point: str) -> None:
    """Killed at each point, the rerun ends with one agent and one record each, and nothing open."""
    running: list[subprocess.Popen[str]] = []
    stop_at(server, point, lambda: running[0].kill())
    running.append(host.start("asst.create"))
    running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL
    result = host.inv("asst.create", "--json")
    assert result.code == 0, result.err
    invariant(host, server, 6)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_at_any_point_and_a_rerun(host: Host, server: Loopback, point: str, number: int, code: int) -> None:
    """An ordinary exit with its code, a valid store, no temporary file; the rerun settles the rest."""
    running: list[subprocess.Popen[str]] = []
    stop_at(server, point, lambda: running[0].send_signal(number))
    running.append(host.start("asst.create"))
    _, err = running[0].communicate(timeout=60)
    assert running[0].returncode == code, err
    assert "Traceback" not in err
    assert list(host.root.glob("*.tmp")) == []
    assert host.path.with_name(host.path.name + ".lock").read_bytes() == b""
    assert host.inv("asst.create").code == 0
    invariant(host, server, 6)


def test_a_killed_update_is_recognised_as_ours(one: Host, server: Loopback) -> None:
    """The update got through and its answer was lost with the process; the next edit is no drift."""
    quick_create(one)
    one.edit("Do it.", "Second.")
    running: list[subprocess.Popen[str]] = []
    server.faults.append(
        lambda seen: (
            (server.call("POST", seen.path.removeprefix("/v1"), seen.body), running[0].kill(), Fault(hang=3))[2]
            if seen.method == "POST"
            else None
        )
    )
    running.append(one.start("asst.update"))
    running[0].communicate(timeout=60)
    server.faults.clear()
    assert next(iter(server.agents().values()))["instructions"] == "Second."
    one.edit("Second.", "Third.")
    [row] = commands.update(one.root)
    assert (row.state, row.action, row.note) == ("changed", "update", None)
    assert "pending" not in one.store


def test_an_unanswered_update_is_looked_at(one: Host, server: Loopback) -> None:
    """An update whose answers are lost is settled by reading the instance."""
    quick_create(one)
    one.edit("Do it.", "Second.")
    server.once(Fault(after=True, reset=True), times=3)
    [row] = commands.update(one.root)
    assert row.error is None
    assert "pending" not in one.store
    assert {row.state for row in commands.status(one.root)} == {"in_sync"}


def test_an_environment_that_fails_stops_those_after_it(host: Host, server: Loopback) -> None:
    """A row that the service refuses fails alone; its environment goes on, the next one is not started."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    host.edit("Judge it.", "Judge it well.")
    id = host.ids()["planner", "development"]
    server.once(Fault(status=400, raw=error_body("invalid_value", "no such model", "model")), path=f"/v1/agents/{id}")
    with pytest.raises(RowsFailed, match=f"planner in development: {id}: 400 no such model") as caught:
        commands.deploy(host.root)
    errors = {row.key: row.error for row in caught.value.rows if row.error}
    assert "not started, since development is not whole" in errors["planner", "production"]
    assert ("judge", "development") not in errors
    assert "pending" not in host.store
    assert server.agents()[host.ids()["judge", "development"]]["instructions"] == "Judge it well."
    assert server.agents()[host.ids()["judge", "production"]]["instructions"] == "Judge it."
    commands.deploy(host.root)
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}


def test_an_instance_deleted_during_an_update(host: Host, server: Loopback) -> None:
    """404 on the write: said with its id, nothing made in its place."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    id = host.ids()["planner", "development"]
    server.once(Fault(status=404, raw=error_body("not_found")), path=f"/v1/agents/{id}")
    with pytest.raises(RowsFailed, match=f"{id}: was deleted remotely: run inv asst.create"):
        commands.update(host.root)
    assert len(server.agents()) == 6


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk or to give up its rights")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_store_that_cannot_be_written_stops_before_any_post(one: Host, server: Loopback, what: str) -> None:
    """A read-only store, or a read-only folder, without root's right to write all the same."""
    quick_create(one)
    before = one.path.read_bytes()
    one.edit('"one"', '"two"')
    server.seen.clear()
    (one.root if what == "folder" else one.path).chmod(0o555)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-B", "-m", "invoke", "asst.create"]
    done = subprocess.run(command, cwd=one.root, env=one.environ(), capture_output=True, text=True, check=False)
    one.root.chmod(0o755)
    assert done.returncode == 1
    assert "assistants_store.json" in done.stderr
    assert "read-only" in done.stderr or "Permission denied" in done.stderr
    assert server.writes() == []
    assert one.path.read_bytes() == before


@as_root
def test_a_full_disk_at_the_intent_sends_nothing(one: Host, server: Loopback, tmp_path: Path) -> None:
    """No room for the pending create: no POST, and the store's bytes are what they were."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        store = disk / "store.json"
        one.env["ASST_STORE"] = str(store)
        assert one.inv("asst.create").code == 0
        before = store.read_bytes()
        (disk / "filler").write_bytes(b"x" * (60_000 - len(before)))
        one.declare(MODELS + f'ASSISTANTS = [Assistant("big", model="m", instructions="{"x" * 20_000}")]')
        server.seen.clear()
        result = one.inv("asst.create")
        assert result.code == 1
        assert "No space left" in result.err
        assert server.writes() == []
        assert store.read_bytes() == before
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "store.json", "store.json.lock"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_store_that_cannot_be_written_at_the_end_names_the_ids(one: Host, server: Loopback) -> None:
    """The agent is made but not recorded: its id is told, and the rerun adopts it."""
    temporary = one.path.with_name(one.path.name + ".tmp")

    def block(seen: Seen) -> Fault | None:
        if seen.method == "POST":
            temporary.mkdir()  # the next write of the store fails, whoever we are
        return None

    server.faults.append(block)
    with pytest.raises(StoreError, match="inv asst.adopt one development agent_"):
        quick_create(one)
    temporary.rmdir()
    server.faults.clear()
    quick_create(one)
    invariant(one, server, 1)


def test_only_our_errors_leave_the_verbs(one: Host, server: Loopback) -> None:
    """Whatever the service answers to an update, what is raised is ours."""
    quick_create(one)
    one.edit("Do it.", "Second.")
    for fault in (
        Fault(raw=b"<html>"), Fault(status=302, headers={"Location": "/elsewhere"}), Fault(raw=b'{"id": "other"}'),
        Fault(raw=b"[" * 100_000), Fault(raw=b"1" * 5_000), Fault(status=400, raw=b"[" * 900 + b"]" * 900),
    ):  # fmt: skip
        server.faults.clear()
        server.once(fault, times=9)
        with pytest.raises(AsstError):
            commands.update(one.root)
    server.faults.clear()
    commands.update(one.root)
    invariant(one, server, 1)


def twin_of(server: Loopback, agent: dict[str, Any], nonce: str = "f" * 32, age: int = 0, **edit: Any) -> dict[str, Any]:
    """Another agent with the same tags, as another run would make it, ``age`` seconds older."""
    clock = server.service.clock
    server.service.clock = lambda: agent["created_at"] - age
    body = {key: agent[key] for key in ("model", "name", "instructions", "metadata")}
    twin = server.call("POST", "/agents", {**body, "metadata": {**body["metadata"], "asst.nonce": nonce}, **edit})
    server.service.clock = clock
    assert isinstance(twin, dict)
    return twin


@pytest.mark.parametrize("age", [100, 0, -100])
def test_a_recorded_instance_is_never_deleted_for_a_twin(one: Host, server: Loopback, age: int) -> None:
    """Whatever the twin's age, a create names both and touches neither; the store keeps its id."""
    quick_create(one)
    [agent] = server.agents().values()
    twin = twin_of(server, agent, age=age)
    before = one.path.read_bytes()
    server.seen.clear()
    [row] = quick_create(one)
    assert (row.id, row.action) == (agent["id"], "none")
    assert f"{twin['id']} carries the same tags; {agent['id']} is the recorded one" in (row.note or "")
    assert f"inv asst.delete --id {twin['id']} deletes it" in (row.note or "")
    assert server.writes() == []
    assert one.path.read_bytes() == before


def test_two_foreign_twins_and_an_open_intent_stop_as_well(one: Host, server: Loopback) -> None:
    """That a create of ours is open makes neither of them ours."""
    quick_create(one)
    [agent] = server.agents().values()
    one.path.unlink()
    server.once(Fault(status=500))
    server.faults.append(lambda seen: None)
    copy = dict(agent)
    server.call("DELETE", f"/agents/{agent['id']}")
    with pytest.raises(RowsFailed):
        quick_create(one)
    twin_of(server, copy, "a" * 32)
    twin_of(server, copy, "b" * 32)
    server.seen.clear()
    with pytest.raises(RowsFailed, match="2 instances carry its tags"):
        quick_create(one)
    assert server.writes() == []


def test_an_open_create_is_not_passed_over(one: Host, server: Loopback) -> None:
    """Made and recorded, but the last look failed: plan and deploy say so, and create settles it."""
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "GET" and len(server.writes()) else None)
    with pytest.raises(RowsFailed, match="run inv asst.create again to settle it"):
        quick_create(one)
    server.faults.clear()
    assert one.ids()
    assert "pending" in one.store
    with pytest.raises(RowsFailed, match="a create is still open: run inv asst.create"):
        commands.deploy(one.root)
    [row] = commands.plan(one.root)
    assert "still open" in (row.error or "")
    [row] = commands.status(one.root)
    assert "still open" in (row.note or "")
    [row] = commands.create(one.root, dry_run=True)
    assert row.action == "adopt"
    quick_create(one)
    invariant(one, server, 1)


def test_a_wrong_key_after_an_unsettled_create(one: Host, server: Loopback) -> None:
    """The records are there, their creates open; another project's key is still refused."""
    server.faults.append(lambda seen: Fault(status=500) if seen.method == "GET" and len(server.writes()) else None)
    with pytest.raises(RowsFailed):
        quick_create(one)
    server.faults.clear()
    before = one.path.read_bytes()
    elsewhere = server.agents()
    for id in elsewhere:
        server.call("DELETE", f"/agents/{id}")
    with pytest.raises(AsstError, match="sees none of its 1 recorded instance") as caught:
        quick_create(one)
    assert caught.value.exit_code == 3
    assert one.path.read_bytes() == before


def test_a_wrong_key_with_only_new_rows(one: Host, server: Loopback) -> None:
    """A new assistant, and a key that sees none of the others: refused before anything is made in the wrong project."""
    quick_create(one)
    [id] = one.ids().values()
    server.call("DELETE", f"/agents/{id}")
    one.edit('"one"', '"two"')
    server.seen.clear()
    with pytest.raises(AsstError, match="sees none of its 1 recorded instance"):
        quick_create(one)
    assert server.writes() == []


def test_one_stale_list_makes_no_second_agent(one: Host, server: Loopback) -> None:
    """Found, then missing from one page, then there again: it is asked for by its id, not made anew."""
    quick_create(one)
    one.path.unlink()
    lists = [0]

    def stale(seen: Seen) -> Fault | None:
        if seen.method == "GET" and seen.path == "/v1/agents":
            lists[0] += 1
            if lists[0] == 2:
                return Fault(raw=b'{"object": "list", "data": [], "has_more": false}')
        return None

    server.faults.append(stale)
    server.seen.clear()
    quick_create(one)
    assert server.writes() == []
    invariant(one, server, 1)


def test_a_store_that_is_replaced_in_the_middle(host: Host, server: Loopback) -> None:
    """Git puts an older store in place during a deploy; the run's results end up in it, and nothing is drift."""
    host.create()
    older = host.path.read_bytes()
    host.edit("Plan it.", "Second.")
    commands.deploy(host.root)
    host.edit("Second.", "Third.")

    def replace(seen: Seen) -> Fault | None:
        if seen.method == "POST" and seen.path.endswith(host.ids()["planner", "production"]):
            host.path.write_bytes(older)
        return None

    server.faults.append(replace)
    commands.deploy(host.root)
    server.faults.clear()
    assert "pending" not in host.store
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}


def pull(host: Host, server: Loopback, method: str, change: Callable[[Any], None]) -> None:
    """Let git put a changed store in place once the first such request is carried out, before its answer."""
    pulled: list[bool] = []

    def replace(seen: Seen) -> Fault | None:
        if seen.method != method or pulled:
            return None
        pulled.append(True)
        answer = server.call(method, seen.path.removeprefix("/v1"), seen.body)
        store = host.store
        store.pop("pending", None)
        change(store)
        host.path.write_text(json.dumps(store))
        return Fault(raw=json.dumps(answer).encode())

    server.faults.append(replace)


def made_anew(server: Loopback, agent: dict[str, Any]) -> str:
    """A colleague's instance in the stead of one that the colleague found missing."""
    if agent["id"] in server.agents():
        server.call("DELETE", f"/agents/{agent['id']}")
    return str(twin_of(server, agent, "c" * 32)["id"])


@pytest.mark.parametrize("verb", ["update", "deploy"])
def test_another_id_in_a_store_that_comes_during_an_update_stands(one: Host, server: Loopback, verb: str) -> None:
    """A colleague made the instance anew, and git pulls that in mid-update: the id that is dead by now does not come back."""
    quick_create(one)
    [agent] = server.agents().values()
    one.edit("Do it.", "Second.")
    new: list[str] = []

    def change(store: Any) -> None:
        new.append(made_anew(server, agent))
        store["assistants"]["one"]["development"]["id"] = new[0]

    pull(one, server, "POST", change)
    with pytest.raises(RowsFailed) as caught:
        getattr(commands, verb)(one.root, timing=QUICK)
    assert f"one in development: the store was replaced during this run and names {new[0]} instead of {agent['id']}" in str(
        caught.value
    )
    assert list(one.ids().values()) == new
    getattr(commands, verb)(one.root, timing=QUICK)
    assert server.agents()[new[0]]["instructions"] == "Second."
    invariant(one, server, 1)


def test_an_instance_that_a_colleague_deleted_does_not_come_back(one: Host, server: Loopback) -> None:
    """The same where the store that comes names no instance any more: nothing points to the dead id."""
    quick_create(one)
    [agent] = server.agents().values()
    one.edit("Do it.", "Second.")

    def change(store: Any) -> None:
        server.call("DELETE", f"/agents/{agent['id']}")
        store["assistants"], store["payloads"] = {}, {}

    pull(one, server, "POST", change)
    with pytest.raises(RowsFailed, match=f"names none instead of {agent['id']}: run the same command again"):
        commands.update(one.root, timing=QUICK)
    assert one.ids() == {}
    with pytest.raises(RowsFailed, match=r"is not created: run inv asst\.create"):
        commands.update(one.root, timing=QUICK)
    quick_create(one)
    invariant(one, server, 1)


def test_another_id_in_a_store_that_comes_during_a_delete_stands(one: Host, server: Loopback) -> None:
    """The instance that the pulled store names is alive and not the one that was deleted: it stays recorded, and that is said."""
    quick_create(one)
    [agent] = server.agents().values()
    new: list[str] = []

    def change(store: Any) -> None:
        new.append(made_anew(server, agent))
        store["assistants"]["one"]["development"]["id"] = new[0]

    pull(one, server, "DELETE", change)
    with pytest.raises(RowsFailed, match="the store was replaced during this run and names agent_"):
        commands.delete(one.root, env="development", yes=True, timing=QUICK)
    assert list(one.ids().values()) == new
    invariant(one, server, 1)


def test_an_open_create_in_a_store_that_comes_during_an_update_stands(one: Host, server: Loopback) -> None:
    """A colleague's create that is not settled yet was committed: its nonce is not lost to the end of our update."""
    quick_create(one)
    [agent] = server.agents().values()
    digest = agent["metadata"]["asst.digest"]
    open_ = {f"development agents {server.origin}": {"digest": digest, "kind": "create", "nonce": "c" * 32}}
    one.edit("Do it.", "Second.")
    pull(one, server, "POST", lambda store: store.update(pending={"one": open_}))
    commands.update(one.root, timing=QUICK)
    assert one.store["pending"] == {"one": open_}
    quick_create(one)
    invariant(one, server, 1)


def test_a_resumed_create_remembers_what_it_sent(one: Host, server: Loopback) -> None:
    """Killed after the commit, then a field taken out of the code: the rerun records what was sent, so update clears it."""
    one.declare(MODELS + 'ASSISTANTS = [Assistant("one", model="m", verbosity="low")]', 'environments = ["development"]\n')
    server.once(Fault(after=True, hang=3))
    process = one.start("asst.create")
    while not server.agents():
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    server.faults.clear()
    one.edit(', verbosity="low"', "")
    quick_create(one)
    [row] = commands.update(one.root)
    assert [(change.field, change.before) for change in row.changes] == [("text.verbosity", "low")]
    assert next(iter(server.agents().values()))["text"]["verbosity"] == "medium"


def test_a_server_that_drips_is_cut_off(one: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout bounds the whole request, not each byte of it."""
    monkeypatch.setattr("invoke_assistants.platforms.agents.TIMEOUT", 0.4)
    monkeypatch.setattr("invoke_assistants.sdk.error_translator.RETRIES", 0)
    server.drip = 0.1
    started = time.monotonic()
    with pytest.raises(PlatformError, match=r"timed out after 0\.4 s"):
        quick_create(one)
    assert time.monotonic() - started < 3


def test_a_limit_that_lets_some_through_lets_all_through(host: Host, server: Loopback) -> None:
    """A steady rate limit: as long as each round makes some, the run goes on to the end."""
    host.declare(MODELS + LONG, 'environments = ["development"]\n')
    posts = [0]
    lock = threading.Lock()

    def limit(seen: Seen) -> Fault | None:
        if seen.method != "POST":
            return None
        with lock:
            posts[0] += 1
            over = posts[0] % 4 == 0
        return Fault(status=429, headers={"retry-after-ms": "50"}) if over else None

    server.faults.append(limit)
    assert {row.action for row in quick_create(host)} == {"create"}
    invariant(host, server, 20)


@pytest.mark.parametrize("skew", [-86_400, 86_400])
def test_this_machines_clock_decides_nothing(one: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
    """A day off: elections go by the server's times, and the store holds none."""
    real = time.time
    server.service.clock = real
    monkeypatch.setattr(time, "time", lambda: real() + skew)
    quick_create(one)
    one.edit("Do it.", "Second.")
    commands.deploy(one.root)
    invariant(one, server, 1)
    assert str(int(real()))[:6] not in one.path.read_text()


DIES = """
import os, signal
left = [int(os.environ.get("DIES_AT", "0"))]
fsync = os.fsync
def dying(descriptor):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), getattr(signal, os.environ["DIES_OF"]))
    fsync(descriptor)
os.fsync = dying
"""


@pytest.mark.parametrize(("number", "at"), [("SIGKILL", 1), ("SIGKILL", 3), ("SIGINT", 3), ("SIGTERM", 1)])
def test_a_signal_while_the_store_is_written(host: Host, server: Loopback, number: str, at: int) -> None:
    """Between the temporary file and the rename, at the pending operations and at the results: the rerun settles all."""
    host.declare(THREE + DIES)
    process = host.start("asst.create", env={"DIES_AT": str(at), "DIES_OF": number})
    process.communicate(timeout=60)
    assert process.returncode == {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143}[number]
    assert host.inv("asst.create").code == 0
    invariant(host, server, 6)
