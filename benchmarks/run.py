"""How fast the commands are, as ratios against a floor in the same run: ``python benchmarks/run.py``.

Whole processes, in turn (A B A B …), medians over the rounds; the server is ``inv asst.serve`` in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
MODELS = """
from pydantic import BaseModel
from invoke_assistants import Assistant
class Step(BaseModel):
    title: str
    minutes: int
class Plan(BaseModel):
    goal: str
    steps: list[Step]
ASSISTANTS = [Assistant(f"a{i}", output=Plan, model="m", instructions="Do it.") for i in range(%d)]
"""
BARE_LIST = """
from openai import OpenAI
print(len(OpenAI(max_retries=0).beta.agents.list(limit=100).data))
"""
BARE_CREATES = """
import asyncio
from openai import AsyncOpenAI
async def main():
    slots = asyncio.Semaphore(16)
    async with AsyncOpenAI(max_retries=0) as client:
        async def one(i):
            async with slots:
                await client.beta.agents.create(model="m", instructions="Do it.", name=f"bare {i}")
        await asyncio.gather(*(one(i) for i in range(200)))
asyncio.run(main())
"""
RUN = """
import declared as app
print(app.ASSISTANTS[0].run("Go.").output.goal)
"""
BARE_RUN = """
import sys
from openai import OpenAI
import declared as app
with OpenAI().beta.agents.sessions.create(
    agent_id=sys.argv[1], environment={"type": "none"}, input="Go.", stream=True
) as events:
    print(events.get_final_result().parse(app.Plan).output_parsed.goal)
"""
WARM_ID = """
import timeit
import declared as app
assistant = app.ASSISTANTS[0]
assistant.id()
ours = min(timeit.repeat(assistant.id, number=10_000, repeat=5)) / 10_000
import os
floor = min(timeit.repeat(lambda: os.stat("assistants_store.json"), number=10_000, repeat=5)) / 10_000
print(ours * 1e6, floor * 1e6)
"""


def seconds(command: list[str], folder: Path, env: dict[str, str]) -> float:
    """The wall time of one process, in seconds."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def compare(name: str, ours: list[str], floor: list[str], folder: Path, env: dict[str, str], *, fresh: bool = False) -> None:
    """Run both in turn and print the medians and the median of the ratios."""
    pairs = []
    for _ in range(ROUNDS):
        if fresh:
            (folder / "assistants_store.json").unlink(missing_ok=True)
            env = {**env, "ASST_PROJECT": f"bench-{time.time_ns()}"}
        pairs.append((seconds(ours, folder, env), seconds(floor, folder, env)))
    ratio = statistics.median(one / other for one, other in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"{name:<58} {medians[0]:6.2f} s  {medians[1]:6.2f} s  ratio {ratio:.2f}")


def project(folder: Path, assistants: int) -> Path:
    """A host project with so many assistants."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "bench"\n[tool.asst]\nassistants = "declared:ASSISTANTS"\n')
    (folder / "declared.py").write_text(MODELS % assistants)
    (folder / "tasks.py").write_text(
        "from invoke import Collection\nfrom invoke_assistants.tasks import ns as asst\nns = Collection(asst)\n"
    )
    return folder


def main() -> None:
    """Compare listing, a no-op update and creating with their floors."""
    work = Path(tempfile.mkdtemp())
    inv = [sys.executable, "-m", "invoke"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ASST_"))}
    server = subprocess.Popen(
        [*inv, "asst.serve", "--port", "0"], cwd=project(work / "server", 1), env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        env |= {"ASST_PLATFORM": "agents", "OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": url}
        (work / "plain").mkdir()
        (work / "plain" / "tasks.py").write_text("from invoke import task\n@task\ndef hello(c):\n    '''Say hello.'''\n")
        few, many = project(work / "few", 3), project(work / "many", 100)
        print(f"{'':<58} {'ours':>8}  {'floor':>8}")
        plain = [*inv, "-r", str(work / "plain"), "--list"]
        compare("inv --list, with the plugin / without", [*inv, "--list"], plain, few, env)
        seconds([*inv, "asst.create"], few, env)
        compare(
            "inv asst.update, nothing to do / one SDK list call",
            [*inv, "asst.update"],
            [sys.executable, "-c", BARE_LIST],
            few,
            env,
        )
        bare = [sys.executable, "-c", BARE_CREATES]
        compare("inv asst.create, 200 instances / 200 SDK creates", [*inv, "asst.create"], bare, many, env, fresh=True)
        id = next(iter(json.loads((few / "assistants_store.json").read_text())["assistants"]["a0"].values()))["id"]
        bare = [sys.executable, "-c", BARE_RUN, id]
        compare("the first run of a process / the SDK doing the same", [sys.executable, "-c", RUN], bare, few, env)
        warm = subprocess.run([sys.executable, "-c", WARM_ID], cwd=few, env=env, capture_output=True, text=True, check=True)
        ours, floor = map(float, warm.stdout.split())
        print(f"{'a warm assistant.id() / one stat of the store':<58} {ours:5.1f} µs  {floor:5.1f} µs  ratio {ours / floor:.2f}")
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
