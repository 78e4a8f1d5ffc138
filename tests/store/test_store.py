"""The store's file: its format, its transactions, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_assistants.declare.digest import digest
from invoke_assistants.errors import StoreError
from invoke_assistants.store.entries import Slot
from invoke_assistants.store.file_lock import WAIT, lock_file
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.store import Store
from invoke_assistants.types import Location, PendingOperation, Record, State

HERE, THERE = Location("local", "local"), Location("agents", "api.openai.com")
PAYLOAD: dict[str, Any] = {"model": "m", "instructions": "Grüße", "text": {"schema": {"properties": {"z": 1, "a": 2}}}}
OTHER: dict[str, Any] = {"model": "n"}


def record(payload: dict[str, Any] = PAYLOAD, location: Location = HERE, id: str = "agent_1", **more: Any) -> Record:
    return Record(id, location, digest(payload), **more)


def both(*payloads: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(digest(payload), payload) for payload in payloads]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(FileStorage(tmp_path / "assistants_store.json"), "p")


@pytest.fixture
def path(store: Store) -> Path:
    return store.storage.path


def test_the_form_of_the_file(store: Store, path: Path) -> None:
    """UTF-8, 2 spaces, a final newline; sorted keys, except in a payload; no timestamps and no counters."""
    store.commit({("b", "production"): record(), ("a", "development"): record(OTHER, tag=digest(PAYLOAD))}, both(PAYLOAD, OTHER))
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "Grüße" in text
    tables = json.loads(text)
    assert list(tables) == ["assistants", "payloads", "store"]
    assert list(tables["assistants"]) == ["a", "b"]
    assert list(tables["assistants"]["a"]["development"]) == ["digest", "id", "origin", "platform", "tag"]
    assert list(tables["payloads"][digest(PAYLOAD)]) == ["model", "instructions", "text"]
    assert list(tables["payloads"][digest(PAYLOAD)]["text"]["schema"]["properties"]) == ["z", "a"]
    assert tables["store"].keys() == {"format", "lineage"}
    assert tables["store"]["format"] == {"project": "p", "version": 1}
    assert re.fullmatch("[0-9a-f]{32}", tables["store"]["lineage"]["id"])
    assert text.splitlines()[1].startswith('  "assistants"')


def test_a_record_that_stays_leaves_the_bytes(store: Store, path: Path) -> None:
    """Committing what is recorded already does not touch the file."""
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    before = path.stat()
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_the_lineage_comes_with_a_real_write_and_stays(store: Store, path: Path) -> None:
    """A file without a lineage gets one when something else is written, never alone; from then on it stays."""
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    older = re.sub(r',\s+"lineage": \{[^}]*\}', "", path.read_text())
    assert "lineage" not in json.loads(older)["store"]
    path.write_text(older)
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    assert path.read_text() == older
    store.commit({("b", "development"): record()}, both(PAYLOAD))
    lineage = json.loads(path.read_text())["store"]["lineage"]
    store.commit({("c", "development"): record()}, both(PAYLOAD))
    assert json.loads(path.read_text())["store"]["lineage"] == lineage


def test_payloads_that_nothing_names_are_dropped(store: Store) -> None:
    """A payload stays while a record, its history or an open request names it."""
    key = ("a", "production")
    store.commit({key: record(OTHER)}, both(OTHER))
    store.commit({key: record(PAYLOAD, history=(digest(OTHER),))}, both(PAYLOAD))
    assert set(store.read().payloads) == {digest(PAYLOAD), digest(OTHER)}
    store.commit({key: record(PAYLOAD)})
    assert set(store.read().payloads) == {digest(PAYLOAD)}
    store.commit(pending={(key, HERE): PendingOperation("update", digest(OTHER))}, payloads=both(OTHER))
    assert digest(OTHER) in store.read().payloads
    store.commit(pending={(key, HERE): None})
    assert digest(OTHER) not in store.read().payloads


def test_pending_is_there_only_while_something_is_open(store: Store, path: Path) -> None:
    """Open requests are read back by assistant, environment and location; the table goes with the last one."""
    key = ("a", "development")
    intent = PendingOperation("create", digest(PAYLOAD), "0" * 32)
    store.commit(pending={(key, HERE): intent, (key, THERE): intent}, payloads=both(PAYLOAD))
    assert store.read().pending == {(key, HERE): intent, (key, THERE): intent}
    store.commit(pending={(key, HERE): None})
    assert "pending" in json.loads(path.read_text())
    store.commit(pending={(key, THERE): None})
    assert "pending" not in json.loads(path.read_text())


def test_a_record_of_another_place_is_kept_unchanged() -> None:
    """Switching platforms and back loses no id: the old record moves to ``elsewhere`` and comes back as it was."""
    old = record(location=THERE, id="agent_there", history=(digest(OTHER),))
    new = old.succeeded_by(record(id="agent_here"))
    assert new.at(THERE) == old
    assert new.at(HERE) == new
    back = new.succeeded_by(new.at(THERE) or old)
    assert (back.id, back.at(HERE).id) == ("agent_there", "agent_here")  # type: ignore[union-attr]


slugs = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,8}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{3,20}", fullmatch=True)


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(st.tuples(slugs, slugs), st.tuples(ids, st.booleans(), st.booleans()), max_size=6))
def test_what_is_committed_is_read(tmp_path_factory: pytest.TempPathFactory, entries: dict[Any, Any]) -> None:
    """Any set of records is read back as it was committed, by another store object."""
    path = tmp_path_factory.mktemp("store") / "store.json"
    records = {}
    for key, (id, moved, old) in entries.items():
        one = record(id=id, history=(digest(OTHER),) if old else ())
        records[key] = record(location=THERE, id=id).succeeded_by(one) if moved else one
    Store(FileStorage(path), "p").commit(records, both(PAYLOAD, OTHER))
    again = Store(FileStorage(path), "p").read()
    assert dict(again.records) == {key: again.records[key] for key in records} == records


GOOD = {
    "assistants": {"a": {"development": {"digest": digest(PAYLOAD), "id": "agent_1", "origin": "local", "platform": "local"}}},
    "payloads": {digest(PAYLOAD): PAYLOAD},
    "store": {"format": {"project": "p", "version": 1}},
}


def text_with(**edit: Any) -> str:
    tables = json.loads(json.dumps(GOOD))
    tables["assistants"]["a"]["development"].update(edit)
    return json.dumps(tables, indent=2)


def text_with_pending(label: str, **edit: Any) -> str:
    entry = {"digest": digest(PAYLOAD), "kind": "update", **edit}
    return json.dumps({**GOOD, "pending": {"a": {label: entry}}}, indent=2)


def text_with_evals(at: str = digest(PAYLOAD), where: str = "local local", sha: str = digest(OTHER), **edit: Any) -> str:
    case = {"label": "flaky", "name": "one", "runs": ["pass", "fail"]}
    result = {"cases": [case], "minimum": 0.5, "passed": True, "rate": 1, **edit}
    return json.dumps({**GOOD, "evals": {at: {where: {sha: result}}}}, indent=2)


def text_with_case(**edit: Any) -> str:
    return text_with_evals(cases=[{"label": "pass", "name": "one", "runs": ["pass"], **edit}])


BAD_EVALS = {
    **{f"result {edit}": text_with_evals(**edit) for edit in [
        {"rate": 7}, {"rate": -0.1}, {"rate": True}, {"rate": "1"}, {"rate": 10**400}, {"rate": None}, {"minimum": 2},
        {"passed": 1}, {"passed": False}, {"cases": []}, {"cases": {}}, {"cases": None}, {"cases": ["one"]}, {"more": 1},
        {"at": "sha256:1"}, {"where": "local"}, {"where": "local  local"}, {"where": "a b c"}, {"where": "\x1b[31m b"},
        {"sha": "f" * 64},
    ]},
    **{f"case {edit}": text_with_case(**edit) for edit in [
        {"name": 5}, {"name": None}, {"name": ["a"]}, {"runs": "pass"}, {"runs": {"pass": 1}}, {"runs": []}, {"runs": ["flaky"]},
        {"runs": [["pass"]]}, {"label": "fail"}, {"label": 1}, {"label": None}, {"more": 1},
    ]},
    "one name twice": text_with_evals(cases=[{"label": "pass", "name": "one", "runs": ["pass"]}] * 2),
    "results that are none": json.dumps({**GOOD, "evals": {digest(PAYLOAD): {"local local": None}}}, indent=2),
    "rate 1e999": text_with_evals().replace('"rate": 1', '"rate": 1e999'),
}  # fmt: skip


def text_with_reader(reader: Any, at: str = digest(PAYLOAD)) -> str:
    return json.dumps({**GOOD, "readers": {at: reader}}, indent=2)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "line 1: the file is empty; .*git"),
    "blank": ("  \n", "line 1: the file is empty"),
    "truncated": (json.dumps(GOOD, indent=2)[:-30], r"line \d+: not valid JSON"),
    "trailing garbage": (json.dumps(GOOD, indent=2) + "\nx", r"line \d+: not valid JSON"),
    "list": ("[]", "not a store"),
    "null": ("null", "not a store"),
    "empty object": ("{}", "not a store"),
    "another TinyDB": ('{"_default": {"1": {"a": 1}}}', "not a store"),
    "newer version": (json.dumps({**GOOD, "store": {"format": {"project": "p", "version": 2}}}), "newer version"),
    "foreign table": (json.dumps({**GOOD, "extra": {}}), "table 'extra' is not ours"),
    "another project": (json.dumps({**GOOD, "store": {"format": {"project": "q", "version": 1}}}), "is of project 'q'"),
    "merge markers": ("{\n<<<<<<< HEAD\n=======\n>>>>>>> x\n}", "line 2: merge conflict markers; run inv asst.resolve$"),
    "duplicate keys": (
        json.dumps(GOOD, indent=2).replace('"store"', '"payloads"'),
        r"line \d+: the key 'payloads' stands there twice",
    ),
    "utf-16": (json.dumps(GOOD).encode("utf-16"), "not UTF-8"),
    "latin-1": (b'{"a": "\xe9"}', "line 1: not UTF-8"),
    "nan": ('{"store": {"a": NaN}}', "NaN"),
    "nested": ('{"store":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
    "unknown payload": (text_with(digest="sha256:" + "0" * 64), "payload that is not there"),
    **{
        f"id {id!r:.20}": (text_with(id=id), r"line \d+: the (id of|record of) a in development")
        for id in ["../x", "a/b", "", "ab", "x" * 129, "x" * 9000, "\ud800\ud800\ud800", "agent 1", "agent\n1", True, 5, None]
    },
    "unknown field": (text_with(colour="red"), "not ours"),
    **{
        f"open request at {label!r}": (text_with_pending(label), "the open request of 'a' is not ours")
        for label in ["development", "development ", "development local", "development local local local"]
    },
    **{
        f"open request with {edit}": (text_with_pending("development local local", **edit), "the open request of 'a' is not ours")
        for edit in [{"kind": "rename"}, {"kind": "create"}, {"nonce": "0" * 32}, {"digest": "sha256:" + "0" * 64}]
    },
    "foreign location elsewhere": (text_with(elsewhere={"local x": GOOD["assistants"]["a"]["development"]}), "is not ours"),
    **{f"evals: {name}": (text, r"line 3\d: the evals of 'sha256:\w+' are not ours") for name, text in BAD_EVALS.items()},
    **{
        f"reader {reader}": (text_with_reader(reader), r"line 3\d: the reader of 'sha256:\w+' is not ours")
        for reader in [{"strict": "a"}, {"strict": [1]}, {"default": None}, {"foo": ["a"]}]
    },
    "reader of nothing": (text_with_reader({"strict": ["$"]}, "zz"), r"line \d+: the reader of 'zz' is not ours"),
    **{
        f"{table} without content": (
            json.dumps({**GOOD, table: {digest(PAYLOAD): None}}, indent=2),
            rf"line 3\d: 'sha256:\w+' of table '{table}' is not ours",
        )
        for table in ("evals", "readers", "pending")
    },
    "bad name": (json.dumps(GOOD).replace('"a": {"dev', '"../a": {"dev'), "not a record of an assistant"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(store: Store, path: Path, case: str) -> None:
    """Reading and writing refuse it with its path and line; not a byte changes."""
    content, message = REFUSED[case]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    for attempt in (store.read, lambda: store.commit({("a", "development"): record()}, both(PAYLOAD))):
        with pytest.raises(StoreError, match=message) as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("location", [None, HERE, THERE])
def test_a_slot_is_parsed_from_its_label(location: Location | None) -> None:
    """A label names the environment, and the location of an open request."""
    slot = Slot("a", "development", location)
    assert Slot.parse("a", slot.label) == slot
    for label in ("development local", "development local local local"):
        with pytest.raises(ValueError, match="unpack"):
            Slot.parse("a", label)


def test_a_byte_order_mark_is_read(store: Store, path: Path) -> None:
    """A byte order mark is ignored."""
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert store.read().records["a", "development"].id == "agent_1"


def test_no_file_is_an_empty_store(store: Store, path: Path) -> None:
    """Without a file the store is empty, and reading makes none."""
    assert store.read() == State()
    assert not path.exists()


def test_the_mode_is_kept(store: Store, path: Path) -> None:
    """A write keeps the file's permissions."""
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    path.chmod(0o640)
    store.commit({("b", "development"): record()}, both(PAYLOAD))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]


