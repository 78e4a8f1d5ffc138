"""Evaluating instances: asking, labels, what is known, the store, interruptions, comparisons."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import MODELS, Host
from loopback import Fault, Loopback, error_body

from invoke_assistants import Assistant, AsstError, Refused, RowsFailed, SettingsError, commands
from invoke_assistants.config.project import Project
from invoke_assistants.evals.evaluation import Target
from invoke_assistants.evals.gate import known_result, read_files
from invoke_assistants.evals.junit import junit_xml
from invoke_assistants.evals.report import EvalReport
from invoke_assistants.evals.run import EvalRun
from invoke_assistants.reconcile.reporter import QUIET
from invoke_assistants.testing import Answers, answering

JUDGED = (
    MODELS
    + '''
import asyncio
import dataclasses
import sys
import pytest
from pydantic_evals.evaluators import Evaluator
from invoke_assistants import Evals

def good(output: Verdict) -> bool:
    """It is good."""
    return output.good

def sound(output: Verdict) -> bool:
    if output.why == "break":
        raise RuntimeError("out of order")
    return True

@dataclasses.dataclass
class Stays(Evaluator):
    def evaluate(self, ctx):
        if ctx.output.why == "leave":
            sys.exit(0)
        if kind := RAISED.get(ctx.output.why):
            raise kind("by itself")
        return True

RAISED = {each.__name__: each for each in (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, pytest.fail.Exception)}

async def score(output: Verdict) -> float:
    return 0.5

ASSISTANTS = [
    Assistant("judge", output=Verdict, model="gpt-6-luna", instructions="Judge it.",
              evals=Evals("judge.yaml", evaluators=[good, sound, score, Stays])),
    Assistant("talker", model="gpt-6-luna", instructions="Talk."),
]
'''
)
PROMPTS = ["one", "two", "three", "four"]


def write_dataset(host: Host, prompts: list[str] = PROMPTS, evaluators: str = "good, sound, score, Stays") -> None:
    cases = "".join(f'  - {{name: {prompt}, inputs: "{prompt}?"}}\n' for prompt in prompts)
    (host.root / "judge.yaml").write_text(f"evaluators: [{evaluators}]\ncases:\n{cases}")


def declare(host: Host, **evals: Any) -> Assistant[Any]:
    """Declare the judge with these settings of its evals; what is created stays."""
    more = "".join(f", {key}={value!r}" for key, value in evals.items())
    host.declare(JUDGED.replace("Stays])", f"Stays]{more})"))
    [judge, _] = Project.load(host.root, ()).declared.values()
    return judge  # type: ignore[return-value]


@pytest.fixture
def judged(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project with a judge and its dataset, created on the embedded platform; tests say what it answers."""
    monkeypatch.setenv("ASST_ROOT", str(local_host.root))
    declare(local_host)
    write_dataset(local_host)
    local_host.create()
    return local_host


def give(answers: Answers, judge: Assistant[Any], **said: str) -> None:
    """Answers by the prompt's word: ``g``ood or ``b``ad, once for each letter; other texts are why it is good."""
    for word, letters in said.items():
        for letter in letters if set(letters) <= {"g", "b"} else [letters]:
            good, why = letter != "b", f'"{letter}"' if len(letter) > 1 else "null"
            answers.once(judge, f"{word}?").give_text(f'{{"good": {str(good).lower()}, "why": {why}}}')


def labels(report: EvalReport) -> dict[str, str]:
    [found] = report.evaluations
    return {case.name: case.label for case in found.result.cases}


def asked(answers: Answers) -> list[str]:
    return sorted(each.prompt for each in answers.asked)


@contextlib.contextmanager
def answered(judge: Assistant[Any], **said: str) -> Iterator[Answers]:
    with answering() as answers:
        give(answers, judge, **said)
        yield answers


