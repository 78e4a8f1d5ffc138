"""Commands on a shared store: several runs at once, runs that stand still or die, and a server that goes away."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import CANARY, Host
from loopback import Fault, Loopback, Seen
from places import Place, RedisServer, missing, place, wait_for

from invoke_assistants.types import State

pytestmark = pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
ONE = """
from invoke_assistants import Assistant
ASSISTANTS = [Assistant(f"a{i}", model="m", instructions="Do it.") for i in range(4)]
"""
FASTER = """
from invoke_assistants.store import lease, shared_lock, store
store.PATIENCE = 3.0
shared_lock.STALE_AFTER, shared_lock.RENEW_EVERY, lease.CONFIRMED_FOR = 2.0, 0.5, 1.5
"""


class Shared:
    """Checkouts of one project, and its store on a Redis server."""

    def __init__(self, folder: Path, server: Loopback, url: str) -> None:
        self.folder = folder
        self.server = server
        self.url = url
        self._place = Place("redis", url)

    def checkout(self, name: str, tasks: str = FASTER) -> Host:
        host = Host(self.folder / name, {**self.server.env(CANARY), "ASST_STORE": self.url})
        host.declare(ONE)
        with (host.root / "tasks.py").open("a") as file:
            file.write(tasks)
        return host

    def tables(self) -> dict[str, Any]:
        return self._place.tables("host")

    def state(self) -> State:
        with closing(self._place.open("host")) as store:
            return store.read()

    def stopped(self, host: Host, command: str) -> Any:
        """A command that stands still in its first request that writes."""
        held: list[Seen] = []

        def first_post(seen: Seen) -> Fault | None:
            if seen.method == "POST" and not held:
                held.append(seen)
                process.send_signal(signal.SIGSTOP)
            return None

        self.server.faults.append(first_post)
        process = host.start(command, env={"ASST_CONCURRENCY": "1"})
        wait_for(lambda: held)
        self.server.faults.clear()
        return process

    def settled(self, remote: int) -> None:
        """Each instance is there once and recorded; nothing is open, and nobody holds the lock."""
        state, agents = self.state(), self.server.agents()
        assert len(agents) == remote
        assert {record.id for record in state.records.values()} == agents.keys()
        assert not state.pending
        assert "lock" not in self.tables()["store"]


@pytest.fixture
def shared(tmp_path: Path, server: Loopback) -> Iterator[Shared]:
    with place("redis") as found:
        yield Shared(tmp_path, server, found.address)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    try:
        server = RedisServer(tmp_path / "redis")
    except FileNotFoundError:
        pytest.skip("no redis-server on this machine")
    yield server
    server.stop()


def test_two_checkouts_share_the_store(shared: Shared) -> None:
    """What one checkout creates the other sees, updates and deploys; no checkout has a file of it."""
    here, there = shared.checkout("here"), shared.checkout("there")
    assert here.inv("asst.create").code == 0
    shared.settled(8)
    before, writes = shared.tables(), len(shared.server.writes())
    assert there.inv("asst.create").code == 0
    assert (shared.tables(), len(shared.server.writes())) == (before, writes)
    there.edit("Do it.", "Do it well.")
    assert there.inv("asst.deploy").code == 0
    shared.settled(8)
    assert {row["state"] for row in there.inv("asst.status", "--json").json["rows"]} == {"in_sync"}
    assert here.inv("asst.plan", "--check").code == 2
    assert not here.path.exists()
    assert not there.path.exists()


def test_a_killed_run_is_settled_by_the_next(shared: Shared) -> None:
    """A run is killed with creates in flight: the next takes over after a while, adopts what was made, and makes the rest."""
    here, there = shared.checkout("here"), shared.checkout("there")
    shared.server.once(Fault(after=True, hang=30), times=3)
    process = here.start("asst.create")
    wait_for(lambda: len(shared.server.agents()) >= 3)
    process.kill()
    process.communicate()
    shared.server.faults.clear()
    result = there.inv("asst.create")
    assert result.code == 0, result.err
    assert "waiting for the store: held by inv asst.create" in result.err
    shared.settled(8)


def test_a_run_that_stood_still_does_not_go_on_as_if_it_held_the_lock(shared: Shared) -> None:
    """A run stands still in its creates, another takes over and finishes: the first sends nothing more and exits 1."""
    here, there = shared.checkout("here"), shared.checkout("there")
    process = shared.stopped(here, "asst.create")
    assert there.inv("asst.create").code == 0
    shared.settled(8)
    writes = len(shared.server.writes())
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "this run was taken over" in err or "another run took over" in err or "released by somebody else" in err
    assert len(shared.server.writes()) == writes
    assert there.inv("asst.create").code == 0
    shared.settled(8)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_lets_go(shared: Shared, number: signal.Signals, code: int) -> None:
    """A run that is interrupted in its creates records what was answered, and takes its lock out of the document."""
    host = shared.checkout("here")
    shared.server.once(Fault(after=True, hang=20))
    process = host.start("asst.create")
    wait_for(lambda: len(shared.server.agents()) >= 4)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "lock" not in shared.tables()["store"]
    shared.server.faults.clear()
    result = host.inv("asst.create")
    assert result.code == 0
    assert "waiting" not in result.err
    shared.settled(8)


def test_an_overtaken_update_leaves_what_the_other_wrote(shared: Shared) -> None:
    """A run stands still in its updates, another deploys newer code meanwhile: the newer records and instances stay."""
    here, there = shared.checkout("here"), shared.checkout("there")
    assert here.inv("asst.create").code == 0
    here.edit("Do it.", "Do it so.")
    there.edit("Do it.", "Do it better.")
    process = shared.stopped(here, "asst.update")
    assert there.inv("asst.update", "--overwrite").code == 0
    tables = shared.tables()
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert shared.tables()["assistants"] == tables["assistants"]
    states = {row["state"] for row in there.inv("asst.status", "--json").json["rows"] if row["environment"] == "development"}
    assert states == {"in_sync"}


def test_a_server_that_restarts_during_a_deploy(tmp_path: Path, server: Loopback, redis_server: RedisServer) -> None:
    """The store's server restarts in the middle of a deploy: the deploy ends as if it had not."""
    shared = Shared(tmp_path, server, redis_server.url)
    host = shared.checkout("here")
    assert host.inv("asst.create").code == 0
    host.edit("Do it.", "Do it well.")
    begun: list[Seen] = []

    def restart(seen: Seen) -> Fault | None:
        if seen.method == "POST":
            begun.append(seen)
            if len(begun) == 2:
                redis_server.stop()
                redis_server.start()
        return None

    server.faults.append(restart)
    result = host.inv("asst.deploy", env={"ASST_CONCURRENCY": "1"})
    assert result.code == 0, result.err
    shared.settled(8)
    assert {row["state"] for row in host.inv("asst.status", "--json").json["rows"]} == {"in_sync"}


