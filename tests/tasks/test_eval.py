"""``inv asst.eval``: its exit codes, what it prints, its files, its interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from conftest import MODELS, ROOT, Host
from invoke import Context, Exit
from loopback import Fault, Loopback
from pages import copy_example
from terminals import Terminal

from invoke_assistants.tasks._eval import evaluate

JUDGED = (
    MODELS
    + '''
import os
import sys
from invoke_assistants import Evals

def wanted(output: Verdict, good: bool) -> bool:
    """It is as wanted."""
    print("this is no result")
    for write in (sys.__stdout__.write, lambda text: os.write(1, text.encode()), lambda text: os.system(f"echo {text}")):
        write("this is no result\\n")
    return output.good == good

def broken(output: Verdict) -> bool:
    raise RuntimeError("out of order")

ASSISTANTS = [Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.",
                        evals=Evals("judge.yaml", evaluators=[wanted, broken], minimum=0.5))]
'''
)
PASS, FAIL, RAISE = "{wanted: true}", "{wanted: false}", "broken"  # a sample is good


def write_dataset(host: Host, *evaluators: str) -> None:
    cases = [
        f"  - {{name: case {number}, inputs: Is it {number}, evaluators: [{evaluator}]}}\n"
        for number, evaluator in enumerate(evaluators, 1)
    ]
    (host.root / "judge.yaml").write_text(f"cases:\n{''.join(cases)}")


@pytest.fixture
def judged(local_host: Host) -> Host:
    local_host.declare(JUDGED)
    assert local_host.inv("asst.create").code == 0
    return local_host


@pytest.mark.parametrize(
    ("dataset", "problem"),
    [
        (None, "the dataset judge.yaml does not exist: make it"),
        (
            "cases:\n  - {name: one, inputs: Is it so, evaluators: [wantd: true]}\n",
            "no evaluator 'wantd'; did you mean 'wanted'?",
        ),
        ("cases: []\n", "has no cases"),
        ("cases:\n  - {name: one, inputs: Is it so, evaluators: [wanted: true], expected_output: {goood: 1}}\n", "case 'one'"),
    ],
)
def test_check_refuses_evals_that_could_not_run(local_host: Host, dataset: str | None, problem: str) -> None:
    """A missing or wrong dataset is an error of the rows of its assistant, offline; the other rows are as they were."""
    local_host.declare(JUDGED.replace("ASSISTANTS = [", 'ASSISTANTS = [Assistant("talker", model="gpt-6-luna"), '))
    if dataset is not None:
        (local_host.root / "judge.yaml").write_text(dataset)
    done = local_host.inv("asst.check")
    assert (done.code, done.err) == (1, "2 of 4 would be refused\n")
    assert problem in done.out
    rows = local_host.inv("asst.check", "--json").rows()
    assert {key[0] for key, row in rows.items() if row["error"]} == {"judge"}
    assert local_host.inv("asst.check", "--only", "talker").code == 0


def test_without_pydantic_evals_check_looks_for_the_dataset(local_host: Host) -> None:
    """That it exists is checked always; what it says needs the package."""
    local_host.declare(JUDGED)
    code = (
        "import sys; sys.modules['pydantic_evals'] = None; from invoke_assistants import commands;"
        "print(*[step.error for step in commands.check()], sep='\\n')"
    )

    def check(code: str) -> str:
        command, env = [sys.executable, "-c", code], local_host.environ()
        return subprocess.run(command, cwd=local_host.root, env=env, capture_output=True, text=True, check=True).stdout

    assert check(code).count("the dataset judge.yaml does not exist") == 2
    (local_host.root / "judge.yaml").write_text("cases: []\n")
    assert check(code) == "None\nNone\n"


@pytest.mark.parametrize(
    ("evaluators", "code", "line"),
    [
        ([PASS, FAIL], 0, "1 of 2 cases passed (0.50, minimum 0.5): passed"),
        ([PASS, FAIL, FAIL], 3, "1 of 3 cases passed (0.33, minimum 0.5): below the minimum"),
        ([PASS, PASS, RAISE], 1, "2 of 3 cases passed (0.67, minimum 0.5): 1 case ended in an error"),
    ],
)
def test_one_verdict_decides_all(judged: Host, evaluators: list[str], code: int, line: str) -> None:
    """Text, JSON, JUnit and exit code say the same: 0 passed, 3 below the minimum, 1 errors."""
    write_dataset(judged, *evaluators)
    asked = judged.inv("asst.eval", "--junit", "out/evals.xml")
    assert asked.code == code
    assert f"  {line}\n" in asked.out
    assert "this is no result" not in asked.out
    if FAIL in evaluators:
        assert "  fail   case 2\n         wanted: It is as wanted.\n         it answered: {" in asked.out
    suites = ET.parse(judged.root / "out" / "evals.xml").getroot()
    assert (suites.get("failures") != "0", suites.get("errors") != "0") == (code == 3, code == 1)
    told = judged.inv("asst.eval", "--json")
    assert told.code == 0 or "this is no result" in told.err
    assert (told.code, told.json["ok"], told.json["command"]) == (code, code == 0, "eval")
    assert (told.json["error"] is None) == (code == 0)
    assert told.json["error"] is None or told.json["error"] in asked.err
    [found] = told.json["evals"]
    assert found["passed"] == (code == 0)
    assert found["digest"] == told.json["rows"][0]["digest"]
    labels = {PASS: "pass", FAIL: "fail", RAISE: "error"}
    assert [case["label"] for case in found["cases"]] == [labels[each] for each in evaluators]


def test_errors_before_anything_is_asked(judged: Host) -> None:
    """Each is one line, also as JSON, and exit code 1; Invoke's own dry run is refused, since there is nothing to show."""
    asked = judged.inv("asst.eval", "--json")
    assert (asked.code, asked.json["evals"]) == (1, [])
    assert asked.json["error"].startswith("the dataset judge.yaml does not exist: make it; inv asst.eval --schema writes")
    dry = judged.inv("-R", "asst.eval")
    assert (dry.code, dry.err.partition(":")[0]) == (1, "asst.eval asks assistants and keeps the results")


