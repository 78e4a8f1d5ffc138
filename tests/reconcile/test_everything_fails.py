"""The way SQLite tests: the first, the second, … request or file operation of a command fails, until one run meets none.

After each failed run the store is valid, every id in it exists, and everything made is recorded, open or reported. One
more run, undisturbed, then settles everything.
"""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from conftest import Host
from loopback import Fault, Loopback, Seen
from test_faults import invariant

from invoke_assistants import AsstError, commands
from invoke_assistants.reconcile.timing import Timing
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.store import Store

ONE = 'from invoke_assistants import Assistant\nASSISTANTS = [Assistant("one", model="m", instructions="Take 0.")]'
HASTY = Timing(grace=0.4, unknown=0.2, again=0.05, interrupt=1.0, flush=0.1)
MANY = 200  # more than any of these runs needs: the loops end by themselves


@dataclass
class World:
    """One assistant in two environments, and how often their code was edited."""

    host: Host
    server: Loopback
    edits: int = 0

    def nothing(self) -> None:
        """Nothing is made or recorded."""
        for id in self.server.agents():
            self.server.call("DELETE", f"/agents/{id}")
        self.host.path.unlink(missing_ok=True)

    def made(self) -> None:
        """Everything is made and in sync."""
        commands.create(self.host.root, timing=HASTY)
        self.server.seen.clear()

    def edited(self) -> None:
        """Everything is made and in sync, then the code is edited."""
        if not self.host.path.exists():
            commands.create(self.host.root, timing=HASTY)
        self.host.edit(f"Take {self.edits}.", f"Take {self.edits + 1}.")
        self.edits += 1

    def written(self, *environments: str) -> None:
        """The instances in these environments are as the code says."""
        agents = self.server.agents()
        texts = {agents[id]["instructions"] for (_, where), id in self.host.ids().items() if where in environments}
        assert texts == {f"Take {self.edits}."}


@dataclass(frozen=True)
class Verb:
    """A command: what it begins with, the call, and what it has done when it has ended well."""

    name: str
    before: Callable[[World], None]
    act: Callable[[World], Any]
    after: Callable[[World], None]
    left: int = 2  # instances at the end


VERBS = [
    Verb(
        "create",
        World.nothing,
        lambda world: commands.create(world.host.root, timing=HASTY),
        lambda world: world.written("development", "production"),
    ),
    Verb(
        "update",
        World.edited,
        lambda world: commands.update(world.host.root, timing=HASTY),
        lambda world: world.written("development"),
    ),
    Verb(
        "deploy",
        World.edited,
        lambda world: commands.deploy(world.host.root, timing=HASTY),
        lambda world: world.written("development", "production"),
    ),
    Verb(
        "delete",
        World.made,
        lambda world: commands.delete(world.host.root, env="production", yes=True, timing=HASTY),
        lambda world: world.written("development"),
        left=1,
    ),
]
each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


@pytest.fixture
def world(host: Host, server: Loopback) -> World:
    host.declare(ONE)
    return World(host, server)


def attempt(verb: Verb, world: World) -> str:
    """Run a command that may fail, though only with an error of ours; what it reported."""
    try:
        verb.act(world)
    except AsstError as error:
        return f"{error} {[(row.id, row.error) for row in error.rows]}"
    return ""


def nothing_is_lost(world: World, reported: str) -> None:
    """The store is valid; every id in it exists remotely or is being deleted; what exists is recorded, open, or reported."""
    store = Store(FileStorage(world.host.path), "host").read()
    agents = world.server.agents()
    ids = {record.id for record in store.records.values()}
    deleting = {store.records[key].id for (key, _), intent in store.pending.items() if intent.kind == "delete"}
    assert ids - deleting <= agents.keys()
    nonces = {intent.nonce for intent in store.pending.values()}
    for id, agent in agents.items():
        assert id in ids or agent["metadata"]["asst.nonce"] in nonces or id in reported, (id, reported)


def play(verb: Verb, world: World, number: int, disturbed: Callable[[], Any]) -> None:
    """A disturbed run, then an undisturbed one; nothing is lost after the first, nothing is open after the second."""
    reported = disturbed()
    nothing_is_lost(world, reported)
    world.server.faults.clear()
    verb.act(world)
    verb.after(world)
    invariant(world.host, world.server, verb.left)
    deleted = {seen.path for seen in world.server.seen if seen.method == "DELETE"}
    assert len(deleted) <= 2 - verb.left, f"at {number}"


def fail_request(server: Loopback, number: int, fault: Fault) -> list[Seen]:
    """Let the ``number``-th request from now on meet a fault; the list that is returned holds it once it did."""
    met: list[Seen] = []
    count = iter(range(1, 10_000))
    lock = threading.Lock()

    def decide(seen: Seen) -> Fault | None:
        with lock:
            mine = next(count) == number
        if mine:
            met.append(seen)
        return fault if mine else None

    server.faults.append(decide)
    return met


FAULTS = {
    "reset before": Fault(reset=True),
    "reset after": Fault(after=True, reset=True),
    "500 after": Fault(after=True, status=500),
}


