"""``asst.chat``: a conversation on a real terminal, and line by line through pipes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator

import pytest
from compatible import Compatible, ModelAnswer, ModelRequest
from conftest import MODELS, Host, Result
from invoke.context import Context
from invoke.exceptions import Exit
from terminals import Terminal, inv_with_input, wait_until

from invoke_assistants import commands, tasks
from invoke_assistants.tasks.prompts import TypedLines

PROMPT = "talker development> "
DEBUG = {"ASST_LOG": "debug"}
WITH_FUNCTIONS = (
    MODELS
    + '''
def translate(word: str, times: int = 1) -> str:
    """Translate a word."""
    return "\\x1b[31mBaum\\n" * times

def fail(word: str) -> str:
    """Fail."""
    raise LookupError(f"no {word}\\x1b[0m")

ASSISTANTS = [Assistant("talker", model="m", tools=[translate, fail])]
'''
)


@pytest.fixture
def model() -> Iterator[Compatible]:
    """A model that says which turn of the conversation it is, and repeats what it was told."""
    server = Compatible(lambda asked: ModelAnswer(f"turn {len(asked.prompts)}: {asked.prompts[-1]}"))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def talker(local_host: Host, model: Compatible, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A project whose assistants answer through ``model``, also for this process."""
    local_host.env = model.env()
    for name, value in model.env().items():
        monkeypatch.setenv(name, value)
    local_host.create()
    return local_host


