"""Say in a test what assistants answer, and see what they were asked: no network, no key, and nothing is written.

The app's own code runs as ever, and so does all of this package that asks and parses; the embedded platform gives the answers.

    from invoke_assistants.testing import Answers

    def test_a_game(asst_answers: Answers) -> None:
        asst_answers.once(create_trivia_game).give(game)
        …
        assert asst_answers.asked[0].prompt == "Create a new trivia game."

``asst_answers`` is a fixture of pytest; ``answering()`` is the same as a context manager, for any other kind of test.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .declare.declaration import Declaration
from .text import did_you_mean, one_line

if TYPE_CHECKING:
    from .emulator.responder import Conversation
    from .emulator.scripted_responder import Failure, Rule, ScriptedResponder, ScriptedTurn

__all__ = ["Answers", "Asked", "Call", "Prompt", "Script", "answering"]

Given = TypeVar("Given")  # the output of an assistant; not covariant, so that an object of another model is a type error
Prompt = str | re.Pattern[str] | Callable[[str], bool]  # the whole prompt, a pattern to find in it, or what says yes to it


@dataclass(frozen=True)
class Call:
    """A call of one of the app's functions: its tool's name, the arguments, and the output that the model was told."""

    name: str
    arguments: Mapping[str, Any]
    output: Any


@dataclass(frozen=True)
class Asked:
    """A question that was asked.

    Args:
        assistant, environment: their names.
        prompt: what the user said.
        session: the id of the conversation, as in ``Reply.session``.
        id: the id of the instance that was asked.
        answer: the text of the answer so far: JSON where there is an output model; empty where none was given.
        calls: the app's functions that were called before the answer.
    """

    assistant: str
    environment: str
    prompt: str
    session: str
    id: str
    answer: str
    calls: tuple[Call, ...]


class Answers:
    """What assistants answer in a test, and what they were asked. ``answering()`` makes one; threads may share it.

    A question is answered by what was said for its prompt, or else for any prompt; among those by the first ``once`` that is
    not used up, or else by the last ``always``. A question without an answer raises ``PlatformError`` where it was asked and,
    in case the app goes on, ``AssertionError`` at the end of the test. So does an answer of ``once`` that nobody asked for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._scripts: list[Script[Any]] = []
        self._asked: list[tuple[Conversation, ScriptedTurn]] = []
        self._unanswered: list[str] = []

    @property
    def asked(self) -> tuple[Asked, ...]:
        """The questions so far, in the order in which they were asked, those without an answer included."""
        with self._lock:
            asked = list(self._asked)
        return tuple(_asked(conversation, turn) for conversation, turn in asked)

    def once(self, assistant: Declaration[Given], prompt: Prompt | None = None) -> Script[Given]:
        """What an assistant answers to one question. Several of them are used in the order in which they are written.

        Args:
            prompt: the questions that it is for: by default any.
        """
        return self._begun(Script(self._rules.append, assistant, prompt, repeated=False))

    def always(self, assistant: Declaration[Given], prompt: Prompt | None = None) -> Script[Given]:
        """What an assistant answers whenever it is asked. Of several, the last one counts; a ``once`` goes before it.

        Args:
            prompt: the questions that it is for: by default any.
        """
        return self._begun(Script(self._rules.append, assistant, prompt, repeated=True))

    def _begun(self, script: Script[Given]) -> Script[Given]:
        self._scripts.append(script)
        return script

    def _script(self, conversation: Conversation) -> ScriptedTurn:
        """Choose what happens in a new turn, and note that it was asked."""
        from .emulator.scripted_responder import Failure, ScriptedTurn

        name, prompt = conversation.session["metadata"]["asst.name"], conversation.prompt
        try:
            fitting, problem = self._fitting(name, prompt), "no answer is given"
        except Exception as error:
            fitting, problem = [], f"a prompt= of the test raised {type(error).__name__} ({error})"
        with self._lock:
            rule = next((each for each in fitting if each.repeated or each in self._rules), None)
            if rule is None:
                said = one_line(prompt)
                advice = f"give one with once({name}) or always({name})"
                turn = ScriptedTurn(failure=Failure(f"{problem} for the question {said!r:.200}: {advice}", "no_answer", 400))
                self._unanswered.append(f"{name}: {problem} for the question {said!r:.200}")
            else:
                turn = ScriptedTurn(rule.turn.calls, rule.turn.text, rule.turn.failure)
                if not rule.repeated:
                    self._rules.remove(rule)
            self._asked.append((conversation, turn))
        return turn

    def _fitting(self, name: str, prompt: str) -> list[Rule]:
        """The answers that fit a question, the first choice first. The test's own functions decide, so no lock is held."""
        rules = [rule for rule in tuple(self._rules) if rule.assistant == name and rule.matches(prompt)]
        rules = [rule for rule in rules if rule.prompt is not None] or rules
        return [rule for rule in rules if not rule.repeated] + [rule for rule in rules if rule.repeated][:-2:-1]

    def _make_responder(self) -> ScriptedResponder:
        """Make what gives the answers; a forked child needs a lock of its own, since a thread of its parent may hold it."""
        from .emulator.scripted_responder import ScriptedResponder

        self._lock = threading.Lock()
        return ScriptedResponder(self._script)

    def _check(self) -> None:
        if names := [script._assistant.name for script in self._scripts if not script._ended]:
            raise AssertionError(f"an answer of {names[0]} in this test has no end: add .give(…), .refuse() or another one")
        if self._unanswered:
            raise AssertionError("questions without an answer in this test:\n" + "\n".join(self._unanswered))
        if unused := [rule for rule in tuple(self._rules) if not rule.repeated]:
            given = (f"{rule.assistant}, {rule.shown()}" for rule in unused)
            raise AssertionError("answers of once() that nobody asked for in this test:\n" + "\n".join(given))


