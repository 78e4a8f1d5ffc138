"""How fast shared stores are, to the bare clients doing the same round trips: ``python benchmarks/shared_stores.py ROUNDS``.

In one process, in turn. Each round opens a connection, reads the document of 50 assistants in two environments, or reads it and
replaces it, and closes the connection. Prints each figure as a line of JSON. The servers are those of the tests; a kind
without one is skipped.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

ASSISTANTS = 50
GOAL = 1.3
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
            assert client.register_script(SCRIPT)(keys=[key, f"{key}:history"], args=[version or b"", new])


def bare_postgresql(address: str, new: bytes | None) -> None:
    """Read with psycopg; where there is a new document, replace it with one statement."""
    import psycopg

    url, _, table = address.partition("?asst_table=")
    look = f"SELECT document, version FROM {table} WHERE project = 'bench'"
    change = (
        f"WITH changed AS (UPDATE {table} SET document = %s, version = version + 1 WHERE project = 'bench' AND"
        f" version = %s RETURNING version), kept AS (INSERT INTO {table}_history (project, version, document,"
        f" replaced_at) SELECT project, version, document, now() FROM {table} WHERE project = 'bench'), trimmed AS ("
        f" DELETE FROM {table}_history WHERE version IN (SELECT version FROM {table}_history"
        " ORDER BY version DESC OFFSET 19))"
        " SELECT version FROM changed"
    )
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        found = connection.execute(look.encode()).fetchone()
        assert found
        if new is not None:
            assert connection.execute(change.encode(), [new.decode(), found[1]]).fetchone()


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


def measure(kind: str, place: Any) -> None:
    """Print the figures of a place of a kind, reading and in a transaction."""
    with closing(place.open("bench")) as store:
        store.commit(*content())
    document: bytes = place.content("bench")

    def ours(new: bytes | None) -> None:
        with closing(place.storage("bench")) as storage:
            stored = storage.load()
            if new is not None:
                storage.compare_and_set(new, stored.version, keep=True)

    for what in ("read", "transaction"):
        pairs = []
        for number in range(int(sys.argv[1])):
            new: list[bytes | None] = [None, None]
            if what == "transaction":
                new = [document.replace(b"agent_development_0", f"agent_{number}_{side}".encode()) for side in "ab"]
            mine = milliseconds(partial(ours, new[0]))
            pairs.append((mine, milliseconds(partial(BARE[kind], place.address, new[1]))))
        ratios = [one / other for one, other in pairs]
        shown = [f"{statistics.median(column):.1f} ms" for column in zip(*pairs, strict=True)]
        row = {
            "part": "stores", "name": f"{kind}: {what} of {len(document) // 1000} kB, to the bare client", "unit": "×",
            "value": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "goal": GOAL, "ours": shown[0],
            "floor": shown[1],
        }  # fmt: skip
        print(json.dumps(row), flush=True)


def content() -> tuple[Any, Any]:
    """The records and payloads of a store."""
    from invoke_assistants.declare.digest import digest
    from invoke_assistants.types import Location, Record

    here = Location("local", "local")
    payloads = [{"model": "m", "instructions": f"Do it. {'Well. ' * 100} {number}", "text": {}} for number in range(ASSISTANTS)]
    records = {
        (f"a{number}", environment): Record(f"agent_{environment}_{number}", here, digest(payload))
        for number, payload in enumerate(payloads)
        for environment in ("development", "production")
    }
    return records, [(digest(payload), payload) for payload in payloads]


def main() -> None:
    """Measure each kind that has a server."""
    from places import SHARED, missing, place  # type: ignore[import-not-found]

    for kind in SHARED:
        if why := missing(kind):
            print(f"{kind}: skipped, {why}", file=sys.stderr)
            continue
        with place(kind) as found:
            measure(kind, found)


if __name__ == "__main__":
    main()
