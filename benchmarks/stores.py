"""How fast shared stores are read and written, against the bare clients doing the same: ``python benchmarks/stores.py``.

Whole processes, in turn, medians over the rounds: each connects, makes the same round trips and parses the document of 50
assistants in two environments. The servers are those of the tests; a kind without one is skipped, and said.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 9
ASSISTANTS = 50
TESTS = str(Path(__file__).parents[1] / "tests")
sys.path.insert(0, TESTS)

OURS = """
import sys
from invoke_assistants.store.connect import open_storage
from invoke_assistants.store.store import Store
from invoke_assistants.store.url import StoreURL
from invoke_assistants.types import Location, Record
store = Store(open_storage(StoreURL.parse(sys.argv[1], "bench"), "bench"), "bench")
if sys.argv[2] == "read":
    assert len(store.read().records) == 100
else:
    state = store.read()
    record = state.records["a0", "development"]
    new = Record("agent_" + sys.argv[3], record.location, record.digest)
    store.commit({("a0", "development"): new}, [])
store.close()
"""
CHANGE = """
tables = json.loads(document)
tables["assistants"]["a0"]["development"]["id"] = "agent_" + sys.argv[3]
new = json.dumps(tables, indent=2, ensure_ascii=False)
"""
BARE = {
    "redis": (
        """
import json, sys
import redis
url, _, key = sys.argv[1].partition("?key=")
client = redis.Redis.from_url(url)
document, version = client.hmget(key, "document", "version")
json.loads(document)
""",
        """
document, version = client.hmget(key, "document", "version")
"""
        + CHANGE
        + """
script = client.register_script('''
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return false end
redis.call('LPUSH', KEYS[2], redis.call('HGET', KEYS[1], 'document'))
redis.call('LTRIM', KEYS[2], 0, 19)
redis.call('HSET', KEYS[1], 'document', ARGV[2], 'version', tostring(tonumber(ARGV[1]) + 1))
return 1''')
assert script(keys=[key, key + ":history"], args=[version, new])
""",
    ),
    "postgresql": (
        """
import json, sys
import psycopg
url, _, table = sys.argv[1].partition("?asst_table=")
connection = psycopg.connect(url, autocommit=True)
read = f"SELECT document, version FROM {table} WHERE project = 'bench'"
document, version = connection.execute(read).fetchone()
json.loads(document)
""",
        """
document, version = connection.execute(read).fetchone()
"""
        + CHANGE
        + """
changed = connection.execute(
    f"WITH changed AS (UPDATE {table} SET document = %s, version = version + 1 WHERE project = 'bench' AND version = %s"
    f" RETURNING version), kept AS (INSERT INTO {table}_history SELECT project, version, document, now() FROM {table}"
    " WHERE project = 'bench') SELECT version FROM changed", [new, version])
assert changed.fetchone()
connection.close()
""",
    ),
    "s3": (
        """
import json, os, sys
import obstore
from obstore.store import S3Store
_, _, bucket, key = sys.argv[1].split("/", 3)
client = S3Store(bucket, client_options={"allow_http": True})
found = obstore.get(client, key)
document = bytes(found.bytes())
json.loads(document)
""",
        """
found = obstore.get(client, key)
document = bytes(found.bytes())
"""
        + CHANGE
        + """
numbers = [int(each["path"].rpartition("/")[2]) for each in obstore.list(client, key + ".history/").collect()]
obstore.put(client, f"{key}.history/{max(numbers, default=0) + 1}", document, mode="create")
if len(numbers) >= 20:
    obstore.delete(client, f"{key}.history/{min(numbers)}")
obstore.put(client, key, new.encode(), mode={"e_tag": found.meta["e_tag"]})
""",
    ),
}


def seconds(program: str, args: list[str], env: dict[str, str]) -> float:
    """The wall time of one process, in seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *args], env=env, check=True)
    return time.perf_counter() - started


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
    print(f"{'':<58} {'ours':>8}  {'floor':>8}")
    for kind in SHARED:
        if why := missing(kind):
            print(f"{kind}: skipped, {why}")
            continue
        with place(kind) as found:
            store = found.open("bench")
            store.commit(records, [(digest(payload), payload) for payload in payloads])
            size = len(json.dumps(store.tables()))
            store.close()
            env = {**os.environ, **found.env}
            reading, writing = BARE[kind]
            for what, floor in (("read", reading), ("transaction", reading + writing)):
                pairs = []
                for number in range(ROUNDS):
                    args = [found.address, what, str(number)]
                    pairs.append((seconds(OURS, args, env), seconds(floor, [*args[:2], f"bare{number}"], env)))
                medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
                ratio = statistics.median(one / other for one, other in pairs)
                name = f"{kind}: {what}, {size // 1000} kB / the bare client"
                print(f"{name:<58} {medians[0]:6.2f} s  {medians[1]:6.2f} s  ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
