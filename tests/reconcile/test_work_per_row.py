"""How much a command does for each row and each request: counted, not timed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from conftest import Host
from loopback import Fault, Loopback, Seen
from terminals import wait_until

from invoke_assistants import PlatformError, commands
from invoke_assistants.config.project import Project
from invoke_assistants.declare.comparison import Comparison
from invoke_assistants.declare.digest import _canonical, digest
from invoke_assistants.declare.strict_schema import lint, to_strict
from invoke_assistants.reconcile.event_loop import run
from invoke_assistants.reconcile.refresh import refresh
from invoke_assistants.reconcile.reporter import QUIET
from invoke_assistants.reconcile.timing import TIMING, Timing
from invoke_assistants.reconcile.world import World
from invoke_assistants.store.document import dump_tables
from invoke_assistants.store.strict_json import load_json

MANY = """
from pydantic import BaseModel
from invoke_assistants import Assistant

class Step(BaseModel):
    title: str

class Plan(BaseModel):
    goal: str
    steps: list[Step]

class Verdict(BaseModel):
    good: bool

ASSISTANTS = [
    Assistant(f"a{index:04}", output=Plan if index % 2 else Verdict, model="gpt-6-luna", instructions=f"Do {index}.")
    for index in range(MANY)
]
"""
AT_THE_END = Timing(flush=600)  # no transaction because time has passed: their number is that of a run
ONE_ENVIRONMENT = 'environments = ["development"]\n'


def declare(host: Host, many: int, asst: str = "") -> None:
    """Declare so many assistants with two output models between them."""
    host.declare(MANY.replace("MANY", str(many)), asst)


@contextmanager
def counted_calls() -> Iterator[Counter[CodeType]]:
    """Count the calls of every Python function in this thread; a generator counts each time that it goes on."""
    counts: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            counts[frame.f_code] += 1

    sys.setprofile(count)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are put in the place of others, from here on."""
    replaced: list[str] = []
    replace = os.replace

    def noted(source: Any, target: Any, **options: Any) -> None:
        replaced.append(os.fspath(target))
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", noted)
    return replaced


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project whose instances are pinned in the store, so that only our own work is counted."""
    monkeypatch.setenv("ASST_PLATFORM", "responses")
    return Host(tmp_path / "host", {"ASST_PLATFORM": "responses"})


def test_a_payload_and_its_digest_are_made_once(pinned: Host) -> None:
    """One digest for all environments that declare the same, one schema and one check of it for each output model."""
    declare(pinned, 20)
    with counted_calls() as calls:
        commands.create(pinned.root)
    assert calls[digest.__code__] == 20
    assert calls[to_strict.__code__] == 2
    assert calls[lint.__code__] == 2
    with counted_calls() as calls:
        commands.plan(pinned.root, from_store=True)
    assert calls[digest.__code__] == 20 + 20  # those of the store are verified


def test_the_canonical_text_of_a_shared_schema_is_made_once(pinned: Host) -> None:
    """One more assistant adds the parts of its payload, but not those of an output schema that others have as well."""
    made = []
    for many in (20, 40):
        declare(pinned, many)
        project = Project.load(pinned.root, ())
        with counted_calls() as calls:
            desired = project.desired(project.environments(None))
        assert [each.digest for each in desired] == [digest(each.payload) for each in desired]
        made.append(calls[_canonical.__code__])
    few, more = made
    assert more - few == 20 * 5  # the payload, its text, the format, the schema, the tools


def test_an_environment_with_a_field_of_its_own_has_its_own_payload(pinned: Host) -> None:
    """The others share theirs: two payloads and two digests for three environments."""
    pinned.declare(
        """
