"""What a command loads: nothing that it does not need, since each module is time at its start."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import MODELS, Host
from loopback import Loopback

UNUSED = {  # by a command that finds nothing to do and prints into a pipe
    "invoke_assistants.ask.question", "invoke_assistants.ask.turn", "invoke_assistants.declare.compatibility",
    "invoke_assistants.declare.evals", "invoke_assistants.declare.payload_models", "invoke_assistants.evals.gate",
    "invoke_assistants.reconcile.saved_plan", "invoke_assistants.store.git", "invoke_assistants.store.merge",
    "invoke_assistants.store.recovery", "invoke_assistants.tasks.text_diff", "openai", "rich",
}  # fmt: skip
PLAIN = f"""{MODELS}
ASSISTANTS = [
    Assistant("planner", output=Plan, model="gpt-6-luna", instructions="Plan it."),
    Assistant("talker", model="gpt-6-luna", instructions="Talk."),
]
"""


def loaded_by(host: Host, *command: str) -> set[str]:
    """The modules that Python loads with these arguments, in a process of its own that imports nothing before."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=host.root,
        env=host.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    "command", ["asst.update", "asst.create", "asst.deploy", "asst.plan", "asst.plan --offline", "asst.status"]
)
def test_a_command_with_nothing_to_do_loads_nothing_that_compares_or_repairs(host: Host, command: str) -> None:
    """No module of a comparison, a repair, an evaluation or a question, no unneeded model of the service, no SDK, no rich."""
    host.declare(PLAIN)
    assert host.inv("asst.create").code == 0
    loaded = loaded_by(host, "-m", "invoke", *command.split())
    assert "invoke_assistants.config.project" in loaded
    assert sorted(UNUSED & loaded) == []


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ('reasoning={"effort": "hihg"}', "reasoning.effort: 'hihg' is unknown"),
        ('verbosity="hgih"', "verbosity: 'hgih' is unknown"),
        ('service_tier="prority"', "service_tier: 'prority' is unknown"),
        ('tools=[{"type": "web_search", "mode": "lve"}]', "tools[0].mode: 'lve' is unknown"),
    ],
)
def test_what_is_given_is_checked_before_anything_is_asked(host: Host, server: Loopback, given: str, wrong: str) -> None:
    """Each field that has a type of the service's own is refused without a request."""
    host.declare(PLAIN.replace("instructions=", f"{given}, instructions="))
    refused = host.inv("asst.create")
    assert refused.code == 1
    assert refused.err.startswith(f"planner in development: {wrong}")
    assert not server.seen


def test_a_question_to_the_service_loads_neither_the_embedded_one_nor_what_changes_instances(host: Host) -> None:
    """The first question of a process pays for no responder, no model of the service's, no lock and no command."""
    host.declare(PLAIN)
    assert host.inv("asst.create").code == 0
    [module] = [path.stem for path in host.root.glob("hosted_*.py") if path.read_text() == PLAIN]
    loaded = loaded_by(host, "-c", f"from {module} import ASSISTANTS; print(ASSISTANTS[0].run('Go.').output.goal)")
    assert "invoke_assistants.ask.agents_api" in loaded
    assert not {"invoke_assistants.declare.payload_models", "filelock", "invoke", "rich", "rstr"} & loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("invoke_assistants.")}
    assert not {"commands", "emulator", "evals", "migrate", "platforms", "reconcile", "tasks"} & rooms


def test_listing_the_tasks_loads_only_what_declares_them(host: Host) -> None:
    """``inv --list`` pays for no output, no exit code, no command and none of the other rooms."""
    loaded = loaded_by(host, "-m", "invoke", "--list")
    ours = {name.removeprefix("invoke_assistants") for name in loaded if name.startswith("invoke_assistants")}
    declaring = {name for name in ours if name.startswith(".tasks._")}
    assert ".tasks._deploy" in declaring
    assert sorted(ours - declaring) == ["", ".errors", ".tasks", ".tasks.task_arguments", ".text"]


@pytest.mark.parametrize("flag", ["--list", "--complete"])
def test_what_a_host_left_in_a_circle_is_finalized_after_a_list(host: Host, flag: str) -> None:
    """Listing spares the process one search for garbage at its end, and nothing of what the last one does."""
    tasks = host.root / "tasks.py"
    circle = 'class Circle:\n    def __del__(self):\n        print("finalized")\n\n\nloop = Circle()\nloop.own = loop\ndel loop\n'
    tasks.write_text(f"import gc\ngc.disable()\n{tasks.read_text()}\n{circle}")
    command = [sys.executable, "-m", "invoke", flag]
    listed = subprocess.run(command, cwd=host.root, env=host.environ(), capture_output=True, text=True, check=True)
    assert listed.stdout.endswith("finalized\n")
