"""The benchmark's server answers as the service does, and a part of the benchmark runs. Nothing here is timed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from measure import Row
from openai import NotFoundError, OpenAI
from page import draw, save
from parts import PARTS, per_tenfold
from places import wait_for
from pydantic import BaseModel
from report import table

from invoke_assistants.emulator.api import EmbeddedAPI

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Plan(BaseModel):
    goal: str
    hours: list[int]


FORMAT = {
    "type": "json_schema",
    "schema": {**Plan.model_json_schema(), "additionalProperties": False},
}
BODIES: list[dict[str, Any]] = [
    {"model": "m"},
    {"model": "m", "name": "one", "instructions": "Do it.", "metadata": {"team": "blue"}, "text": {"format": FORMAT}},
    {"model": "m", "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}, "multi_agent": {"enabled": True}},
]
UPDATES: list[dict[str, Any]] = [
    {"instructions": "Do it well."},
    {"text": {"verbosity": "high"}, "metadata": {}},
    {"reasoning": None, "name": "another", "multi_agent": {"enabled": False}},
]


@contextlib.contextmanager
def serving() -> Iterator[str]:
    command = [sys.executable, str(BENCHMARKS / "server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
    assert server.returncode == 0


def ask(url: str, path: str, method: str = "GET") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url.removesuffix("/v1") + path, method=method), timeout=20) as answer:
        return json.load(answer)


def test_agents_have_the_fields_that_the_embedded_api_gives_them() -> None:
    """The same creates and updates end with the same fields on both, defaults included."""
    embedded = EmbeddedAPI(None)
    with serving() as url, OpenAI(base_url=url, api_key="sk-bench", max_retries=0) as client:
        for body, change in zip(BODIES, UPDATES, strict=True):
            ours: dict[str, Any] = client.post("/agents", cast_to=dict[str, Any], body=body)
            _, theirs = embedded.handle("POST", "/v1/agents", {}, json.dumps(body).encode())
            assert isinstance(theirs, dict)
            assert without_id(ours) == without_id(theirs)
            ours, id = client.post(f"/agents/{ours['id']}", cast_to=dict[str, Any], body=change), theirs["id"]
            _, theirs = embedded.handle("POST", f"/v1/agents/{id}", {}, json.dumps(change).encode())
            assert isinstance(theirs, dict)
            assert without_id(ours) == without_id(theirs)


def without_id(agent: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in agent.items() if key not in ("id", "created_at", "updated_at")}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_sdk_pages_through_all_agents(order: Any) -> None:
    """The SDK's own pager sees each agent once, in the order that it asks for, also after one was deleted."""
    with serving() as url, OpenAI(base_url=url, api_key="sk-bench", max_retries=0) as client:
        ids = [client.beta.agents.create(model="m", name=f"a{number}").id for number in range(7)]
        client.beta.agents.delete(ids[2])
        left = ids[:2] + ids[3:]
        assert [agent.id for agent in client.beta.agents.list(limit=3, order=order)] == (left if order == "asc" else left[::-1])
        assert client.beta.agents.retrieve(ids[0]).name == "a0"
        with pytest.raises(NotFoundError):
            client.beta.agents.retrieve(ids[2])


def test_a_session_answers_with_the_output_model() -> None:
    """A streamed session ends with a result that the agent's schema fits."""
    with serving() as url, OpenAI(base_url=url, api_key="sk-bench", max_retries=0) as client:
        agent = client.post("/agents", cast_to=dict[str, Any], body=BODIES[1])
        with client.beta.agents.sessions.create(
            agent_id=agent["id"], environment={"type": "none"}, input="Go.", stream=True
        ) as events:
            assert events.get_final_result().parse(Plan).output_parsed == Plan(goal="A sample.", hours=[1])


def test_requests_are_counted_until_a_reset() -> None:
    """Counts go by method and route, ids left out; a reset forgets them and the agents; writes are told once."""
    with serving() as url, OpenAI(base_url=url, api_key="sk-bench", max_retries=0) as client:
        id = client.post("/agents", cast_to=dict[str, Any], body={"model": "m"})["id"]
        client.get(f"/agents/{id}", cast_to=dict[str, Any])
        assert ask(url, "/bench/requests") == {"POST /v1/agents": 1, "GET /v1/agents/{id}": 1}
        assert ask(url, "/bench/writes") == [["/v1/agents", {"model": "m"}]]
        assert ask(url, "/bench/writes") == []
        ask(url, "/bench/reset", "POST")
        assert ask(url, "/bench/requests") == {}
        assert client.get("/agents", cast_to=dict[str, Any])["data"] == []


