"""An app's own tests say what assistants answer, and see what they were asked."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, PrivateAttr, field_validator

from invoke_assistants import (
    AnswerIncomplete,
    AnswerInvalid,
    AnswerRefused,
    Assistant,
    AsstError,
    DeclarationError,
    NotCreated,
    PlatformError,
    SettingsError,
)
from invoke_assistants.testing import Answers, Call, answering

ROOT = Path(__file__).parent.parent


class Verdict(BaseModel):
    """A verdict."""

    good: bool
    why: str | None = Field(alias="reason")


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is known"


async def translate(word: str, language: str = "en") -> dict[str, str]:
    """Translate a word."""
    return {language: word}


judge = Assistant("judge", output=Verdict, model="m", environments={"production": {"model": "n"}})
talker = Assistant("talker", model="m")
reader = Assistant("reader", output=Verdict, model="m", tools=[look_up, translate])
GOOD, BAD = Verdict(good=True, reason="so"), Verdict(good=False, reason=None)


def test_an_answer_is_given_and_the_question_is_known(asst_answers: Answers) -> None:
    """run returns the object that was given; the question names all of it."""
    asst_answers.once(judge).give(GOOD)
    reply = judge.run("Is it good?", environment="production")
    assert reply.output == GOOD
    assert reply.usage is not None
    [asked] = asst_answers.asked
    assert (asked.assistant, asked.environment, asked.prompt) == ("judge", "production", "Is it good?")
    assert (asked.session, asked.id, asked.calls) == (reply.session, reply.id, ())
    assert Verdict.model_validate_json(asked.answer) == GOOD
    assert judge.id("production") == reply.id != judge.id()


def test_answers_are_given_in_their_order(asst_answers: Answers) -> None:
    """Each ``once`` answers one question, in the order written; then comes the last ``always``."""
    asst_answers.always(talker).give("never")
    asst_answers.always(talker).give("rest")
    for text in ("1", "2"):
        asst_answers.once(talker).give(text)
    assert [talker.run("?").output for _ in range(4)] == ["1", "2", "rest", "rest"]


def test_an_answer_for_the_prompt_goes_first(asst_answers: Answers) -> None:
    """A whole prompt, a pattern and a function select questions; what was said for any prompt answers the others."""
    asst_answers.once(talker).give("any")
    asst_answers.always(talker, "Hello").give("whole")
    asst_answers.always(talker, re.compile(r"\d")).give("pattern")
    asst_answers.once(talker, lambda prompt: len(prompt) > 20).give("function")
    asked = ["Hello", "Room 101", "Hello", "A very long question, this one.", "Hello!"]
    assert [talker.run(prompt).output for prompt in asked] == ["whole", "pattern", "whole", "function", "any"]
    assert [each.prompt for each in asst_answers.asked] == asked


def test_a_conversation_goes_on(asst_answers: Answers) -> None:
    """Turns of one session are told apart by their prompts and share its id; another assistant's session is refused."""
    asst_answers.always(talker).give("yes")
    asst_answers.always(judge).give(GOOD)
    first = talker.run("One?")
    second = talker.run("Two?", session=first.session)
    assert first.session == second.session
    assert [(each.prompt, each.session) for each in asst_answers.asked] == [("One?", first.session), ("Two?", first.session)]
    with pytest.raises(AsstError, match="is a conversation of talker in development"):
        judge.run("Three?", session=first.session)


def test_arun_and_streams_have_the_same_answers(asst_answers: Answers) -> None:
    """arun, stream and its async form go through the same answers; a stream comes in pieces."""
    asst_answers.always(talker).give("one two three four five six seven")

    async def ask() -> tuple[str, list[str]]:
        stream = talker.stream("?")
        return (await talker.arun("?")).output, [piece async for piece in stream]

    output, apieces = asyncio.run(ask())
    stream = talker.stream("?")
    pieces = list(stream)
    assert output == stream.reply.output == "".join(pieces) == "".join(apieces)
    assert len(pieces) > 5
    assert len(asst_answers.asked) == 3


def test_an_app_calls_functions(asst_answers: Answers) -> None:
    """The app's own functions run, in order, before the answer; what the model was told is known."""
    asst_answers.once(reader).call(look_up, {"word": "Rome"}).call("translate", {"word": "Rom"}).give(GOOD)
    assert reader.run("What is Rome?").output == GOOD
    assert asst_answers.asked[0].calls == (
        Call("look_up", {"word": "Rome"}, "Rome is known"),
        Call("translate", {"word": "Rom"}, '{"en":"Rom"}'),
    )


