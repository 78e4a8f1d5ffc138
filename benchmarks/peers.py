"""Two tools that keep agents of other services in step with files, timed on the same work as ours.

Neither is a dependency: npm and pip put them into the temporary folder of the run. They talk to the loopback server alone.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import host
from measure import LATENCY, Bench, Process, Row, run

AGENTS = 50
NPM_PACKAGE = "@elevenlabs/cli@1.3.0"
PYPI_PACKAGE = "agentlift==0.8.0"
FASTER = 4.0  # the goal where both ask the service
WORK = ("create", "nothing to do", "update of all")
OFFLINE = "nothing to do, offline"
AGENT = "---\nname: {name}\nmodel: claude-haiku-4-5\ntools: [read]\n---\n{prompt}\n"


@dataclass(frozen=True)
class Tool:
    """A command line tool and its project of so many agents.

    Attributes:
        forget: makes it forget that it ever made anything.
        revise: writes the project's files with other instructions.
        commands: for each kind of work.
    """

    name: str
    forget: Callable[[], None]
    revise: Callable[[int], None]
    commands: Mapping[str, Callable[[], Process]]


def peers(bench: Bench) -> Iterator[Row]:
    """How many times faster ours does each kind of work than each of them, process start included."""
    bench.set_latency(LATENCY)
    tools = [_ours(bench), _elevenlabs(bench), _agentlift(bench)]
    times: dict[tuple[str, str], list[float]] = {}
    asked: dict[tuple[str, str], int] = {}
    for number in range(max(1, bench.rounds // 2) + 1):
        bench.reset()
        for tool in tools:
            tool.forget()
        for kind in (*WORK, OFFLINE) if number else WORK[:1]:  # the first round only loads the files once
            for tool in tools:
                if kind == "update of all":
                    tool.revise(number)
                if kind in tool.commands:
                    taken: list[Process] = []
                    requests = bench.requests(partial(_keep, tool.commands[kind], taken))
                    asked[tool.name, kind] = sum(requests.values())
                    if number:
                        times.setdefault((tool.name, kind), []).append(taken[0].seconds)
    for kind in WORK:
        for tool in tools[1:]:
            asks = asked[tool.name, kind] > 0
            mine, theirs = (tools[0].name, kind if asks else OFFLINE), (tool.name, kind)
            raw = list(zip(times[mine], times[theirs], strict=True))
            ratios = [other / ours for ours, other in raw]
            ours, other = (
                f"{statistics.median(times[key]):.2f} s, {asked[key]} request{'s' * (asked[key] != 1)}" for key in (mine, theirs)
            )
            yield Row(
                "peers", f"{mine[1]}, {AGENTS}: times faster than {tool.name}", statistics.median(ratios), "×",
                FASTER if asks else 1.0, ours, other, min(ratios), max(ratios), "least", raw,
            )  # fmt: skip


def _keep(work: Callable[[], Process], taken: list[Process]) -> None:
    taken.append(work())


def prompt(number: int, revision: int) -> str:
    """Instructions as long as those of our host project."""
    return host.INSTRUCTIONS.format(number=number, revision=revision)


def _ours(bench: Bench) -> Tool:
    folder = bench.project("peers", AGENTS)
    revisions = ["0"]

    def inv(*arguments: str) -> Process:
        return bench.inv(folder, *arguments, BENCH_REVISION=revisions[-1])

    return Tool(
        "invoke-assistants",
        lambda: (folder / "assistants_store.json").unlink(missing_ok=True),
        lambda number: revisions.append(f"{number + 1}"),
        {
            "create": partial(inv, "asst.create"),
            "nothing to do": partial(inv, "asst.update"),
            "update of all": partial(inv, "asst.update"),
            OFFLINE: partial(inv, "asst.plan", "--offline"),
        },
    )


def _elevenlabs(bench: Bench) -> Tool:
    """It pushes each agent of ``agents.json``, changed or not."""
    folder = bench.work / "elevenlabs"
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed for --peers")
    _install([npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder), NPM_PACKAGE])
    project, program = folder / "project", str(folder / "node_modules" / ".bin" / "elevenlabs")
    (project / "agent_configs").mkdir(parents=True)
    url = bench.url.replace("/v1", "/elevenlabs")
    env = bench.env(ELEVENLABS_BASE_URL=url, ELEVENLABS_API_KEY="bench", HOME=str(folder))
    names = [f"reviewer_{number}" for number in range(AGENTS)]

    def forget() -> None:
        entries = [{"config": f"agent_configs/{name}.json"} for name in names]
        (project / "agents.json").write_text(json.dumps({"agents": entries}))

    def revise(revision: int) -> None:
        for number, name in enumerate(names):
            agent = {"prompt": {"prompt": prompt(number, revision), "llm": "gemini-2.5-flash"}, "language": "en"}
            config = {"name": name, "conversation_config": {"agent": agent}, "platform_settings": {}, "tags": []}
            (project / "agent_configs" / f"{name}.json").write_text(json.dumps(config))

    revise(-1)
    push = partial(run, [program, "agents", "push"], project, env)
    return Tool(f"ElevenLabs' CLI {NPM_PACKAGE.rpartition('@')[2]}", forget, revise, dict.fromkeys(WORK, push))


def _agentlift(bench: Bench) -> Tool:
    """It makes a new agent for each one that changed, and asks nothing where its lock file says that nothing did."""
    folder = bench.work / "agentlift"
    _install([sys.executable, "-m", "venv", str(folder)])
    _install([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", PYPI_PACKAGE])
    project, program = folder / "project", str(folder / "bin" / "agentlift")
    env = bench.env(ANTHROPIC_BASE_URL=bench.url.replace("/v1", "/anthropic"), ANTHROPIC_API_KEY="bench", HOME=str(folder))

    def revise(revision: int) -> None:
        for number in range(AGENTS):
            agent = project / ".managed-agents" / f"reviewer-{number}" / "agent.md"
            agent.parent.mkdir(parents=True, exist_ok=True)
            agent.write_text(AGENT.format(name=f"reviewer-{number}", prompt=prompt(number, revision)))

    revise(-1)
    deploy = partial(run, [program, "deploy", ".", "--yes"], project, env)
    lock = project / ".agentlift-lock.json"
    name = PYPI_PACKAGE.replace("==", " ")
    return Tool(name, lambda: lock.unlink(missing_ok=True), revise, dict.fromkeys(WORK, deploy))


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
