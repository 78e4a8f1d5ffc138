"""The tasks as a user runs them: exit codes, JSON, bad input, other tasks, terminals."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import IO, Any

import pytest
from compatible import Compatible, ModelAnswer
from conftest import CANARY, MODELS, ROOT, THREE, Host
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from loopback import Fault, Loopback
from terminals import read_to_end

import invoke_assistants.tasks as asst_tasks
from invoke_assistants import AsstError, SettingsError, commands
from invoke_assistants.tasks import exit_codes
from invoke_assistants.tasks._task import AsstTask

COMMANDS = ["create", "update", "deploy", "admin", "plan", "status", "check", "resolve"]
KEYS = {"name", "environment", "platform", "id", "state", "action", "digest", "changes", "error", "schema"}


def test_the_main_job_on_the_command_line(host: Host, server: Loopback) -> None:
    """create, edit, plan --check, update, deploy: each has its exit code and its JSON, and writes once."""
    created = host.inv("asst.create", "--json")
    assert created.code == 0, created.err
    assert created.json["command"] == "create"
    assert (created.json["ok"], created.json["error"]) == (True, None)
    assert [(row["name"], row["environment"]) for row in created.json["rows"]] == [
        (name, environment) for name in ("planner", "judge", "talker") for environment in ("development", "production")
    ]
    assert all(set(row) == KEYS for row in created.json["rows"])
    assert host.inv("asst.plan", "--check").code == 0
    host.edit("Plan it.", "Plan it well.")
    assert host.inv("asst.plan").code == 0
    pending = host.inv("asst.plan", "--check", "--json")
    assert (pending.code, pending.json["ok"]) == (2, True)
    assert pending.rows()["planner", "production"]["changes"] == [
        {"field": "instructions", "before": "Plan it.", "after": "Plan it well."}
    ]
    assert host.inv("asst.update", "--dry-run").code == 2
    server.seen.clear()
    assert host.inv("asst.update").code == 0
    assert len(server.writes()) == 1
    assert host.inv("asst.deploy").code == 0
    assert len(server.writes()) == 2
    assert host.inv("asst.plan", "--check").code == 0
    assert host.inv("asst.deploy", "--dry-run").code == 0


def test_drift_exits_with_3(host: Host, server: Loopback) -> None:
    """The field is named on stderr and in the row; ok is false; status still exits 0."""
    host.create()
    server.edit(host.ids()["judge", "development"], instructions="Be kind.")
    refused = host.inv("asst.deploy", "--json")
    assert (refused.code, refused.json["ok"]) == (3, False)
    row = refused.rows()["judge", "development"]
    assert (row["state"], row["action"]) == ("drifted", "update")
    assert "edited by hand: instructions" in row["error"]
    assert "edited by hand: instructions" in refused.err
    assert host.inv("asst.plan", "--check").code == 3
    assert host.inv("asst.plan").code == 0
    assert host.inv("asst.status").code == 0
    assert host.inv("asst.deploy", "--yes").code == 3
    assert host.inv("asst.deploy", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("args", "env", "expected"),
    [
        (["asst.admin"], {}, "ACTION is not set"),
        (["asst.admin"], {"ACTION": "destroy"}, "no ACTION 'destroy'; known: create, update, deploy, plan, status, check"),
        (["asst.admin"], {"ACTION": "deply"}, "did you mean 'deploy'"),
        (
            ["asst.admin"],
            {"ACTION": "delete"},
            "asst.admin does create, update, deploy, plan, status, check alone; run inv asst.delete",
        ),
        (["asst.admin", "--overwrite"], {"ACTION": "status"}, "ACTION=status takes no --overwrite"),
        (["asst.admin"], {"ACTION": "update", "APP_ENV": "test"}, "no environment 'test'; known: development, production"),
        (["asst.admin"], {"ACTION": "update", "APP_ENV": "test"}, "(APP_ENV names it)"),
        (
            ["asst.run", "planner", "x"],
            {"APP_ENV": "prd"},
            "no environment 'prd'; known: development, production (APP_ENV names it)",
        ),
        (["asst.run", "planner", "x"], {"ASST_ENV": "prd"}, "(ASST_ENV names it)"),
        (["asst.status", "--env", "prod"], {}, "did you mean 'production'"),
        (["asst.status", "--only", "juge"], {}, "declared: planner, judge, talker; did you mean 'judge'"),
        (["asst.create"], {"OPENAI_API_KEY": ""}, "the key for development is blank: OPENAI_API_KEY"),
        (["asst.create"], {"OPENAI_API_KEY": "sk-canary\n"}, "cannot be sent: OPENAI_API_KEY"),
        (["asst.create"], {"ASST_PLATFORM": "assistants"}, "shut the Assistants API down on 2026-08-26"),
        (["asst.create"], {"ASST_ASSISTANTS": "nowhere:X"}, "cannot import nowhere: ModuleNotFoundError"),
        (["asst.create"], {"ASST_STORE": "no/such/folder.json"}, "does not exist: make it first"),
        (["asst.serve", "--port", "abc"], {}, "--port must be a number"),
        (["asst.serve", "--port", "9" * 5000], {}, "--port must be a number"),
        (["asst.update", "--env", "production"], {}, "inv asst.deploy --env production"),
    ],
)
def test_bad_input_is_one_line_and_exit_1(
    host: Host, server: Loopback, args: list[str], env: dict[str, str], expected: str
) -> None:
    """One line on stderr says what is wrong, where, and what would help. Nothing is written, no request is sent."""
    result = host.inv(*args, env=env)
    assert result.code == 1
    assert expected in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "canary" not in result.err + result.out
    assert not host.path.exists()
    assert server.seen == []


def test_a_flag_without_its_value_does_not_mean_all(local_host: Host) -> None:
    """--only and --env without a value, or with an empty one, are errors and do not mean all."""
    for args in (["--only"], ["--only", ""], ["--env"], ["--env", ""]):
        assert local_host.inv("asst.create", *args).code == 1
    assert not local_host.path.exists()


def test_each_of_several_flags_needs_its_value(local_host: Host) -> None:
    """A second --only or --allow-breaking without a value is the error that a first one is, wherever it stands."""
    [bare] = {local_host.inv("asst.create", "--only", *more).err for more in ([], ["--json"])}
    assert "needed value" in bare
    for more in (["--only"], ["--only", "--json"], ["--only", "--only", "judge"], ["--env", "development", "--only"]):
        done = local_host.inv("asst.create", "--only", "planner", *more)
        assert (done.code, done.out, done.err) == (1, "", bare), more
    done = local_host.inv("asst.plan", "--allow-breaking", "planner", "--allow-breaking")
    assert (done.code, "needed value" in done.err) == (1, True)
    assert not local_host.path.exists()
    done = local_host.inv("asst.create", "--only", "planner", "--only=judge", "--json", "asst.plan", "--only", "planner")
    assert done.code == 0
    assert local_host.ids().keys() == {(name, where) for name in ("planner", "judge") for where in ("development", "production")}


def test_a_misspelt_setting_is_said(local_host: Host) -> None:
    """One line on stderr names it and the one that is meant, never its value; what is near to none may be a host's own."""
    env = {"ASST_PLATFROM": "canary", "ASST_TEST_REDIS": "canary", "ASST_ROOT": str(local_host.root), "ASST_LOCAL_MODELNAME": "x"}
    done = local_host.inv("asst.check", "asst.status", "--json", env=env)
    assert done.code == 0
    assert done.err.splitlines()[:2] == [
        "warning: ASST_LOCAL_MODELNAME is no setting; did you mean 'ASST_LOCAL_MODEL_NAME'?",
        "warning: ASST_PLATFROM is no setting; did you mean 'ASST_PLATFORM'?",
    ]
    assert done.err.count("warning: ") == 2
    assert "canary" not in done.out + done.err
    assert "warning" not in local_host.inv("asst.status", env={"ASST_STORE_CACHE": "1", "ASST_LOG": "debug", "asst_env": "x"}).err
    (local_host.root / ".env").write_text("ASST_STROE=canary\n")
    done = local_host.inv("asst.status", env={"OPENAI_API_KEY": "canary", "OPENAI_API_KEY_PRODUCTON": "canary"})
    assert done.err.splitlines() == [
        "warning: ASST_STROE in .env is no setting; did you mean 'ASST_STORE'?",
        "warning: OPENAI_API_KEY_PRODUCTON is no setting; did you mean 'OPENAI_API_KEY_PRODUCTION'?",
    ]
    assert "canary" not in done.out + done.err
    assert local_host.inv("--list", env={"ASST_STOER": "x"}).err == ""
    (local_host.root / ".env").unlink()
    admin = local_host.inv("asst.admin", env={"ASST_STOER": "s.json", "ACTION": "status"})
    assert admin.err == "warning: ASST_STOER is no setting; did you mean 'ASST_STORE'?\n"