@pytest.fixture
def chat(local_host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Has the task itself talk, in this process; it reads the given bytes as stdin."""
    monkeypatch.chdir(local_host.root)

    def talk(given: bytes, name: str, **options: str) -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        code, error = 0, ""
        try:
            tasks.chat(Context(), name, **options)
        except Exit as ended:
            code, error = ended.code, f"{ended.message}\n"
        out, err = capsys.readouterr()
        return Result(code, out, err + error)

    return talk


def test_a_conversation_on_a_terminal(talker: Host, model: Compatible) -> None:
    """Each line goes on in the conversation; empty lines ask nothing; Ctrl-D ends with 0 and says how to go on."""
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect("on responses: /help lists the commands, Ctrl-D ends")
        terminal.expect(PROMPT)
        terminal.type("Hello.\r")
        terminal.expect("turn 1: Hello.\r\n")
        terminal.expect(PROMPT)
        terminal.type("\r")
        terminal.expect(PROMPT)
        terminal.type("  \r")
        terminal.expect(PROMPT)
        terminal.type("And again.\r")
        terminal.expect("turn 2: And again.\r\n")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0
        found = re.search(r"rel_\w+: 24 tokens; go on with --session (resp_\d+)\r\n\Z", terminal.shown)
        assert found, terminal.shown
    assert len(model.asked) == 2
    with Terminal(talker, "asst.chat", "talker", "--session", found[1]) as terminal:
        terminal.expect(PROMPT)
        terminal.type("Still there?\r")
        terminal.expect("turn 3: Still there?\r\n")
        terminal.expect(PROMPT)
        terminal.type("/quit\r")
        assert terminal.end() == 0


def test_an_answer_is_shown_as_it_comes(talker: Host, model: Compatible) -> None:
    """The first piece is on the terminal while the model still writes; it cannot steer the terminal."""
    gate = threading.Event()
    model.model = lambda asked: ModelAnswer("12345\x1b[2J and the rest of it, some pieces long")
    model.between = lambda: gate.wait(20)
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("Hello.\r")
        wait_until(lambda: model.asked)
        model.between = lambda: gate.wait(20) if "12345" in terminal.shown else None
        gate.set()
        terminal.expect("12345")
        terminal.expect(r"\x1b[2J and the rest of it, some pieces long")
        terminal.expect(PROMPT)
        assert "\x1b[2J" not in terminal.shown


def test_commands(talker: Host, model: Compatible) -> None:
    """/json, /new, /env and // do what /help says; what is no command is answered with those that are."""
    with Terminal(talker, "asst.chat", "talker") as terminal:

        def enter(line: str, *expected: str) -> None:
            terminal.expect("talker ")
            terminal.expect("> ")
            terminal.type(f"{line}\r")
            for text in expected:
                terminal.expect(text)

        enter("/help", "/new  ", "/env [NAME]  ", "/json  ", "/quit  ", "//text  ", "Ctrl-C  ")
        enter("one", "turn 1: one")
        enter("/json", "answers are printed as JSON")
        enter('"two"', json.dumps('turn 2: "two"'))
        enter("/json", "answers are printed as text")
        enter("/new", "the conversation so far: go on with --session resp_000002", "a new conversation")
        enter("three", "turn 1: three")
        enter("//json", "turn 2: /json")
        enter("/jsno", "no command '/jsno'; there are /new, /env, /json, /help, /quit; did you mean '/json'?")
        enter("/new now", "/new takes nothing behind it")
        enter("/env prodution", "no environment 'prodution'; known: development, production; did you mean 'production'?")
        enter("/env", "talker in development, rel_")
        enter("still here", "turn 3: still here")
        enter("/env production", "go on with --session resp_000005", "talker in production, rel_", "a new conversation, since")
        enter("four", "turn 1: four")
        terminal.expect("talker production> ")
        terminal.type("\x04")
        assert terminal.end() == 0
        assert terminal.shown.endswith("12 tokens; go on with --env production --session resp_000006\r\n")


def test_structured_answers_are_shown_as_asst_run_shows_them(
    local_host: Host, chat: Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    """An object is printed line by line, and as one JSON document after /json."""
    local_host.create()
    tasks.run(Context(), "judge", "Well?")
    ran = capsys.readouterr().out
    chatted = chat(b"Well?\n/json\nAnd?\n", "judge")
    assert chatted.code == 0, chatted.err
    assert chatted.out.startswith(ran)
    assert set(json.loads(chatted.out.removeprefix(ran))) == {"good", "why"}


def test_the_calls_of_functions_are_shown(talker: Host, model: Compatible, chat: Callable[..., Result]) -> None:
    """One line each: name, arguments, result, shortened and safe. A function that fails is one line, too; the chat goes on."""

    def answer(asked: ModelRequest) -> ModelAnswer:
        if asked.conversation[-1].get("role") != "user":
            return ModelAnswer("Done.")
        name = asked.prompts[-1]
        return ModelAnswer(calls=((name, {"word": "tree", "times": 30} if name == "translate" else {"word": "x"}),))

    model.model = answer
    talker.declare(WITH_FUNCTIONS)
    commands.update(talker.root)
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("translate\r")
        shown = r'translate(word="tree", times=30) -> \x1b[31mBaum \x1b[31mBaum'
        terminal.expect("\x1b[2m" + shown)
        assert len(terminal.expect("…")) < 100
        terminal.expect("Done.")
        terminal.expect(PROMPT)
        terminal.type("fail\r")
        terminal.expect(r"talker in development: tool fail failed: LookupError: no x\x1b[0m")
        terminal.expect('fail(word="x") -> the tool failed')
        terminal.expect("Done.")
        terminal.expect(PROMPT)
    piped = chat(b"translate\n", "talker")
    assert (piped.code, piped.out) == (0, "Done.\n")
    assert piped.err.startswith(shown)


def test_ctrl_c_cancels_an_answer_and_the_conversation_goes_on(talker: Host, model: Compatible) -> None:
    """Ctrl-C while the model is thinking comes back to the prompt; the conversation is the one before."""
    with Terminal(talker, "asst.chat", "talker") as terminal:
        for first, goes_on in ((True, "the next line begins a new conversation"), (False, "the conversation goes on")):
            terminal.expect(PROMPT)
            model.hang.clear()
            asked = len(model.seen)
            terminal.type("Wait.\r")
            wait_until(lambda asked=asked: len(model.seen) > asked)
            terminal.type("\x03")
            terminal.expect(f"cancelled; {goes_on}")
            model.hang.set()
            terminal.expect(PROMPT)
            terminal.type("Go on.\r")
            terminal.expect(f"turn {1 if first else 2}: Go on.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0


def test_ctrl_c_cancels_a_turn_of_the_agents_api(local_host: Host, model: Compatible) -> None:
    """The turn is cancelled at the service, so that the conversation is free for the next line."""
    local_host.env |= {"ASST_LOCAL_MODEL": model.url}
    local_host.create()
    with Terminal(local_host, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("Hello.\r")
        terminal.expect("turn 1: Hello.")
        terminal.expect(PROMPT)
        model.hang.clear()
        asked = len(model.seen)
        terminal.type("Wait.\r")
        wait_until(lambda: len(model.seen) > asked)
        terminal.type("\x03")
        terminal.expect("cancelled; the conversation goes on")
        model.hang.set()
        terminal.expect(PROMPT)
        terminal.type("Go on.\r")
        terminal.expect(": Go on.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0


def test_ctrl_c_at_the_prompt_clears_the_line(talker: Host, model: Compatible) -> None:
    """As in Python's own REPL: what was typed is dropped, and a new prompt comes; so is a line that is no text."""
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type(b"\xff\xfe\r")
        terminal.expect("the line is not UTF-8: it was dropped")
        terminal.expect(PROMPT)
        terminal.type("never mi")
        terminal.expect("never mi")
        terminal.interrupt_prompt(PROMPT)
        terminal.type("Hello\\\r")
        terminal.expect("... ")
        terminal.interrupt_prompt(PROMPT)
        terminal.type("Hi.\r")
        terminal.expect("turn 1: Hi.")
        terminal.expect(PROMPT)
    assert [asked.prompts for asked in model.asked] == [["Hi."]]


@pytest.mark.parametrize("asked", [False, True])
def test_sigterm_ends_a_conversation(talker: Host, model: Compatible, asked: bool) -> None:
    """SIGTERM is no wish of the person who types: it ends the command with 143, at the prompt and during an answer."""
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        if asked:
            model.hang.clear()
            terminal.type("Wait.\r")
            wait_until(lambda: model.seen)
        for _ in range(20):  # Python misses a signal that strikes just before it waits for a line
            terminal.process.send_signal(signal.SIGTERM)
            terminal.read_for(0.5)
            if terminal.process.poll() is not None:
                break
        assert terminal.end() == 143
        model.hang.set()
    assert "interrupted" in terminal.shown


def test_the_history_of_lines_is_private_and_outlives_the_process(talker: Host) -> None:
    """The arrow key brings back the last line of the conversation before; nobody else can read the file, or can any longer."""
    history = talker.root / ".asst" / "chat_history"
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("Remember me, é.\r")
        terminal.expect("turn 1: Remember me, é.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0
    assert history.read_text() == "Remember me, é.\n"
    assert (stat.S_IMODE(history.stat().st_mode), stat.S_IMODE(history.parent.stat().st_mode)) == (0o600, 0o700)
    history.write_text("".join(f"line {number}\n" for number in range(1500)) + history.read_text())
    history.chmod(0o644)
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[A\r")
        terminal.expect("turn 1: Remember me, é.")
        terminal.expect(PROMPT)
        history.chmod(0o644)
        terminal.type("/help\r")
        terminal.expect("//text")
        terminal.expect(PROMPT)
    lines = history.read_text().splitlines()
    assert (len(lines), lines[0], lines[-2:]) == (1002, "line 501", ["Remember me, é.", "/help"])
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_a_python_without_readline(talker: Host) -> None:
    """The lines are read all the same; no history is kept."""
    (talker.root / "tasks.py").write_text(f"import sys\nsys.modules['readline'] = None\n{(talker.root / 'tasks.py').read_text()}")
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("Hello.\r")
        terminal.expect("turn 1: Hello.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0
    assert not (talker.root / ".asst" / "chat_history").exists()


def test_the_errors_of_a_turn_are_shown_and_the_conversation_goes_on(talker: Host, model: Compatible) -> None:
    """Refused, cut off, failed: one line each and what came; the turn after is answered, and the exit code on a terminal is 0."""
    model.model = lambda asked: {
        "refuse": ModelAnswer(refusal="I will not."), "cut": ModelAnswer("It begins", cut="max_output_tokens"),
    }.get(asked.prompts[-1], ModelAnswer("Fine."))  # fmt: skip
    with Terminal(talker, "asst.chat", "talker") as terminal:
        terminal.expect(PROMPT)
        terminal.type("refuse\r")
        terminal.expect("talker in development: the model refused: I will not.")
        terminal.expect(PROMPT)
        terminal.type("cut\r")
        terminal.expect("It begins\r\ntalker in development: the answer was cut off after 9 characters")
        assert "as it came" not in terminal.expect(PROMPT)
        model.failing = [(401, {})]
        terminal.type("fail\r")
        terminal.expect("OPENAI_API_KEY")
        terminal.expect(PROMPT)
        terminal.type("well\r")
        terminal.expect("Fine.")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.end() == 0


def test_an_answer_that_does_not_fit_is_shown(talker: Host, model: Compatible, chat: Callable[..., Result]) -> None:
    """The raw answer is printed below the error; through a pipe the exit code is 1, after all lines were asked."""
    answers = {"one": '{"good": false, "why": "never\\u001b"}', "two": '{"good": true, "why": null}'}
    model.model = lambda asked: ModelAnswer(answers[asked.prompts[-1]])
    rule = "    why: str | None\n    def model_post_init(self, _): assert not self.why, 'no reasons'\n"
    talker.edit("    why: str | None\n", rule)
    done = chat(b"one\ntwo\n", "judge")
    assert (done.code, done.out) == (1, "good: true\nwhy: null\n"), done.err
    assert "does not fit Verdict" in done.err
    assert "; .answer" not in done.err
    assert f"the answer as it came:\n{answers['one']}\n" in done.err
    assert done.err.endswith("1 of 2 turns failed\n")


def test_lines_from_a_pipe(talker: Host, model: Compatible) -> None:
    """Each line is a prompt, its answer alone is on stdout; a backslash at the end of a line goes on in the next."""
    done = inv_with_input(talker, b"one\n\ntwo\\\nlines\n//three\r\n/json\nfour\\", "asst.chat", "talker", env=DEBUG)
    assert done.out == 'turn 1: one\nturn 2: two\nlines\nturn 3: /three\n"turn 4: four"\n', done.err
    assert done.code == 0
    assert [asked.prompts[-1] for asked in model.asked] == ["one", "two\nlines", "/three", "four"]
    assert len(re.findall(r"^POST 127\.0\.0\.1:\d+/v1/responses 200 in \d+ ms$", done.err, re.M)) == 4
    assert not (talker.root / ".asst" / "chat_history").exists()


@pytest.mark.parametrize("line", [b"/evn production", b"/env prodution", b"/json 3", b"\xff\xfe"])
def test_a_wrong_line_from_a_pipe_ends_the_conversation(
    talker: Host, model: Compatible, chat: Callable[..., Result], line: bytes
) -> None:
    """The lines after it rely on it: they must not be asked elsewhere."""
    done = chat(b"one\n%s\ntwo\n" % line, "talker")
    assert (done.code, done.out) == (1, "turn 1: one\n")
    assert len(model.asked) == 1
    assert len(done.err.splitlines()) == 2  # how to go on, and the error


def test_nothing_is_read_where_there_is_nobody_to_ask(talker: Host, model: Compatible, chat: Callable[..., Result]) -> None:
    """An unknown assistant or environment, one that is not created, and a dry run end before the first prompt."""
    commands.forget("talker", "production", talker.root)
    missing = "talker is not created in production on responses: run inv asst.create\n"
    for name, env, error in (
        ("takler", "development", "no assistant 'takler'; declared: planner, judge, talker; did you mean 'talker'?\n"),
        ("talker", "prod", "no environment 'prod'; known: development, production; did you mean 'production'?\n"),
        ("talker", "production", missing),
    ):
        done = chat(b"Hello.\n", name, env=env)
        assert (done.code, done.out, done.err) == (1, "", error)
    with Terminal(talker, "asst.chat", "talker", "--env", "production") as terminal:
        assert terminal.end() == 1
        assert terminal.shown.replace("\r", "") == missing
    nothing = chat(b"", "talker")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")
    dry = talker.inv("-R", "asst.chat", "talker")
    assert (dry.code, dry.out.startswith("would talk with talker in development, rel_")) == (0, True)
    assert model.asked == []


def test_a_conversation_of_another_environment_is_refused(local_host: Host, chat: Callable[..., Result]) -> None:
    """It ends with 1 and names both; nothing is asked."""
    local_host.create()
    begun = chat(b"one\n", "talker", env="production")
    session = begun.err.split()[-1]
    assert begun.err.endswith(f"go on with --env production --session {session}\n")
    done = chat(b"two\n", "talker", session=session)
    assert (done.code, done.out) == (1, "")
    assert f"session {session} is a conversation of talker in production" in done.err
    again = chat(b"two\n", "talker", env="production", session=session)
    assert (again.code, again.err.split()[-1]) == (0, session)


def test_a_history_with_anything_in_it(local_host: Host) -> None:
    """Bytes that a power cut left in the history, or something else in its place, keep nobody from talking."""
    local_host.create()
    history = local_host.root / ".asst" / "chat_history"
    history.write_bytes(b"hi\n\0\0\xff\n")
    TypedLines(history.parent)
    history.unlink()
    os.mkfifo(history)
    TypedLines(history.parent)
