"""``inv asst.store``: what it says, and what it does with a store as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Host
from filelock import FileLock
from places import KINDS, SHARED, Place, missing, place

from invoke_assistants.store.tables import without_lock

ONE = """
from invoke_assistants import Assistant
ASSISTANTS = [Assistant(f"a{i}", model="m", instructions="Do it.") for i in range(2)]
"""
ROUND = [*zip(KINDS, (*KINDS[1:], KINDS[0]), strict=True)]  # each kind to the next, and back


def usable(*kinds: str) -> list[Any]:
    why = [reason for kind in kinds if (reason := missing(kind))]
    return [pytest.mark.skip(reason=why[0])] if why else []


@pytest.fixture(params=[pytest.param(kind, marks=usable(kind)) for kind in SHARED])
def shared(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(request.param) as found:
        yield found


@pytest.fixture
def redis() -> Iterator[Place]:
    """One shared store, for what no kind does otherwise than another."""
    if why := missing("redis"):
        pytest.skip(why)
    with place("redis") as found:
        yield found


def checkout(folder: Path, env: dict[str, str]) -> Host:
    """A project on the embedded platform, with its store at a place."""
    host = Host(folder, {"ASST_PLATFORM": "local", **env})
    host.declare(ONE)
    return host


def about(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = host.inv("asst.store", "--json").json["store"]
    return found


def test_what_it_says(shared: Place, tmp_path: Path) -> None:
    """Where, which kind, how much, which revision, whose lineage, who holds it: for people, and as one JSON document."""
    host = checkout(tmp_path / "here", shared.env)
    nothing = host.inv("asst.store")
    assert nothing.code == 0
    assert "nothing is recorded yet: inv asst.create" in nothing.out
    assert about(host) | {"url": ""} == {
        "url": "", "kind": shared.kind, "format": None, "size": None, "revision": None, "lineage": None, "lock": None,
    }  # fmt: skip
    assert host.inv("asst.create").code == 0
    said, known = host.inv("asst.store").out, about(host)
    assert known["url"] == shared.address
    assert known["format"] == 1
    assert known["size"] == len(shared.content("host") or b"")
    assert re.fullmatch("[0-9a-f]{32}", known["lineage"])
    assert known["lock"] is None
    assert isinstance(known["revision"], str if shared.kind == "s3" else int)
    for text in (shared.address, "4 instances", known["lineage"], "nobody holds it"):
        assert text in said
    document = host.inv("asst.store", "--json").json
    assert list(document) == ["command", "ok", "error", "rows", "store"]
    assert (document["command"], document["ok"], document["error"], document["rows"]) == ("store", True, None, [])


def test_a_file(tmp_path: Path) -> None:
    """A file has no revisions and no lock that could be released; the error says what has them."""
    host = checkout(tmp_path / "here", {})
    host.inv("asst.create")
    known = about(host)
    assert (known["kind"], known["revision"], known["url"]) == ("file", None, str(host.path))
    for args in (["--history"], ["--restore", "1"], ["--unlock", "x"]):
        result = host.inv("asst.store", *args)
        assert result.code == 1
        assert "git log -- assistants_store.json" in result.err
        assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(("here", "there"), [pytest.param(*each, marks=usable(*each)) for each in ROUND])
def test_a_copy_from_any_kind_to_any_other(here: str, there: str, tmp_path: Path) -> None:
    """A copy is equal byte for byte, the old one stays as it is, the copy works at once, and can be copied back."""
    with place(here) as source, place(there) as target:
        host = checkout(tmp_path / "here", {**source.env, **target.env, "ASST_STORE": source.address})
        assert host.inv("asst.create").code == 0
        before = source.content("host")
        result = host.inv("asst.store", "--copy-to", target.address)
        assert result.code == 0, result.err
        assert f'store = "{target.address}"' in result.out
        assert source.content("host") == before
        assert target.content("host") == before
        moved = checkout(tmp_path / "here", {**host.env, "ASST_STORE": target.address})
        created = moved.inv("asst.create")
        assert created.code == 0
        assert "4 unchanged" in created.out
        moved.edit("Do it.", "Do it well.")
        assert moved.inv("asst.deploy").code == 0
        assert moved.inv("asst.store", "--copy-to", source.address).code == 0
        assert source.content("host") == target.content("host")


def test_another_store_is_not_written_over(shared: Place, tmp_path: Path) -> None:
    """A store of another lineage is refused with 3, one of another project and the same place with 1; all stay."""
    mine = checkout(tmp_path / "mine", {})
    theirs = checkout(tmp_path / "theirs", shared.env)
    assert [host.inv("asst.create").code for host in (mine, theirs)] == [0, 0]
    before = shared.content("host")
    refused = checkout(tmp_path / "mine", {**shared.env, "ASST_STORE": str(mine.path)}).inv(
        "asst.store", "--copy-to", shared.address, "--json"
    )
    assert refused.code == 3
    assert refused.json["ok"] is False
    assert refused.json["store"] is None
    assert "holds another store (4 instances; its lineage is not this one's)" in refused.json["error"]
    same = theirs.inv("asst.store", "--copy-to", shared.address)
    assert (same.code, "is at" in same.err) == (1, True)
    other = Host(tmp_path / "other", {"ASST_PLATFORM": "local", **shared.env, "ASST_STORE": "s.json", "ASST_PROJECT": "other"})
    other.declare(ONE)
    assert other.inv("asst.create").code == 0
    wrong = other.inv("asst.store", "--copy-to", shared.address)
    if shared.kind == "postgresql":  # each project has a row of its own
        assert wrong.code == 0
    else:
        assert (wrong.code, "the store is of project 'host'" in wrong.err) == (1, True)
    assert shared.content("host") == before


def test_an_older_copy_that_knows_more(redis: Place, tmp_path: Path) -> None:
    """A copy that records an instance which the store does not is not written over without --yes."""
    host = checkout(tmp_path / "here", {})
    host.inv("asst.create")
    env = {**redis.env, "ASST_STORE": str(host.path)}
    assert checkout(host.root, env).inv("asst.store", "--copy-to", redis.address).code == 0
    there = checkout(host.root, redis.env)
    there.declare(ONE.replace("range(2)", "range(3)"))
    assert there.inv("asst.create").code == 0
    host = checkout(host.root, env)
    refused = host.inv("asst.store", "--copy-to", redis.address)
    assert refused.code == 3
    assert "which the store to copy does not; nothing was written: --yes goes on" in refused.err
    assert host.inv("asst.store", "--copy-to", redis.address, "--yes").code == 0
    assert len(redis.tables("host")["assistants"]) == 2


def test_an_empty_place_and_no_store(redis: Place, tmp_path: Path) -> None:
    """What the lock of a run that made nothing has left counts as empty; without a store there is nothing to copy."""
    nobody = checkout(tmp_path / "nobody", redis.env)
    nobody.declare("ASSISTANTS = []")
    assert nobody.inv("asst.create").code == 0
    host = checkout(tmp_path / "here", {**redis.env, "ASST_STORE": "assistants_store.json"})
    nothing = host.inv("asst.store", "--copy-to", redis.address)
    assert (nothing.code, "there is no store to copy yet: inv asst.create" in nothing.err) == (1, True)
    assert host.inv("asst.create").code == 0
    assert host.inv("asst.store", "--copy-to", redis.address).code == 0


def test_revisions(shared: Place, tmp_path: Path) -> None:
    """Each write's document is listed, newest first; one is put back as a new revision, and what it does not know is named."""
    host = checkout(tmp_path / "here", shared.env)
    host.inv("asst.create")
    before = without_lock(shared.tables("host"))
    host.declare(ONE.replace("range(2)", "range(3)"))
    host.inv("asst.create")
    document = host.inv("asst.store", "--history", "--json").json
    assert list(document) == ["command", "ok", "error", "rows", "store", "history"]
    numbers = [each["revision"] for each in document["history"]]
    assert numbers == sorted(numbers, reverse=True)
    assert all(each.keys() == {"revision", "replaced_at", "size"} for each in document["history"])
    said = host.inv("asst.store", "--history").out
    found = re.findall(r"^ *(\d+)  until \S+ +\S+ \S+  (.*)$", said, re.M)
    assert [int(number) for number, _ in found] == numbers
    whole = next(int(number) for number, holds in found if holds == "4 instances")
    result = host.inv("asst.store", "--restore", str(whole))
    assert result.code == 0, result.err
    assert f"revision {whole} is back, as a new revision; no longer recorded: agent_" in result.out
    assert without_lock(shared.tables("host")) == before
    for odd, message in (("99999", "is not kept: inv asst.store --history"), ("x", "a revision is a number")):
        wrong = host.inv("asst.store", "--restore", odd)
        assert (wrong.code, message in wrong.err) == (1, True)
    assert without_lock(shared.tables("host")) == before


