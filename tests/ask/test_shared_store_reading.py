"""What an app does with a store at a URL: when it looks, and what it does while the server is down."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CANARY, ROOT, Host
from loopback import Loopback
from places import RedisServer, missing, place

from invoke_assistants import Assistant
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
        monkeypatch.delenv("ASST_PROJECT")
        with pytest.raises(SettingsError, match="several projects: set ASST_PROJECT"):
            A.id()


def test_an_absolute_path_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a store at an absolute path, the project's name is the store's."""
    with place("file") as found:
        found.open("somebody").commit(
            {("a", "development"): Record("agent_1", Location("local", "local"), digest(PAYLOAD))}, [(digest(PAYLOAD), PAYLOAD)]
        )
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ASST_STORE", found.address)
        monkeypatch.setenv("ASST_PLATFORM", "local")
        assert A.id() == "agent_1"


@needs_redis
def test_it_is_read_once_and_again_after_a_while(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed is seen once the cache time is over, not before; with 0 it is seen at once."""
    monkeypatch.setenv("ASST_STORE_CACHE", "1.5")
    began = time.monotonic()
    assert A.id() == "agent_1"
    put(url, "agent_2")
    while A.id() == "agent_1":
        assert time.monotonic() - began < 20
        time.sleep(0.02)
    assert 1.4 < time.monotonic() - began < 4
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    assert A.id() == "agent_2"
    put(url, "agent_3")
    assert A.id() == "agent_3"


@pytest.mark.parametrize("value", ["-1", "soon", "1e3", "nan"])
def test_the_cache_time_is_a_number(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ASST_STORE_CACHE is a number of seconds; anything else is an error that names it."""
    monkeypatch.setenv("ASST_STORE", str(tmp_path / "s.json"))
    monkeypatch.setenv("ASST_STORE_CACHE", value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="ASST_STORE_CACHE must be a number of seconds"):
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
            time.sleep(1.1)  # so that it looks again
    [record] = caplog.records
    assert "going on with the ids that were read before" in record.getMessage()
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
def test_a_store_that_was_emptied(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers without the store is believed: there is no instance."""
    import redis

    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    assert A.id() == "agent_1"
    with redis.Redis.from_url("redis://127.0.0.1:6379") as client:
        client.delete(url.partition("?key=")[2])
    with pytest.raises(NotCreated):
        A.id()


@needs_redis
def test_one_thread_looks_and_no_connection_stays(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads get the ids at once while one of them looks; afterwards no connection to the server is open."""
    import redis

    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    found: list[str] = []
    running = set(threading.enumerate())
    threads = [threading.Thread(target=lambda: found.extend(A.id() for _ in range(20))) for _ in range(8)]
    with redis.Redis.from_url("redis://127.0.0.1:6379") as client:
        before = {each["id"] for each in client.client_list()}
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        ours = str(os.getpid())
        left = [each for each in client.client_list() if each["id"] not in before and each.get("name") == ours]
    assert found == ["agent_1"] * 160
    assert left == []
    assert not [each for each in threading.enumerate() if each not in running and each.name == "store-call"]


@pytest.mark.asyncio
async def test_the_event_loop_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server that says nothing is asked for the store, the app's other coroutines run."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ASST_STORE", f"redis://127.0.0.1:{silent.getsockname()[1]}/0?key=k")
        monkeypatch.setattr("invoke_assistants.store.deadline.CONNECT", 1.0)
        most, last, done = 0.0, time.monotonic(), asyncio.Event()

        async def tick() -> None:
            nonlocal most, last
            while not done.is_set():
                await asyncio.sleep(0.01)
                most, last = max(most, time.monotonic() - last), time.monotonic()

        ticking = asyncio.create_task(tick())
        with pytest.raises(StoreError, match="no connection within 1 s"):
            await A.arun("Hello.")
        done.set()
        await ticking
        assert most < 0.8


@needs_redis
def test_the_game_answers_in_a_folder_with_only_the_app(tmp_path: Path) -> None:
    """The trivia game, deployed from one folder, answers from another that has only ``app/`` and the store's URL."""
    server = Loopback(tmp_path / "server")
    with place("redis") as found:
        host = Host(tmp_path / "here", {**server.env(CANARY), **found.env})
        for name in ("pyproject.toml", "tasks.py"):
            shutil.copy(ROOT / name, host.root / name)
        shutil.copytree(ROOT / "app", host.root / "app")
        assert host.inv("asst.create").code == 0
        assert host.inv("asst.deploy").code == 0
        there = tmp_path / "there"
        shutil.copytree(ROOT / "app", there / "app")
        program = """
            from app.assistants import create_trivia_game
            from app.trivia.models import TriviaGame
            reply = create_trivia_game.run("A game.", environment="production")
            assert isinstance(reply.output, TriviaGame)
            print(reply.id, len(reply.output.questions))
        """
        env = {**host.environ(), "HOME": str(there)}
        command = [sys.executable, "-c", textwrap.dedent(program)]
        result = subprocess.run(command, cwd=there, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        id, questions = result.stdout.split()
        assert server.agents()[id]["name"] == "create_trivia_game_production"
        assert int(questions) > 0
        assert sorted(path.name for path in there.iterdir()) == ["app"]
    server.shutdown()
    server.server_close()
