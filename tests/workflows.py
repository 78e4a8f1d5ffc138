"""Workflow files of the documentation, run as GitHub's runner runs them: each job's steps in order, in a checkout of their own.

Of GitHub there is only what these workflows use: its contexts and functions, the checkout, and for ``gh`` a stand-in that keeps
comments and issues in a file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from conftest import inv_script
from pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "ci.md"
REPOSITORY = "ada/quiz"
TOKEN = "ghs-canary-1111111111"  # what the runner gives a job for GitHub's API
INSTALLED = ("actions/setup-python@", "actions/checkout@")

GH = '''#!{python} -ISE
"""gh, as far as the workflows use it: `gh api` on the comments and issues that a file holds."""
import argparse, json, os, pathlib, subprocess, sys
from urllib.parse import parse_qsl, urlsplit

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["api"])
parser.add_argument("path")
parser.add_argument("--method", default="GET")
parser.add_argument("--paginate", action="store_true")
parser.add_argument("--silent", action="store_true")
parser.add_argument("--jq")
parser.add_argument("-f", action="append", default=[])
parser.add_argument("-F", action="append", default=[])
given = parser.parse_args()
if not os.environ.get("GH_TOKEN"):
    sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
fields = dict(pair.split("=", 1) for pair in given.f)
for name, _, value in (pair.partition("=") for pair in given.F):
    fields[name] = pathlib.Path(value[1:]).read_text() if value.startswith("@") else value
file = pathlib.Path({file!r})
state = json.loads(file.read_text())
url = urlsplit(given.path)
query = dict(parse_qsl(url.query))
route = url.path.removeprefix("repos/{repository}/issues").strip("/").split("/")
state["calls"].append([given.method, url.path, fields])


def fail(status, why):
    file.write_text(json.dumps(state))
    sys.exit(f"gh: {{why}} (HTTP {{status}})")


match given.method, route:
    case "GET", [_, "comments"]:
        found = state["comments"]
    case "GET", [""]:
        found = [each for each in state["issues"] if each["state"] == query.get("state", "open")]
    case "POST" | "PATCH", _:
        if state["read_only"]:
            fail(403, "Resource not accessible by integration")
        if not 0 < len(fields.get("body", "-")) <= 65536:
            fail(422, "Validation Failed")
        table = state["comments" if "comments" in route else "issues"]
        key = "id" if "comments" in route else "number"
        if given.method == "POST":
            found = {{key: len(table) + 1, "user": {{"login": "github-actions[bot]"}}, "state": "open", **fields}}
            table.append(found)
        else:
            [found] = [each for each in table if each[key] == int(route[-1])]
            found.update(fields)
    case _:
        fail(404, "Not Found")
file.write_text(json.dumps(state))
size = int(query.get("per_page", 30))
pages = [found[at : at + size] for at in range(0, len(found), size)] if given.method == "GET" else [found]
for page in pages[: None if given.paginate else 1]:
    if given.jq:
        subprocess.run(["jq", "-r", given.jq], input=json.dumps(page), text=True, check=True)
    elif not given.silent:
        print(json.dumps(page))
'''


def titled_blocks() -> dict[str, str]:
    """The files of the page by their paths."""
    return dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE.read_text(), re.S))


def workflows() -> dict[str, Any]:
    """The workflows of the page by their names."""
    found = [yaml.safe_load(source) for path, source in titled_blocks().items() if path.endswith(".yml")]
    return {workflow["name"]: workflow for workflow in found}


@dataclass
class Job:
    """What became of a job."""

    code: int  # of the first step that failed
    output: str  # of all steps
    summary: str
    outputs: dict[str, str]


@dataclass
class GitHub:
    """A repository at GitHub with its secrets, and a runner for its jobs.

    Args:
        env: variables of every job that the project's settings would give elsewhere.
        secrets: by the name of an environment, the repository's own under "".
    """

    folder: Path
    env: Mapping[str, str]
    secrets: dict[str, dict[str, str]]
    jobs: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        self._state = self.folder / "github.json"
        self.change(comments=[], issues=[], calls=[], read_only=False)
        gh = GH.format(python=sys.executable, file=str(self._state), repository=REPOSITORY)
        for name, script in {"gh": gh, "inv": inv_script(), "pip": "#!/bin/sh\n"}.items():
            (self.home / name).write_text(script)
            (self.home / name).chmod(0o755)
        self.origin = f"file://{self.folder / 'origin.git'}"

    @property
    def state(self) -> Any:
        """Its comments and issues, and the calls that were made."""
        return json.loads(self._state.read_text())

    def change(self, **state: Any) -> None:
        """Put other comments, issues or rights there."""
        before = self.state if self._state.exists() else {}
        self._state.write_text(json.dumps({**before, **state}))

    def shell(self, source: str, folder: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run shell lines with the programs and the environment of a runner."""
        path = f"{self.home}:{Path(sys.executable).parent}:/usr/bin:/bin"
        environ = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore", **self.env, **(env or {})}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", source], cwd=folder, env=environ, text=True, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def git(self, arguments: str, folder: Path) -> str:
        """Run git as a person."""
        done = self.shell(f"git -c user.name=ada -c user.email=ada@example.com {arguments}", folder)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def run(
        self, workflow: str, ref: str = "main", *, meanwhile: Callable[[], object] = lambda: None, **inputs: str
    ) -> dict[str, Job]:
        """Run the jobs of a workflow of the page, in order; return those that were not skipped, by their names.

        Args:
            ref: what the event is about.
            meanwhile: what happens while a job waits for its approval.
            inputs: what a person typed who started the workflow by hand.
        """
        source = workflows()[workflow]
        assert source["defaults"]["run"]["shell"] == "bash -euo pipefail {0}"
        done: dict[str, Job] = {}
        for name, job in source["jobs"].items():
            environment = evaluate(job.get("environment", ""), {"inputs": inputs})
            context: dict[str, Any] = {
                "secrets": {**self.secrets[""], **self.secrets.get(environment, {})},
                "github": {"token": TOKEN, "ref": ref, "event": {"pull_request": {"number": 7}}},
                "needs": {before: {"outputs": done[before].outputs} for before in done},
                "inputs": inputs,
                "steps": {},
            }
            if "needs" in job and (job["needs"] not in done or done[job["needs"]].code):
                continue
            if "if" in job and not is_true(job["if"], context):
                continue
            if environment == "production":
                meanwhile()
            done[name] = self._run_job(job, context)
        return done

    def _run_job(self, job: Mapping[str, Any], context: dict[str, Any]) -> Job:
        work = self.folder / f"work-{len(self.jobs)}"
        work.mkdir()
        summary = self.folder / f"summary-{len(self.jobs)}"
        summary.touch()
        done = Job(0, "", "", {})
        for number, step in enumerate(job["steps"]):
            assert step.get("if") in (None, "always()")
            if done.code and "if" not in step:
                continue
            outputs = self.folder / f"outputs-{len(self.jobs)}-{number}"
            outputs.touch()
            code, printed = self._step(step, context, work, {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary)})
            done.output += printed
            if "id" in step:
                pairs = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
                context["steps"][step["id"]] = {"outputs": pairs}
            if not step.get("continue-on-error"):
                done.code = done.code or code
        done.summary = summary.read_text()
        done.outputs = {name: evaluate(value, context) for name, value in job.get("outputs", {}).items()}
        self.jobs.append(done)
        return done

    def _step(self, step: dict[str, Any], context: Mapping[str, Any], work: Path, files: dict[str, str]) -> tuple[int, str]:
        if "uses" in step:
            assert step["uses"].startswith(INSTALLED), step
            if step["uses"].startswith("actions/checkout@"):
                self.checkout(evaluate(step.get("with", {}).get("ref", context["github"]["ref"]), context), work)
            return 0, ""
        env = {name: evaluate(value, context) for name, value in step.get("env", {}).items()}
        run = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": "41", "CI": "true", "GITHUB_ACTIONS": "true"}
        done = self.shell(step["run"], work, {**run, **files, **env})
        return done.returncode, f"{done.stdout}\n"

    def checkout(self, ref: str, work: Path) -> None:
        """What actions/checkout does: the newest commit alone, on its branch or detached."""
        branch = "-B main" if ref == "main" else "--detach"
        done = self.shell(
            f"git init -q -b main; git remote add origin {self.origin}; git fetch -q --depth 1 origin {ref};"
            f" git checkout -q {branch} FETCH_HEAD",
            work,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def is_true(condition: str, context: Mapping[str, Any]) -> bool:
    """Whether a job's condition holds: a comparison of an expression with a text."""
    expression, operator, literal = condition.split(" ")
    assert operator == "!="
    return evaluate(f"${{{{ {expression} }}}}", context) != literal.strip("'")


def evaluate(text: str, context: Mapping[str, Any]) -> str:
    """A text with its expressions replaced; what a context has not is empty, as at GitHub."""

    def value(found: re.Match[str]) -> str:
        here: Any = context
        for part in found[1].split("."):
            here = here.get(part, {})
        return str(here or "")

    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)
