"""A dataset of pydantic-evals: read with one clear error for whatever is wrong, its schema, and its cases asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator
from pydantic_evals.evaluators.common import DEFAULT_EVALUATORS
from pydantic_evals.lifecycle import CaseLifecycle
from pydantic_evals.reporting import ReportCase, ReportCaseFailure

from ..declare.declaration import Declaration
from ..declare.evals import Evals
from ..errors import AnswerError, AsstError, SettingsError
from ..text import did_you_mean, one_line
from ..types import EvalLabel, JSONObject
from .dataset_yaml import load_yaml
from .function_evaluators import as_evaluator
from .gate import read_dataset
from .guard import guard, guard_evaluator
from .shown import shorten

__all__ = ["AnyDataset", "ask_cases", "load_dataset", "make_schema"]

AnyDataset = Dataset[str, Any, Any]
Outcome = tuple[EvalLabel, tuple[str, ...], str]  # how a run ended: its label, why it did not pass, the answer as it is shown


def load_dataset(
    assistant: Declaration[Any], evals: Evals, root: Path | None, content: bytes | None = None
) -> AnyDataset:  # fmt: skip
    """Read the dataset of an assistant; every case has a name, a prompt and an evaluator.

    Args:
        content: the bytes of its file, where they are read already.

    Raises:
        SettingsError: the file is missing or wrong; the message names it, and the case.
    """
    types, where = _evaluator_types(evals), f"the dataset {evals.dataset}"
    raw = _as_dataset(load_yaml(read_dataset(evals, root) if content is None else content, where), where)
    cases = _check_cases(raw, where)
    _check_evaluators(raw, cases, types, where)
    try:
        # As JSON, in which an expected output is read as an answer is.
        text = json.dumps(_with_names(raw, cases), default=str, allow_nan=False)
        dataset = _dataset_type(assistant).from_text(text, "json", custom_evaluator_types=types, default_name=assistant.name)
    except ValidationError as error:
        raise SettingsError(f"{where}: {_first_problem(error, cases)}") from None
    except ExceptionGroup as error:
        raise SettingsError(f"{where}: {error.exceptions[0]}") from None
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where} cannot be read as JSON: {error}") from None
    for evaluator in (*dataset.evaluators, *(each for case in dataset.cases for each in case.evaluators)):
        object.__setattr__(evaluator, "evaluate_async", guard_evaluator(evaluator.evaluate_async))  # it may be frozen
    return dataset


def make_schema(assistant: Declaration[Any], evals: Evals) -> JSONObject:
    """The JSON schema of an assistant's dataset, its output model and evaluators included.

    Raises:
        SettingsError: an evaluator is none.
    """
    return _dataset_type(assistant).model_json_schema_with_evaluators(_evaluator_types(evals))


def _dataset_type(assistant: Declaration[Any]) -> type[AnyDataset]:
    output = str if assistant.output is None else assistant.output
    return cast("type[AnyDataset]", cast("Any", Dataset)[str, output, Any])


def _evaluator_types(evals: Evals) -> list[type[Evaluator[Any, Any, Any]]]:
    return [as_evaluator(each) for each in evals.evaluators]


def _as_dataset(raw: Any, where: str) -> JSONObject:
    if not isinstance(raw, dict) or not isinstance(raw.get("cases"), list) or not raw["cases"]:
        raise SettingsError(f"{where} has no cases: give it a list of them under 'cases', each with 'inputs', the prompt")
    return raw


def _check_cases(raw: JSONObject, where: str) -> list[JSONObject]:
    cases = [each if isinstance(each, dict) else {} for each in raw["cases"]]
    names = _names(cases)
    if twice := next((name for name, many in Counter(names).items() if many > 1), None):
        raise SettingsError(f"{where}: two cases are called {twice!r:.80}: give each a name of its own")
    for name, case in zip(names, cases, strict=True):
        if isinstance(case.get("inputs"), str) and not case["inputs"].strip():
            raise SettingsError(f"{where}, case {name!r:.80}: inputs is empty: it is the prompt")
    if raw.get("report_evaluators"):
        raise SettingsError(f"{where}: report_evaluators judge no case and are not run: remove them")
    return cases


def _names(cases: Sequence[JSONObject]) -> list[str]:
    return [str(case.get("name") or f"Case {number}") for number, case in enumerate(cases, 1)]


def _with_names(raw: JSONObject, cases: Sequence[JSONObject]) -> JSONObject:
    """The dataset with a name for each case, so that errors name it; what is no case is left."""
    pairs = zip(raw["cases"], _names(cases), strict=True)
    return {
        **raw,
        "cases": [{**each, "name": each.get("name") or name} if isinstance(each, dict) else each for each, name in pairs],
    }


def _check_evaluators(
    raw: JSONObject, cases: Sequence[JSONObject], types: Sequence[type[Evaluator[Any, Any, Any]]], where: str
) -> None:
    """Refuse evaluators that nobody knows, and cases without one."""
    known = [each.get_serialization_name() for each in (*types, *DEFAULT_EVALUATORS)]
    shared = list(_spec_names(raw.get("evaluators")))
    for name, case in zip(_names(cases), cases, strict=True):
        own = list(_spec_names(case.get("evaluators")))
        if odd := next((each for each in (*shared, *own) if each not in known), None):
            hint = did_you_mean(odd, known) or f"; known: {', '.join(known)}"
            raise SettingsError(f"{where}: no evaluator {odd!r:.80}{hint}; evals=Evals(evaluators=[…]) names the app's own")
        if not shared and not own:
            raise SettingsError(f"{where}, case {name!r:.80}: no evaluator judges it: add one for it, or for all cases")


def _spec_names(specs: Any) -> Iterator[str]:
    """The evaluators that a list calls, in each of the forms that pydantic-evals takes; other values are left to it."""
    for spec in specs if isinstance(specs, list) else ():
        if isinstance(spec, str):
            yield spec
        elif isinstance(spec, dict) and ("name" in spec or len(spec) == 1):
            yield str(spec.get("name", next(iter(spec))))


def _first_problem(error: ValidationError, cases: Sequence[JSONObject]) -> str:
    """Where and what the first problem is, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    path = [str(part) for part in problems[0]["loc"]]
    if len(path) > 1 and path[0] == "cases":
        path = [f"case {_names(cases)[int(path[1])]!r:.80}", *([".".join(path[2:])] if path[2:] else [])]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{': '.join([*path, problems[0]['msg']])}{more}"


