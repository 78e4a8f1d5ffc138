"""How fast shared stores are, against the bare clients doing the same round trips: ``python benchmarks/stores.py``.

In one process, in turn, medians over the rounds. Each round opens a connection, reads the document of 50 assistants in two
environments, or reads it and replaces it, and closes the connection. The last column is what ``Store.read`` takes as a whole:
the same round trip, and the parsing and checking of every record and payload. The servers are those of the tests; a kind without
one is skipped.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

ROUNDS = 60
ASSISTANTS = 50
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
SCRIPT = """
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return false end
redis.call('LPUSH', KEYS[2], redis.call('HGET', KEYS[1], 'document'))
redis.call('LTRIM', KEYS[2], 0, 19)
redis.call('HSET', KEYS[1], 'document', ARGV[2], 'version', tostring(tonumber(ARGV[1]) + 1))
return 1
"""


def bare_redis(address: str, new: bytes | None) -> None:
    """Read with redis-py; where there is a new document, replace it with one script."""
    import redis

    url, _, key = address.partition("?key=")
    with redis.Redis.from_url(url) as client:
        _, version = client.hmget(key, "document", "version")
        if new is not None:
            assert client.register_script(SCRIPT)(keys=[key, f"{key}:history"], args=[version, new])


def bare_postgresql(address: str, new: bytes | None) -> None:
    """Read with psycopg; where there is a new document, replace it with one statement."""
    import psycopg

    url, _, table = address.partition("?asst_table=")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        found = connection.execute(f"SELECT document, version FROM {table} WHERE project = 'bench'").fetchone()
        assert found
        if new is not None:
            changed = connection.execute(
                f"WITH changed AS (UPDATE {table} SET document = %s, version = version + 1 WHERE project = 'bench' AND"
                f" version = %s RETURNING version), kept AS (INSERT INTO {table}_history (project, version, document,"
                f" replaced_at) SELECT project, version, document, now() FROM {table} WHERE project = 'bench'), trimmed AS ("
                f" DELETE FROM {table}_history WHERE version IN (SELECT version FROM {table}_history"
                " ORDER BY version DESC OFFSET 19))"
                " SELECT version FROM changed",
                [new.decode(), found[1]],
            )
            assert changed.fetchone()


def bare_s3(address: str, new: bytes | None) -> None:
    """Read with obstore; where there is a new document, keep the old one under the next number and replace it."""
    import obstore
    from obstore.store import S3Store

    bucket, key = address.removeprefix("s3://").split("/", 1)
    client = S3Store(bucket, client_options={"allow_http": True})
    found = obstore.get(client, key)
    document = found.bytes()
    if new is not None:
        numbers = [int(each["path"].rpartition("/")[2]) for each in obstore.list(client, f"{key}.history/").collect()]
        number = max(numbers, default=0) + 1
        obstore.put(client, f"{key}.history/{number}", document, mode="create")
        obstore.put(client, key, new, mode={"e_tag": found.meta["e_tag"]})
        if number > 20:
            obstore.delete(client, f"{key}.history/{number - 20}")


BARE: dict[str, Callable[[str, bytes | None], None]] = {"redis": bare_redis, "postgresql": bare_postgresql, "s3": bare_s3}


def milliseconds(work: Callable[[], object]) -> float:
    """The wall time of one call, in milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Print a row for each kind, reading and in a transaction."""
    from places import SHARED, missing, place

    from invoke_assistants.declare.digest import digest
    from invoke_assistants.types import Location, Record

    here = Location("local", "local")
    payloads = [{"model": "m", "instructions": f"Do it. {'Well. ' * 100} {number}", "text": {}} for number in range(ASSISTANTS)]
    records = {
        (f"a{number}", environment): Record(f"agent_{environment}_{number}", here, digest(payload))
        for number, payload in enumerate(payloads)
        for environment in ("development", "production")
    }
    print(f"{'':<44} {'ours':>9}  {'floor':>9}  {'':>10}  {'as a whole':>11}")
    for kind in SHARED:
        if why := missing(kind):
            print(f"{kind}: skipped, {why}")
            continue
        with place(kind) as found:
            with closing(found.open("bench")) as store:
                store.commit(records, [(digest(payload), payload) for payload in payloads])
            content = found.content("bench") or b""

            def ours(new: bytes | None) -> None:
                with closing(found.storage("bench")) as storage:
                    stored = storage.load()
                    if new is not None:
                        storage.compare_and_set(new, stored.version, keep=True)

            def whole() -> None:
                with closing(found.open("bench")) as store:
                    store.read()

            for what in ("read", "transaction"):
                pairs = []
                for number in range(ROUNDS):
                    one, other = (
                        [content.replace(b"agent_development_0", f"agent_{number}_{side}".encode()) for side in "ab"]
                        if what == "transaction"
                        else (None, None)
                    )
                    mine = milliseconds(lambda new=one: ours(new))
                    pairs.append((mine, milliseconds(lambda new=other: BARE[kind](found.address, new))))  # noqa: B023
                medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
                ratio = statistics.median(one / other for one, other in pairs)
                last = f"{statistics.median(milliseconds(whole) for _ in range(ROUNDS)):8.1f} ms" if what == "read" else ""
                name = f"{kind}: {what}, {len(content) // 1000} kB"
                print(f"{name:<44} {medians[0]:6.2f} ms  {medians[1]:6.2f} ms  ratio {ratio:.2f}  {last}", flush=True)


if __name__ == "__main__":
    main()