def test_a_function_that_an_assistant_has_not_is_named(asst_answers: Answers) -> None:
    """A call of another function is an error at once, with those that there are."""
    with pytest.raises(ValueError, match="reader has no function 'lookup'; its functions: look_up, translate; did you mean"):
        asst_answers.once(reader).call("lookup")
    with pytest.raises(ValueError, match="look_up takes no argument 'wrd'; did you mean 'word'"):
        asst_answers.once(reader).call(look_up, {"wrd": "Rome"})
    with pytest.raises(ValueError, match="look_up needs the argument 'word'"):
        asst_answers.once(reader).call(look_up)


def test_a_refusal(asst_answers: Answers) -> None:
    """The app gets AnswerRefused with the words."""
    asst_answers.once(judge).refuse("Not this.")
    with pytest.raises(AnswerRefused) as raised:
        judge.run("?")
    assert raised.value.answer == "Not this."


def test_a_cut_off_answer(asst_answers: Answers) -> None:
    """The app gets AnswerIncomplete with the beginning."""
    asst_answers.once(judge).cut_off('{"good": tr')
    with pytest.raises(AnswerIncomplete) as raised:
        judge.run("?")
    assert raised.value.answer == asst_answers.asked[0].answer == '{"good": tr'


def test_an_answer_that_does_not_fit(asst_answers: Answers) -> None:
    """A text is answered as it is; the app gets AnswerInvalid where it does not fit."""
    asst_answers.once(judge).give_text('{"good": "maybe"}')
    with pytest.raises(AnswerInvalid, match="does not fit Verdict"):
        judge.run("?")


@pytest.mark.parametrize(("status", "code"), [(None, "server_error"), (500, "server_error"), (429, "too_many"), (401, "x")])
def test_a_failure(asst_answers: Answers, status: int | None, code: str) -> None:
    """The app gets PlatformError at once: nothing is asked again, whatever the status."""
    asst_answers.once(talker).fail("Too much.", code=code, status=status)
    with pytest.raises(PlatformError) as raised:
        talker.run("?")
    assert (raised.value.status, raised.value.code) == (status, code)
    assert len(asst_answers.asked) == 1


def test_samples_where_the_test_wants_them(asst_answers: Answers) -> None:
    """A sample fits the output model and says that it is one."""
    asst_answers.always(judge).sample()
    assert judge.run("?").output.why.startswith("sample")  # type: ignore[union-attr]


def test_a_question_without_an_answer() -> None:
    """It is an error where it is asked, and, since the app may go on, at the end; the message says what to write."""

    def run_test() -> None:
        with answering() as answers:
            answers.once(talker, "Another").give("x")
            with pytest.raises(PlatformError, match=r"for the question 'What\?': give one with once\(judge\) or always\(judge\)"):
                judge.run("What?")
            assert answers.asked[0].answer == ""

    with pytest.raises(AssertionError, match=r"in this test:\njudge: no answer is given for the question 'What\?'$"):
        run_test()


def test_an_error_in_the_block_is_not_hidden() -> None:
    """What the block raises comes out, not what is unanswered; the process asks as before."""
    with pytest.raises(PlatformError, match="no answer is given"), answering():
        judge.run("?")
    with pytest.raises(ZeroDivisionError), answering():
        raise ZeroDivisionError
    with pytest.raises((NotCreated, SettingsError)):
        judge.id()


def test_a_mistake_in_a_selecting_function_is_told() -> None:
    """The error of a function that selects prompts is named in the app, and at the end of the test."""

    def run_test() -> None:
        with answering() as answers:
            answers.always(talker, lambda prompt: 1 / 0 > 0).give("x")
            with pytest.raises(PlatformError, match="raised ZeroDivisionError"):
                talker.run("?")

    with pytest.raises(AssertionError, match="raised ZeroDivisionError"):
        run_test()