def test_each_run_has_a_label_and_the_verdict_follows(judged: Host) -> None:
    """Mixed runs are flaky, and the rule decides whether such a case passes; reasons say why a run failed."""
    judge = declare(judged, repeat=2, rule="any", minimum=0.75)
    with answered(judge, one="gg", two="gb", three="bb", four="gg"):
        report = commands.evaluate(judged.root)
    [found] = report.evaluations
    assert labels(report) == {"one": "pass", "two": "flaky", "three": "fail", "four": "pass"}
    assert (found.result.rate, found.result.passed, found.asked) == (0.75, True, 8)
    assert found.reasons["three"][0] == "run 1: good: It is good."
    assert found.reasons["three"][1] == 'run 1: it answered: {\n  "good": false,\n  "why": null\n}'
    report.raise_unless_passed()
    declare(judged, repeat=2, rule="any", minimum=0.8)
    with answered(judge, one="gg", two="gb", three="bb", four="gg"):
        report = commands.evaluate(judged.root)
    with pytest.raises(Refused, match=r"^judge in development: 3 of 4 cases passed \(0\.75, minimum 0\.8\): below the minimum$"):
        report.raise_unless_passed()


@pytest.mark.parametrize("minimum", [0.0, 1.0])
def test_an_error_is_never_a_pass(judged: Host, minimum: float) -> None:
    """An evaluator that raises, a request that fails and a judgement without yes or no are errors, however low the minimum is;
    a refusal, an answer that is cut off and one that does not fit are failures of the assistant."""
    write_dataset(judged, [*PROMPTS, "five", "six", "seven"])
    judge = declare(judged, minimum=minimum)
    with answered(judge, one="g", two="break", seven="leave") as answers:
        answers.once(judge, "three?").fail("Overloaded.")
        answers.once(judge, "four?").refuse("Not this.")
        answers.once(judge, "five?").give_text('{"good": 7}')
        answers.once(judge, "six?").cut_off('{"go')
        report = commands.evaluate(judged.root)
    errors, failures = ("two", "three", "seven"), ("four", "five", "six")
    assert labels(report) == {"one": "pass", **dict.fromkeys(errors, "error"), **dict.fromkeys(failures, "fail")}
    reasons = report.evaluations[0].reasons
    assert reasons["two"][0] == "sound raised RuntimeError: out of order"
    assert reasons["seven"][0] == "Stays raised RuntimeError: it called sys.exit(0)"
    assert "Overloaded." in reasons["three"][0]
    assert "Not this." in reasons["four"][0]
    assert reasons["five"][0].startswith("judge in development: the answer does not fit Verdict: good: Input should be")
    assert reasons["five"][1] == 'it answered: {"good": 7}'
    assert ".answer" not in " ".join(map(str, reasons.values()))
    with pytest.raises(RowsFailed, match=r"^judge in development: 3 cases ended in an error; inv asst.eval --retry-errors"):
        report.raise_unless_passed()
    write_dataset(judged, ["one"], "score")
    with answered(judge, one="g"):
        assert commands.evaluate(judged.root).evaluations[0].reasons["one"][0] == "no evaluator said true or false"


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "GeneratorExit", "CancelledError", "Failed"])
def test_whatever_an_evaluator_raises_is_an_error_of_its_case(judged: Host, kind: str) -> None:
    """Also what otherwise ends a program; the error names the evaluator, and the other cases are judged."""
    judge = declare(judged)
    with answered(judge, one=kind, two="g", three="g", four="g"):
        report = commands.evaluate(judged.root)
    assert labels(report) == {"one": "error", "two": "pass", "three": "pass", "four": "pass"}
    assert report.evaluations[0].reasons["one"][0] == f"Stays raised RuntimeError: it raised {kind}: by itself"


@pytest.mark.parametrize(
    "judged",
    [
        "await asyncio.sleep(0 if signal.raise_signal(2) else 30)",
        "return signal.raise_signal(2) or time.sleep(30)",
        "await asyncio.sleep(0)\n    return signal.raise_signal(2) or time.sleep(30)",
        "try: signal.raise_signal(2)\n    except BaseException: await asyncio.sleep(30)",
        "try: signal.raise_signal(2)\n    except BaseException: return signal.raise_signal(2) or True",
        "HERE.append(1)\n    while len(HERE) < 2: await asyncio.sleep(0)\n    HERE.append(1)\n"
        "    return signal.raise_signal(2) if len(HERE) == 3 else time.sleep(30)",
    ],
)
def test_an_interruption_is_not_the_evaluators(judged: str, host: Host, server: Loopback) -> None:
    """Ctrl-C while an evaluator runs ends the command at the first time, whatever it does then; and no other evaluator begins."""
    declare(host)
    host.edit("return 0.5", judged)
    host.edit("import dataclasses", "import signal\nimport time\nimport dataclasses\nHERE = []")
    write_dataset(host, ["one", "two"], "score")
    host.create()
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        commands.evaluate(host.root)
    assert time.monotonic() - before < 20
    assert "evals" not in host.store