@pytest.mark.parametrize("repeat", ["0", "-1", "101", "1.5", "three", "", "9" * 5000])
def test_a_repeat_that_is_none(judged: Host, repeat: str) -> None:
    """It is refused in one line, also as JSON, and nothing is asked."""
    write_dataset(judged, PASS)
    asked = judged.inv("asst.eval", f"--repeat={repeat}", "--json")
    assert (asked.code, asked.json["evals"]) == (1, [])
    assert asked.json["error"] == f"--repeat must be a number from 1 to 100, not {repeat!r:.80}"
    assert "Traceback" not in asked.err


def test_the_junit_file_replaces_nothing_else(judged: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there and no JUnit file is left alone, and nothing is asked; an earlier JUnit file is written anew."""
    write_dataset(judged, PASS)
    monkeypatch.chdir(judged.root)
    os.mkfifo("fifo")
    before = judged.path.read_bytes()
    for name in ("assistants_store.json", "assistants_store.json.lock", "judge.yaml", "tasks.py", "fifo", "."):
        with pytest.raises(Exit, match=f"--junit {name}: it is there already, and is no JUnit file: name another one"):
            evaluate(Context(), junit=name)
    assert judged.path.read_bytes() == before
    assert Path("judge.yaml").read_text().startswith("cases:")
    Path("evals.xml").write_text('<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="other" />')
    evaluate(Context(), junit="evals.xml")
    assert "case 1" in Path("evals.xml").read_text()


def test_the_junit_file_never_says_passed_of_what_failed(judged: Host) -> None:
    """What ends the command before anything is asked stands in it as an error, and so does an end that nobody foresaw."""
    write_dataset(judged, PASS)
    assert judged.inv("asst.eval", "--junit", "evals.xml").code == 0
    file = judged.root / "evals.xml"

    def error() -> str | None:
        suites = ET.parse(file).getroot()
        assert (suites.get("tests"), suites.get("failures"), suites.get("errors"), suites.get("skipped")) == ("1", "0", "1", "0")
        [found] = suites.iter("error")
        return found.get("message")

    for flags in (["--repeat", "0"], ["--only", "jugde"], ["--env", "nowhere"]):
        asked = judged.inv("asst.eval", "--junit", "evals.xml", *flags)
        assert (asked.code, asked.err) == (1, f"{error()}\n")
    (judged.root / "judge.yaml").write_text("cases: [")
    asked = judged.inv("asst.eval", "--junit", "evals.xml")
    assert (asked.code, asked.err) == (1, f"{error()}\n")
    assert "not YAML" in asked.err
    write_dataset(judged, RAISE)
    judged.edit('raise RuntimeError("out of order")', "os._exit(0)")
    assert judged.inv("asst.eval", "--junit", "evals.xml").code == 0
    assert error() == "the command did not end"


def test_the_junit_file_stays_where_it_was_named(judged: Host, tmp_path: Path) -> None:
    """An evaluator that goes to another folder does not take it along."""
    write_dataset(judged, RAISE)
    judged.edit('raise RuntimeError("out of order")', f"os.chdir({str(tmp_path)!r})\n    return True")
    assert judged.inv("asst.eval", "--junit", "out/evals.xml").code == 0
    assert ET.parse(judged.root / "out" / "evals.xml").getroot().get("errors") == "0"
    assert not (tmp_path / "out").exists()


def test_a_junit_file_that_cannot_be_written(judged: Host) -> None:
    """It is told before anything is asked, with what to do; an empty file is as good as none."""
    write_dataset(judged, PASS)
    (judged.root / "link.xml").symlink_to("other.xml")
    for name, reason in (
        ("tasks.py/evals.xml", "its folder cannot be made: .*: name another one"),
        ("link.xml", "link.xml is a symbolic link: put the file itself there: name another one"),
        (f"{'x' * 300}.xml", "cannot be .*: File name too long: name another one"),
        ("-", "--junit takes the name of a file, and - is none: --json prints on stdout"),
        (" ", "--junit is empty: give it the name of a file"),
    ):
        asked = judged.inv("asst.eval", "--junit", name)
        assert (asked.code, asked.out) == (1, "")
        assert re.search(f"{reason}\n$", asked.err), asked.err
        assert "evals" not in judged.store
    made = judged.root / "tmp.Xy12"
    made.touch()
    assert judged.inv("asst.eval", "--junit", made.name).code == 0
    assert "case 1" in made.read_text()


def test_the_schema_is_written_beside_the_dataset(judged: Host) -> None:
    """And the line that makes an editor use it is printed."""
    asked = judged.inv("asst.eval", "--schema")
    line = "    the first line of its dataset: # yaml-language-server: $schema=judge_schema.json\n"
    assert (asked.code, asked.out) == (0, f"written: judge_schema.json\n{line}")
    assert json.loads((judged.root / "judge_schema.json").read_text())["$defs"]["Verdict"]


def test_a_project_without_evals(local_host: Host) -> None:
    """There is nothing to do, and that is said and no failure; the JUnit file is there and holds no test."""
    local_host.create()
    line = 'no assistant declares evals: add evals=Evals("FILE.yaml") to an Assistant(…)\n'
    for flags in (["--junit", "evals.xml"], ["--schema"]):
        asked = local_host.inv("asst.eval", *flags)
        assert (asked.code, asked.out, asked.err) == (0, line, "")
    assert len(ET.parse(local_host.root / "evals.xml").getroot()) == 0


def test_a_terminal_shows_how_far_it_is(host: Host, server: Loopback) -> None:
    """A bar counts the runs of all cases, where they take long."""
    host.declare(JUDGED)
    write_dataset(host, PASS, PASS)
    assert host.inv("asst.create").code == 0
    server.faults.append(lambda seen: Fault(hang=30) if (seen.body or {}).get("input") == "Is it 2" else None)
    with Terminal(host, "asst.eval", "--repeat", "3") as terminal:
        terminal.expect("evaluating judge in development")
        terminal.expect("3/6")


def test_an_interruption_keeps_what_had_ended(host: Host, server: Loopback) -> None:
    """The command ends as interrupted, with one line; ``--retry-errors`` goes on from there."""
    host.declare(JUDGED)
    write_dataset(host, PASS, PASS, PASS)
    assert host.inv("asst.create").code == 0
    server.faults.append(lambda seen: Fault(hang=30) if (seen.body or {}).get("input") == "Is it 2" else None)
    started = host.start("asst.eval", env={"ASST_CONCURRENCY": "1"})
    while not any((seen.body or {}).get("input") == "Is it 2" for seen in server.seen):
        assert started.poll() is None
    os.kill(started.pid, signal.SIGTERM)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (143, "")
    assert {*err.split("\n")} == {"", "this is no result", "interrupted; the same command goes on from here"}
    [by_sha] = [found for where in host.store["evals"].values() for found in where.values()]
    [kept] = by_sha.values()
    assert [case["label"] for case in kept["cases"]] == ["pass", "error", "error"]
    server.faults.clear()
    server.seen.clear()
    assert host.inv("asst.eval", "--retry-errors").code == 0
    assert sorted(seen.body["input"] for seen in server.seen if (seen.body or {}).get("input")) == ["Is it 2", "Is it 3"]


@pytest.mark.parametrize("word", ["def", "async def"])
def test_an_evaluator_that_hangs(word: str, judged: Host) -> None:
    """One Ctrl-C ends the command, with one line; what had ended is kept."""
    judged.edit("def broken(output: Verdict) -> bool:", f"{word} broken(output: Verdict) -> bool:\n    hang()")
    judged.edit("import sys\n", "import sys\nimport time\ndef hang():\n    open('hangs', 'w').close()\n    time.sleep(60)\n")
    write_dataset(judged, PASS, RAISE)
    started = judged.start("asst.eval", env={"ASST_CONCURRENCY": "1"})
    while not (judged.root / "hangs").exists():
        assert started.poll() is None
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (130, "")
    assert {*err.split("\n")} == {"", "this is no result", "interrupted; the same command goes on from here"}
    [by_sha] = [found for where in judged.store["evals"].values() for found in where.values()]
    [kept] = by_sha.values()
    assert [case["label"] for case in kept["cases"]] == ["pass", "error"]
    assert [case["runs"] for case in kept["cases"]] == [["pass"], []]


TAKEN = {
    "none": "sys.stdout = sys.stderr = None",
    "closed": "sys.stdout.close()\n    sys.stderr.close()",
    "closed below": "os.closerange(1, 3)",
    "the first ones closed": "sys.__stdout__.close()\n    sys.__stderr__.close()",
    "redirected, one before the other": "await redirected(output)",
}
INTERLEAVED = """
import asyncio
import contextlib
import io
left, both = [], []
async def redirected(output):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        left.append(output)
        while len(left) < 2:
            await asyncio.sleep(0)
        first = left[0] is output
        while not first and not both:
            await asyncio.sleep(0)
    both.append(output)
"""


@pytest.mark.parametrize("how", TAKEN)
def test_evaluators_that_take_the_streams(how: str, judged: Host) -> None:
    """There is one JSON document on stdout all the same, and what people read on stderr; without ``--json``, on stdout."""
    judged.edit("import os\n", f"import os\n{INTERLEAVED}")
    judged.edit("def broken(output: Verdict) -> bool:", f"async def broken(output):\n    {TAKEN[how]}\n    return True")
    write_dataset(judged, RAISE, RAISE)
    line = "  2 of 2 cases passed (1.00, minimum 0.5): passed\n"
    told = judged.inv("asst.eval", "--json")
    assert (told.code, told.json["ok"], told.json["evals"][0]["passed"]) == (0, True, True)
    assert line in told.err
    (judged.root / "judge.yaml").write_text((judged.root / "judge.yaml").read_text() + "# asked again\n")
    asked = judged.inv("asst.eval")
    assert (asked.code, line in asked.out) == (0, True)


def test_the_example_passes_on_samples(tmp_path: Path) -> None:
    """A fresh clone's assistants are evaluated without a key; its app can be imported without pydantic-evals, and the committed
    schemas know what the datasets hold."""
    copy_example(tmp_path / "quiz")
    clone = Host(tmp_path / "clone", {})
    clone.root = tmp_path / "quiz"
    found = clone.inv("asst.eval", "--json").json["evals"]
    names = ["create_trivia_game", "judge_answer"]
    assert [(each["name"], len(each["cases"]), each["passed"]) for each in found] == [(name, 8, True) for name in names]
    code = "import sys; sys.modules['pydantic_evals'] = None; import app.assistants"
    subprocess.run([sys.executable, "-c", code], cwd=clone.root, check=True)
    for name in names:
        file = ROOT / "app" / "trivia" / f"{name}.yaml"
        schema = json.loads(file.with_name(f"{name}_schema.json").read_text())
        jsonschema.validate(yaml.safe_load(file.read_text()), schema)
