"""How often a command asks the server of a shared store, by the server's own count."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, Host
from places import RedisServer

from invoke_assistants import commands

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on this machine")
FIFTY = MODELS + 'ASSISTANTS = [Assistant(f"a{n}", output=Plan, model="m", instructions="Do it.") for n in range(50)]\n'


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


def asked(server: RedisServer, command: Callable[[], Any]) -> dict[str, int]:
    """The connections, reads and writes that a command makes."""
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.config_resetstat()
        before = client.info("stats")["total_connections_received"]
        command()
        connections = client.info("stats")["total_connections_received"] - before
        found = client.info("commandstats")
    return {
        "connections": connections,
        "reads": found.get("cmdstat_hmget", {}).get("calls", 0),
        "writes": sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval")),
    }


def test_what_commands_ask_the_store(host: Host, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is one read. With nothing to write, a lock is taken and released, and taking it has read what the run needs."""
    host.declare(FIFTY)
    monkeypatch.setenv("ASST_STORE", redis_server.url)
    host.create()
    assert asked(redis_server, lambda: commands.status(host.root)) == {"connections": 1, "reads": 1, "writes": 0}
    assert asked(redis_server, lambda: commands.plan(host.root)) == {"connections": 1, "reads": 1, "writes": 0}
    for command in (commands.update, commands.create, commands.deploy):
        found = asked(redis_server, lambda command=command: command(host.root))
        assert found == {"connections": 1, "reads": 2, "writes": 2}, command.__name__
    host.edit("Do it.", "Do it well.")
    found = asked(redis_server, lambda: commands.update(host.root))
    assert found["connections"] == 1
    assert found["reads"] == found["writes"]  # one of each for a transaction, however many instances are in it