_run: ContextVar[_Run] = ContextVar("run")  # the run that a task of the event loop asks for


class _Run(CaseLifecycle[str, Any, Any]):
    """One run of a case: tells how it ended."""

    def __init__(
        self, case: Case[str, Any, Any], show: Callable[[Any], str], take: Callable[[str, Outcome], None]
    ) -> None:  # fmt: skip
        super().__init__(case)
        self._show = show
        self._take = take
        self._answer = ""
        self._unshown: str | None = None  # why the answer cannot be shown
        self.raised: Exception | None = None

    async def setup(self) -> None:
        """Note in the task of the event loop which run it is."""
        _run.set(self)

    def answered(self, output: Any) -> None:
        """Note how an answer is shown, before an evaluator can change it."""
        try:
            self._answer = self._show(output)
        except Exception as error:
            self._unshown = one_line(shorten(f"the answer cannot be dumped: {type(error).__name__}: {error}"))

    async def teardown(
        self, result: ReportCase[str, Any, Any] | ReportCaseFailure[str, Any, Any] | None
    ) -> None:  # fmt: skip
        """Tell how the run ended; one that was interrupted did not."""
        if isinstance(result, ReportCase):
            label, reasons = _judged(result)
            if label != "pass" and self._unshown:
                label, reasons = "error", (*reasons, self._unshown)
            self._take(str(self.case.name), (label, reasons, self._answer))
        elif result is not None:
            if isinstance(self.raised, AnswerError):
                self.answered(self.raised.answer or "")
            self._take(str(self.case.name), (*_not_answered(self.raised, result.error_message), self._answer))


def _not_answered(raised: Exception | None, message: str) -> tuple[EvalLabel, tuple[str, ...]]:
    """How a run without a usable output ended: an answer that cannot be used is the assistant's failure, all else an error."""
    if isinstance(raised, AnswerError):
        return "fail", (one_line(str(raised).replace("; .answer holds it as it came", "")),)
    return "error", (one_line(str(raised) if isinstance(raised, AsstError) else message),)


def _judged(result: ReportCase[str, Any, Any]) -> tuple[EvalLabel, tuple[str, ...]]:
    """How a run with an answer ended: an error where an evaluator raised, or none said yes or no."""
    if result.evaluator_failures:
        raised = [f"{each.name} raised {each.error_message}" for each in result.evaluator_failures]
        return "error", tuple(one_line(shorten(each)) for each in raised)
    if not result.assertions:
        return "error", ("no evaluator said true or false",)
    failed = {name: each.reason for name, each in result.assertions.items() if not each.value}
    reasons = tuple(one_line(shorten(f"{name}: {reason}" if reason else name)) for name, reason in failed.items())
    return "fail" if failed else "pass", reasons


async def ask_cases(
    dataset: AnyDataset, ask: Callable[[str], Awaitable[Any]], show: Callable[[Any], str],
    take: Callable[[str, Outcome], None], *, repeat: int, concurrency: int,
) -> None:  # fmt: skip
    """Ask each case of a dataset and evaluate the answers.

    Args:
        ask: takes a prompt and returns the output.
        show: takes an output and returns it as it is shown.
        take: is told of each run as it ends: the case's name, and how.
    """

    async def asked(prompt: str) -> Any:
        output = await ask(prompt)
        _run.get().answered(output)
        return output

    guarded = guard(asked)

    async def noted(prompt: str) -> Any:
        try:
            return await guarded(prompt)
        except Exception as error:
            _run.get().raised = error
            raise

    await dataset.evaluate(
        noted, progress=False, repeat=repeat, max_concurrency=concurrency, lifecycle=lambda case: _Run(case, show, take)
    )  # fmt: skip