def test_what_no_model_could_answer_is_refused(asst_answers: Answers) -> None:
    """An object of another model, or whose own JSON does not fit, is an error where it is given."""

    class Shown(BaseModel):
        word: str = Field(validation_alias="in", serialization_alias="out")

    anything: Any = BAD
    with pytest.raises(TypeError, match="talker cannot answer with this: Verdict"):
        asst_answers.once(talker).give(anything)
    with pytest.raises(TypeError, match="judge cannot answer with this: 'yes' is not an object of Verdict"):
        asst_answers.once(judge).give("yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="its JSON does not fit the output model: in: Field required"):
        asst_answers.once(Assistant("shower", output=Shown, model="m")).give(Shown.model_validate({"in": "x"}))
    with pytest.raises(ValueError, match="200 is not the HTTP status of an error"):
        asst_answers.once(judge).fail(status=200)


def test_blocks_are_nested_and_follow_each_other(asst_answers: Answers) -> None:
    """The inner block counts; after it the outer one does; a session of one is unknown in the other."""
    asst_answers.always(talker).give("outer")
    with answering() as inner:
        inner.always(talker).give("inner")
        reply = talker.run("?")
        assert reply.output == "inner"
    assert talker.run("?").output == "outer"
    assert len(inner.asked) == len(asst_answers.asked) == 1
    with pytest.raises(PlatformError, match="there is no session"):
        talker.run("?", session=reply.session)


def test_threads_share_the_answers(asst_answers: Answers) -> None:
    """Threads that the app starts are answered, each answer once."""
    for number in range(40):
        asst_answers.once(talker).give(str(number))
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda _: talker.run("?").output, range(40)))
    assert sorted(map(int, outputs)) == list(range(40))
    assert len({each.session for each in asst_answers.asked}) == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_asks_no_platform(asst_answers: Answers) -> None:
    """A child has the answers of its parent, also where a thread of the parent held the lock."""
    asst_answers.always(talker).give("offline")
    assert talker.run("?").output == "offline"
    held, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with asst_answers._lock:
            held.set()
            forked.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings(action="ignore"):  # from Python 3.12 on, of the thread
        child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            code = 0 if talker.run("?").output == "offline" else 2
        finally:
            os._exit(code)
    forked.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SETTINGS = {
    "ASST_PLATFORM": "agents", "ASST_STORE": "redis://127.0.0.1:1", "ASST_ENV": "nowhere", "APP_ENV": "test", "ASST_TIMEOUT": "x",
    "ASST_LOCAL_MODEL": "http://user:password@127.0.0.1:1", "ASST_PROJECT": "\n", "OPENAI_API_KEY": "sk-real-key",
    "OPENAI_BASE_URL": "http://127.0.0.1:1", "ASST_CONCURRENCY": "none",
}  # fmt: skip


@pytest.mark.parametrize("pyproject", [None, '[project]\nname = "app"\n[tool.asst]\nstore = "redis://127.0.0.1:1"\n'])
def test_no_setting_of_the_machine_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asst_answers: Answers, pyproject: str | None
) -> None:
    """Variables, .env files and a store change nothing, and nothing is written, with a pyproject.toml and without one."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    if pyproject:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    (tmp_path / ".env").write_text("".join(f"{name}={value!r}\n" for name, value in SETTINGS.items()))
    (tmp_path / ".env.local").write_text("an 'unclosed quote\n")
    (tmp_path / "assistants_store.json").write_text("<<<<<<< ours")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    monkeypatch.chdir(tmp_path)
    asst_answers.always(judge).give(GOOD)
    reply = judge.run("?")
    assert judge.run("?", session=reply.session).output == GOOD
    assert asst_answers.asked[0].environment == "development"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_the_environments_are_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asst_answers: Answers) -> None:
    """The first of pyproject.toml is the current one; one that is not there is an error."""
    (tmp_path / "pyproject.toml").write_text('[tool.asst]\nenvironments = ["here", "there"]\n')
    monkeypatch.setenv("ASST_ROOT", str(tmp_path))
    asst_answers.always(talker).give("x")
    talker.run("?")
    talker.run("?", environment="there")
    assert [each.environment for each in asst_answers.asked] == ["here", "there"]
    with pytest.raises(SettingsError, match="no environment 'development'; known: here, there"):
        talker.run("?", environment="development")


def test_an_assistant_that_cannot_be_created_harms_no_other(asst_answers: Answers) -> None:
    """Its own question raises; the next assistant is answered."""

    class Loose(BaseModel):
        anything: dict[str, Any]

    asst_answers.always(talker).give("x")
    asst_answers.always(judge).give(GOOD)
    for wrong in (Assistant("loose", output=Loose, model="m"), Assistant("odd", model="m", verbosity="higher")):
        with pytest.raises(DeclarationError, match=r"^(loose|odd) in development: .*: run inv asst.check$"):
            wrong.run("?")
    assert talker.run("?").output == "x"
    with pytest.raises(DeclarationError, match="tool"):
        asst_answers.once(Assistant("lambda", model="m", tools=[lambda: 1])).call("x")


PLUGIN = """
import pytest
from invoke_assistants import Assistant, AsstError