def test_a_lock_that_is_shown_and_released(redis: Place, tmp_path: Path) -> None:
    """The lock of a dead run is shown with its holder, and released by its id alone."""
    host = checkout(tmp_path / "here", redis.env)
    host.inv("asst.create")
    storage = redis.storage("host")
    stored = storage.load()
    tables = json.loads(stored.content or b"")
    lock = {"id": "feed", "who": "ada", "host": "h", "command": "inv asst.deploy", "since": "s", "renewed": "r", "job": None}
    tables["store"]["lock"] = lock
    storage.compare_and_set(json.dumps(tables).encode(), stored.version, keep=False)
    storage.close()
    assert about(host)["lock"] == lock
    assert "held by inv asst.deploy (ada on h, since s), lock feed" in host.inv("asst.store").out
    wrong = host.inv("asst.store", "--unlock", "beef")
    assert (wrong.code, "there is no lock 'beef'; it is held by inv asst.deploy" in wrong.err) == (1, True)
    released = host.inv("asst.store", "--unlock", "feed")
    assert released.code == 0
    assert "released the lock that was held by inv asst.deploy" in released.out
    assert about(host)["lock"] is None


def unsaved(host: Host, base: Any, ours: Any) -> Path:
    path = host.root / ".asst" / "unsaved-1.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"base": base, "ours": ours, "store": "s", "saved": "now", "command": "c"}))
    return path


