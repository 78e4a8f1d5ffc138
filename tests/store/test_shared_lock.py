"""The lock of a shared store: who waits for whom, who may take it over, and what a run that lost it may still do.

The holders are real processes on a real Redis. Their times are a tenth of the real ones, in the same proportions.
"""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import forking
from places import missing, place

from invoke_assistants.declare.digest import digest
from invoke_assistants.errors import StoreError
from invoke_assistants.store import lease, shared_lock
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.lease import job_url
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.shared_lock import unlock
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL
from invoke_assistants.types import Location, Record

pytestmark = pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
PAYLOAD = {"model": "m"}
FASTER = """
from invoke_assistants.store import lease, shared_lock
shared_lock.STALE_AFTER, shared_lock.RENEW_EVERY, shared_lock.WAIT, lease.CONFIRMED_FOR = 2.0, 0.5, 6.0, 1.5
"""


@pytest.fixture
def url() -> Iterator[str]:
    with place("redis") as found:
        yield found.address


def opened(url: str) -> Store:
    return Store(open_storage(StoreURL.parse(url, "ASST_STORE"), "p"), "p")


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with one record; the times of this process are the short ones, too."""
    for module, name, value in (
        (shared_lock, "STALE_AFTER", 2.0),
        (shared_lock, "RENEW_EVERY", 0.5),
        (shared_lock, "WAIT", 6.0),
        (lease, "CONFIRMED_FOR", 1.5),
    ):
        monkeypatch.setattr(module, name, value)
    store = opened(url)
    with lock_store(store, "set-up", print):
        put(store, "first")
    yield store
    store.close()


def put(store: Store, name: str, id: str = "") -> None:
    record = Record(id or f"agent_{name}", Location("local", "local"), digest(PAYLOAD))
    store.commit({(name, "development"): record}, [(digest(PAYLOAD), PAYLOAD)])


class Holder:
    """A process that takes the lock, says so, and then does what the lines that it is sent say."""

    def __init__(self, url: str, env: dict[str, str] | None = None) -> None:
        program = f"""
            import sys
            {FASTER.replace(chr(10), chr(10) + "            ")}
            from invoke_assistants.declare.digest import digest
            from invoke_assistants.store.connect import open_storage
            from invoke_assistants.store.lock import lock_store
            from invoke_assistants.store.store import Store
            from invoke_assistants.store.url import StoreURL
            from invoke_assistants.types import Location, Record
            store = Store(open_storage(StoreURL.parse({url!r}, "ASST_STORE"), "p"), "p")
            try:
                with lock_store(store, "inv asst.deploy", lambda line: print(line, flush=True)):
                    print("holding", flush=True)
                    for line in sys.stdin:
                        try:
                            exec(line)
                            print("ok", flush=True)
                        except Exception as error:
                            print(f"{{type(error).__name__}}: {{error}}", flush=True)
                print("released", flush=True)
            except Exception as error:
                print(f"ended: {{error}}", flush=True)
        """
        self.process = forking.start_piped(("-c", textwrap.dedent(program)), Path.cwd(), {**os.environ, **(env or {})})

    def says(self) -> str:
        return self.process.stdout.readline().strip()

    def do(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.says()

    def end(self) -> str:
        self.process.stdin.close()
        said = self.says()
        self.process.wait(20)
        return said

    def put(self, name: str, id: str) -> str:
        return self.do(
            f"store.commit({{({name!r}, 'development'): Record({id!r}, Location('local', 'local'), digest({PAYLOAD}))}},"
            f" [(digest({PAYLOAD}), {PAYLOAD})])"
        )


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    """The processes of a test, which end with it."""
    started: list[Holder] = []
    yield started
    for each in started:
        each.process.end()


def held(store: Store) -> dict[str, Any] | None:
    tables = store.tables()
    assert tables is not None
    lock: dict[str, Any] | None = tables["store"].get("lock")
    return lock


def test_the_record_of_the_lock(store: Store, url: str, holders: list[Holder]) -> None:
    """While a run holds the lock, the document says who, where, what, since when and in which job; afterwards nothing is left.

    Taking and releasing bump the version and make no revision.
    """
    before, revisions = store.storage.load(), store.storage.revisions()
    holders.append(Holder(url, {"CI_JOB_URL": "https://ci.example/job/7", "LOGNAME": "ada"}))
    assert holders[0].says() == "holding"
    lock = held(store)
    assert lock is not None
    assert list(lock) == ["command", "host", "id", "job", "renewed", "since", "who"]
    assert (lock["command"], lock["job"], lock["who"]) == ("inv asst.deploy", "https://ci.example/job/7", "ada")
    assert holders[0].end() == "released"
    after = store.storage.load()
    assert after.content == before.content
    assert after.version != before.version
    assert store.storage.revisions() == revisions


def test_a_second_run_waits_and_is_told_for_whom(store: Store, url: str, holders: list[Holder]) -> None:
    """The second run says for whom it waits, and goes on once the first has ended: longer than a dead holder is waited for."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    holders += [Holder(url)]
    waiting = holders[1].says()
    lock = held(store)
    assert lock is not None
    assert waiting.startswith("waiting for the store: held by inv asst.deploy (")
    assert waiting.endswith(f"lock {lock['id']}")
    deadline = time.monotonic() + 3  # above STALE_AFTER: a live holder is not overtaken
    while time.monotonic() < deadline:
        now = held(store)
        assert now is not None
        assert now["id"] == lock["id"]
    assert holders[0].end() == "released"
    assert holders[1].says() == "holding"