talker = Assistant("talker", model="m")

def test_answered(asst_answers):
    asst_answers.once(talker).give("Hello.")
    assert talker.run("?").output == "Hello."

def test_swallowed(asst_answers):
    try:
        talker.run("Anybody?")
    except AsstError:
        pass

def test_raised(asst_answers):
    talker.run("Anybody?")
"""


def test_the_fixture_tells_what_is_unanswered(tmp_path: Path) -> None:
    """A test whose app swallowed the error has one at its end, a test that failed has no second one."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["invoke_assistants.testing"]')
    (tmp_path / "test_app.py").write_text(PLUGIN)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 2 passed, 1 error" in done.stdout, done.stdout
    assert "AssertionError: questions without an answer in this test:\n" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"conftest.py", "test_app.py", "__pycache__"}


def test_pytest_finds_the_fixture_by_itself() -> None:
    """The plugin is called as its module, so that a project's ``pytest_plugins`` may name it as well."""
    [plugin] = [each for each in entry_points(group="pytest11") if each.value.startswith("invoke_assistants")]
    assert plugin.name == plugin.value == "invoke_assistants.testing"


def test_without_pytest(tmp_path: Path) -> None:
    """The module is imported without pytest, and without openai and pydantic, which only a question needs."""
    (tmp_path / "pytest.py").write_text("raise ModuleNotFoundError('pytest')")
    code = "import sys, invoke_assistants.testing as t; print('asst_answers' in vars(t), {'openai', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False set()\n"


def test_an_answer_that_nobody_asks_for_fails_the_test() -> None:
    """What ``once`` gives must be asked for; what ``always`` gives need not be."""

    def block() -> None:
        with answering() as answers:
            answers.always(reader).sample()
            answers.once(reader).refuse("Too long.")

    with pytest.raises(AssertionError, match="(?s)nobody asked for in this test.*reader, any prompt: Too long"):
        block()


def test_a_name_is_not_an_assistant() -> None:
    """An assistant's name in its place is named as the mistake."""
    with answering() as answers, pytest.raises(TypeError, match="'reader' is not an Assistant"):
        answers.once("reader")  # type: ignore[arg-type]


def test_a_prompt_that_looks_at_what_was_asked() -> None:
    """The test's own function may use what the answers know: nothing is locked while it decides."""
    with answering() as answers:
        answers.once(reader, lambda prompt: len(answers.asked) == 0).give(GOOD)
        assert reader.run("Read.").output == GOOD


class Loud(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def shout(cls, name: str) -> str:
        return f"{name}!"


def test_what_no_answer_can_be_is_refused() -> None:
    """An object that its own JSON is not read back as could not come from a model."""
    loud = Assistant("loud", output=Loud, model="m")
    with (
        answering() as answers,
        pytest.raises(ValueError, match="loud cannot answer with this: its JSON is read back as another object"),
    ):
        answers.once(loud).give(Loud(name="ada"))


class Kept(BaseModel):
    """A model with what is no field of it."""

    name: str
    at: datetime
    _cache: object = PrivateAttr(default_factory=object)

    @cached_property
    def shouted(self) -> str:
        return self.name.upper()


def test_what_a_model_keeps_beside_its_fields_does_not_count() -> None:
    """Private attributes and cached properties are no part of an answer."""
    kept = Assistant("kept", output=Kept, model="m")
    given = Kept(name="ada", at=datetime.now(UTC))
    assert given.shouted == "ADA"
    with answering() as answers:
        answers.once(kept).give(given)
        assert kept.run("Read.").output.at == given.at


def test_an_answer_without_an_end_fails_the_test() -> None:
    """``once`` and ``call`` alone give no answer; the test says so, whether anybody asked or not."""

    def block() -> None:
        with answering() as answers:
            answers.once(reader).call(look_up, {"word": "Rome"})

    with pytest.raises(AssertionError, match="an answer of reader in this test has no end"):
        block()
