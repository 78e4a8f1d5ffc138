"""What an app does with a store at a URL: when it looks, and what it does while the server is down."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import as_another_process
from places import RedisServer, missing, place

from invoke_assistants import Assistant, commands
from invoke_assistants.declare.digest import digest
from invoke_assistants.errors import NotCreated, SettingsError, StoreError
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL
from invoke_assistants.types import Location, Record

needs_redis = pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
A = Assistant("a", model="m")
PAYLOAD = A.payload("development")


def put(url: str, id: str, project: str = "shared") -> None:
    store = Store(open_storage(StoreURL.parse(url, "ASST_STORE"), project), project)
    record = Record(id, Location("local", "local"), digest(PAYLOAD))
    store.commit({("a", "development"): record}, [(digest(PAYLOAD), PAYLOAD)])
    store.close()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store on Redis that names a, for a process in a folder without a project."""
    with place("redis") as found:
        put(found.address, "agent_1")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ASST_STORE", found.address)
        monkeypatch.setenv("ASST_PLATFORM", "local")
        yield found.address


@pytest.fixture
def redis_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server of the test's own, whose store names a."""
    try:
        server = RedisServer(tmp_path / "redis")
    except FileNotFoundError:
        pytest.skip("no redis-server on this machine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASST_STORE", f"{server.url}?key=k")
    monkeypatch.setenv("ASST_PLATFORM", "local")
    put(f"{server.url}?key=k", "agent_1")
    yield server
    server.stop()


@needs_redis
def test_no_project_is_needed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a URL that names the key, neither a pyproject.toml nor ASST_PROJECT is needed; another project's name is refused."""
    assert A.id() == "agent_1"
    monkeypatch.setenv("ASST_PROJECT", "other")
    with pytest.raises(StoreError, match="the store is of project 'shared', this project is 'other'"):
        A.id()


@needs_redis
@pytest.mark.parametrize("address", ["redis://127.0.0.1:6379", "s3://stores"])
def test_a_default_address_needs_the_project(address: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the address is made of the project's name, an error says to set ASST_PROJECT."""
    monkeypatch.setenv("ASST_STORE", address)
    with pytest.raises(SettingsError, match="set ASST_PROJECT to the project whose store to use"):
        A.id()


@pytest.mark.skipif(missing("postgresql") is not None, reason=str(missing("postgresql")))
def test_the_only_row_of_a_table_needs_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with one row needs no ASST_PROJECT; one with two names the variable, and takes its value."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASST_PLATFORM", "local")
    with place("postgresql") as found:
        monkeypatch.setenv("ASST_STORE", found.address)
        monkeypatch.setenv("ASST_STORE_CACHE", "0")
        put(found.address, "agent_1")
        assert A.id() == "agent_1"
        put(found.address, "agent_2", project="second")
        monkeypatch.setenv("ASST_PROJECT", "second")
        assert A.id() == "agent_2"
        as_another_process(monkeypatch)
        monkeypatch.delenv("ASST_PROJECT")
        with pytest.raises(SettingsError, match="several projects: set ASST_PROJECT"):
            A.id()


def test_while_the_server_is_down(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The known ids go on being used, with one warning for the outage and no password in it; what changed is seen afterwards."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    assert A.id() == "agent_1"
    redis_server.stop()
    with caplog.at_level(logging.WARNING, "invoke_assistants"):
        for _ in range(3):
            assert A.id() == "agent_1"
    [record] = caplog.records
    assert "the ids that were last read go on being used" in record.getMessage()
    assert "canary-secret" not in caplog.text
    redis_server.start()
    put(os.environ["ASST_STORE"], "agent_2")
    deadline = time.monotonic() + 10
    while A.id() != "agent_2":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_settings_that_change_while_the_server_is_down(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another setting during an outage makes no error: the ids of the same store go on being used."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    assert A.id() == "agent_1"
    redis_server.stop()
    monkeypatch.setenv("ASST_TIMEOUT", "30")
    with caplog.at_level(logging.WARNING, "invoke_assistants"):
        assert A.id() == "agent_1"
    assert len(caplog.records) == 1


def test_no_frame_holds_the_password(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback with local variables shows no password of a store's URL, whether it is down, or no URL at all."""
    redis_server.stop()
    for address in (os.environ["ASST_STORE"], "redis://u:canary-secret/half@h", "redis://u:canary-secret@h?socket_timeout=x"):
        monkeypatch.setenv("ASST_STORE", address)
        with pytest.raises((StoreError, SettingsError)) as caught:
            A.id()
        found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in found.stack if "invoke_assistants" in frame.filename]
        assert ours
        assert "canary-secret" not in "".join(str(frame.locals) for frame in ours)


def test_a_server_that_is_down_at_the_start(redis_server: RedisServer) -> None:
    """With nothing known yet there is one error, without the password."""
    redis_server.stop()
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        A.id()
    assert "canary-secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@needs_redis
def test_a_store_that_comes_later(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that starts before the first create finds the instance afterwards, and the project's name with it."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    with place("redis") as found:
        monkeypatch.setenv("ASST_STORE", found.address)
        with pytest.raises(NotCreated):
            A.id()
        put(found.address, "agent_1")
        A.run("Hello.")
    [agent] = json.loads(Path(".asst/local.json").read_text())["agents"].values()
    assert agent["metadata"]["asst.project"] == "shared"


@needs_redis
@pytest.mark.skipif(missing("postgresql") is not None, reason=str(missing("postgresql")))
def test_a_copy_needs_no_project(url: str) -> None:
    """A store is copied from a folder without a project: the copy is of the same one, as its key or row is."""
    with place("postgresql") as target:
        [copied, _] = commands.store(copy_to=target.address).done
        assert "copied 1 instance" in copied
        with closing(target.open("shared")) as store:
            assert store.read().records.keys() == {("a", "development")}
