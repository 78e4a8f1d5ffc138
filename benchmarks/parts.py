"""The parts of the benchmark: each takes a ``Bench`` and yields its rows."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from measure import HERE, INV, LATENCY, Bench, Process, Row, number, ratio, run

GROWTH = (100, 1_000, 5_000)  # assistants
COMMANDS = {  # of which the growth is measured, in their order; the last one after an edit of every assistant
    "create": ("asst.create",),
    "update, nothing to do": ("asst.update",),
    "plan": ("asst.plan",),
    "plan --offline": ("asst.plan", "--offline"),
    "status": ("asst.status",),
    "deploy, nothing to do": ("asst.deploy",),
    "update of all": ("asst.update",),
}
TAB = """\
COMP_LINE='inv asst.plan --only '; COMP_POINT=${#COMP_LINE} COMP_WORDS=(inv asst.plan --only '') COMP_CWORD=3
. ./completion.bash
_asst_complete inv '' --only
[ "${#COMPREPLY[@]}" = 50 ]
"""


def listing(bench: Bench) -> Iterator[Row]:
    """``inv --list`` with the plugin and without."""
    ours, bare = bench.project("listing", 50), bench.project("bare", 0)
    bench.inv(ours, "--list")
    bench.inv(bare, "--list")
    pairs = bench.pairs(lambda _: bench.inv(ours, "--list"), lambda _: bench.inv(bare, "--list"), 6 * bench.rounds)
    yield ratio("listing", "inv --list with the plugin, to without", pairs, 1.05)


def offline(bench: Bench) -> Iterator[Row]:
    """A plan that asks nothing, to Invoke's list of tasks."""
    folder = _created(bench, "offline", 50)
    bench.inv(folder, "asst.plan", "--offline")
    ours, floor = (lambda _: bench.inv(folder, "asst.plan", "--offline")), (lambda _: bench.inv(folder, "--list"))
    pairs = bench.pairs(ours, floor, 4 * bench.rounds)
    yield ratio("offline", "plan --offline of 50, to inv --list", pairs, 2)


def noop(bench: Bench) -> Iterator[Row]:
    """An update with nothing to do, to a script that reads the same page."""
    folder = _created(bench, "noop", 50)
    asked = bench.requests(lambda: bench.inv(folder, "asst.update"))
    yield number("noop", "update of 50, nothing to do: requests", sum(asked.values()), "requests", 1, exact=True)
    bench.floor("send", folder, bench.writes(folder))
    pairs = bench.pairs(lambda _: bench.inv(folder, "asst.update"), lambda _: bench.floor("one_list", folder))
    yield ratio("noop", "update of 50, nothing to do, to that request", pairs, 1.1)


def create(bench: Bench) -> Iterator[Row]:
    """Creating 200, to a loop that posts the same bodies."""
    folder = bench.project("create", 200)
    bench.reset()  # before the requests are counted, since it forgets the counts
    asked = bench.requests(lambda: bench.inv(folder, "asst.create"))
    yield number("create", "create 200: requests", sum(asked.values()), "requests")
    writes = bench.writes(folder)

    def floor(_: int) -> Process:
        bench.reset()
        return bench.floor("send", folder, writes)

    yield ratio("create", "create 200, to the loop of 200", bench.pairs(lambda _: _create_anew(bench, folder), floor), 1.1)


def update(bench: Bench) -> Iterator[Row]:
    """Updating 50 of 50, to a loop that looks once and posts the same bodies."""
    folder = _created(bench, "update", 50)
    bench.floor("send", folder, bench.writes(folder))
    asked = bench.requests(lambda: bench.inv(folder, "asst.update", BENCH_REVISION="first"))
    yield number("update", "update of 50, all changed: requests", sum(asked.values()), "requests", 51, exact=True)
    writes = bench.writes(folder)
    pairs = bench.pairs(
        lambda each: bench.inv(folder, "asst.update", BENCH_REVISION=str(each)),
        lambda _: bench.floor("send", folder, writes, "look"),
    )
    yield ratio("update", "update of 50, all changed, to the loop of 51", pairs, 1.1)


def sweep(bench: Bench) -> Iterator[Row]:
    """Commands with nothing to do over 1,000 assistants in two environments, to reading every page."""
    folder = _created(bench, "sweep", 1_000, ("development", "production"))
    bench.set_latency(0)
    bench.floor("send", folder, bench.writes(folder))
    bench.set_latency(LATENCY)
    for task in ("deploy", "plan"):
        name = f"{task} of 1,000 × 2, nothing to do"
        asked = bench.requests(lambda task=task: bench.inv(folder, f"asst.{task}"))  # type: ignore[misc]
        yield number("sweep", f"{name}: list pages", asked.get("GET /v1/agents", 0), "pages", 20)
        pairs = bench.pairs(
            lambda _, task=task: bench.inv(folder, f"asst.{task}"),  # type: ignore[misc]
            lambda _: bench.floor("sweep", folder),
            max(1, bench.rounds // 3),
        )
        yield ratio("sweep", f"{name}, to the sweep", pairs, 1.3)
        yield ratio("sweep", f"{name}, to the sweep: peak RSS", pairs, 1.3, of="rss")


def transactions(bench: Bench) -> Iterator[Row]:
    """The writes of the store's file while 1,000 are created."""
    folder, report = bench.project("transactions", 1_000), bench.work / "counts.json"
    bench.reset()
    command = [sys.executable, str(HERE / "counted_writes.py"), str(report), "asst.create"]
    asked: list[Process] = []
    posts = bench.requests(lambda: asked.append(run(command, folder, bench.env())))["POST /v1/agents"]
    if posts != 1_000:
        sys.exit(f"create made {posts} of 1,000")
    counts = json.loads(report.read_text())
    yield number("transactions", "create 1,000: writes of the store", counts["writes"], "writes", 25)
    share = 100 * counts["seconds"] / asked[0].seconds
    yield number("transactions", "create 1,000: wall time in them", share, "%", 5)


def growth(bench: Bench) -> Iterator[Row]:
    """How each command's CPU time grows from 100 over 1,000 to 5,000 assistants."""
    bench.set_latency(0)
    sizes = [_command_times(bench, number) for number in GROWTH]
    bench.set_latency(LATENCY)
    for name in COMMANDS:
        times = [size[name] for size in sizes]
        shown = " / ".join(f"{each:.1f}" for each in times) + " s"
        title = f"{name}, {'/'.join(f'{number:,}' for number in GROWTH)}: CPU per tenfold"
        yield Row("growth", title, per_tenfold(GROWTH, times), "×", 11, shown)


def per_tenfold(sizes: Sequence[int], times: Sequence[float]) -> float:
    """By what a tenfold size multiplies a time at most, in any step from one size to the next.

    A step from 1,000 to 5,000 in which the time becomes x times as much is one of x to the power 1/log10(5) per tenfold.
    """
    steps = pairwise(zip(sizes, times, strict=True))
    return max(math.pow(after / before, 1 / math.log10(large / small)) for (small, before), (large, after) in steps)


def id(bench: Bench) -> Iterator[Row]:
    """A warm ``assistant.id()``."""
    folder = _created(bench, "id", 50)
    command = [sys.executable, str(HERE / "warm_id.py")]
    measured = [
        [float(each) for each in subprocess.check_output(command, cwd=folder, env=bench.env(ASST_ENV="production")).split()]
        for _ in range(max(1, bench.rounds // 2))
    ]
    ours, floor = (min(column) for column in zip(*measured, strict=True))
    yield Row("id", "a warm assistant.id() (floor: one os.stat)", ours, " µs", 5, f"{ours:.1f} µs", f"{floor:.1f} µs")


def run_(bench: Bench) -> Iterator[Row]:
    """The first ``run`` of a process, to the SDK doing the same."""
    folder = _created(bench, "run", 50)
    bench.floor("send", folder, bench.writes(folder))
    id = _recorded_id(folder)
    command = [sys.executable, str(HERE / "first_run.py")]
    env = bench.env(ASST_ENV="production")
    run(command, folder, env)
    bench.floor("session", folder, id)
    pairs = bench.pairs(lambda _: run(command, folder, env), lambda _: bench.floor("session", folder, id))
    yield ratio("run", "the first run of a process, to the SDK's same call", pairs, 1.1)


def tab(bench: Bench) -> Iterator[Row]:
    """A TAB on ``--only``, beside Invoke's own completion."""
    bash = shutil.which("bash")
    if bash is None:
        print("tab: skipped, there is no bash", file=sys.stderr)
        return
    folder = _created(bench, "tab", 50)
    script = subprocess.check_output(
        [sys.executable, "-m", "invoke_assistants", "completion", "bash"], cwd=folder, env=bench.env()
    )
    (folder / "completion.bash").write_bytes(script)
    (folder / "tab.bash").write_text(TAB)
    pairs = bench.pairs(
        lambda _: run([bash, "--norc", "tab.bash"], folder, bench.env()),
        lambda _: run([*INV, "--complete", "--", "inv asst.plan --only "], folder, bench.env()),
    )
    ours, floor = (statistics.median(each.seconds * 1000 for each in column) for column in zip(*pairs, strict=True))
    more = statistics.median(1000 * (one.seconds - other.seconds) for one, other in pairs)
    yield Row("tab", "TAB on --only, over inv --complete alone", more, " ms", 60, f"{ours:.0f} ms", f"{floor:.0f} ms")


def stores(bench: Bench) -> Iterator[Row]:
    """Shared stores, to the bare clients doing the same round trips."""
    script = [sys.executable, str(HERE / "shared_stores.py"), str(5 * bench.rounds)]
    env = {**os.environ, "TMPDIR": str(bench.work)}
    for line in subprocess.check_output(script, env=env, text=True).splitlines():
        yield Row(**json.loads(line))


def _created(bench: Bench, name: str, assistants: int, environments: Sequence[str] = ("production",)) -> Path:
    """A host project whose instances are there, and the only ones."""
    folder = bench.project(name, assistants, environments)
    bench.set_latency(0)
    _create_anew(bench, folder)
    bench.set_latency(LATENCY)
    return folder


def _create_anew(bench: Bench, folder: Path) -> Process:
    bench.reset()
    (folder / "assistants_store.json").unlink(missing_ok=True)
    return bench.inv(folder, "asst.create")


def _command_times(bench: Bench, assistants: int) -> Mapping[str, float]:
    """The CPU seconds of each command in a new project of this size."""
    folder = bench.project("growth", assistants)
    bench.reset()
    bench.inv(folder, "asst.check")  # compiles the app
    return {
        name: bench.inv(folder, *command, BENCH_REVISION="1" if name == "update of all" else "0").cpu
        for name, command in COMMANDS.items()
    }


def _recorded_id(folder: Path) -> str:
    """The id of the first assistant."""
    store: dict[str, Any] = json.loads((folder / "assistants_store.json").read_text())
    record = next(iter(store["assistants"]["reviewer_0"].values()))
    return str(record["id"])


PARTS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "listing": listing,
    "offline": offline,
    "noop": noop,
    "create": create,
    "update": update,
    "sweep": sweep,
    "transactions": transactions,
    "growth": growth,
    "id": id,
    "run": run_,
    "tab": tab,
    "stores": stores,
}