class Script(Generic[Given]):
    """What an assistant does with a question: any number of ``call``, then one of the others, which ends the script."""

    def __init__(
        self, add: Callable[[Rule], None], assistant: Declaration[Given], prompt: Prompt | None, *, repeated: bool
    ) -> None:
        if not isinstance(assistant, Declaration):
            raise TypeError(f"{assistant!r:.80} is not an Assistant: give the one that the app declares")
        self._add = add
        self._assistant = assistant
        self._prompt = prompt
        self._repeated = repeated
        self._calls: list[tuple[str, dict[str, Any]]] = []
        self._ended = False  # or given up, by an error of the test

    def call(self, function: Callable[..., Any] | str, arguments: Mapping[str, Any] | None = None) -> Script[Given]:
        """Call one of the assistant's functions before the answer; the app's function runs, as for a model.

        Args:
            function: the function, or the name of its tool.
            arguments: as JSON. A wrong value is told to the model, as if it had come from one: "the tool failed".

        Raises:
            ValueError: it is not a function tool of the assistant, or an argument is missing, misspelt or not JSON.
        """
        self._ended = True
        from .declare.function_tools import check_arguments, define_tool, define_tools

        name = function if isinstance(function, str) else define_tool(function)["name"]
        every = [define_tools(self._assistant, each) for each in ("", *self._assistant.environments)]
        known = {tool["name"]: tool["parameters"] for tools in every for tool in tools if tool.get("type") == "function"}
        if name not in known:
            tools = f"its functions: {', '.join(known) or 'none'}{did_you_mean(name, known)}"
            raise ValueError(f"{self._assistant.name} has no function {name!r:.80}; {tools}")
        check_arguments(name, arguments or {}, known[name])
        self._calls.append((name, dict(arguments or {})))
        self._ended = False
        return self

    def give(self, output: Given) -> None:
        """Answer with an object of the output model, or with a text where the assistant has none.

        Raises:
            TypeError: it is not an object of the output model.
            ValueError: its own JSON does not fit the output model, so that no model could answer with it.
        """
        from .ask.parsing import ParseError, encode_answer

        self._ended = True
        try:
            text = encode_answer(self._assistant.output, output)
        except TypeError as error:
            raise TypeError(f"{self._assistant.name} cannot answer with this: {error}") from None
        except ValueError as error:
            reason = f"its JSON does not fit the output model: {error}" if isinstance(error, ParseError) else str(error)
            raise ValueError(f"{self._assistant.name} cannot answer with this: {reason}") from None
        self._end(text)

    def give_text(self, text: str) -> None:
        """Answer with a text as it is; where it does not fit the output model, the app gets ``AnswerInvalid``."""
        self._end(text)

    def sample(self) -> None:
        """Answer with a sample, as the platform ``local`` does: it fits the output model, and says that it is a sample."""
        self._end(None)

    def refuse(self, message: str = "I cannot help with that.") -> None:
        """Refuse to answer: the app gets ``AnswerRefused``."""
        self._fail(message, "misalignment_policy_violation")

    def cut_off(self, text: str = "") -> None:
        """End the answer too early: the app gets ``AnswerIncomplete``.

        Args:
            text: what came before.
        """
        self._fail("the limit of tokens is reached", "max_output_tokens", text=text)

    def fail(self, message: str = "The server had an error.", *, code: str = "server_error", status: int | None = None) -> None:
        """Fail: the app gets ``PlatformError``, at once, however often the platform itself would be asked again.

        Args:
            code: the service's code of the error.
            status: of the HTTP response, 400 or more; None lets the request succeed, and the turn fail.

        Raises:
            ValueError: it is not the status of an error.
        """
        self._ended = True
        if status is not None and not 400 <= status <= 599:
            raise ValueError(f"{status} is not the HTTP status of an error, which is 400 to 599")
        self._fail(message, code, status)

    def _fail(self, message: str, code: str, status: int | None = None, text: str = "") -> None:
        from .emulator.scripted_responder import Failure

        self._end(text, Failure(message, code, status))

    def _end(self, text: str | None, failure: Failure | None = None) -> None:
        from .emulator.responder import FunctionCall
        from .emulator.scripted_responder import Rule, ScriptedTurn

        self._ended = True
        calls = tuple(FunctionCall(name, arguments) for name, arguments in self._calls)
        turn = ScriptedTurn(calls, text, failure)
        self._add(Rule(self._assistant.name, self._prompt, self._repeated, turn))