@pytest.mark.parametrize(("power", "factor"), [(0, 1), (1, 10), (2, 100)])
def test_growth_is_told_per_tenfold(power: int, factor: float) -> None:
    """What is linear is multiplied by ten, what is quadratic by a hundred; the step that grows most counts."""
    sizes = (100, 1_000, 5_000)
    assert per_tenfold(sizes, [0.002 * size**power for size in sizes]) == pytest.approx(factor)
    assert per_tenfold(sizes, [1, 1, 5]) == pytest.approx(10)
    assert per_tenfold(sizes, [1, 10, 10]) == pytest.approx(10)


ROWS = [
    Row("noop", "requests", 1, " requests", 1, kind="exact"),
    Row("create", "create 200, to the loop", 1.234, "×", 1.1, "2.0 s", "1.6 s", 1.2, 1.3, raw=[(2.0, 1.6)]),
    Row("create", "create 200: requests", 203, " requests", None),
]
ORIGIN = {"date": "2026-01-01", "commit": "abc", "machine": "a machine", "versions": "Python 3"}


def test_the_table_says_which_goals_are_met() -> None:
    """Each figure stands beside its goal; one without a goal is neither met nor missed."""
    lines = [" ".join(line.split()) for line in table(ROWS, 3, ORIGIN).splitlines()]
    assert lines[1:4] == [
        "requests 1 request = 1 request met",
        "create 200, to the loop 2.0 s 1.6 s 1.23× 1.20–1.30 ≤ 1.1× missed",
        "create 200: requests 203 requests",
    ]


def test_the_page_is_brought_up_to_date(tmp_path: Path) -> None:
    """The figures of a run become a picture and the table of the page; the rest of the page stays."""
    page = tmp_path / "speed.md"
    page.write_text("before\n<!-- speed -->\nold\n<!-- end -->\nafter\n<!-- peers -->\n<!-- end -->\n")
    figures = save(tmp_path, "speed", ROWS, 3, ORIGIN)
    assert [figures, *draw(tmp_path)] == [tmp_path / name for name in ("speed.json", "speed.svg", "speed.md")]
    assert page.read_text() == (
        f"before\n<!-- speed -->\n```text\n{table(ROWS, 3, ORIGIN)}```\n<!-- end -->\nafter\n<!-- peers -->\n<!-- end -->\n"
    )
    assert "create 200, to the loop" in (tmp_path / "speed.svg").read_text()


def test_a_part_runs() -> None:
    """One part with one round: the requests are counted."""
    done = bench("--only", "noop", "--only", "noop", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "measuring noop …\n"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[1] == "update of 50, nothing to do: requests 1 request = 1 request met"
    assert lines[2].startswith("update of 50, nothing to do, to that request")


def bench(*arguments: str, cwd: Path = BENCHMARKS) -> subprocess.CompletedProcess[str]:
    """``inv bench``, in a folder below the repository's."""
    command = [sys.executable, "-m", "invoke", "bench", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--rounds", "0"], 2, "'0' is no number from 1 on"),
        (["--rounds=-1"], 2, "'-1' is no number from 1 on"),
        (["--rounds", "many"], 2, "'many' is no number from 1 on"),
        (["--only", "nop"], 2, f"there is no part 'nop', only {', '.join(PARTS)}, peers"),
        (["--only"], 1, "needed value"),
        (["--only", "noop", "--out", "new"], 2, "--out needs a whole run"),
        (["--out", f"{__file__}/new"], 2, "Not a directory"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: list[str], code: int, message: str) -> None:
    """Nothing is measured, and nothing written."""
    done = bench(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert message in done.stderr
    assert not (BENCHMARKS / "new").exists()


def test_the_help_names_every_part() -> None:
    """``inv --help bench`` lists what ``--only`` takes."""
    command = [sys.executable, "-m", "invoke", "--help", "bench"]
    shown = " ".join(subprocess.check_output(command, cwd=BENCHMARKS, text=True).split())
    assert f"of {', '.join(PARTS)}, peers;" in shown


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks at the processes of Linux")
@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)], ids=["INT", "TERM", "HUP"]
)
def test_a_signal_ends_it_without_a_trace(number: int, to_all: bool, tmp_path: Path) -> None:
    """Whether it comes from the terminal to all processes or to one: no traceback, no folder, no process is left."""
    command = [sys.executable, "-m", "invoke", "bench", "--only", "noop"]
    with subprocess.Popen(
        command, cwd=BENCHMARKS, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr
        assert process.stderr.readline() == "measuring noop …\n"
        wait_for(lambda: processes_in(tmp_path))
        (os.killpg if to_all else os.kill)(process.pid, number)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
    wait_for(lambda: not processes_in(tmp_path))  # a killed process of a killed one is gone a moment later


def processes_in(folder: Path) -> list[str]:
    """The processes that work in a folder, or in one that was in it."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [link for link in [str(each.readlink())] if link.startswith(str(folder))]
    return found