def changed(tables: Any, name: str, id: str) -> Any:
    """The same tables with another id for an assistant's first environment."""
    copy = json.loads(json.dumps(tables))
    copy["assistants"].setdefault(name, json.loads(json.dumps(tables["assistants"]["a0"])))["development"]["id"] = id
    return copy


def test_recovering(shared: Place, tmp_path: Path) -> None:
    """A recovery file is brought in record by record beside what others wrote, once; then it is gone."""
    host = checkout(tmp_path / "here", shared.env)
    host.inv("asst.create")
    base = without_lock(shared.tables("host"))
    path = unsaved(host, base, changed(base, "made", "agent_made"))
    store = shared.open("host")
    store.replace(changed(base, "between", "agent_between"))
    result = host.inv("asst.store", "--recover", str(path), "--json")
    assert result.code == 0, result.err
    row = result.json["rows"][0]
    assert (row["name"], row["environment"], row["id"]) == ("made", "development", "agent_made")
    ids = {name: record.id for (name, environment), record in store.read().records.items() if environment == "development"}
    assert (ids["made"], ids["between"]) == ("agent_made", "agent_between")
    again = host.inv("asst.store", "--recover", str(path))
    assert (again.code, "there is no such file; what was recovered is deleted" in again.err) == (1, True)
    store.close()


def test_recovering_what_the_store_knows_otherwise(redis: Place, tmp_path: Path) -> None:
    """Where both changed a record, or the file is another store's or none, nothing is written and the file stays."""
    host = checkout(tmp_path / "here", redis.env)
    host.inv("asst.create")
    store = redis.open("host")
    base = without_lock(redis.tables("host"))
    store.replace(changed(base, "a0", "agent_theirs"))
    before = store.storage.load().content
    path = unsaved(host, base, changed(base, "a0", "agent_ours"))
    refused = host.inv("asst.store", "--recover", str(path))
    assert refused.code == 3
    assert "a0 in development: ours agent_ours " in refused.err
    assert ", theirs agent_theirs " in refused.err
    foreign = {**base, "store": {**base["store"], "lineage": {"id": "0" * 32}}}
    unsaved(host, foreign, foreign)
    assert host.inv("asst.store", "--recover", str(path)).code == 3
    other = {**base, "store": {**base["store"], "format": {"project": "other", "version": 1}}}
    odd = {"base": None, "ours": {"payloads": 1, "store": {}}}
    for content in (*map(json.dumps, ({"base": None, "ours": other}, {"base": 1, "ours": base}, odd)), "{}", "[", ""):
        path.write_text(content)
        wrong = host.inv("asst.store", "--recover", str(path))
        assert wrong.code == 1, content
        assert len(wrong.err.strip().splitlines()) == 1
    assert path.exists()
    assert store.storage.load().content == before
    store.close()