@each_verb
@pytest.mark.parametrize("kind", FAULTS)
def test_each_request_fails_in_turn(world: World, verb: Verb, kind: str) -> None:
    """Whichever request is not answered, done or not: nothing is lost, and the next run settles it."""
    for number in range(1, MANY):
        verb.before(world)
        met = fail_request(world.server, number, FAULTS[kind])
        play(verb, world, number, lambda: attempt(verb, world))
        if not met:
            break
    assert number > 2  # a look and a write at the least


@dataclass
class Disk:
    """Counts the operations on a store's files, and fails one of them, or all from that one on.

    ``full`` is a disk without room: only what needs room fails, a write after half of it. Otherwise the disk is broken.
    """

    path: Path
    number: int
    full: bool
    lasting: bool
    count: int = 0
    failed: list[str] = field(default_factory=list)
    descriptors: set[int] = field(default_factory=set)

    def ours(self, where: Any) -> bool:
        """Whether a path or descriptor is of the store, its temporary file, its lock or its folder."""
        if isinstance(where, int):
            return where in self.descriptors
        where = Path(os.fsdecode(where))
        return where == self.path.parent or (where.parent == self.path.parent and where.name.startswith(self.path.name))

    def step(self, operation: str, where: Any, *, room: bool = False) -> None:
        """Count one operation, and let it fail where it is its turn."""
        if not self.ours(where) or (self.full and not room):
            return
        self.count += 1
        if self.count == self.number or (self.lasting and self.count > self.number):
            self.failed.append(operation)
            code = errno.ENOSPC if self.full else errno.EIO
            raise OSError(code, os.strerror(code))


class Raw(io.FileIO):
    """A file on such a disk."""

    disk: Disk

    def write(self, data: Any, /) -> int:
        """Write, or half of it and then fail."""
        try:
            self.disk.step("write", self.fileno(), room=True)
        except OSError:
            super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data) or 0

    def close(self) -> None:
        """Close; the number may soon be another file's."""
        if not self.closed:
            self.disk.descriptors.discard(self.fileno())
        super().close()


@contextmanager
def failing(disk: Disk) -> Iterator[Disk]:
    """Put the operating system's file functions on that disk for a while; paths of others are not touched."""
    real_open, real_os_open, real_close, real_write = open, os.open, os.close, os.write

    def os_open(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        disk.step("os.open", path, room=bool(flags & os.O_CREAT))
        descriptor = real_os_open(path, flags, *rest, **more)
        (disk.descriptors.add if disk.ours(path) else disk.descriptors.discard)(descriptor)
        return descriptor

    def open_(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if isinstance(file, int) and disk.ours(file):
            raw = Raw(file, "wb")
            raw.disk = disk
            return io.BufferedWriter(raw)
        if not isinstance(file, int):
            disk.step(f"open {mode}", file, room="w" in mode)
        return real_open(file, mode, *rest, **more)

    def os_write(descriptor: int, data: bytes) -> int:
        disk.step("os.write", descriptor, room=True)
        return real_write(descriptor, data)

    def os_close(descriptor: int) -> None:
        mine = descriptor in disk.descriptors
        disk.descriptors.discard(descriptor)
        real_close(descriptor)
        if mine:
            disk.descriptors.add(descriptor)
            try:
                disk.step("os.close", descriptor)
            finally:
                disk.descriptors.discard(descriptor)

    def counted(name: str, *, room: bool = False) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(where: Any, *rest: Any, **more: Any) -> Any:
            disk.step(f"os.{name}", where, room=room)
            return real(where, *rest, **more)

        return call

    replaced = {name: counted(name) for name in ("unlink", "fchmod")}
    replaced |= {name: counted(name, room=True) for name in ("replace", "fsync")}
    replaced |= {"open": os_open, "write": os_write, "close": os_close}
    with ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(patch.object(os, name, function))
        stack.enter_context(patch("builtins.open", open_))
        stack.enter_context(patch("io.open", open_))
        yield disk


@each_verb
@pytest.mark.parametrize(
    ("full", "lasting"), [(True, True), (False, False), (False, True)], ids=["full", "broken once", "broken from then on"]
)
def test_each_file_operation_fails_in_turn(world: World, verb: Verb, full: bool, lasting: bool) -> None:
    """Whichever operation on the store's files fails, once or from then on: nothing is lost, and the next run settles it."""
    kinds: set[str] = set()
    for number in range(1, MANY):
        verb.before(world)
        disk = Disk(world.host.path, number, full, lasting)

        def disturbed(disk: Disk = disk) -> str:
            with failing(disk):
                reported = attempt(verb, world)
            if full or not lasting:  # otherwise it could not be removed either
                assert list(world.host.root.glob("*.tmp")) == []
            return reported

        play(verb, world, number, disturbed)
        kinds.update(disk.failed)
        if not disk.failed:
            break
    assert not disk.failed
    assert kinds >= {"os.open", "os.write", "write", "os.fsync", "os.replace"}
