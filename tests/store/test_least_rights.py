"""The least rights are the least: with them a user can do all, and with any one of them missing it cannot."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from places import answers, wait_for

from invoke_assistants.errors import StoreError
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.storage import Unreachable
from invoke_assistants.store.url import StoreURL

DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "shared-stores.md").read_text()
POSTGRES = "127.0.0.1:5432/postgres"
PASSWORD = "canary-secret"
READ = ["+hmget"]
WRITE = ["+hmget", "+hget", "+hset", "+lpush", "+ltrim", "+lrange", "+evalsha", "+script|load"]
GRANTS = [("SELECT", ""), ("INSERT", ""), ("UPDATE", ""), ("SELECT", "_history"), ("INSERT", "_history"), ("DELETE", "_history")]


def read(address: str) -> None:
    with closing(open_storage(StoreURL.parse(address, "ASST_STORE"), "p")) as storage:
        storage.load()


def write(address: str) -> None:
    """Everything that a storage can do, with more revisions than are kept."""
    with closing(open_storage(StoreURL.parse(address, "ASST_STORE"), "p")) as storage:
        version = storage.load().version
        for number in range(23):
            version = storage.compare_and_set(f"ä{number}".encode(), version, keep=True)
        storage.compare_and_set(b"lock", version, keep=False)
        found = storage.revisions()
        assert len(found) == 20
        assert storage.load_revision(found[0].number) == "ä21".encode()  # the last write keeps none


def is_refused(address: str) -> None:
    """What a user may not do is one line without the password, and not taken for a server that does not answer."""
    with pytest.raises(StoreError) as caught:
        write(address)
    assert not isinstance(caught.value, Unreachable)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    """A Redis of the test's own."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), 20)
        yield port
    finally:
        server.kill()
        server.wait()


def test_each_right_on_redis_is_needed(redis_port: int) -> None:
    """A writer needs these commands and no other, on its keys alone; a reader needs one; other databases need one more."""
    import redis

    assert " ".join(["~asst:quiz", "~asst:quiz:history", *WRITE]) in DOCS
    assert " ".join(["~asst:quiz", *READ]) in DOCS
    with redis.Redis(port=redis_port) as admin:

        def user(rights: list[str], database: int = 0) -> str:
            admin.flushall()  # of this test's own server
            admin.script_flush()
            name = f"u{uuid.uuid4().hex[:8]}"
            keys = ["~asst:p", "~asst:p:history"]
            admin.execute_command("ACL", "SETUSER", name, "on", f">{PASSWORD}", "resetkeys", *keys, *rights)
            return f"redis://{name}:{PASSWORD}@127.0.0.1:{redis_port}/{database}"

        write(user(WRITE))
        read(user(READ))
        is_refused(user(READ))
        for right in WRITE:
            is_refused(user([each for each in WRITE if each != right]))
        is_refused(user(WRITE, database=1))
        write(user([*WRITE, "+select"], database=1))
        is_refused(f"{user(WRITE)}?key=other")
        names = {client["user"] for client in admin.client_list()}
        assert names == {"default"}, "a connection was left open"


@pytest.mark.skipif(not answers(5432), reason="no PostgreSQL server answers at 127.0.0.1:5432")
def test_each_right_on_postgresql_is_needed() -> None:
    """Where the tables are there, a writer needs these grants and no CREATE; a reader needs SELECT on one table."""
    import psycopg

    documented = re.findall(r"GRANT (.*) ON asst_store(|_history) TO deployer;", DOCS)
    assert [(right, suffix) for rights, suffix in documented for right in rights.split(", ")] == GRANTS
    assert "GRANT SELECT ON asst_store TO app;" in DOCS
    table = f"asst_test_{uuid.uuid4().hex[:12]}"
    role = f"{table}_role"
    address = f"postgresql://{role}@{POSTGRES}?asst_table={table}"
    with psycopg.connect(f"postgresql://postgres@{POSTGRES}", autocommit=True) as admin:

        def grant(grants: list[tuple[str, str]]) -> None:
            admin.execute(f"TRUNCATE {table}, {table}_history")
            admin.execute(f"REVOKE ALL ON {table}, {table}_history FROM {role}")
            for right, suffix in grants:
                admin.execute(f"GRANT {right} ON {table}{suffix} TO {role}")

        admin.execute(f"CREATE ROLE {role} LOGIN")
        try:
            write(f"postgresql://postgres@{POSTGRES}?asst_table={table}")
            assert admin.execute("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [role]).fetchone() == (False,)
            grant(GRANTS)
            write(address)
            for missing in GRANTS:
                grant([each for each in GRANTS if each != missing])
                is_refused(address)
            grant([("SELECT", "")])
            read(address)
            is_refused(address)
        finally:
            admin.execute(f"DROP TABLE IF EXISTS {table}, {table}_history")
            admin.execute(f"DROP ROLE {role}")
