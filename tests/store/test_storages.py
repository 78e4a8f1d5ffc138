"""What holds for every kind of place that a store is kept in, with real servers and real faults of the network."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from places import KINDS, POSTGRES, REDIS, SHARED, Place, RedisServer, missing, moto, place
from proxy import Proxy

from invoke_assistants.declare.digest import digest
from invoke_assistants.errors import SettingsError, StoreError
from invoke_assistants.store import deadline
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.storage import Conflict, Storage, Stored, Unreachable
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL
from invoke_assistants.types import Edits, Location, Record

HERE = Location("local", "local")
PAYLOAD = {"model": "m", "instructions": "Grüße ✓"}
SECRET = "pä:s/s@#?%w"


def kinds(names: tuple[str, ...]) -> list[object]:
    skips = {name: missing(name) for name in names}
    return [pytest.param(name, marks=[pytest.mark.skip(reason=why)] if (why := skips[name]) else []) for name in names]


@pytest.fixture(params=kinds(KINDS))
def anywhere(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(request.param) as found:
        yield found


@pytest.fixture(params=kinds(SHARED))
def shared(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place(request.param) as found:
        yield found


@pytest.fixture
def storage(anywhere: Place) -> Iterator[Storage]:
    with closing(anywhere.storage()) as found:
        yield found


def record(number: int = 1) -> Record:
    return Record(f"agent_{number}", HERE, digest(PAYLOAD))


def put(store: Store, name: str, number: int = 1) -> None:
    store.commit({(name, "development"): record(number)}, [(digest(PAYLOAD), PAYLOAD)])


def test_a_document_is_kept_byte_for_byte(storage: Storage) -> None:
    """What is written is read, whatever it holds; each write gives another version, which the next one must name."""
    assert storage.load() == Stored(None, None)
    version: str | None = None
    for content in (b"{}\n", 'Grüße ✓ \\u0000 \\ " %s {} \t\n'.encode(), b"x"):
        before, version = version, storage.compare_and_set(content, version, keep=True)
        assert storage.load() == Stored(content, version)
        assert version != before


def test_a_version_that_is_gone_is_a_conflict(anywhere: Place, storage: Storage) -> None:
    """Of two that make the first document, and of two that replace the same one, the second writes nothing."""
    with closing(anywhere.storage()) as other:
        other.load()
        first = storage.compare_and_set(b"first", None, keep=True)
        with pytest.raises(Conflict):
            other.compare_and_set(b"other", None, keep=True)
        other.load()
        storage.compare_and_set(b"second", first, keep=True)
        with pytest.raises(Conflict):
            other.compare_and_set(b"other", first, keep=True)
        assert storage.load().content == b"second"


def test_no_update_is_lost(shared: Place) -> None:
    """8 writers count to 8 each, all at once: none of the 64 steps is lost."""
    with closing(shared.storage()) as first:
        first.compare_and_set(b"0", None, keep=False)
    errors: list[BaseException] = []

    def count() -> None:
        try:
            with closing(shared.storage()) as storage:
                for _ in range(8):
                    while True:
                        stored = storage.load()
                        try:
                            storage.compare_and_set(str(int(stored.content or b"") + 1).encode(), stored.version, keep=False)
                            break
                        except Conflict:
                            pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    with closing(shared.storage()) as last:
        assert last.load().content == b"64"


def test_the_last_revisions_are_kept(shared: Place) -> None:
    """Each document that a write replaces is kept, newest first, 20 of them; a write that keeps none adds none."""
    with closing(shared.storage()) as storage:
        assert storage.revisions() == []
        version = None
        for number in range(24):
            version = storage.compare_and_set(f"ä{number}".encode(), version, keep=True)
        version = storage.compare_and_set(b"lock", version, keep=False)
        found = storage.revisions()
        assert [each.content.decode() for each in found] == [f"ä{number}" for number in range(22, 2, -1)]
        assert [each.number for each in found] == sorted((each.number for each in found), reverse=True)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", each.replaced_at) for each in found)
        assert storage.load_revision(found[3].number) == found[3].content
        assert storage.load_revision(found[0].number + 1000) is None


def test_a_document_of_more_than_5_mb(storage: Storage) -> None:
    """A large document is written, replaced and read like a small one."""
    large = os.urandom(3_000_000).hex().encode()
    version = storage.compare_and_set(large, None, keep=True)
    version = storage.compare_and_set(large + b"!", version, keep=True)
    assert storage.load() == Stored(large + b"!", version)


@pytest.mark.parametrize("kind", kinds(SHARED))
def test_two_projects_side_by_side(kind: str) -> None:
    """On one server, under the default addresses, two projects have a store each."""
    with place(kind) as found:
        names = [f"{kind}-{uuid.uuid4().hex[:12]}" for _ in range(2)]
        address = found.address.partition("?")[0] if kind == "redis" else found.address
        address = "/".join(address.split("/")[:3]) if kind == "s3" else address
        url = StoreURL.parse(address, "ASST_STORE")
        stores = [Store(open_storage(url, name), name) for name in names]
        for store in stores:
            put(store, store.owner)
        assert [{key[0] for key in store.read().records} for store in stores] == [{name} for name in names]
        for store in stores:
            store.close()
        if kind == "redis":
            import redis

            with redis.Redis.from_url(REDIS) as client:
                assert client.delete(*(f"asst:{name}" for name in names)) == 2


def test_the_document_is_the_files(anywhere: Place, tmp_path: Path) -> None:
    """The same records make the same bytes in every kind of place; what was read is not written again."""
    file = Place("file", str(tmp_path / "s.json")).open()
    store = anywhere.open()
    for each in (file, store):
        put(each, "a")
        put(each, "b", 2)
    texts = [re.sub(rb'"id": "[0-9a-f]{32}"', b"", each.storage.load().content or b"") for each in (file, store)]
    assert texts[0] == texts[1]
    before = store.storage.load()
    put(store, "b", 2)
    assert store.storage.load() == before
    store.close()


NOT_OURS = [
    b"", b"[]", b"null", b"{}", b'{"assistants": {}}', b"\xff", b'{"store": {"format": {"project": "p", "version": 2}}}',
    b'{"store": {"format": {"project": "q", "version": 1}}}', b'{"a": {}, "a": {}}', b'{"a": NaN}', b"<<<<<<< ours\n",
    b'{"store": {"format": {"project": "p", "version": 1}, "lineage": {"id": "x"}}}', b"[" * 100_000,
]  # fmt: skip


def test_what_is_not_ours_is_refused_and_left(anywhere: Place) -> None:
    """A document that is none of this project's, or of a newer version, is refused with its place, by reading and by writing."""
    with closing(anywhere.storage()) as storage:
        version = storage.compare_and_set(b"x", None, keep=False)
        for content in NOT_OURS:
            if anywhere.kind == "postgresql" and content == b"\xff":
                continue  # its text is UTF-8 always
            version = storage.compare_and_set(content, version, keep=False)
            store = anywhere.open()
            for use in (store.read, lambda store=store: put(store, "a")):
                with pytest.raises(StoreError) as caught:
                    use()
                assert str(caught.value).startswith(storage.label)
                assert not isinstance(caught.value, Unreachable)
            store.close()
            assert storage.load() == Stored(content, version)