from invoke_assistants import Assistant
ASSISTANTS = [Assistant("a", model="m", environments={"staging": {"model": "n"}})]
""",
        'environments = ["development", "staging", "production"]\n',
    )
    project = Project.load(pinned.root, ())
    with counted_calls() as calls:
        first, staging, last = project.desired(project.environments(None), validate=True)
    assert calls[digest.__code__] == 2
    assert first.payload is last.payload
    assert (first.payload["model"], staging.payload["model"]) == ("m", "n")
    assert (first.digest, last.digest) == (first.digest, first.digest) != (staging.digest, staging.digest)


def test_a_payload_that_is_handed_out_is_the_callers_own(pinned: Host) -> None:
    """What an app does to ``assistant.payload()`` changes no other assistant with the same output model."""
    declare(pinned, 3)
    _, declared, other = Project.load(pinned.root, ()).declared.values()
    before = declared.digest("development")  # type: ignore[attr-defined]
    declared.payload("development")["text"]["format"]["schema"]["properties"].clear()  # type: ignore[attr-defined]
    assert declared.digest("development") == before  # type: ignore[attr-defined]
    assert other.payload("production")["text"]["format"]["schema"]["properties"]  # type: ignore[attr-defined]


def test_a_changed_schema_is_compared_once_each_way(pinned: Host) -> None:
    """For each row in which it changed, although both the row and its note about rollbacks need the result."""
    declare(pinned, 8)
    commands.create(pinned.root)
    pinned.edit("good: bool", "good: bool\n    why: str")  # which a running app reads, and the new one not without it
    with counted_calls() as calls:
        rows = commands.plan(pinned.root, from_store=True)
    changed = [row for row in rows if row.schema]
    assert len(changed) == 8
    assert calls[Comparison.run.__code__] == 2 * len(changed)


@pytest.mark.parametrize(
    "command",
    [
        lambda root: commands.update(root),
        lambda root: commands.deploy(root),
        lambda root: commands.plan(root),
        lambda root: commands.plan(root, from_store=True),
        lambda root: commands.status(root),
        lambda root: edited(root) or commands.deploy(root, timing=AT_THE_END),
        lambda root: (root / "assistants_store.json").unlink() or commands.create(root, timing=AT_THE_END),
    ],
    ids=["update", "deploy", "plan", "plan --offline", "status", "deploy of all", "create"],
)
def test_ten_times_the_assistants_take_ten_times_the_work(pinned: Host, command: Callable[[Path], Any]) -> None:
    """Every command calls at most eleven times as many functions for ten times as many rows, whatever it does."""
    totals = []
    for many in (25, 250):
        declare(pinned, many)
        pinned.path.unlink(missing_ok=True)
        pinned.create()
        with counted_calls() as calls:
            command(pinned.root)
        totals.append(calls.total())
    few, more = totals
    assert more <= 11 * few


def edited(root: Path) -> None:
    """Edit the instructions of every assistant, in place."""
    text = (root / "pyproject.toml").read_text()
    module = text.split('assistants = "')[1].split(":")[0]
    source = (root / f"{module}.py").read_text()
    (root / f"{module}_edited.py").write_text(source.replace('f"Do {index}."', 'f"Do {index} well."'))
    (root / "pyproject.toml").write_text(text.replace(f"{module}:", f"{module}_edited:"))


def test_the_store_is_parsed_once_while_nobody_else_writes(pinned: Host, writes: list[str]) -> None:
    """A command reads it when it begins, and once more when it writes; what it wrote itself is not parsed again."""
    declare(pinned, 5)
    with counted_calls() as calls:
        commands.create(pinned.root)
    assert calls[load_json.__code__] == 0
    assert len(writes) >= 2
    edited(pinned.root)
    with counted_calls() as calls:
        commands.deploy(pinned.root)
    assert calls[load_json.__code__] == 2


def test_a_store_that_was_replaced_meanwhile_is_read_anew(pinned: Host) -> None:
    """What another process writes between two transactions of one is seen by the second."""
    declare(pinned, 2)
    commands.create(pinned.root)
    store = Project.load(pinned.root, ()).store
    store.commit()
    text = pinned.path.read_text().replace('"a0000"', '"a0000x"')
    pinned.path.write_text(text)
    assert {name for name, _ in store.read().records} == {"a0000x", "a0001"}
    store.commit()
    assert pinned.path.read_text() == text


def test_few_transactions_for_many_creates(host: Host, server: Loopback, writes: list[str]) -> None:
    """Two hundred creates are announced in one write and recorded in few more."""
    declare(host, 200, ONE_ENVIRONMENT)
    commands.create(host.root)
    assert len(server.writes()) == 200
    assert 2 <= len([path for path in writes if path == str(host.path)]) <= 25


def test_slow_transactions_are_rare(host: Host, writes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before the next one grows with the one before, also with the one that announces all creates."""
    declare(host, 40, ONE_ENVIRONMENT)
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.2) or sync(descriptor))
    commands.create(host.root, timing=Timing(flush=0))
    assert [path for path in writes if path == str(host.path)] == [str(host.path)] * 2


def test_what_is_written_is_dumped_once(pinned: Host, writes: list[str]) -> None:
    """Every transaction makes its document once, the first one as well."""
    declare(pinned, 5)
    with counted_calls() as calls:
        commands.create(pinned.root)
    assert calls[dump_tables.__code__] == len([path for path in writes if path == str(pinned.path)]) > 1