@contextmanager
def answering() -> Generator[Answers]:
    """Let this process ask assistants offline until the block ends; every assistant counts as created.

    All threads and event loops of the process are meant, and what it forks. Blocks may be nested: the inner one counts.
    Neither the store nor a ``.env`` file matters, nor any variable but ``ASST_ROOT``; the environments are those of
    ``pyproject.toml``, if there is one, and the first of them is the current one.

    Raises:
        AssertionError: at the end of a block that raises nothing, where a question in it had no answer.
    """
    with _replaced_process() as answers:
        yield answers
    answers._check()


@contextmanager
def _replaced_process() -> Generator[Answers]:
    from .ask.declared_process import DeclaredProcess
    from .ask.process_cache import replace_process_cache

    answers = Answers()
    process = DeclaredProcess(answers._make_responder)
    try:
        with replace_process_cache(process):
            yield answers
    finally:
        process.close()


def _asked(conversation: Conversation, turn: ScriptedTurn) -> Asked:
    tags = conversation.session["metadata"]
    calls = tuple(Call(**each) for each in turn.called)
    return Asked(
        tags["asst.name"], tags["asst.environment"], conversation.prompt, conversation.session["id"],
        conversation.agent["id"], turn.written, calls,
    )  # fmt: skip


try:
    import pytest
except ModuleNotFoundError:  # other kinds of tests need no pytest
    pass
else:

    @pytest.fixture
    def asst_answers(request: pytest.FixtureRequest) -> Generator[Answers]:
        """What assistants answer in this test, and what they were asked: see ``answering``."""
        failed = request.session.testsfailed
        with _replaced_process() as answers:
            yield answers
        if request.session.testsfailed == failed:  # else the test's own failure says enough
            answers._check()