@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize("which", ["", ".tmp", ".lock"])
def test_symbolic_links_are_not_followed(store: Store, path: Path, tmp_path: Path, which: str, dangling: bool) -> None:
    """A link in place of the store, its lock or its temporary file never makes us write to its target."""
    victim = tmp_path / "victim"
    if not dangling:
        victim.write_bytes(b"precious")
    path.with_name(path.name + which).symlink_to(victim)
    try:
        with lock_store(store, "test", print):
            store.commit({("a", "development"): record()}, both(PAYLOAD))
    except StoreError as error:
        assert "symbolic link" in str(error)  # noqa: PT017 - a stale .tmp is replaced, the others are refused
    assert victim.exists() is not dangling
    assert dangling or victim.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    """Locking a store in a folder without permissions raises StoreError; root drops its capabilities for this."""
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0)
    code = f"""
from pathlib import Path
from invoke_assistants.errors import StoreError
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.store import Store
try:
    with lock_store(Store(FileStorage(Path({str(closed / "inner" / "store.json")!r})), "p"), "test", print): pass
except StoreError as error: print("ERROR", error)
"""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    closed.chmod(0o755)
    assert f"ERROR the folder of the store, {closed / 'inner'}, cannot be read: Permission denied" in done.stdout, done.stderr