def test_waiting_ends(store: Store, url: str, holders: list[Holder]) -> None:
    """A run that waited for the whole time names the holder, the command that releases the lock, and when that is safe."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    lock = held(store)
    assert lock is not None
    expected = rf"still locked after 6 s: held by inv asst\.deploy .* inv asst\.store --unlock {lock['id']}: that is safe once"
    with pytest.raises(StoreError, match=expected), lock_store(store, "second", print):
        pass
    assert holders[0].end() == "released"


def test_a_killed_holder_is_overtaken_and_not_before_its_time(store: Store, url: str, holders: list[Holder]) -> None:
    """The lock of a run that was killed is taken over once it has not been renewed for the whole time."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    holders[0].process.kill()
    holders[0].process.wait()
    began = time.monotonic()
    with lock_store(store, "second", lambda _: None):
        assert 2.0 <= time.monotonic() - began < 5
        lock = held(store)
        assert lock is not None
        assert lock["command"] == "second"
    assert held(store) is None


def test_of_two_that_wait_one_takes_it_over(store: Store, url: str, holders: list[Holder]) -> None:
    """Two runs that wait for a dead one take the lock one after the other."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    holders[0].process.kill()
    holders[0].process.wait()
    holders += [Holder(url), Holder(url)]
    assert [each.says()[:7] for each in holders[1:]] == ["waiting", "waiting"]
    inside, most, guard = [0], [0], threading.Lock()

    def follow(each: Holder) -> None:
        assert each.says() == "holding"
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.3)
        with guard:
            inside[0] -= 1
        assert each.end() == "released"

    threads = [threading.Thread(target=follow, args=(each,)) for each in holders[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]


def test_a_stopped_holder_writes_nothing_remote_once_it_is_overtaken(store: Store, url: str, holders: list[Holder]) -> None:
    """A run that stood still while another took over sends nothing more, records what it made, and ends with an error."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    assert holders[0].do("store.require_lock()") == "ok"
    holders[0].process.send_signal(signal.SIGSTOP)
    with lock_store(store, "second", lambda _: None):
        mine = held(store)
        assert mine is not None
        holders[0].process.send_signal(signal.SIGCONT)
        said = holders[0].do("store.require_lock()")
        assert said.startswith("StoreError: the lock of this run was taken over: held by second (")
        assert "nothing more was sent" in said
        assert holders[0].put("made", "agent_made") == "ok"
        assert set(store.read().records) == {("first", "development"), ("made", "development")}
        now = held(store)
        assert now is not None
        assert now["id"] == mine["id"]  # whatever the other writes, the lock stays ours
        put(store, "second")
    ended = holders[0].end()
    assert ended.startswith("ended: the lock of this run was taken over: held by second (")
    assert ended.endswith("what this run made is recorded: run the same command again")
    assert len(store.read().records) == 3
    assert held(store) is None


