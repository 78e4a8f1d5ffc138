"""Stock TinyDB next to our store, on the same machine at the same time: ours is valid and complete every time.

What stock loses is counted and printed (``pytest -rP``, or the properties of a JUnit report).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from invoke_assistants.declare.digest import digest
from invoke_assistants.errors import StoreError
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.lock import lock_store
from invoke_assistants.store.store import Store
from invoke_assistants.types import Key, Location, Record

PAYLOAD: dict[str, Any] = {"model": "m", "instructions": "Do it."}
FEW, MANY = 20, 60  # documents, in turn, where a file is rewritten again and again

# A process that takes one line of JSON after the other: what to do, with which file, and the moment to begin. What rewrites
# without end does so in a child of it, which says its id first; the child's end is told.
WORKER = """
import json, os, sys, time
from pathlib import Path
from tinydb import TinyDB
from test_stock_tinydb import insert_ours, rewrite_ours, rewrite_stock

def insert_stock(path, name):
    with TinyDB(path) as database:
        database.insert({"name": name})

print("ready", flush=True)
for line in sys.stdin:
    what, path, name, at = json.loads(line)
    while time.time() < at:
        pass
    if what.startswith("rewrite"):
        if child := os.fork():
            os.waitpid(child, 0)
            print("ended", flush=True)
            continue
        print(os.getpid(), flush=True)
    try:
        globals()[what](Path(path), name)
        print("done", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def record(number: int) -> Record:
    return Record(f"agent_{number}", Location("local", "local"), digest(PAYLOAD))


def ours(path: Path) -> Store:
    return Store(FileStorage(path), "p")


def insert_ours(path: Path, name: str) -> None:
    """Insert one record as a command does: read, change and write under the lock."""
    store = ours(path)
    with lock_store(store, "insert", lambda _: None):
        store.commit({(name, "development"): record(1)}, [(digest(PAYLOAD), PAYLOAD)])


def rewrite_ours(path: Path, _: str) -> None:
    """Write few records, many, few, and so on until killed."""
    store = ours(path)
    many: dict[Key, Record] = {(f"a{number}", "development"): record(number) for number in range(MANY)}
    extra = list(many)[FEW:]
    while True:
        with lock_store(store, "rewrite", lambda _: None):
            store.commit(many, [(digest(PAYLOAD), PAYLOAD)])
            print("wrote", flush=True)
            store.commit(forget={key: many[key].location for key in extra})


def rewrite_stock(path: Path, _: str) -> None:
    """The same with stock TinyDB, with as many bytes per document."""
    from tinydb import TinyDB

    documents = [{"name": f"a{number}", "text": "x" * 150} for number in range(MANY)]
    with TinyDB(path) as database:
        ids = database.insert_multiple(documents)
        while True:
            print("wrote", flush=True)
            database.remove(doc_ids=ids[FEW:])
            ids = ids[:FEW] + database.insert_multiple(documents[FEW:])


class Worker:
    """A process that runs WORKER."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent,
        )  # fmt: skip
        assert self.answer() == "ready"

    def send(self, what: str, path: Path, name: str = "", at: float = 0.0) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([what, str(path), name, at]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def workers() -> Iterator[Callable[[], Worker]]:
    """A function that starts workers; they end with the test."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker())
        return started[-1]

    yield start
    for worker in started:
        worker.end()


def stock_documents(path: Path) -> int:
    """The number of documents in a stock file; -1 where it is not JSON any more."""
    try:
        return sum(len(table) for table in json.loads(path.read_bytes() or b"{}").values())
    except ValueError:
        return -1


def report(record_property: Callable[[str, object], None], name: str, lost: int, rounds: int) -> None:
    record_property(name, f"{lost} of {rounds}")
    print(f"{name}: stock TinyDB lost or corrupted {lost} of {rounds}, ours 0 of {rounds}")


def test_two_processes_insert_at_the_same_moment(
    tmp_path: Path, workers: Callable[[], Worker], record_property: Callable[[str, object], None]
) -> None:
    """Our store holds both documents every time; a stock file lacks one now and then, or is broken."""
    rounds, lost = 30, 0
    pair = workers(), workers()
    for number in range(rounds):
        for kind in ("stock", "ours"):
            path = tmp_path / f"{kind}{number}.json"
            at = time.time() + 0.02
            for index, worker in enumerate(pair):
                worker.send(f"insert_{kind}", path, f"a{index}", at)
            answers = [worker.answer() for worker in pair]
            if kind == "ours":
                assert answers == ["done", "done"]
                assert {name for name, _ in ours(path).read().records} == {"a0", "a1"}
            else:
                lost += stock_documents(path) != 2
    report(record_property, "two inserts at once", lost, rounds)


def test_killed_while_rewriting(
    tmp_path: Path, workers: Callable[[], Worker], record_property: Callable[[str, object], None]
) -> None:
    """After each SIGKILL our store is in one of the two states; some stock files are broken."""
    rounds, lost = 0, 0
    chance = random.Random(1)
    worker = workers()
    while rounds < 10 or (not lost and rounds < 300):  # a comparison with nothing lost would mean nothing
        rounds += 1
        for kind in ("stock", "ours"):
            path = tmp_path / f"{kind}{rounds}.json"
            worker.send(f"rewrite_{kind}", path)
            child = int(worker.answer())
            assert worker.answer() == "wrote"
            time.sleep(chance.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            while not (said := worker.answer()).endswith("ended"):  # killed before its line break, "wrote" stands in front
                assert said == "wrote"
            if kind == "ours":
                assert len(ours(path).read().records) in (FEW, MANY)
            else:
                lost += stock_documents(path) not in (FEW, MANY)
    report(record_property, "SIGKILL while rewriting", lost, rounds)
    assert lost > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(insert: Callable[[int], object]) -> tuple[int, str]:
    """Insert one document after the other until it fails; return their number and the error."""
    for number in range(10_000):
        try:
            insert(number)
        except (OSError, StoreError) as error:
            return number, str(error)
    raise AssertionError("the disk never got full")


def test_a_full_disk(small_disk: Path, record_property: Callable[[str, object], None]) -> None:
    """Our store holds every document whose insertion succeeded; the stock file cannot be read any more."""
    from tinydb import TinyDB

    path = small_disk / "ours.json"
    store = ours(path)
    number, error = fill(
        lambda number: store.commit({(f"a{number}", "development"): record(number)}, [(digest(PAYLOAD), PAYLOAD)])
    )
    assert "No space left" in error
    assert len(store.read().records) == number > 0
    assert list(small_disk.iterdir()) == [path]
    path.unlink()

    database = TinyDB(small_disk / "stock.json")
    number, error = fill(lambda number: database.insert({"name": f"a{number}", "text": "x" * 150}))
    assert "No space left" in error
    held = stock_documents(small_disk / "stock.json")
    report(record_property, "a full disk", int(held < number), 1)
    assert held < number
    with pytest.raises(OSError, match="No space left"):
        database.close()  # what did not fit is still in its buffer