def test_sixteen_requests_are_in_flight(host: Host, server: Loopback) -> None:
    """No post is answered before sixteen are there at once."""
    declare(host, 48, ONE_ENVIRONMENT)
    together = threading.Barrier(16, timeout=20)

    def wait(seen: Seen) -> Fault | None:
        if seen.method == "POST":
            together.wait()
        return None

    server.faults.append(wait)
    rows = commands.create(host.root)
    assert {row.error for row in rows} == {None}
    assert len(server.writes()) == 48


@pytest.mark.parametrize("verb", [commands.create, commands.update])
def test_one_slow_answer_holds_up_no_other_request(host: Host, server: Loopback, verb: Callable[[Path], Any]) -> None:
    """Requests do not go out in rounds: the first one is answered after all others."""
    declare(host, 40, ONE_ENVIRONMENT)
    if verb is commands.update:
        commands.create(host.root)
        edited(host.root)
        server.seen.clear()
    others, waiting = threading.Semaphore(0), iter([True])

    def wait(seen: Seen) -> Fault | None:
        if seen.method == "POST":
            if next(waiting, False):
                assert all(others.acquire(timeout=20) for _ in range(39))
            else:
                others.release()
        return None

    server.faults.append(wait)
    rows = verb(host.root)
    assert {row.error for row in rows} == {None}
    assert len(server.writes()) == 40


def test_an_update_of_all_asks_once_and_posts_each(host: Host, server: Loopback) -> None:
    """Fifty of fifty: exactly 51 requests."""
    declare(host, 50, ONE_ENVIRONMENT)
    host.create()
    edited(host.root)
    server.seen.clear()
    commands.update(host.root)
    assert Counter((seen.method, seen.path == "/v1/agents") for seen in server.seen) == {("GET", True): 1, ("POST", False): 50}


def test_environments_with_keys_of_their_own_are_listed_side_by_side(
    host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of each is asked for before any is answered; one page each, and each page shows its own key."""
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", "sk-canary-0000000000-production")
    host.create()
    server.seen.clear()
    together = threading.Barrier(2, timeout=20)

    def wait(seen: Seen) -> Fault | None:
        if seen.path == "/v1/agents":
            together.wait()
        return None

    server.faults.append(wait)
    commands.deploy(host.root)
    assert [seen.path for seen in server.seen] == ["/v1/agents"] * 2
    assert len({seen.headers["authorization"] for seen in server.seen}) == 2


def test_an_environment_that_fails_waits_for_no_other(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first one's key is refused, that is told, although the list of the second is never answered."""
    host.create()
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", "sk-canary-0000000000-production")
    asked, told, waited = threading.Event(), threading.Event(), list[bool]()

    def answer(seen: Seen) -> Fault | None:
        if seen.headers["authorization"].endswith("production"):
            asked.set()
            waited.append(told.wait(30))
            return None
        assert asked.wait(20)
        return Fault(status=401, raw=b"{}")

    server.faults.append(answer)
    with pytest.raises(PlatformError):
        commands.deploy(host.root)
    told.set()
    wait_until(lambda: waited)
    assert waited == [True]


def test_few_rows_among_many_are_asked_for_by_their_ids(host: Host, server: Loopback) -> None:
    """Where fewer are asked for than the list has pages of what is recorded; else the list is read."""
    declare(host, 250, ONE_ENVIRONMENT)
    host.create()
    for many, expected in (2, {"id": 2}), (3, {"page": 3}):
        server.seen.clear()
        rows = commands.update(host.root, only=[f"a{index:04}" for index in range(many)])
        assert {row.state for row in rows} == {"in_sync"}
        found = Counter("page" if seen.path == "/v1/agents" else "id" for seen in server.seen)
        assert found.keys() == expected.keys()
        assert found.total() <= expected.popitem()[1]


def test_of_a_list_only_what_the_rows_need_is_kept(host: Host, server: Loopback) -> None:
    """Nothing of other people's objects, no field that nobody reads, and each output schema once."""
    declare(host, 6)
    host.create()
    server.fill(120)
    project = Project.load(host.root, ())
    world = World(project, "status", QUIET, TIMING, lock=False)
    desired = project.desired(project.environments(None))
    remote = run(world, refresh(world, desired, complete=["development"]))
    [listing] = {id(each): each for each in remote.listings.values()}.values()
    assert listing.objects.keys() == set(host.ids().values())
    assert all("multi_agent" not in each and each["metadata"] for each in listing.objects.values())
    schemas = {id(each["text"]["format"]["schema"]) for each in listing.objects.values()}
    assert schemas == {id(each.payload["text"]["format"]["schema"]) for each in desired}
    assert len(schemas) == 2