def test_a_change_by_somebody_else_between_two_commits_is_kept(store: Store, path: Path) -> None:
    """Each transaction reads afresh, so a git pull in the middle of a run loses nothing of either side."""
    store.commit({("a", "development"): record()}, both(PAYLOAD))
    pulled = json.loads(path.read_text())
    pulled["assistants"]["b"] = pulled["assistants"]["a"]
    path.write_text(json.dumps(pulled))
    store.commit({("c", "development"): record()}, both(PAYLOAD))
    assert {name for name, _ in store.read().records} == {"a", "b", "c"}


def test_a_waiting_run_is_told_who_holds_the_lock(store: Store, path: Path) -> None:
    """The waiting run names the holder's host, pid and command; the lock file is empty afterwards."""
    code = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from invoke_assistants.store.file_storage import FileStorage
        from invoke_assistants.store.lock import lock_store
        from invoke_assistants.store.store import Store
        with lock_store(Store(FileStorage(Path({str(path)!r})), "p"), "inv asst.deploy", print):
            print("held", flush=True)
            sys.stdin.read()
        """
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    said: list[str] = []

    def let_go(message: str) -> None:
        said.append(message)
        assert holder.stdin
        holder.stdin.close()

    with lock_store(store, "inv asst.create", let_go):
        pass
    holder.wait()
    holder.stdout.close()
    assert f"inv asst.deploy (pid {holder.pid} on " in said[0]
    assert path.with_name(path.name + ".lock").read_bytes() == b""


def test_waiting_ends(store: Store, path: Path, tmp_path: Path) -> None:
    """A run that waits too long gives up and names the holder."""
    with lock_store(store, "inv asst.deploy", print):
        code = f"""
from pathlib import Path
from invoke_assistants.store.file_lock import lock_file
from invoke_assistants.errors import StoreError
try:
    with lock_file(Path({str(path)!r}), "x", print, wait=0.2): pass
except StoreError as error: print("ERROR", error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"still locked after 0 s: held by inv asst.deploy (pid {os.getpid()} on" in done.stdout
    assert WAIT == 60


HOLD = """
import sys, time
from pathlib import Path
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.store import Store
with lock_store(Store(FileStorage(Path(sys.argv[1])), "p"), "inv asst.deploy", print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_holder_that_was_stopped_or_killed(store: Store, path: Path, number: signal.Signals) -> None:
    """A run that waits for a stopped holder gives up and names it; a killed holder's lock is free at once."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(number)
    try:
        if number == signal.SIGKILL:
            holder.wait()
            said: list[str] = []
            with lock_store(store, "inv asst.create", said.append):
                store.commit({("a", "development"): record()}, both(PAYLOAD))
            assert said == []
        else:
            with pytest.raises(StoreError, match=f"held by inv asst.deploy .pid {holder.pid} on"):
                lock_file(path, "inv asst.create", print, wait=0.3).__enter__()
    finally:
        holder.kill()
        holder.communicate()