def test_a_holder_that_was_late_and_not_overtaken_goes_on(store: Store, url: str, holders: list[Holder]) -> None:
    """A run that stood still for longer than it may count on its lock asks the store, and goes on where it still holds it."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    holders[0].process.send_signal(signal.SIGSTOP)
    before = held(store)
    time.sleep(1.8)
    holders[0].process.send_signal(signal.SIGCONT)
    assert holders[0].do("store.require_lock()") == "ok"
    after = held(store)
    assert before is not None
    assert after is not None
    assert (after["id"], after["renewed"] > before["renewed"]) == (before["id"], True)
    assert holders[0].end() == "released"


def test_a_lock_that_was_released_by_hand(store: Store, url: str, holders: list[Holder]) -> None:
    """``unlock`` takes the lock with its id alone; its holder sends nothing more, and says why."""
    holders += [Holder(url)]
    assert holders[0].says() == "holding"
    lock = held(store)
    assert lock is not None
    with pytest.raises(StoreError, match=f"there is no lock 'feed'; it is held by inv asst.deploy .* lock {lock['id']}"):
        unlock(store, "feed")
    assert unlock(store, lock["id"])["command"] == "inv asst.deploy"
    assert held(store) is None
    with pytest.raises(StoreError, match="nobody holds the lock"):
        unlock(store, lock["id"])
    time.sleep(1.6)
    assert f"the lock {lock['id']} of this run was released by somebody else" in holders[0].do("store.require_lock()")
    assert holders[0].end().startswith(f"ended: the lock {lock['id']} of this run was released")


def test_its_own_renewals_never_come_between(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that renews its lock as fast as it can loses none of its own writes, and needs no second try for them."""
    monkeypatch.setattr(shared_lock, "RENEW_EVERY", 0.0)
    with lock_store(store, "run", print):
        for number in range(100):
            put(store, f"a{number}")
    assert len(store.read().records) == 101


def test_a_run_that_makes_nothing_leaves_an_empty_store(url: str) -> None:
    """The lock of a first run that makes nothing leaves a document without a lock, which counts as empty."""
    store = opened(url)
    with lock_store(store, "run", print):
        assert held(store) is not None
    assert store.tables() == {"store": {"format": {"project": "p", "version": 1}}}
    store.close()


def test_the_lock_of_another_project_is_not_taken(store: Store, url: str) -> None:
    """A store of another project is refused before anything is written to it."""
    before = store.storage.load()
    other = Store(open_storage(StoreURL.parse(url, "ASST_STORE"), "q"), "q")
    with pytest.raises(StoreError, match="the store is of project 'p', this project is 'q'"), lock_store(other, "run", print):
        pass
    other.close()
    assert store.storage.load() == before


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"GITHUB_RUN_ID": "5", "GITHUB_REPOSITORY": "o/r"}, "https://github.com/o/r/actions/runs/5"),
        ({"GITHUB_RUN_ID": "5", "GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": "https://h"}, "https://h/o/r/actions/runs/5"),
        ({"CI_JOB_URL": "https://gitlab/j/1"}, "https://gitlab/j/1"),
        ({"BUILDKITE_BUILD_URL": "https://b/1", "BUILDKITE_JOB_ID": "j"}, "https://b/1#j"),
        ({"CIRCLE_BUILD_URL": "https://c/1"}, "https://c/1"),
        ({"JENKINS_URL": "https://j", "BUILD_URL": "https://j/1"}, "https://j/1"),
        ({"BUILD_URL": "https://j/1"}, None),
        (
            {"SYSTEM_COLLECTIONURI": "https://a/", "SYSTEM_TEAMPROJECT": "p", "BUILD_BUILDID": "3"},
            "https://a/p/_build/results?buildId=3",
        ),
    ],
)  # fmt: skip
def test_the_job(environ: dict[str, str], url: str | None) -> None:
    """In CI the lock names the job by its URL, as the service's variables give it."""
    assert job_url(environ) == url


def test_a_lock_that_is_not_ours_is_refused(store: Store) -> None:
    """A lock of another form is not waited for and not taken over: the document is refused."""
    stored = store.storage.load()
    assert stored.content
    tables = json.loads(stored.content)
    tables["store"]["lock"] = {"holder": 1}
    store.storage.compare_and_set(json.dumps(tables).encode(), stored.version, keep=False)
    with pytest.raises(StoreError, match="the lock is not ours"), lock_store(store, "run", print):
        pass