@pytest.mark.parametrize("which", ["[asyncio.current_task()]", "asyncio.all_tasks()"])
def test_an_evaluator_that_cancels(which: str, judged: Host) -> None:
    """Its own task: an error of its case. All tasks: one error of the command."""
    judged.edit("return 0.5", f"if output.why: [each.cancel() for each in {which}]\n    await asyncio.sleep(0)\n    return 0.5")
    [judge, _] = Project.load(judged.root, ()).declared.values()
    write_dataset(judged, ["one", "two"])
    with answered(judge, one="g", two="cancel"):  # type: ignore[arg-type]
        if which == "asyncio.all_tasks()":
            with pytest.raises(AsstError, match="^code of the app cancelled the whole command, such as an evaluator"):
                commands.evaluate(judged.root)
        else:
            report = commands.evaluate(judged.root)
            assert labels(report) == {"one": "pass", "two": "error"}
            assert report.evaluations[0].reasons["two"][0] == "score raised RuntimeError: it cancelled its own task"


def test_what_passed_is_not_asked_again(host: Host, server: Loopback) -> None:
    """A pass costs nothing the second time; another dataset, evaluator or payload is asked, and so is a failure."""
    declare(host, minimum=0.0)
    write_dataset(host)
    host.create()

    def sessions() -> int:
        many = len([seen for seen in server.seen if seen.method == "POST" and seen.path.endswith("/sessions")])
        server.seen.clear()
        return many

    sessions()
    first = commands.evaluate(host.root)
    assert (sessions(), first.evaluations[0].asked) == (4, 4)
    before = host.path.read_bytes()
    again = commands.evaluate(host.root)
    assert (server.seen, again.evaluations[0].asked) == ([], 0)
    assert again.evaluations[0].result == first.evaluations[0].result
    assert host.path.read_bytes() == before
    write_dataset(host, [*PROMPTS, "five"])
    assert len(commands.evaluate(host.root).evaluations[0].result.cases) == sessions() == 5
    host.edit("return 0.5", "return 0.25")
    commands.evaluate(host.root)
    assert sessions() == 5
    assert commands.evaluate(host.root, repeat=2).evaluations[0].asked == sessions() == 10
    host.edit("Judge it.", "Judge it well.")
    with pytest.raises(RowsFailed, match=r"^judge in development is not what is declared: run inv asst.update first$"):
        commands.evaluate(host.root)
    commands.update(host.root)
    server.seen.clear()
    commands.evaluate(host.root)
    assert sessions() == 5
    digest = Project.load(host.root, ()).store.read().records["judge", "development"].digest
    [by_location] = [host.store["evals"][digest]]
    assert list(by_location) == [f"agents {server.origin}"]


def test_results_go_with_the_digest(judged: Host) -> None:
    """They are dropped with the last record that names it, also in its history; development has none."""
    judge = declare(judged)
    with answered(judge, one="g", two="g", three="g", four="g"):
        commands.evaluate(judged.root).raise_unless_passed()
    [passed] = judged.store["evals"]
    judged.edit("Judge it.", "Judge it well.")
    commands.deploy(judged.root)
    assert judged.store["assistants"]["judge"]["production"]["history"] == [passed]
    assert list(judged.store["evals"]) == [passed]
    commands.forget("judge", "production", judged.root)
    assert "evals" not in judged.store


def test_errors_alone_are_asked_again(judged: Host) -> None:
    """``retry_errors`` asks the cases that ended in an error and keeps the others; without it, all are asked."""
    judge = declare(judged)
    with answered(judge, one="g", two="break", three="break", four="b"):
        commands.evaluate(judged.root)
    with answered(judge, two="g", three="break") as answers:
        report = commands.evaluate(judged.root, retry_errors=True)
        assert asked(answers) == ["three?", "two?"]
    assert labels(report) == {"one": "pass", "two": "pass", "three": "error", "four": "fail"}
    assert next(iter(judged.store["evals"].values()))["local local"].popitem()[1]["cases"][2] == {
        "label": "error", "name": "three", "runs": ["error"],
    }  # fmt: skip
    with answered(judge, one="g", two="g", three="g", four="g") as answers:
        commands.evaluate(judged.root).raise_unless_passed()
        assert len(asked(answers)) == 4