def test_json_on_every_failure(host: Host, server: Loopback) -> None:
    """Whatever goes wrong, stdout holds one document, which holds the error."""
    for args, env in (
        (["asst.create"], {"OPENAI_API_KEY": ""}),
        (["asst.admin"], {}),
        (["asst.deploy"], {}),
        (["asst.status", "--env", "x"], {}),
    ):
        result = host.inv(*args, "--json", env=env)
        assert result.code == 1
        assert result.json["ok"] is False
        assert result.json["error"] in result.err.replace("\n", "; ")
    host.path.write_text("[]")
    assert "not a store" in host.inv("asst.status", "--json").json["error"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_output_that_cannot_be_written_is_one_line(local_host: Host, flags: tuple[str, ...]) -> None:
    """Where the disk is full, the command has done its work, and says in one line why it shows nothing."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "invoke", "asst.create", *flags]
        done = subprocess.run(
            command, cwd=local_host.root, env=local_host.environ(), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "the output cannot be written: No space left on device")
    assert "Exception" not in done.stderr
    assert "unexpected" not in done.stderr
    assert local_host.store["assistants"]


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_command_that_is_interrupted_before_its_body_begins_prints_its_document(host: Host, number: str, code: int) -> None:
    """A signal while a command still loads what it needs: one document that says so, and the exit code."""
    interrupting = f"""
import signal, sys

class Loader:
    def find_spec(self, name, path=None, target=None):
        if name == "invoke_assistants.tasks.command_output" and self in sys.meta_path:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.{number})