def test_recovering_an_open_request_and_a_record_that_went(redis: Place, tmp_path: Path) -> None:
    """What a run left open or forgot is brought in as well, with a row each."""
    host = checkout(tmp_path / "here", redis.env)
    host.inv("asst.create")
    base = without_lock(redis.tables("host"))
    ours = json.loads(json.dumps(base))
    digest = ours["assistants"]["a0"].pop("production")["digest"]
    ours["pending"] = {"new": {"development local local": {"digest": digest, "kind": "create", "nonce": "0" * 32}}}
    result = host.inv("asst.store", "--recover", str(unsaved(host, base, ours)), "--json")
    assert result.code == 0, result.err
    assert [(row["name"], row["environment"], row["id"]) for row in result.json["rows"]] == [
        ("a0", "production", None),
        ("new", "development", None),
    ]
    assert "2 changes" in result.err
    assert "1 operation open" in host.inv("asst.store").out


def test_a_refused_copy_leaves_a_store_without_a_lineage(redis: Place, tmp_path: Path) -> None:
    """Where the target is another store, an older file without a lineage stays as it is, byte for byte."""
    assert checkout(tmp_path / "theirs", redis.env).inv("asst.create").code == 0
    host = checkout(tmp_path / "mine", {})
    host.inv("asst.create")
    older = re.sub(r',\s+"lineage": \{[^}]*\}', "", host.path.read_text())
    host.path.write_text(older)
    host = checkout(tmp_path / "mine", {**redis.env, "ASST_STORE": str(host.path)})
    assert host.inv("asst.store", "--copy-to", redis.address).code == 3
    assert host.path.read_text() == older


def test_the_same_file_by_another_name(tmp_path: Path) -> None:
    """A file that a symbolic link leads to is the same place: said at once, not waited for."""
    host = checkout(tmp_path / "here", {})
    host.inv("asst.create")
    (host.root / "link").symlink_to(host.root)
    result = host.inv("asst.store", "--copy-to", "link/assistants_store.json", timeout=20)
    assert (result.code, "name another place" in result.err) == (1, True)


def test_a_dead_holder_of_a_file_is_no_holder(tmp_path: Path) -> None:
    """What a killed run has left in the lock file is not shown as a lock; a run that lives is."""
    host = checkout(tmp_path / "here", {})
    host.inv("asst.create")
    lock = host.path.with_name("assistants_store.json.lock")
    lock.write_text(json.dumps({"host": "h", "pid": 1, "command": "inv asst.create", "since": "s"}))
    assert "nobody holds it" in host.inv("asst.store").out
    with FileLock(lock):
        assert "held by inv asst.create (pid 1 on h, since s)" in host.inv("asst.store").out


def test_one_thing_at_a_time(tmp_path: Path) -> None:
    """Two flags are an error, and so is a value that names nothing."""
    host = checkout(tmp_path / "here", {})
    host.inv("asst.create")
    result = host.inv("asst.store", "--history", "--copy-to", "x.json")
    assert (result.code, "give one of --copy-to, --history" in result.err) == (1, True)
    assert "--copy-to: no store is kept at ftp://" in host.inv("asst.store", "--copy-to", "ftp://x").err
    for flag in ("--copy-to", "--restore", "--unlock", "--recover"):
        empty = host.inv("asst.store", flag, "")
        assert (empty.code, empty.err.strip()) == (1, f"{flag} is empty: give it a value")
    assert "a revision is a number" in host.inv("asst.store", "--restore", "9" * 5000).err
    assert not (host.root / "x.json").exists()


def test_no_password_is_said(tmp_path: Path) -> None:
    """The line to set has no password in it, and says where the URL belongs."""
    if why := missing("postgresql"):
        pytest.skip(why)
    with place("postgresql") as found:
        host = checkout(tmp_path / "here", {})
        host.inv("asst.create")
        address = found.address.replace("postgres@", "postgres:canary-secret@")
        result = host.inv("asst.store", "--copy-to", address)
        assert result.code == 0, result.err
        masked = address.replace("canary-secret", "***")
        assert (
            f"ASST_STORE={masked} (with the password, in .env.local or the secrets of CI; never in pyproject.toml)" in result.out
        )
        for args in (
            ["asst.store"],
            ["asst.store", "--json"],
            ["asst.status"],
            ["--debug", "asst.store"],
            ["asst.plan", "--json"],
        ):
            shown = host.inv(*args, env={"ASST_STORE": address})
            assert shown.code == 0, shown.err
            assert "canary-secret" not in shown.out + shown.err
