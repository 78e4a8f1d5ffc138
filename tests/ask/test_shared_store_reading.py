"""A running app reads a store at a URL: how often, while its server is down, beside an event loop, and from elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compatible import Compatible, ModelAnswer
from conftest import CANARY, FOREIGN, ROOT, Host
from loopback import Loopback
from places import REDIS, missing, wait_for

from invoke_assistants import Assistant, NotCreated, commands
from invoke_assistants.ask.process_cache import process_cache
from invoke_assistants.errors import SettingsError, StoreError
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL

pytestmark = pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
TALKER: Assistant[str] = Assistant("talker", model="gpt-6-luna", instructions="Talk.")
DECLARED = """
from invoke_assistants import Assistant
ASSISTANTS = [Assistant("talker", model="gpt-6-luna", instructions="Talk.")]
"""


class Proxy:
    """Passes connections on to Redis, counts them, and can refuse them or keep silent."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.taken = 0
        self.open = 0
        self.down = False
        self.answering = threading.Event()
        self.answering.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.answering.set()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self.open += 1
        with client:
            if not self.down:
                self.answering.wait(30)
                with socket.create_connection(("127.0.0.1", 6379)) as server:
                    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                    back.start()
                    _pump(client, server)
                    back.join()
        self.open -= 1


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def key() -> Iterator[str]:
    import redis

    key = f"test:{uuid.uuid4().hex}"
    yield key
    with redis.Redis.from_url(REDIS) as client:
        client.delete(key, f"{key}:history")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def app(host: Host, proxy: Proxy, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """A created assistant with its store on Redis, and this process in a folder without a project."""
    host.declare(DECLARED)
    monkeypatch.setenv("ASST_STORE", f"{REDIS}?key={key}")
    host.create()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("ASST_STORE", f"redis://127.0.0.1:{proxy.port}/0?key={key}")
    return host


def stored(key: str) -> Store:
    return Store(open_storage(StoreURL.parse(f"{REDIS}?key={key}", "a test"), "host"), "host")


def record_id(key: str, id: str) -> None:
    """Record another id of the talker in development, as a deploy from elsewhere does."""
    store = stored(key)
    tables: dict[str, Any] = json.loads(json.dumps(store.tables()))
    tables["assistants"]["talker"]["development"]["id"] = id
    store.replace(tables)
    store.close()


def test_the_store_is_read_once_in_its_cache_time(app: Host, proxy: Proxy, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside ``ASST_STORE_CACHE`` no connection is made, even where other settings change; after it, a new id is seen."""
    first = TALKER.id()
    assert proxy.taken == 1
    record_id(key, "agent_another")
    for _ in range(100):
        assert TALKER.id() == first
    monkeypatch.setenv("ASST_TIMEOUT", "60")
    assert TALKER.id() == first
    assert TALKER.id("production") != first
    assert proxy.taken == 1
    monkeypatch.setenv("ASST_STORE_CACHE", "0.05")
    wait_for(lambda: TALKER.id() == "agent_another", 5)
    assert 1 < proxy.taken < 10
    wait_for(lambda: proxy.open == 0)  # no connection stays open


def test_without_a_cache_each_question_reads(app: Host, proxy: Proxy, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ASST_STORE_CACHE=0`` sees each change at once."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    for number in range(3):
        record_id(key, f"agent_{number:03}")
        assert TALKER.id() == f"agent_{number:03}"
    assert proxy.taken == 3


def test_the_last_known_ids_outlive_the_server(
    app: Host, proxy: Proxy, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each outage is one warning, however many looks it spans; where the settings change meanwhile, the ids stay known."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    first = TALKER.id()
    with caplog.at_level(logging.WARNING, "invoke_assistants"):
        for outage in (1, 2):
            proxy.down = True
            before = proxy.taken
            assert [TALKER.id() for _ in range(3)] == [first] * 3
            assert proxy.taken >= before + 3
            monkeypatch.setenv("ASST_TIMEOUT", f"{60 + outage}")
            assert TALKER.id() == first
            assert len(caplog.records) == outage
            assert f"key={key}: cannot be reached" in caplog.messages[-1]
            assert "the ids that were last read go on being used" in caplog.messages[-1]
            proxy.down = False
            record_id(key, first := f"agent_after_{outage}")
            assert TALKER.id() == first
    assert len(caplog.records) == 2


def test_the_next_look_comes_after_the_cache_time(app: Host, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails counts as a look."""
    monkeypatch.setenv("ASST_STORE_CACHE", "1")
    first = TALKER.id()
    proxy.down = True
    before = proxy.taken
    wait_for(_due)
    assert [TALKER.id() for _ in range(100)] == [first] * 100
    assert proxy.taken == before + 1
    wait_for(_due)
    assert TALKER.id() == first
    assert proxy.taken == before + 2


def test_the_first_read_needs_the_server(app: Host, proxy: Proxy) -> None:
    """Where nothing is known yet, a server that is down is an error."""
    proxy.down = True
    with pytest.raises(StoreError, match="cannot be reached"):
        TALKER.id()


def test_a_store_that_is_not_ours_is_no_outage(app: Host, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server holds is believed: a broken store is an error, and one that has gone has no instances."""
    import redis

    monkeypatch.setenv("ASST_STORE_CACHE", "0")
    TALKER.id()
    with redis.Redis.from_url(REDIS) as client:
        client.hset(key, "document", "{}")
        with pytest.raises(StoreError, match="not a store of assistants"):
            TALKER.id()
        client.delete(key)
    with pytest.raises(NotCreated):
        TALKER.id()


def test_one_thread_looks_and_the_others_go_on(app: Host, proxy: Proxy, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread waits for a silent server, the others get what is known, without a connection of their own."""
    first = TALKER.id()
    record_id(key, "agent_another")
    monkeypatch.setenv("ASST_STORE_CACHE", "1")
    TALKER.id()
    wait_for(_due)
    proxy.answering.clear()
    before, found = proxy.taken, list[str]()
    looking = threading.Thread(target=lambda: found.append(TALKER.id()))
    looking.start()
    wait_for(lambda: proxy.taken == before + 1)
    assert [TALKER.id() for _ in range(100)] == [first] * 100
    assert not found
    proxy.answering.set()
    looking.join()
    assert found == ["agent_another"] == [TALKER.id()]
    assert proxy.taken == before + 1


def _due() -> bool:
    return next(iter(process_cache()._snapshots.values())).look_is_due()


@pytest.mark.parametrize("known", [False, True], ids=["the first read", "a look that is due"])
def test_an_event_loop_goes_on_while_a_silent_server_is_asked(
    app: Host, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """The loop's other tasks run on time, and many questions share one thread and one connection."""
    monkeypatch.setenv("ASST_STORE_CACHE", "0" if known else "600")
    if known:
        TALKER.id()
    before = proxy.taken
    proxy.answering.clear()

    async def ask() -> list[str]:
        asking = [asyncio.create_task(TALKER.arun("Hello.")) for _ in range(20)]
        while len(gaps) < 50 or proxy.taken == before:
            turn = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - turn)
        assert not asking[0].done()
        asking[1].cancel()  # one that leaves takes nobody along
        proxy.answering.set()
        replies = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(replies.pop(1), asyncio.CancelledError) or known
        return [each.output for each in replies if not isinstance(each, BaseException)]

    gaps: list[float] = []
    outputs = asyncio.run(ask())
    assert len(outputs) == 19
    assert proxy.taken == before + 1
    assert sorted(gaps)[len(gaps) // 2] < 0.1


def test_an_async_stream_reads_in_its_thread_too(app: Host, proxy: Proxy) -> None:
    """The text comes as always, and the read was not made by the loop's thread."""

    async def texts() -> str:
        return "".join([piece async for piece in TALKER.stream("Hello.")])

    assert asyncio.run(texts())
    assert proxy.taken == 1


def test_an_app_whose_threads_all_wait_is_answered(app: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read takes no thread of the loop's executor: those may all be waiting for an answer."""
    from concurrent.futures import ThreadPoolExecutor

    async def ask() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))

        def wait() -> str:
            return asyncio.run_coroutine_threadsafe(process_cache().ainstance(TALKER, None, None), loop).result(30).record.id

        return await asyncio.to_thread(wait)

    assert asyncio.run(ask()).startswith("agent_")


def test_a_forked_child_reads_for_itself(app: Host, proxy: Proxy, key: str) -> None:
    """A child inherits no connection and no cache."""
    TALKER.id()
    record_id(key, "agent_another")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            code = 0 if TALKER.id() == "agent_another" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_project_is_the_stores(app: Host, server: Loopback, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions carry the store's project; with ``ASST_PROJECT`` it must match; a default key needs it."""
    TALKER.run("Hello.")
    [created] = [seen for seen in server.seen if seen.method == "POST" and seen.path.endswith("/sessions")]
    assert created.body["metadata"]["asst.project"] == "host"
    monkeypatch.setenv("ASST_PROJECT", "another")
    with pytest.raises(StoreError, match="host"):
        TALKER.id()
    monkeypatch.delenv("ASST_PROJECT")
    monkeypatch.setenv("ASST_STORE", REDIS)
    with pytest.raises(SettingsError, match="set ASST_PROJECT"):
        TALKER.id()


def test_commands_without_a_project_name_ask_for_it(app: Host) -> None:
    """What would tag objects needs the name; nothing is sent without one."""
    with pytest.raises(SettingsError, match="set ASST_PROJECT"):
        commands.create(None)


def test_a_file_at_an_absolute_path_needs_no_project_either(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's name is the file's."""
    host.declare(DECLARED)
    host.create()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("ASST_STORE", str(host.path))
    assert TALKER.id() == host.ids()["talker", "development"]
    assert process_cache().snapshot(None).settings.project == "host"


@pytest.mark.parametrize("platform", ["local", "responses"])
def test_platforms_that_keep_agents_themselves(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """Created from one folder, the agents are in sync in another and answer in a third, which has no project."""
    model = Compatible(lambda asked: ModelAnswer("Hello from the model."))
    env = {**model.env(CANARY), "ASST_PLATFORM": platform, "ASST_STORE": f"{REDIS}?key={key}"}
    here, there = Host(tmp_path / "here", env), Host(tmp_path / "there", env)
    for each in (here, there):
        each.declare(DECLARED)
    assert here.inv("asst.create").code == 0
    status = there.inv("asst.status", "--json")
    assert {row["state"] for row in status.json["rows"]} == {"in_sync"}
    there.edit("Talk.", "Talk well.")
    result = there.inv("asst.deploy")
    assert result.code == 0, result.err
    here.edit("Talk.", "Talk well.")
    assert {row["state"] for row in here.inv("asst.status", "--json").json["rows"]} == {"in_sync"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    first = TALKER.run("Hello.")
    again = asyncio.run(TALKER.arun("And again.", session=first.session))
    assert first.id == again.id == TALKER.id()
    if platform == "responses":
        assert first.output == "Hello from the model."
        assert model.asked[0].body["instructions"] == "Talk well."
    assert not here.path.exists()
    model.shutdown()
    model.server_close()


PLAY = """
from app.assistants import create_trivia_game
reply = create_trivia_game.run("Create a new trivia game.")
print(reply.output.topic, reply.id)
"""


@pytest.mark.parametrize("platform", ["agents", "responses"])
def test_the_game_answers_from_a_folder_that_has_only_the_app(tmp_path: Path, server: Loopback, key: str, platform: str) -> None:
    """Created and deployed in one folder, the trivia game answers in another with ``app/`` and the URL, in its own process."""
    question = {"question": "One?", "choices": ["a", "b", "c", "d"], "answer": "a", "difficulty": "easy", "explanation": None}
    model = Compatible(lambda asked: ModelAnswer(json.dumps({"topic": "Capitals", "questions": [question] * 3})))
    env = {**(server.env(CANARY) if platform == "agents" else model.env(CANARY)), "ASST_STORE": f"{REDIS}?key={key}"}
    host = Host.__new__(Host)
    host.root, host.env = tmp_path / "example", env
    shutil.copytree(ROOT / "app", host.root / "app")
    for name in ("pyproject.toml", "tasks.py"):
        shutil.copy(ROOT / name, host.root / name)
    assert host.inv("asst.create").code == 0
    prompts = host.root / "app" / "trivia" / "prompts.py"
    prompts.write_text(prompts.read_text() + '\nCREATE_GAME += "\\nBe kind."\n')
    deployed = host.inv("asst.deploy", "--json")
    assert deployed.code == 0, deployed.err
    ids = {(row["name"], row["environment"]): row["id"] for row in deployed.json["rows"]}
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(host.root / "app", elsewhere / "app")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    played = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAY], cwd=elsewhere, env={**clean, **env}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert played.stderr == ""
    assert played.stdout.split()[-1] == ids["create_trivia_game", "development"]
    assert [each.name for each in elsewhere.iterdir()] == ["app"]
    model.shutdown()
    model.server_close()
