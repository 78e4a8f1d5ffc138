"""Places for a store, one of each kind: a file, and servers that run on this machine or are started here."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.storage import Storage
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL

KINDS = ("file", "redis", "postgresql", "s3")
SHARED = KINDS[1:]
REDIS = "redis://127.0.0.1:6379"
POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
BUCKET = "stores"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Place:
    """A place for a store: where it is, and the variables that a process needs to use it."""

    kind: str
    address: str
    env: dict[str, str] = field(default_factory=dict)

    def storage(self, project: str = "p") -> Storage:
        if self.kind == "file":
            return FileStorage(Path(self.address))
        return open_storage(StoreURL.parse(self.address, "ASST_STORE"), project)

    def content(self, project: str = "p") -> bytes | None:
        with contextlib.closing(self.storage(project)) as storage:
            return storage.load().content

    def tables(self, project: str = "p") -> dict[str, Any]:
        with contextlib.closing(self.open(project)) as store:
            return store.tables() or {}

    def open(self, project: str = "p") -> Store:
        return Store(self.storage(project), project)


@functools.cache
def missing(kind: str) -> str | None:
    """Why a kind of store cannot be tried here; None where it can."""
    ports = {"redis": 6379, "postgresql": 5432}
    if kind in ports and not answers(ports[kind]):
        return f"no {'Redis' if kind == 'redis' else 'PostgreSQL'} server answers at 127.0.0.1:{ports[kind]}"
    return None


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


@contextlib.contextmanager
def place(kind: str) -> Iterator[Place]:
    """A fresh place of a kind, emptied at the end. This process has its variables for S3, too."""
    name = f"asst_test_{uuid.uuid4().hex[:16]}"
    if kind == "file":
        with tempfile.TemporaryDirectory() as folder:
            address = f"{folder}/assistants_store.json"
            yield Place(kind, address, {"ASST_STORE": address})
    elif kind == "redis":
        with _redis(name) as found:
            yield found
    elif kind == "postgresql":
        with _postgres(name) as found:
            yield found
    else:
        with _s3(name) as found:
            yield found


@contextlib.contextmanager
def _redis(name: str) -> Iterator[Place]:
    import redis

    address = f"{REDIS}/0?key={name}"
    try:
        yield Place("redis", address, {"ASST_STORE": address})
    finally:
        with redis.Redis.from_url(REDIS) as client:
            client.delete(name, f"{name}:history")


@contextlib.contextmanager
def _postgres(name: str) -> Iterator[Place]:
    import psycopg

    address = f"{POSTGRES}?asst_table={name}"
    try:
        yield Place("postgresql", address, {"ASST_STORE": address})
    finally:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {name}, {name}_history")


@contextlib.contextmanager
def _s3(name: str) -> Iterator[Place]:
    env = {**AWS, "AWS_ENDPOINT_URL": s3_endpoint()}
    os.environ.update(env)  # they stay: nothing else here reads them
    os.environ.pop("SSL_CERT_DIR", None)  # the client loads certificates even where it needs none
    address = f"s3://{BUCKET}/{name}.json"
    yield Place("s3", address, {**env, "ASST_STORE": address})


@functools.cache
def s3_endpoint() -> str:
    """The URL of a server that stands in for S3, with one bucket: one for all processes of this run of tests.

    It ends with the last of them, since each holds a lock that the server waits for.
    """
    shared = Path(tempfile.gettempdir(), f"asst-s3-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}")
    users = shared.with_suffix(".users")
    fcntl.flock(os.open(users, os.O_CREAT | os.O_RDWR), fcntl.LOCK_SH)  # until this process ends
    with shared.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if not (endpoint := file.read()):
            port = free_port()
            subprocess.run(["sh", "-c", '"$@" >/dev/null 2>&1 &', "sh", *moto_command(port), str(users)], check=True)
            wait_for(lambda: answers(port), 60)
            endpoint = f"http://127.0.0.1:{port}"
            with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=20):
                file.write(endpoint)
    return endpoint


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def moto_command(port: int) -> list[str]:
    return [sys.executable, "-W", "ignore", str(Path(__file__).with_name("s3_server.py")), str(port)]


@contextlib.contextmanager
def moto(**env: str) -> Iterator[str]:
    """A server that stands in for S3; yields its URL."""
    port = free_port()
    with subprocess.Popen(
        moto_command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **env}
    ) as server:
        try:
            wait_for(lambda: answers(port), 60)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class RedisServer:
    """A Redis of a test's own, which writes everything to disk at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://:canary-secret@127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options = ["--appendonly", "yes", "--appendfsync", "always", "--requirepass", "canary-secret"]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()
