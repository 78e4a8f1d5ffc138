"""Kills, interruptions, races and lost answers at random moments, round after round: ``inv soak --rounds 50 --seed 1``.

The commands are real processes, the service a socket in this one. Everything random in a round comes from its own seed,
so ``--kind KIND --rounds 1 --seed SEED`` plays a failed one again; only the machine's own timing differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import places
from conftest import Host, Result
from loopback import Fault, Loopback, Seen

from invoke_assistants.errors import AsstError
from invoke_assistants.store.file_storage import FileStorage
from invoke_assistants.store.store import Store
from invoke_assistants.types import State

PARALLEL = 2  # rounds at once; each has a server, folders and processes of its own
PATIENCE = 120.0  # seconds for one command
DECLARED = """
from invoke_assistants import Assistant
ASSISTANTS = [Assistant(f"a{{i}}", model="m", instructions="Do it.") for i in range({})]
"""
LOST = [Fault(reset=True), Fault(after=True, reset=True), Fault(after=True, truncate=True), Fault(after=True, status=500)]


class Broken(Exception):
    """What must hold did not."""


def hold(condition: object, otherwise: object) -> None:
    """Demand something; unlike an assert also under ``-O``, and with words."""
    if not condition:
        raise Broken(str(otherwise))


class Round:
    """One round: a server, checkouts of a project on it, the processes started in them, and its random numbers."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.random = random.Random(f"soak {seed}")  # small whole numbers begin too much alike
        self.tally: Counter[str] = Counter()
        self.server = Loopback()
        self._processes: list[subprocess.Popen[str]] = []

    def checkout(self, name: str, assistants: int) -> Host:
        """A project with so many assistants in two environments."""
        host = Host(self.folder / name, self.server.env())
        host.declare(DECLARED.format(assistants))
        return host

    def trouble(self, latency: float, lost: float = 0.0) -> None:
        """From here on writes take up to ``latency`` seconds, and this share of their answers is lost."""
        lock = threading.Lock()

        def decide(seen: Seen) -> Fault | None:
            if seen.method == "GET":
                return None
            with lock:
                pause = self.random.uniform(0, latency)
                fault = self.random.choice(LOST) if self.random.random() < lost else None
            time.sleep(pause)
            self.tally["answers lost"] += fault is not None
            return fault

        self.server.faults[:] = [decide]

    def start(self, host: Host, *args: str) -> subprocess.Popen[str]:
        """Start a command."""
        process = host.start(*args)
        self._processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Result:
        """Wait for a command; whatever it says, it names no secret and shows no traceback."""
        out, err = process.communicate(timeout=PATIENCE)
        hold("Traceback" not in err, f"a traceback: {err[-2000:]}")
        hold("sk-canary" not in out + err, "the key was printed")
        return Result(process.returncode, out, err)

    def inv(self, host: Host, *args: str, code: int = 0) -> Result:
        """Run a command to its end, which must be this one."""
        result = self.end(self.start(host, *args))
        hold(result.code == code, f"inv {' '.join(args)} exited {result.code}, not {code}: {result.err[-2000:]}")
        return result

    def strike(self, host: Host, number: signal.Signals, most: int, *args: str) -> Result:
        """Start a command and send it a signal: a moment after some number of writes, or as soon as it holds the lock."""
        goal = self.random.randint(0, most)
        pause = self.random.uniform(0, self.random.choice([0.05, 0.4]))
        before = len(self.server.writes())
        lock = host.path.with_name(host.path.name + ".lock")
        left = lock.read_bytes() if lock.exists() else b""  # by one that was killed
        process = self.start(host, *args)
        deadline = time.monotonic() + PATIENCE

        def reached() -> bool:
            if goal:
                return len(self.server.writes()) - before >= goal
            return lock.exists() and lock.read_bytes() not in (b"", left)

        while process.poll() is None and not reached():
            hold(time.monotonic() < deadline, f"inv {' '.join(args)} neither ended nor got to write {goal}")
            time.sleep(0.002)
        time.sleep(pause)
        self.tally["signals in time" if process.poll() is None else "signals too late"] += 1
        if process.poll() is None:
            process.send_signal(number)
        return self.end(process)

    def close(self) -> None:
        """End what still runs, and the server."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.server.shutdown()
        self.server.server_close()

    def ours(self) -> dict[str, dict[str, Any]]:
        """The remote agents by name, each of which there may be once."""
        agents = list(self.server.agents().values())
        names = Counter(agent["name"] for agent in agents)
        hold(len(names) == len(agents), f"twins: {[name for name, number in names.items() if number > 1]}")
        return {agent["name"]: agent for agent in agents}


def recorded(host: Host) -> State:
    """What the store holds; that it can be read is part of what must hold."""
    try:
        return Store(FileStorage(host.path), "host").read()
    except AsstError as error:
        raise Broken(f"the store is not valid: {error}") from None


def tidy(host: Host) -> None:
    """No temporary file is left, and the lock file is empty."""
    left = [path.name for path in host.root.glob("*.tmp")]
    hold(not left, f"left over: {left}")
    lock = host.path.with_name(host.path.name + ".lock").read_bytes()
    hold(not lock, f"the lock file still says {lock!r}")


def settled(round: Round, host: Host, desired: int) -> None:
    """Everything wanted is there once and recorded, and nothing is open."""
    ours, store = round.ours(), recorded(host)
    hold(len(ours) == desired, f"{len(ours)} remote agents for {desired} wanted")
    ids = {f"{name}_{environment}": record.id for (name, environment), record in store.records.items()}
    hold(ids == {name: agent["id"] for name, agent in ours.items()}, "the store's ids are not the remote ones")
    hold(not store.pending, f"{len(store.pending)} still pending")
    tidy(host)


def nothing_deleted(round: Round) -> None:
    """No request to delete anything was sent."""
    hold(not any(seen.method == "DELETE" for seen in round.server.seen), "something was deleted")


def kills(round: Round) -> None:
    """SIGKILL in a first create, sometimes in the second one, too."""
    host = round.checkout("host", 20)
    round.trouble(0.02)
    for _ in range(round.random.choice([1, 1, 2])):
        round.strike(host, signal.SIGKILL, 40 - len(round.server.agents()), "asst.create")
        recorded(host)
    round.inv(host, "asst.create")
    settled(round, host, 40)
    nothing_deleted(round)


def interruptions(round: Round) -> None:
    """SIGINT or SIGTERM in a first create: an ordinary exit at any moment."""
    host = round.checkout("host", 20)
    round.trouble(0.02)
    number = round.random.choice([signal.SIGINT, signal.SIGTERM])
    code = {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    result = round.strike(host, number, 40, "asst.create")
    store = recorded(host)
    if result.code != code:  # it had finished, or was on its way out
        hold(result.code in (0, -number), f"exit {result.code} after {number.name}: {result.err[-2000:]}")
        settled(round, host, 40)
    hold({record.id for record in store.records.values()} <= round.server.agents().keys(), "a record of nothing")
    tidy(host)
    round.tally[f"exit {result.code}"] += 1
    round.inv(host, "asst.create")
    settled(round, host, 40)
    nothing_deleted(round)


def one_checkout(round: Round) -> None:
    """Two creates in one checkout: the second waits and finds everything made."""
    host = round.checkout("host", 20)
    round.trouble(0.05)
    first = round.start(host, "asst.create")
    time.sleep(round.random.choice([0.0, round.random.uniform(0, 0.4)]))
    results = [round.end(process) for process in (first, round.start(host, "asst.create"))]
    for result in results:
        hold(result.code == 0, f"exit {result.code}: {result.err[-2000:]}")
        round.tally["waited for the other"] += "waiting for" in result.err
    settled(round, host, 40)
    posts = len(round.server.writes())
    hold(posts == 40, f"{posts} writes for 40 wanted")


def two_clones(round: Round) -> None:
    """Two clones create at once, slowly, and answers get lost: one agent each, in both stores."""
    hosts = [round.checkout(name, 5) for name in ("here", "there")]
    round.trouble(0.05, lost=round.random.choice([0.0, 0.05, 0.2]))
    running = [(host, round.start(host, "asst.create")) for host in hosts]
    ended = [(host, round.end(process)) for host, process in running]
    round.server.faults.clear()
    round.random.shuffle(ended)
    for host, result in ended:
        round.tally[f"exit {result.code}"] += 1
        if result.code:
            open_ = result.code == 1 and "run inv asst.create again to settle it" in result.err
            hold(open_ and recorded(host).pending, f"exit {result.code} with no create open: {result.err[-2000:]}")
            round.inv(host, "asst.create")
    for host in hosts:
        settled(round, host, 10)


def killed_updates(round: Round) -> None:
    """An update or deploy is killed, the code edited again, sometimes twice: the next one sees its own writes, not drift."""
    command, reached = round.random.choice([("update", ["development"]), ("deploy", ["development", "production"])])
    host = round.checkout("host", 20)
    round.inv(host, "asst.create")
    text = "Do it."
    round.trouble(0.02)
    for number in range(round.random.choice([1, 1, 2])):
        host.edit(text, text := f"Edit {number}.")
        round.strike(host, signal.SIGKILL, 20 * len(reached), f"asst.{command}")
        recorded(host)
    host.edit(text, text := "The last edit.")
    result = round.inv(host, f"asst.{command}")
    hold("another checkout" not in result.out + result.err, f"not recognised as ours: {result.out[-2000:]}")
    settled(round, host, 40)
    rows = [row for row in round.inv(host, "asst.status", "--json").json["rows"] if row["environment"] in reached]
    hold({row["state"] for row in rows} == {"in_sync"}, f"after the {command}: {[row['state'] for row in rows]}")
    texts = {agent["instructions"] for name, agent in round.ours().items() if name.rpartition("_")[2] in reached}
    hold(texts == {text}, f"remote instructions: {texts}")
    round.tally[f"{command} rounds"] += 1
    nothing_deleted(round)


def shared_store(round: Round) -> None:
    """8 clones create 200 assistants between them in one shared store; one is killed, or stands still until it is overtaken."""
    kinds = [kind for kind in places.SHARED if places.missing(kind) is None]
    hold(kinds, "no server of a shared store answers")
    kind = kinds[round.seed % len(kinds)]
    with places.place(kind) as place:
        hosts = [round.checkout(f"clone{number}", 200) for number in range(8)]
        for host in hosts:
            host.declare(DECLARED.format(200), 'environments = ["development"]\n')
            host.env = {**host.env, **place.env}
        round.trouble(0.02)
        shares = [[name for each in range(number, 200, 8) for name in ("--only", f"a{each}")] for number in range(8)]
        running = [round.start(host, "asst.create", *share) for host, share in zip(hosts, shares, strict=True)]
        fate = [None, signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL][round.seed // 3 % 4]
        struck = None
        if fate is not None:
            goal, deadline = round.random.randint(0, 199), time.monotonic() + PATIENCE
            while len(round.server.agents()) < goal and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(round.random.uniform(0, 0.4))
            struck = round.random.choice([number for number in range(8) if running[number].poll() is None] or [0])
            running[struck].send_signal(fate)
            round.tally[f"{kind}: {'killed' if fate == signal.SIGKILL else 'stopped'}"] += 1
        for number in sorted(range(8), key=lambda number: number == struck):  # the others take over meanwhile
            if number == struck:
                running[number].send_signal(signal.SIGCONT)
            result = round.end(running[number])
            round.tally[f"{kind}: waited"] += "waiting for the store: held by" in result.err
            if number == struck:
                hold(result.code in (0, 1, -signal.SIGKILL), f"exit {result.code}: {result.err[-2000:]}")
                round.tally[f"{kind}: struck, exit {result.code}"] += 1
                continue
            hold(result.code == 0, f"exit {result.code}: {result.err[-2000:]}")
            odd = [line for line in result.err.splitlines() if line and not line.startswith("waiting for the store: held by ")]
            hold(not odd, f"more than waits is shown: {odd}")
        if struck is not None:
            round.inv(hosts[struck], "asst.create", *shares[struck])
        with closing(place.open("host")) as store:
            state, tables = store.read(), store.tables()
        ours = round.ours()
        ids = {f"{name}_{environment}": record.id for (name, environment), record in state.records.items()}
        hold(len(ours) == 200, f"{len(ours)} remote agents for 200 wanted")
        hold(ids == {name: agent["id"] for name, agent in ours.items()}, "the store's ids are not the remote ones")
        hold(not state.pending, f"{len(state.pending)} still pending")
        hold(tables and "lock" not in tables["store"], "the lock is still held")


@dataclass(frozen=True)
class Kind:
    """One kind of round, and what must hold at its end."""

    name: str
    act: Callable[[Round], None]
    holds: str


KINDS = [
    Kind("kills", kills, "killed once or twice, run again: 40 remote, 40 in the store, 0 pending"),
    Kind("interruptions", interruptions, "130 or 143 (or done), a valid store, no temporary file; run again: 40, 40, 0"),
    Kind("one-checkout", one_checkout, "two runs: both exit 0, 40 writes, 40 remote, 40 in the store, 0 pending"),
    Kind("two-clones", two_clones, "latency and lost answers: the same 10 ids in both stores, 10 remote, 0 pending"),
    Kind("shared-store", shared_store, "8 clones, one killed or stopped: 200 remote, 200 in the store, 0 pending, no lock"),
    Kind("killed-updates", killed_updates, "update or deploy killed, edited again: exit 0, no drift, 40, 40, 0"),
]


@dataclass
class Outcome:
    """How the rounds of a kind ended: the failures by seed, and what happened on the way."""

    kind: Kind
    rounds: int
    seconds: float
    failures: dict[int, str] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """The row of the table, and a line for each failure."""
        on_the_way = ", ".join(f"{number} {what}" for what, number in sorted(self.tally.items()) if number)
        row = f"{self.kind.name:<15} {self.rounds:>6} {len(self.failures):>6} {self.seconds:>8.1f}  {self.kind.holds}"
        again = f"again: inv soak --kind {self.kind.name} --rounds 1 --seed"
        failed = [f"  FAILED with seed {seed}: {why} ({again} {seed})" for seed, why in self.failures.items()]
        return [row, f"{'':<38} {on_the_way}", *failed]


HEADER = f"{'kind':<15} {'rounds':>6} {'failed':>6} {'seconds':>8}  what must hold; what happened on the way"


def play(kind: Kind, seed: int) -> tuple[str | None, Counter[str]]:
    """One round; why it failed, if it did, and what happened in it."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    round = Round(folder, seed)
    try:
        kind.act(round)
    except (Broken, AssertionError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}", round.tally
    finally:
        round.close()
        shutil.rmtree(folder)
    return None, round.tally