sys.meta_path.insert(0, Loader())
"""
    tasks = host.root / "tasks.py"
    tasks.write_text(tasks.read_text() + interrupting)
    command = [sys.executable, "-m", "invoke", "asst.status", "--json"]
    done = subprocess.run(command, cwd=host.root, env=host.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["error"].startswith("interrupted")


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_the_app_makes_a_dataclass_has_its_exit_code(host: Host, number: str, code: int) -> None:
    """Python ends by SIGINT after an interrupt in an exec'd string, as a dataclass is made of; ours stands all the same."""
    host.declare(f"import signal\nexec('signal.raise_signal(signal.{number})')\n{THREE}")
    command = [sys.executable, "-m", "invoke_assistants", "plan"]
    done = subprocess.run(command, cwd=host.root, env=host.environ(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "interrupted; the same command goes on from here\n")


def test_json_when_interrupted(host: Host, server: Loopback) -> None:
    """An interrupted command prints one document, too."""
    server.faults.append(lambda seen: Fault(hang=5))
    process = host.start("asst.create", "--json")
    while not server.seen:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert json.loads(out)["ok"] is False
    assert err.strip() == "interrupted; the same command goes on from here"


def test_what_the_app_prints_is_not_on_stdout(local_host: Host) -> None:
    """Output of the app's import and of its child processes goes to stderr: stdout holds the document alone."""
    local_host.declare("import subprocess\nprint('noise')\nsubprocess.run(['echo', 'more noise'])\n" + MODELS + "ASSISTANTS = []")
    result = local_host.inv("asst.check", "--json")
    assert result.json["rows"] == []
    assert "noise" in result.err
    assert "more noise" in result.err


@pytest.mark.parametrize(
    ("action", "app_env", "environments"),
    [
        ("create", None, {"development", "production"}),
        ("update", None, {"development"}),
        ("update", "development", {"development"}),
        ("update", "production", {"development", "production"}),
        ("deploy", "development", {"development", "production"}),
        ("plan", "test", {"development", "production"}),
        ("status", None, {"development", "production"}),
        ("check", None, {"development", "production"}),
    ],
)
def test_admin_does_the_action(local_host: Host, action: str, app_env: str | None, environments: set[str]) -> None:
    """ACTION chooses the command. APP_ENV matters for update alone: a later environment means deploy up to it."""
    local_host.create()
    env = {"ACTION": action} | ({"APP_ENV": app_env} if app_env else {})
    result = local_host.inv("asst.admin", "--json", env=env)
    assert result.code == 0, result.err
    assert {row["environment"] for row in result.json["rows"]} == environments


def test_admin_takes_the_flags_of_what_it_does(host: Host, server: Loopback) -> None:
    """ACTION=update with a later environment is a deploy, with its flags: it goes forward from a rollback; a plain one is not."""
    host.create()
    host.edit("Plan it.", "Plan it well.")
    commands.deploy(host.root)
    commands.rollback(host.root, env="production", message="bad")
    env = {"ACTION": "update", "APP_ENV": "production"}
    done = host.inv("asst.admin", "--resume", "--skip-evals", "--allow-breaking", "planner", env=env)
    assert done.code == 0, done.err
    assert server.agents()[host.ids()["planner", "production"]]["instructions"] == "Plan it well."
    assert "ACTION=update takes no --resume" in host.inv("asst.admin", "--resume", env={"ACTION": "update"}).err
    assert "--plan does what was planned, also beyond production" in host.inv("asst.admin", "--plan", "x", env=env).err


def test_a_env_file_cannot_choose_the_action(local_host: Host) -> None:
    """asst.admin reads ACTION and APP_ENV from the real environment only."""
    local_host.create()
    (local_host.root / ".env").write_text("ACTION=deploy\nAPP_ENV=production\n")
    assert "ACTION is not set" in local_host.inv("asst.admin").err
    result = local_host.inv("asst.admin", "--json", env={"ACTION": "update"})
    assert {row["environment"] for row in result.json["rows"]} == {"development"}


def test_the_tasks_work_from_other_tasks(local_host: Host) -> None:
    """A task called by a host task, used as pre=, or run beside another task has the same settings and the same result."""
    assert local_host.inv("asst.create", "hello").out.endswith("hello\n")
    assert "shipped 6" in local_host.inv("ship").out
    after = local_host.inv("after")
    assert after.out.endswith("after\n")
    assert "3 unchanged" in after.out
    (local_host.root / "sub").mkdir()
    local_host.root /= "sub"
    assert "shipped 6" in local_host.inv("ship").out


def test_a_failing_task_fails_the_task_that_called_it(local_host: Host) -> None:
    """The exit code and the error line of the inner task reach the user."""
    result = local_host.inv("ship")
    assert result.code == 1
    assert "run inv asst.create" in result.err
    assert "shipped" not in result.out
    assert local_host.inv("after").code == 1


def test_invokes_own_dry_run_is_honoured(local_host: Host) -> None:
    """``inv -R`` writes nothing either."""
    assert local_host.inv("-R", "asst.create").code == 2
    assert not local_host.path.exists()


def test_plain_asst_is_status(local_host: Host) -> None:
    """``inv asst`` prints what ``inv asst.status`` prints."""
    assert local_host.inv("asst").out == local_host.inv("asst.status").out


def test_every_command_has_help_and_lists(local_host: Host) -> None:
    """``inv --list`` names each command, and ``--help`` describes every flag."""
    listed = local_host.inv("--list").out
    for command in [*COMMANDS, "serve"]:
        assert f"asst.{command}" in listed
        text = local_host.inv(f"asst.{command}", "--help").out
        options = re.findall(r"^  (--[\w-]+)(?:=STRING)?\s*(.*)$", text.partition("Options:")[2], re.M)
        assert options
        assert all(description for _, description in options), text


def run_on_a_terminal(host: Host, *args: str, answer: str = "", env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what it showed."""
    main, side = pty.openpty()
    process = host.start_on([side] * 3, *args, env={"TERM": "xterm-256color", "COLUMNS": "200", **(env or {})})
    os.close(side)
    os.write(main, answer.encode())
    shown = read_to_end(main)
    os.close(main)
    return process.wait(), shown.decode()


def test_colours_are_for_terminals(host: Host, server: Loopback) -> None:
    """Output is coloured on a terminal, but not with NO_COLOR and not in a pipe."""
    host.create()
    server.edit(host.ids()["judge", "development"], instructions="Be kind.")
    _, shown = run_on_a_terminal(host, "asst.status")
    assert "\x1b[31m" in shown
    _, plain = run_on_a_terminal(host, "asst.status", env={"NO_COLOR": "1"})
    assert "\x1b[3" not in plain
    assert "\x1b" not in host.inv("asst.status").out


def test_a_progress_bar_for_long_work_on_a_terminal(host: Host, server: Loopback) -> None:
    """Work of more than a second shows a bar on a terminal, and none elsewhere."""
    server.faults.append(lambda seen: time.sleep(0.5) or None if seen.method == "POST" else None)
    code, shown = run_on_a_terminal(host, "asst.create", env={"ASST_CONCURRENCY": "1"})
    assert code == 0
    assert "creating" in shown
    host.edit("Plan it.", "Plan it well.")
    assert "updating" not in host.inv("asst.deploy").err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
def test_a_terminal_is_asked_before_drift_is_overwritten(host: Host, server: Loopback, answer: str, code: int) -> None:
    """Yes has the effect of --overwrite; anything else changes nothing."""
    host.create()
    id = host.ids()["judge", "development"]
    server.edit(id, instructions="Be kind.")
    ended, shown = run_on_a_terminal(host, "asst.update", answer=answer)
    assert ended == code, shown
    assert "Overwrite 1 instance changed remotely? [y/N]" in shown
    assert server.agents()[id]["instructions"] == ("Judge it." if code == 0 else "Be kind.")


def test_what_others_wrote_does_not_steer_the_terminal(host: Host, server: Loopback) -> None:
    """Escape sequences in a remote value are shown, not sent."""
    host.create()
    server.edit(host.ids()["judge", "development"], instructions="\x1b]0;owned\x07\nBe kind.")
    shown = host.inv("asst.status").out
    assert "\x1b" not in shown
    assert r"\x1b]0;owned\x07" in shown


def test_a_plan_shows_every_edit_of_a_long_prompt(local_host: Host) -> None:
    """Two edits of one line, far apart, are both in the plan, each with a line before and a line after."""
    filler = " ".join(f"rule{number}" for number in range(1000))
    local_host.declare(THREE.replace("Talk.", f"Never offer a refund. {filler} Be kind."))
    local_host.create()
    local_host.edit("Never offer", "Always offer")
    local_host.edit("Be kind.", "Be unkind.")
    lines = [line.strip() for line in local_host.inv("asst.plan", "--env", "development").out.splitlines()]
    assert [line for line in lines if line[0] in "+-"] == [
        '- "Never offer a refund. rule0 rule1 rule2 rule3…',
        '+ "Always offer a refund. rule0 rule1 rule2 rule3…',
        '- …rule996 rule997 rule998 rule999 Be kind."',
        '+ …rule996 rule997 rule998 rule999 Be unkind."',
    ]


def test_what_many_requests_wait_for_is_said_once(host: Host, server: Loopback) -> None:
    """The service delays each of several updates: one line says so."""
    host.create()
    host.declare(THREE.replace('"gpt-6-luna"', '"gpt-6-astra"'))
    server.once(Fault(status=429, raw=b"{}", headers={"retry-after-ms": "50"}), path="/v1/agents/", times=3)
    updated = host.inv("asst.update")
    assert "3 updated" in updated.out
    assert updated.err == "development: the service asks to wait; trying again in 0 s\n"


def test_the_help_of_run_names_what_chooses_the_environment(local_host: Host) -> None:
    """The help of --env names ASST_ENV and APP_ENV, as at run time."""
    text = " ".join(local_host.inv("--help", "asst.run").out.split())
    assert "default: ASST_ENV, APP_ENV, or the first environment" in text


def test_a_streamed_answer_does_not_steer_the_terminal(host: Host, server: Loopback) -> None:
    """Pieces of an answer are escaped as they come, wherever an escape sequence is cut in two."""
    model = Compatible(lambda asked: ModelAnswer("1234567\n::error::x\n123456\x1b]0;owned\x07\tend"))  # in pieces of eight
    try:
        env = model.env()
        assert host.inv("asst.create", env=env).code == 0
        code, shown = run_on_a_terminal(host, "asst.run", "talker", "Hello.", env=env)
    finally:
        model.shutdown()
        model.server_close()
    assert code == 0, shown
    assert "\x1b]" not in shown
    answer = "1234567\r\n\\x3a:error::x\r\n123456\\x1b]0;owned\\x07\tend\r\n"
    assert answer in shown


def line_of(stream: IO[str] | None) -> str:
    """The next line of a running command, which may write to a file."""
    line, end = "", time.monotonic() + 20
    while stream and not line.endswith("\n") and time.monotonic() < end:
        line += stream.readline()
        time.sleep(0.01)
    return line.strip()


def test_serve(local_host: Host) -> None:
    """serve prints its base URL and answers any client; SIGTERM ends it; a port in use is an error of one line."""
    process = local_host.start("asst.serve", "--port", "0")
    url = line_of(process.stdout)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
    client = {"ASST_PLATFORM": "agents", "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
    assert local_host.inv("asst.create", env=client).code == 0
    with urllib.request.urlopen(f"{url}/agents?limit=2") as answer:
        page = json.load(answer)
    assert (page["object"], len(page["data"]), page["has_more"]) == ("list", 2, True)
    taken = local_host.inv("asst.serve", "--port", url.split(":")[2].split("/")[0])
    assert taken.code == 1
    assert "try another with --port" in taken.err
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 143


def test_no_output_holds_the_key(host: Host, server: Loopback) -> None:
    """The key is in no output, whether of success, of errors, of ``inv --debug`` or of the SDK's debug log, and in no file."""
    shown = ""
    debug = {"OPENAI_LOG": "debug"}
    runs: list[tuple[tuple[str, ...], dict[str, str], Fault | None]] = [
        (("--debug", "asst.create", "asst.status"), debug, None),
        (("--debug", "asst.update"), debug, Fault(status=401, raw=json.dumps({"error": {"message": f"bad {CANARY}"}}).encode())),
        (("asst.status", "--json"), debug, Fault(status=500, raw=CANARY.encode())),
        (("asst.status",), {}, Fault(raw=f"<html>{CANARY}".encode())),
        (("asst.status",), {"OPENAI_CUSTOM_HEADERS": f"Authorization: Bearer {CANARY}"}, None),
        (("asst.status",), {"OPENAI_API_KEY": f"{CANARY}\n"}, None),
    ]
    for args, env, fault in runs:
        server.faults = [lambda seen, fault=fault: fault] if fault else []
        result = host.inv(*args, env=env)
        shown += result.out + result.err
    assert len(shown) > 10_000
    assert CANARY not in shown
    for path in host.root.rglob("*"):
        assert path.is_dir() or CANARY not in path.read_text(errors="replace")


def test_the_example_is_in_sync_in_a_fresh_clone(tmp_path: Path) -> None:
    """In a clone without a key, status, plan, create, update and deploy find everything in sync and change no file."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    for name in ("app", "tasks.py", ".env", ".gitignore", "pyproject.toml", "assistants_store.json", "src"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "add", "-A"], check=True)
    subprocess.run(
        ["git", "-C", str(clone), "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x", "--allow-empty"], check=True
    )
    host = Host.__new__(Host)
    host.root, host.env = clone, {"HOME": str(tmp_path)}
    states: list[set[Any]] = []
    for command in ("status", "plan", "create", "update", "deploy"):
        result = host.inv(f"asst.{command}", "--json")
        assert result.code == 0, result.err
        states.append({(row["state"], row["action"]) for row in result.json["rows"]})
    assert states == [{("in_sync", "none")}] * 5
    changed = subprocess.run(
        ["git", "-C", str(clone), "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout
    assert changed == ""


def test_a_refusal_is_said_once(host: Host, server: Loopback) -> None:
    """All of production is missing: one sentence says so and how to go on, once for all rows and both streams."""
    assert host.inv("asst.create").code == 0
    for (_, environment), id in host.ids().items():
        if environment == "production":
            server.call("DELETE", f"/agents/{id}")
    for command, code in (("asst.deploy", 3), ("asst.plan", 0), ("asst.status", 0)):
        result = host.inv(command)
        assert result.code == code
        assert (result.out + result.err).count("sees none of its 3 recorded instances") == 1
        assert (result.out + result.err).count("inv asst.create") == 1
        assert "--recreate" in result.out + result.err
    refused = host.inv("asst.deploy", "--json")
    assert all("--recreate" in row["error"] for key, row in refused.rows().items() if key[1] == "production")
    assert refused.err.count("sees none") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_strikes_in_a_finalizer_is_not_lost(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Python swallows what a finalizer raises. The command is interrupted all the same, without a traceback."""
    monkeypatch.setattr(exit_codes, "_terminated", threading.Event())
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    class Late:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def command() -> None:
        with exit_codes.interruptible():
            Late()
            for _ in range(500):
                time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        command()
    atexit.unregister(exit_codes._ignore_signals)
    for each, handler in handlers.items():
        signal.signal(each, handler)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_has_the_same_exit_code(host: Host, server: Loopback, number: signal.Signals, code: int) -> None:
    """A second signal while the process ends does not kill it by the signal."""
    assert host.inv("asst.create", "--only", "judge").code == 0
    for pause in (0.02, 0.05, 0.1):
        asked = threading.Event()
        server.faults.insert(0, lambda seen, asked=asked: asked.set() or Fault(hang=1))  # type: ignore[misc]
        process = host.start("asst.plan")
        assert asked.wait(20)
        server.faults.pop(0)
        process.send_signal(number)
        while process.poll() is None:
            time.sleep(pause)
            process.send_signal(number)
        process.communicate()
        assert process.returncode == code


def test_create_says_what_it_left_changed(local_host: Host) -> None:
    """An instance that differs from the code is not called unchanged, and the last line names the command that shows how."""
    local_host.inv("asst.create")
    local_host.edit("Talk.", "Talk well.")
    lines = local_host.inv("asst.create").out.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("talker")] == ["changed", "changed"]
    assert lines[-2:] == ["4 unchanged, 2 changed", "next: inv asst.plan"]


def test_a_plan_says_once_what_was_deleted_remotely(host: Host, server: Loopback) -> None:
    """A note that repeats the error of its row is not printed."""
    host.create()
    id = host.ids()["judge", "production"]
    server.call("DELETE", f"/agents/{id}")
    assert host.inv("asst.plan").out.count("was deleted remotely") == 1
    assert host.inv("asst.status").out.count("was deleted remotely") == 1


def test_output_that_is_not_utf_8(local_host: Host) -> None:
    """Characters that the encoding lacks are printed as escapes, on stdout and on stderr."""
    local_host.edit("Talk.", "Talk.\u2026 \u00e9")
    assert local_host.inv("asst.create").code == 0
    local_host.edit("Talk.\u2026 \u00e9", "Talk \u00fcber \u732b.")
    done = local_host.inv("asst.plan", env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0, done.err
    assert r"Talk \xfcber \u732b." in done.out


def test_a_schema_warning_on_the_command_line_is_one_line(local_host: Host) -> None:
    """The warning is one sentence on stderr, without the path and the source line that Python adds."""
    local_host.create()
    local_host.edit("    good: bool", "    good: bool\n    points: int")
    done = local_host.inv("asst.run", "judge", "well?")
    [line] = [line for line in done.err.splitlines() if "another schema" in line]
    assert line.startswith("warning: judge in development: the saved instance")
    assert "SchemaWarning" not in done.err
    assert ".answer" not in done.err


def test_what_is_recorded_elsewhere_alone_makes_the_last_line_ask(host: Host, server: Loopback) -> None:
    """The last line asks whether platform and URL are right, which is likelier wrong than a second set of instances wanted."""
    host.create()
    for command in ("asst.status", "asst.plan"):
        last = host.inv(command, env={"ASST_PLATFORM": "local"}).out.splitlines()[-1]
        assert last == (
            f"6 not_created here; recorded on agents at {server.origin}: is it the right platform or URL?"
            " inv asst.create makes new ones"
        )


def test_an_interrupt_while_the_event_loop_is_made(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt is delivered once the loop can take it: no half-made loop, no coroutine that nobody awaits."""
    made = asyncio.SelectorEventLoop.__init__

    def struck(self: Any, *args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        made(self, *args)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "__init__", struck)
    with pytest.raises(KeyboardInterrupt):
        commands.create(local_host.root)
    assert not local_host.path.exists()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM} == set()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("asst.plan",), 0),
        (("asst.plan", "--json"), 0),
        (("asst.plan", "--check"), 2),
        (("asst.create",), 0),
        (("asst.run", "talker", "Hi."), 1),
    ],
)
def test_a_closed_pipe_ends_a_command_quietly(local_host: Host, tmp_path: Path, args: tuple[str, ...], code: int) -> None:
    """``inv asst.plan | head -1`` has no message and the exit code that it would have had; the work is done."""
    assert local_host.inv("asst.create", "--only", "talker").code == 0
    reading, writing = os.pipe()
    os.close(reading)
    with Path(os.devnull).open() as stdin, (tmp_path / "err").open("w") as err:
        process = local_host.start_on([stdin.fileno(), writing, err.fileno()], *args)
        os.close(writing)
        assert process.wait(30) == code
    said = (tmp_path / "err").read_text()
    assert said == "" or ("--json" in args and said.endswith("next: inv asst.create\n"))
    assert len(local_host.ids()) == (6 if args == ("asst.create",) else 2)


def test_a_message_to_a_closed_pipe_does_not_stop_the_work(host: Host, server: Loopback, tmp_path: Path) -> None:
    """With ``2>&1 | head``, messages of the run are lost, and nothing else."""
    server.once(Fault(status=429, raw=b"{}", headers={"retry-after-ms": "50"}), path="/v1/agents", times=1)
    reading, writing = os.pipe()
    os.close(reading)
    with Path(os.devnull).open() as stdin:
        process = host.start_on([stdin.fileno(), writing, writing], "asst.create")
        os.close(writing)
        assert process.wait(30) == 0
    assert len(host.ids()) == len(server.agents()) == 6


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_where_a_server_sent_what_json_does_not_have(host: Host, server: Loopback, number: float) -> None:
    """NaN and the infinities, which Python's parser takes and others refuse, become strings."""
    host.create()
    server.edit(host.ids()["judge", "development"], instructions="a number")
    page = json.dumps(server.call("GET", "/agents")).replace('"a number"', json.dumps(number))
    server.once(Fault(raw=page.encode()), method="GET")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    result = host.inv("asst.status", "--json")
    [row] = [row for row in json.loads(result.out, parse_constant=refuse)["rows"] if row["state"] == "drifted"]
    assert row["changes"] == [{"field": "instructions", "before": json.dumps(number), "after": "Judge it."}]


def test_a_refusal_to_a_closed_pipe_says_why(host: Host, server: Loopback, tmp_path: Path) -> None:
    """``inv asst.update | head`` at drift still exits with 3, and its error is on stderr."""
    host.create()
    server.edit(host.ids()["judge", "development"], instructions="by hand")
    reading, writing = os.pipe()
    os.close(reading)
    with Path(os.devnull).open() as stdin, (tmp_path / "err").open("w") as err:
        process = host.start_on([stdin.fileno(), writing, err.fileno()], "asst.update")
        os.close(writing)
        assert process.wait(30) == 3
    assert "edited by hand: instructions" in (tmp_path / "err").read_text()


def test_a_closed_stream_is_no_error(local_host: Host) -> None:
    """With stderr closed, stdout holds the JSON document alone; with stdout closed, the command ends as ever."""
    local_host.create()
    for closed, holds in (("2>&-", True), (">&-", False)):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m invoke asst.status --json {closed}"],
            cwd=local_host.root, env={**os.environ, "ASST_PLATFORM": "local"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done
        assert bool(done.stdout) is holds
        assert not holds or json.loads(done.stdout)["ok"]


@pytest.mark.parametrize("error", [None, SettingsError("wrong")])
def test_the_garbage_collector_is_as_it_was_before_a_command(error: AsstError | None) -> None:
    """A command collects more rarely while it runs, and puts back what it found, however it ends."""
    during = []

    def body(c: Context) -> None:
        during.append(gc.get_threshold())
        if error:
            raise error

    before = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    try:
        with pytest.raises(Exit) if error else contextlib.nullcontext():
            AsstTask(body)(Context())
        assert gc.get_threshold() == (701, 11, 12)
        assert during[0][0] > 10_000
    finally:
        gc.set_threshold(*before)


def test_a_garbage_collector_that_is_off_stays_off() -> None:
    """A host that collects no garbage has its reasons."""
    before = gc.get_threshold()
    gc.set_threshold(0, 11, 12)
    during = []
    try:
        AsstTask(lambda c: during.append(gc.get_threshold()))(Context())
        assert during == [(0, 11, 12)]
    finally:
        gc.set_threshold(*before)


def test_a_command_looks_for_no_garbage_when_it_ends(local_host: Host) -> None:
    """All that is loaded is frozen at the end of the process, and not before: a host's own tasks may run for long."""
    with (local_host.root / "tasks.py").open("a") as file:
        file.write(
            "\nimport atexit, gc\nfrom invoke import task\n"
            "atexit.register(lambda: print('at the end', gc.get_freeze_count() > 0))\n"
            "@task\ndef after(c):\n    'Count.'\n    print('before', gc.get_freeze_count())\nns.add_task(after)\n"
        )
    found = subprocess.run(
        [sys.executable, "-m", "invoke", "asst.status", "after"],
        cwd=local_host.root, env=local_host.environ(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.splitlines()[-2:] == ["before 0", "at the end True"]


def test_a_copy_of_a_task_has_lists_of_its_own() -> None:
    """What a host adds to the task of one collection is in no other: neither a task before it nor a help text."""
    one, other = (Collection.from_module(asst_tasks) for _ in range(2))
    one.tasks["deploy"].pre.append("lint")
    one.tasks["deploy"].help["only"] = "mine"
    assert not other.tasks["deploy"].pre
    assert other.tasks["deploy"].help["only"] != "mine"