def test_a_server_that_restarts_while_a_run_waits(tmp_path: Path, server: Loopback, redis_server: RedisServer) -> None:
    """A run that waits for the lock goes on waiting while the server restarts, and then does its work."""
    shared = Shared(tmp_path, server, redis_server.url)
    here, there = (shared.checkout(name, tasks="") for name in ("here", "there"))
    server.once(Fault(after=True, hang=5.0))
    first = here.start("asst.create")
    wait_for(server.writes)
    log = tmp_path / "log"
    with log.open("wb") as out, Path(os.devnull).open() as nothing:
        second = there.start_on([nothing.fileno(), out.fileno(), out.fileno()], "asst.create")
        wait_for(lambda: "waiting for the store" in log.read_text())
    redis_server.stop()
    redis_server.start()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert second.wait(60) == 0, log.read_text()
    shared.settled(8)


def test_a_server_that_is_gone_leaves_a_recovery_file(tmp_path: Path, server: Loopback, redis_server: RedisServer) -> None:
    """The server goes in the middle of a create and stays away: what was made is in a file, and ``--recover`` brings it in."""
    shared = Shared(tmp_path, server, redis_server.url)
    host = shared.checkout("here")
    server.faults.append(lambda seen: redis_server.stop() if seen.method == "POST" and len(server.writes()) == 1 else None)
    result = host.inv("asst.create", timeout=120)
    assert result.code == 1
    assert "canary-secret" not in result.out + result.err
    [unsaved] = (host.root / ".asst").glob("unsaved-*.json")
    assert f"inv asst.store --recover {unsaved}" in result.err
    assert unsaved.stat().st_mode & 0o077 == 0
    assert len(json.loads(unsaved.read_text())["ours"]["assistants"]) == 4
    redis_server.start()
    assert host.inv("asst.store", "--recover", str(unsaved)).code == 0
    assert not unsaved.exists()
    assert {record.id for record in shared.state().records.values()} == server.agents().keys()
    assert host.inv("asst.create").code == 0
    shared.settled(8)


def test_a_server_that_does_not_answer_at_the_start(tmp_path: Path, server: Loopback, redis_server: RedisServer) -> None:
    """No command that writes or looks goes on without its store: one line, exit 1, and nothing is sent to the platform."""
    host = Shared(tmp_path, server, redis_server.url).checkout("here")
    redis_server.stop()
    for command in ("asst.create", "asst.update", "asst.plan", "asst.status"):
        result = host.inv(command)
        assert result.code == 1
        assert len(result.err.strip().splitlines()) == 1, result.err
        assert "canary-secret" not in result.out + result.err
    assert not server.seen


def test_resolve_has_nothing_to_do_with_a_shared_store(shared: Shared) -> None:
    """``asst.resolve`` says that git does not keep this store."""
    result = shared.checkout("here").inv("asst.resolve")
    assert result.code == 1
    assert "which git does not keep: there is no conflict to resolve" in result.err