def play_all(kind: Kind, rounds: int, seed: int) -> Outcome:
    """All rounds of a kind, a few at once; the n-th one has the seed ``seed + n``."""
    started = time.monotonic()
    seeds = range(seed, seed + rounds)
    with ThreadPoolExecutor(PARALLEL) as pool:
        ended = list(pool.map(lambda each: play(kind, each), seeds))
    outcome = Outcome(kind, rounds, time.monotonic() - started)
    for each, (failure, tally) in zip(seeds, ended, strict=True):
        outcome.tally += tally
        if failure:
            outcome.failures[each] = failure
    return outcome


def main(args: Sequence[str] | None = None, kinds: Sequence[Kind] = KINDS) -> int:
    """Play the rounds of every kind (or of one) and print a table; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description="Random faults, round after round.")
    parser.add_argument("--rounds", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, help="of the first round; a random one by default")
    parser.add_argument("--kind", choices=[kind.name for kind in kinds], help="this kind alone")
    options = parser.parse_args(args)
    seed = random.SystemRandom().randrange(10**8) if options.seed is None else options.seed
    print(f"inv soak --rounds {options.rounds} --seed {seed}\n{HEADER}", flush=True)
    failed = False
    for kind in kinds:
        if options.kind in (None, kind.name):
            outcome = play_all(kind, options.rounds, seed)
            print("\n".join(outcome.lines()), flush=True)
            failed = failed or bool(outcome.failures)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