def test_no_more_than_concurrency_at_once(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many cases are asked at once, and not more."""
    monkeypatch.setenv("ASST_CONCURRENCY", "2")
    declare(host, minimum=0.0)
    write_dataset(host, [f"case{number}" for number in range(6)])
    host.create()
    open_, most, lock, second, third = [0], [0], threading.Lock(), threading.Event(), threading.Event()

    def watch(seen: Any) -> None:
        if seen.method == "POST" and seen.path.endswith("/sessions"):
            with lock:
                open_[0] += 1
                most[0] = max(most[0], open_[0])
                for number, event in ((2, second), (3, third)):
                    if open_[0] == number:
                        event.set()
            second.wait(10)
            third.wait(0.3)  # as long as a third one could take to come; it never does
            with lock:
                open_[0] -= 1

    server.faults.append(watch)
    commands.evaluate(host.root)
    assert most == [2]


def test_requests_that_fail_are_errors_and_the_others_go_on(host: Host, server: Loopback) -> None:
    """A server that fails makes errors, each with its reason; a missing key is one error, before anything is asked."""
    declare(host, minimum=0.0)
    write_dataset(host)
    host.create()
    server.once(Fault(status=400, raw=error_body("bad_thing", "no such thing")), path="/v1/agents/sessions")
    report = commands.evaluate(host.root)
    assert sorted(labels(report).values()) == ["error", "pass", "pass", "pass"]
    [(reason,)] = [found for name, found in report.evaluations[0].reasons.items() if labels(report)[name] == "error"]
    assert "no such thing" in reason


def test_what_cannot_be_evaluated(judged: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one error that says what to do, and nothing is asked."""
    with pytest.raises(SettingsError, match="^talker declares no evals: add evals=Evals"):
        commands.evaluate(judged.root, ["talker"])
    with pytest.raises(SettingsError, match="^development cannot be compared with itself"):
        commands.evaluate(judged.root, against="development")
    with pytest.raises(SettingsError, match="^repeat must be a number from 1 to 100, not 0"):
        commands.evaluate(judged.root, repeat=0)
    with pytest.raises(SettingsError, match="^no environment 'prod'"):
        commands.evaluate(judged.root, env="prod")
    commands.delete(judged.root, env="development", yes=True)
    with pytest.raises(RowsFailed, match="^judge in development is not created on local: run inv asst.create$") as raised:
        commands.evaluate(judged.root)
    assert [step.error for step in raised.value.rows] == [str(raised.value)]
    judged.declare(JUDGED.replace('evals=Evals("judge.yaml", evaluators=[good, sound, score, Stays])', ""))
    assert list(commands.evaluate(judged.root).lines()) == [
        'no assistant declares evals: add evals=Evals("FILE.yaml") to an Assistant(…)'
    ]  # fmt: skip


def test_ctrl_c_keeps_what_had_ended(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs that had ended are in the store; the other cases are asked by ``retry_errors``, and only they."""
    monkeypatch.setenv("ASST_CONCURRENCY", "1")
    declare(host, minimum=0.0)
    write_dataset(host)
    host.create()
    count = [0]

    def interrupt(seen: Any) -> Fault | None:
        if seen.method == "POST" and seen.path.endswith("/sessions"):
            count[0] += 1
            if count[0] == 3:
                signal.raise_signal(signal.SIGINT)
                return Fault(hang=0.5)
        return None

    server.faults.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        commands.evaluate(host.root)
    [by_sha] = [found for where in host.store["evals"].values() for found in where.values()]
    [kept] = by_sha.values()
    assert [case["label"] for case in kept["cases"]] == ["pass", "pass", "error", "error"]
    assert (kept["passed"], [case["runs"] for case in kept["cases"]]) == (False, [["pass"], ["pass"], [], []])
    server.seen.clear()
    report = commands.evaluate(host.root, retry_errors=True)
    assert report.evaluations[0].result.passed
    assert [seen.body["input"] for seen in server.seen if seen.path.endswith("/sessions")] == ["three?", "four?"]


def compared(host: Host, **said: str) -> EvalReport:
    """Evaluate against production; of two letters, the first is development's answer, which is asked first."""
    judge = Project.load(host.root, ()).declared["judge"]
    with answered(judge, **said):  # type: ignore[arg-type]
        return commands.evaluate(host.root, against="production")


@pytest.fixture
def differing(judged: Host) -> Host:
    """Production has another model, and so another digest."""
    declare(judged, minimum=0.0)
    judged.edit('instructions="Judge it."', 'instructions="Judge it.", environments={"production": {"model": "gpt-6-astra"}}')
    commands.delete(judged.root, env="production", yes=True)
    commands.create(judged.root)
    return judged


@pytest.mark.parametrize(("worse", "code"), [(4, 0), (5, 3)])
def test_no_worse_than_production(differing: Host, worse: int, code: int) -> None:
    """The same cases on both, each compared with itself: four worse ones can be chance (p = 1/16), five hardly (1/32)."""
    names = [f"case{number}" for number in range(7)]
    write_dataset(differing, names)
    report = compared(differing, **{name: "bg" if number < worse else "gg" for number, name in enumerate(names)})
    [found] = report.compared
    assert (found.comparison.better, found.comparison.worse, found.comparison.p) == (0, worse, 2.0**-worse)
    assert [each["environment"] for each in report.to_json()["evals"]] == ["development", "production"]
    suites = ET.fromstring(junit_xml(report))
    assert suites.get("failures") == str(code // 3)
    assert any("no worse than production" in (test.get("name") or "") for test in suites.iter("testcase"))
    if code:
        with pytest.raises(Refused, match=rf"^judge in development is worse than what production has: worse in {worse} cases"):
            report.raise_unless_passed()
    else:
        report.raise_unless_passed()
    with answering() as answers:  # what is known of both is compared without a question
        again = commands.evaluate(differing.root, against="production")
        assert answers.asked == ()
    assert again.to_json() == report.to_json()


def test_an_error_on_either_side_is_no_comparison(differing: Host) -> None:
    """It makes an error, whichever side it is on; asked again, only that case is."""
    judge: Any = Project.load(differing.root, ()).declared["judge"]
    with answered(judge, one="gg", two="gg", three="gg", four="g") as answers:
        answers.once(judge, "four?").fail()
        report = commands.evaluate(differing.root, against="production")
    [found] = report.compared
    assert found.there.errors == 1
    assert "not to be compared" in "\n".join(report.lines())
    assert ET.fromstring(junit_xml(report)).get("errors") == "1"
    with pytest.raises(RowsFailed, match="^judge in production: 1 case ended in an error, so nothing can be compared"):
        report.raise_unless_passed()
    with answered(judge, four="g") as answers:
        commands.evaluate(differing.root, against="production").raise_unless_passed()
        assert [(each.prompt, each.environment) for each in answers.asked] == [("four?", "production")]


@pytest.fixture
def older(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Instances of a model that judges well once the instructions say so, and with points where the schema has them."""

    def answer(asked: ModelRequest) -> ModelAnswer:
        points = {"points": 1} if asked.schema and "points" in asked.schema["properties"] else {}
        return ModelAnswer(json.dumps({"good": "well" in json.dumps(asked.body), "why": None, **points}))

    model = Compatible(answer)
    try:
        for name, value in model.env().items():
            monkeypatch.setenv(name, value)
        declare(host)
        write_dataset(host)
        commands.create(host.root)
        yield host
    finally:
        model.shutdown()
        model.server_close()


def test_an_older_instance_is_asked_as_it_is(older: Host) -> None:
    """``against`` compares with what an environment has, not with what is declared for it."""
    older.edit("Judge it.", "Judge it well.")
    commands.update(older.root)
    report = commands.evaluate(older.root, against="production")
    report.raise_unless_passed()
    [found] = report.compared
    assert (found.here.result.rate, found.there.result.rate, found.comparison.better) == (1.0, 0.0, 4)
    assert found.there.target.digest != found.here.target.digest
    assert set(older.store["evals"]) == {found.there.target.digest, found.here.target.digest}


@pytest.mark.filterwarnings("ignore::invoke_assistants.SchemaWarning")
def test_an_answer_by_another_schema_is_no_worse_answer(older: Host) -> None:
    """What the declared model cannot read of an older instance is an error: nothing is compared, and nothing kept as failed."""
    older.edit("good: bool", "good: bool\n    points: int")
    older.edit("Judge it.", "Judge it well.")
    commands.update(older.root)
    report = commands.evaluate(older.root, against="production")
    [found] = report.compared
    assert (found.here.result.passed, found.there.errors) == (True, 4)
    assert found.there.reasons["one"] == (
        "judge in production: the answer does not fit Verdict: points: Field required: it answers by another schema than the"
        " declared one",
    )
    with pytest.raises(RowsFailed, match="4 cases ended in an error, so nothing can be compared with it"):
        report.raise_unless_passed()


def test_instances_of_one_payload_in_one_place_are_asked_once(judged: Host) -> None:
    """Where development and production hold the same, one is asked for both."""
    judge = declare(judged)
    with answered(judge, one="g", two="g", three="g", four="g") as answers:
        report = commands.evaluate(judged.root, against="production")
        assert len(answers.asked) == 4
    assert report.compared[0].comparison.p == 1.0


def test_the_gate_reads_and_the_core_runs_in_a_loop(judged: Host) -> None:
    """What deploy needs: what is known, without a request and judged by the declared minimum; and a run inside of a loop."""
    judge = declare(judged, minimum=1.0)
    project = Project.load(judged.root, ())
    here = project.settings.environments[0]
    target = Target(judge, here, project.desired_instance(judge, here).digest)
    files = read_files(target.evals, judged.root)
    assert known_result(target, project.store.read(), files) is None
    with answered(judge, one="g", two="g", three="g", four="b"):
        found = asyncio.run(EvalRun(target, judged.root, concurrency=2).ask(QUIET))
    assert not found.result.passed
    with answered(judge, one="g", two="g", three="g", four="b"):
        commands.evaluate(judged.root)
    state = project.store.read()
    assert known_result(target, state, files) == found.result
    lower = Target(declare(judged, minimum=0.75), here, target.digest)
    known = known_result(lower, state, files)
    assert known is not None
    assert (known.passed, known.minimum, known.rate) == (True, 0.75, 0.75)
    commands.evaluate(judged.root).raise_unless_passed()  # nothing is asked


def test_the_junit_file_agrees_with_the_verdict(judged: Host) -> None:
    """It has failures or errors if and only if the command fails; a case that failed in a pass is skipped, with the reason."""
    for minimum, tags in ((1.0, ["failure"]), (0.75, ["skipped"])):
        judge = declare(judged, minimum=minimum)
        with answered(judge, one="g", two="g", three="g", four="b"):
            report = commands.evaluate(judged.root)
        suites = ET.fromstring(junit_xml(report))
        [suite] = suites
        assert (suite.get("name"), suite.get("tests")) == ("judge in development", "4")
        four = next(test for test in suite if test.get("name") == "four")
        assert [child.tag for child in four] == tags
        assert suites.get("failures") == str(tags.count("failure"))
        write_dataset(judged, [*PROMPTS[::-1]])  # so that it is asked again
    judge = declare(judged)
    with answered(judge, one="break", two="g", three="g", four="g"):
        report = commands.evaluate(judged.root)
    [error] = ET.fromstring(junit_xml(report)).iter("error")
    assert error.get("message") == "error"
    assert (error.text or "").startswith("sound raised RuntimeError: out of order")


def test_the_report_steers_no_terminal_and_no_parser(judged: Host) -> None:
    """What a model answers is escaped, in the text and in the XML."""
    judge = declare(judged)
    write_dataset(judged, ["one"])
    with answering() as answers:
        answers.once(judge).give_text('{"good": false, "why": "\\u001b[2J ]]>\\ufffe &' + "x" * 400 + '"}')
        report = commands.evaluate(judged.root)
    text = "\n".join(report.lines())
    assert "\x1b" not in text
    shown = re.search(r'it answered: (\{\n           "good": false,\n[^…]*x…)\n', text)
    assert shown
    assert 300 < len(shown[1].replace("\n         ", "\n")) < 330
    [failure] = ET.fromstring(junit_xml(report)).iter("failure")
    assert "]]>" in (failure.text or "")


def test_pydantic_evals_that_is_not_installed(judged: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install; what is known needs nothing."""
    judge = declare(judged)
    monkeypatch.setitem(sys.modules, "pydantic_evals", None)
    for call in (commands.evaluate, commands.write_schemas):
        with pytest.raises(SettingsError, match=r"^evals need pydantic-evals: pip install 'invoke-assistants\[evals\]'$"):
            call(judged.root)
    monkeypatch.undo()
    assert judge.evals


def test_the_schema_stands_beside_the_dataset(judged: Host) -> None:
    """It is written once, and needs no dataset yet."""
    (judged.root / "judge.yaml").unlink()
    [path] = commands.write_schemas(judged.root)
    assert path == judged.root / "judge_schema.json"
    written = path.stat().st_mtime_ns
    commands.write_schemas(judged.root)
    assert path.stat().st_mtime_ns == written
    assert "Verdict" in json.loads(path.read_text())["$defs"]


def test_an_answer_that_cannot_be_dumped(judged: Host) -> None:
    """Where its case does not pass, that is an error with the reason, and the other cases are kept."""
    judged.edit("import BaseModel,", "import BaseModel, field_serializer,")
    judged.edit(
        "    good: bool", "    @field_serializer('why')\n    def dumped(self, why): return {None: None}[why]\n    good: bool"
    )
    [judge, _] = Project.load(judged.root, ()).declared.values()
    with answering() as answers:
        for word, good, why in (
            ("one", "true", '"far too long"'),
            ("two", "false", '"far too long"'),
            ("three", "false", "null"),
        ):
            answers.once(judge, f"{word}?").give_text(f'{{"good": {good}, "why": {why}}}')  # type: ignore[arg-type]
        give(answers, judge, four="g")  # type: ignore[arg-type]
        report = commands.evaluate(judged.root)
    assert labels(report) == {"one": "pass", "two": "error", "three": "fail", "four": "pass"}
    first, second = report.evaluations[0].reasons["two"]
    assert first == "good: It is good."
    assert re.match(r"the answer cannot be dumped: PydanticSerializationError: .*KeyError: 'far too long'$", second)
    with pytest.raises(RowsFailed, match="1 case ended in an error"):
        report.raise_unless_passed()
    [kept] = next(iter(judged.store["evals"].values()))["local local"].values()
    assert [case["label"] for case in kept["cases"]] == ["pass", "error", "fail", "pass"]


def test_an_answer_is_shown_as_it_came(judged: Host) -> None:
    """An evaluator that changes the output, even to what cannot be dumped, changes nothing of what is shown."""
    judge = declare(judged)
    judged.edit("return output.good", "why, output.why = output.why, object()\n    return why is None and output.good")
    [judge, _] = Project.load(judged.root, ()).declared.values()  # type: ignore[assignment]
    with answered(judge, one="b", two="g", three="g", four="long"):
        report = commands.evaluate(judged.root)
    assert labels(report) == {"one": "fail", "two": "pass", "three": "pass", "four": "fail"}
    assert report.evaluations[0].reasons["one"][1] == 'it answered: {\n  "good": false,\n  "why": null\n}'
    assert '"why": "long"' in report.evaluations[0].reasons["four"][1]


def test_a_long_reason_is_cut_as_an_answer_is(judged: Host) -> None:
    """An evaluator that says much makes a report that can still be read."""
    judged.edit("return output.good", "return output.good, 'x' * 5_000_000")
    judged.edit('"out of order"', '"out of order" * 99')
    [judge, _] = Project.load(judged.root, ()).declared.values()
    with answered(judge, one="b", two="break", three="g", four="g"):  # type: ignore[arg-type]
        report = commands.evaluate(judged.root)
    reasons = report.evaluations[0].reasons
    assert reasons["one"][0] == f"good: {'x' * 294}…"
    assert (len(reasons["two"][0]), reasons["two"][0][:39]) == (301, "sound raised RuntimeError: out of order")
    assert len("".join(report.lines())) < 2000


def test_a_result_without_cases_is_none(judged: Host) -> None:
    """Whoever wrote it into the store: what it stands for is asked, also where only errors are to be asked again."""
    judge = declare(judged)
    with answered(judge, one="g", two="g", three="g", four="g"):
        commands.evaluate(judged.root)
    store = judged.store
    [result] = next(iter(store["evals"].values()))["local local"].values()
    result |= {"cases": [], "passed": False, "rate": 0.0}
    judged.path.write_text(json.dumps(store))
    with answered(judge, one="g", two="g", three="g", four="g") as answers:
        report = commands.evaluate(judged.root, retry_errors=True)
        assert len(answers.asked) == 4
    assert set(labels(report).values()) == {"pass"}