def test_a_lost_race_is_read_again(anywhere: Place) -> None:
    """Where another write comes between, the transaction reads again: both results are there."""
    store, other = anywhere.open(), anywhere.open()
    put(store, "first")
    came: list[bool] = []

    def decide(_: object) -> object:
        if not came:
            came.append(True)
            put(other, "between", 2)
        return Edits({("mine", "development"): record(3)})

    store.transact(decide, [(digest(PAYLOAD), PAYLOAD)])  # type: ignore[arg-type]
    assert {name for name, _ in store.read().records} == {"first", "between", "mine"}
    store.close()
    other.close()


def proxied(found: Place, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same place through a proxy."""
    if found.kind == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        return found
    port = urlsplit(found.address).port
    return Place(found.kind, found.address.replace(f":{port}", f":{proxy.port}"))


def port_of(found: Place) -> int:
    address = found.env["AWS_ENDPOINT_URL"] if found.kind == "s3" else found.address
    port = urlsplit(address).port
    assert port
    return port


@pytest.mark.parametrize("half", ["request", "answer"])
def test_a_connection_that_is_cut_in_a_write(shared: Place, half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write whose request or answer is lost is unknown to the storage; the store settles it by reading, and loses nothing."""
    with closing(shared.storage()) as direct, Proxy(port_of(shared)) as proxy:
        behind = proxied(shared, proxy, monkeypatch)
        store = behind.open()
        put(store, "first")
        with lock_store(store, "run", print):
            proxy.cut(half, marker=b"agent_2")
            put(store, "second", 2)
            assert proxy.cuts == 1
        assert {name for name, _ in store.read().records} == {"first", "second"}
        store.close()
        assert b'"lock"' not in (direct.load().content or b"")
        contents = [each.content for each in direct.revisions()]
        assert len(contents) == len(set(contents))


@pytest.mark.parametrize("kind", kinds(("redis", "postgresql")))
def test_an_answer_that_is_lost_is_unknown(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage itself raises ``Unreachable`` where the answer of a write is lost, though it was carried out."""
    with place(kind) as found, closing(found.storage()) as direct, Proxy(port_of(found)) as proxy:
        with closing(proxied(found, proxy, monkeypatch).storage()) as storage:
            version = storage.compare_and_set(b"one", None, keep=True)
            proxy.cut("answer", marker=b"two")
            with pytest.raises(Unreachable):
                storage.compare_and_set(b"two", version, keep=True)
        assert direct.load().content == b"two"


@pytest.mark.parametrize("how", ["silent", "drip"])
def test_a_server_that_says_nothing(shared: Place, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing, or a byte now and then, is given up in time."""
    monkeypatch.setattr(deadline, "CONNECT", 0.6)
    monkeypatch.setattr(deadline, "OPERATION", 1.0)
    with Proxy(port_of(shared)) as proxy:
        proxy.stall(how)
        with closing(proxied(shared, proxy, monkeypatch).storage()) as storage:
            began = time.monotonic()
            with pytest.raises(Unreachable):
                storage.load()
            assert time.monotonic() - began < 4


def test_nobody_listens(shared: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that nobody listens on is one line, at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    address = shared.address if shared.kind == "s3" else shared.address.replace(f":{port_of(shared)}", f":{port}")
    with closing(Place(shared.kind, address).storage()) as storage, pytest.raises(Unreachable) as caught:
        storage.load()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(storage.label)


@pytest.mark.skipif(missing("postgresql") is not None, reason=str(missing("postgresql")))
def test_postgresql_ends_the_connection() -> None:
    """A connection that the server has ended since is unreachable once, and opened anew."""
    import psycopg

    with place("postgresql") as found, closing(found.storage()) as storage:
        version = storage.compare_and_set(b"one", None, keep=True)
        with psycopg.connect(POSTGRES, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'invoke-assistants' AND pid <> pg_backend_pid() AND query LIKE %s",
                [f"%{urlsplit(found.address).query.partition('=')[2]}%"],
            )
        with pytest.raises(Unreachable):
            storage.load()
        assert storage.load() == Stored(b"one", version)


def test_redis_restarts(tmp_path: Path) -> None:
    """A server that restarted between two operations is unreachable once at most, and asked anew."""
    server = RedisServer(tmp_path / "redis")
    with closing(Place("redis", f"{server.url}?key=k").storage()) as storage:
        version = storage.compare_and_set(b"one", None, keep=True)
        server.stop()
        with pytest.raises(Unreachable) as caught:
            storage.load()
        server.start()
        assert storage.load() == Stored(b"one", version)
        server.stop()
    assert "canary-secret" not in str(caught.value)


def told(address: str) -> str:
    """The one line that a place is refused with, which is not taken for a server that does not answer."""
    url = StoreURL.parse(address, "ASST_STORE")
    with closing(open_storage(url, "p")) as storage:
        with pytest.raises(StoreError) as caught:
            storage.load()
        assert not isinstance(caught.value, Unreachable)
        found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in found.stack if "invoke_assistants" in frame.filename]  # those of a test hold the address
    assert ours
    shown = "".join(str(frame.locals) for frame in ours) + str(caught.value) + repr(url) + str(url)
    for spelling in (SECRET, quote(SECRET), quote(SECRET, safe=""), "w%25"):
        assert spelling not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_wrong_password_and_missing_rights_on_redis(tmp_path: Path) -> None:
    """What Redis refuses is one line without the password: the password, a command, a key of another type, an option."""
    import redis

    server = RedisServer(tmp_path / "redis")
    at, password = server.url.partition("@")[2], quote(SECRET, safe="")
    assert "refused: " in told(f"redis://:{password}@{at}")
    with redis.Redis.from_url(server.url) as client:
        client.set("other", "x")
        client.execute_command("ACL", "SETUSER", "weak", "on", f">{SECRET}", "~asst:*", "+get")
    assert "hmget" in told(f"redis://weak:{password}@{at}?key=asst:p")
    assert "WRONGTYPE" in told(f"{server.url}?key=other")
    told(f"{server.url}?password={password}&socket_timeout=x")
    server.stop()


@pytest.mark.skipif(missing("postgresql") is not None, reason=str(missing("postgresql")))
def test_what_postgresql_refuses() -> None:
    """What PostgreSQL refuses is one line without the password: user, database, right, table of another form, option."""
    import psycopg

    password, name = quote(SECRET, safe=""), f"asst_test_{uuid.uuid4().hex[:12]}"
    server = "127.0.0.1:5432/postgres"
    assert "does not exist" in told(f"postgresql://nobody_{name}:{password}@{server}")
    assert "does not exist" in told(f"postgresql://postgres:{password}@127.0.0.1:5432/no_{name}")
    told(f"postgresql://postgres@{server}?sslmode=nonsense&password={password}")
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE TABLE {name} (project text)")
        admin.execute(f"CREATE ROLE {name} LOGIN")
        try:
            assert "document" in told(f"postgresql://postgres@{server}?asst_table={name}")
            admin.execute(f"ALTER TABLE {name} ADD COLUMN document text, ADD COLUMN version bigint")
            assert "permission denied for table" in told(f"postgresql://{name}@{server}?asst_table={name}")
        finally:
            admin.execute(f"DROP TABLE {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("table", ["a b", 'a"b', "a;drop", "1a", "a.b.c", "x" * 56, "ä"])
def test_a_table_is_an_identifier(table: str) -> None:
    """What is not an identifier is refused before anything is sent."""
    with pytest.raises(SettingsError, match="asst_table must be TABLE or SCHEMA"):
        open_storage(StoreURL.parse(f"{POSTGRES}?asst_table={quote(table)}", "ASST_STORE"), "p")


def test_what_s3_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there, and http to another machine, are one line each."""
    with place("s3"):
        assert "there is no bucket nowhere: make it first" in told("s3://nowhere/k.json")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example")
        assert "AWS_ENDPOINT_URL is http to another machine" in told_setting("s3://stores/k.json")


def told_setting(address: str) -> str:
    with closing(open_storage(StoreURL.parse(address, "ASST_STORE"), "p")) as storage:
        with pytest.raises(SettingsError) as caught:
            storage.load()
        return str(caught.value)


def test_two_first_writers_make_the_tables() -> None:
    """8 first writers on a database without the tables: one makes the document, nobody fails otherwise."""
    if why := missing("postgresql"):
        pytest.skip(why)
    results: list[object] = []
    with place("postgresql") as found:

        def write() -> None:
            with closing(found.storage()) as storage:
                try:
                    results.append(storage.compare_and_set(b"x", None, keep=True))
                except Exception as error:
                    results.append(type(error))

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(map(str, results)) == ["1", *[str(Conflict)] * 7]


def test_the_least_rights_on_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the policy that docs/how-to/shared-stores.md names, a user can do all with one store, and nothing with another one.

    moto judges the deletion of several objects by the bucket, where Amazon judges it by each object: so the bucket is added.
    """
    import boto3

    docs = (Path(__file__).parents[2] / "docs" / "how-to" / "shared-stores.md").read_text()
    policy = docs.partition("```json\n")[2].partition("```")[0]
    history = '"arn:aws:s3:::team-bucket/assistants_store/quiz.json.history/*"'
    assert history in policy
    with moto(INITIAL_NO_AUTH_ACTION_COUNT="4") as endpoint:
        options = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
        boto3.client("s3", **options).create_bucket(Bucket="team-bucket")
        iam = boto3.client("iam", **options)
        iam.create_user(UserName="deployer")
        document = policy.replace(history, f'[{history}, "arn:aws:s3:::team-bucket"]')
        iam.put_user_policy(UserName="deployer", PolicyName="store", PolicyDocument=document)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        store = Store(open_storage(StoreURL.parse("s3://team-bucket/assistants_store/quiz.json", "ASST_STORE"), "p"), "p")
        with lock_store(store, "run", print):
            for number in range(25):
                put(store, "a", number)
        assert len(store.storage.revisions()) == 20
        store.close()
        other = Store(open_storage(StoreURL.parse("s3://team-bucket/other.json", "ASST_STORE"), "p"), "p")
        with pytest.raises(StoreError, match="refused: "):
            put(other, "a")
        other.close()


@pytest.mark.parametrize(
    ("address", "driver", "extra"),
    [
        ("redis://h", "redis", "redis"),
        ("rediss://h", "redis", "redis"),
        ("postgresql://h/d", "psycopg", "postgres"),
        ("s3://b", "obstore", "s3"),
    ],
)
def test_a_driver_that_is_not_installed(address: str, driver: str, extra: str) -> None:
    """Without its driver, a URL is one line with the pip command; a file needs none of them."""
    program = f"""
        import sys
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("redis", "psycopg", "obstore"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Absent())
        import invoke_assistants.commands, invoke_assistants.ask.ask
        from pathlib import Path
        from invoke_assistants.errors import SettingsError
        from invoke_assistants.store.connect import open_storage
        from invoke_assistants.store.url import StoreURL
        open_storage(Path("s.json"), "p")
        try:
            open_storage(StoreURL.parse({address!r}, "ASST_STORE"), "p")
        except SettingsError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    scheme = address.partition(":")[0]
    expected = f"a store at {scheme}:// needs the driver {driver}: pip install 'invoke-assistants[{extra}]'"
    assert result.stdout.strip() == expected


def test_nothing_is_left_after_a_close(shared: Place) -> None:
    """A closed storage has no thread and no connection; it opens one again where it is used again. One thread waits for the next
    call of any storage."""
    before = set(threading.enumerate())
    for _ in range(2):
        storages = [shared.storage(), shared.storage()]
        for storage in storages:
            storage.load()
        for storage in storages:
            storage.close()
        assert len([each for each in threading.enumerate() if each not in before and each.name == "store-call"]) <= 1


@pytest.mark.skipif(missing("redis") is not None, reason=str(missing("redis")))
def test_revisions_that_an_earlier_version_kept_in_redis() -> None:
    """An entry that holds its document as a text in its JSON is read beside those that hold its bytes."""
    import redis

    with place("redis") as found, closing(found.storage()) as storage:
        version = storage.compare_and_set("ä1\n".encode(), None, keep=True)
        url, _, key = found.address.partition("?key=")
        with redis.Redis.from_url(url) as client:
            client.lpush(f"{key}:history", json.dumps({"version": "0", "replaced_at": "then", "document": "ä0\n"}))
        storage.compare_and_set(b"two", version, keep=True)
        assert [(each.number, each.content.decode()) for each in storage.revisions()] == [(1, "ä1\n"), (0, "ä0\n")]
        assert storage.load_revision(0) == "ä0\n".encode()
        with redis.Redis.from_url(url) as client:
            client.lpush(f"{key}:history", b"[]")
        with pytest.raises(StoreError, match="history is not ours"):
            storage.revisions()
