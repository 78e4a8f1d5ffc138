"""One verdict on several evaluations: it decides the text, the JSON, the JUnit file and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Refused, RowsFailed
from ..text import count, join_errors
from ..types import JSONObject, Step, short
from .evaluation import Evaluation
from .verdict import Comparison, compare, passes

__all__ = ["NO_EVALS", "Compared", "EvalReport"]

NO_EVALS = 'no assistant declares evals: add evals=Evals("FILE.yaml") to an Assistant(…)'


@dataclass(frozen=True)
class Compared:
    """The same cases on two instances of an assistant, and what came of it."""

    here: Evaluation
    there: Evaluation

    @property
    def comparison(self) -> Comparison:
        """Which cases differ, and whether that can be chance."""
        passed = {case.name: passes(case, self.there.rule) for case in self.there.result.cases}
        return compare((passes(case, self.here.rule), passed[case.name]) for case in self.here.result.cases)

    @property
    def problem(self) -> str | None:
        """Why the one here must not replace the one there; None where nothing speaks against it."""
        if self.there.errors:
            return f"{self.there.title}: {_errors(self.there)}, so nothing can be compared with it"
        found, where = self.comparison, self.there.target.environment.name
        if found.significantly_worse:
            cases = f"worse in {count(found.worse, 'case')}, better in {found.better}, p = {found.p:.3f}"
            return f"{self.here.title} is worse than what {where} has: {cases}"
        return None


@dataclass(frozen=True)
class EvalReport:
    """Evaluations in the order declared, and comparisons with another environment, if one was named."""

    evaluations: tuple[Evaluation, ...]
    compared: tuple[Compared, ...] = ()
    steps: tuple[Step, ...] = ()

    def raise_unless_passed(self) -> None:
        """Raise for what did not pass.

        Raises:
            RowsFailed: a case ended in an error.
            Refused: an assistant is below its minimum, or worse than what it is compared with.
        """
        errors = [f"{each.title}: {_errors(each)}" for each in self.evaluations if each.errors]
        errors += [str(each.problem) for each in self.compared if each.there.errors]
        if errors:
            raise RowsFailed(f"{join_errors(errors)}; inv asst.eval --retry-errors asks those again", self.steps)
        below = [f"{each.title}: {describe_rate(each)}" for each in self.evaluations if not each.result.passed]
        below += [each.problem for each in self.compared if each.problem]
        if below:
            raise Refused(join_errors(below), self.steps)

    def to_json(self) -> JSONObject:
        """The keys that the JSON document gets."""
        both = [*self.evaluations, *(each.there for each in self.compared)]
        out: JSONObject = {"evals": [_evaluation_json(each) for each in both]}
        if self.compared:
            out["comparisons"] = [_compared_json(each) for each in self.compared]
        return out

    def lines(self) -> Iterator[str]:
        """The report for people."""
        if not self.evaluations:
            yield NO_EVALS
        for number, each in enumerate(self.evaluations):
            if number:
                yield ""
            yield from _evaluation_lines(each)
            for compared in self.compared:
                if compared.here is each:
                    yield from _compared_lines(compared)


def describe_rate(each: Evaluation) -> str:
    """How many cases passed, and whether they are enough."""
    result = each.result
    passed = sum(passes(case, each.rule) for case in result.cases)
    verdict = "passed" if result.passed else _errors(each) if each.errors else "below the minimum"
    return f"{passed} of {count(len(result.cases), 'case')} passed ({result.rate:.2f}, minimum {result.minimum:g}): {verdict}"


def _errors(each: Evaluation) -> str:
    return f"{count(each.errors, 'case')} ended in an error"


def _evaluation_json(each: Evaluation) -> JSONObject:
    cases = [{"name": case.name, "label": case.label, "runs": list(case.runs)} for case in each.result.cases]
    return {
        "name": each.target.assistant.name,
        "environment": each.target.environment.name,
        "digest": each.target.digest,
        "rate": each.result.rate,
        "minimum": each.result.minimum,
        "passed": each.result.passed,
        "cases": cases,
    }


def _compared_json(each: Compared) -> JSONObject:
    found = each.comparison
    return {
        "name": each.here.target.assistant.name,
        "environment": each.here.target.environment.name,
        "against": each.there.target.environment.name,
        "better": found.better,
        "worse": found.worse,
        "p": found.p,
        "passed": each.problem is None,
    }


def _heading(each: Evaluation) -> str:
    return f"{each.title} ({short(each.target.digest)}), {each.target.evals.dataset}"


def _evaluation_lines(each: Evaluation) -> Iterator[str]:
    """A heading, the cases with the reasons of those that did not pass, the rate and the verdict."""
    yield _heading(each)
    for case in each.result.cases:
        runs = f"  {case.runs.count('pass')} of {len(case.runs)} runs" if len(case.runs) > 1 else ""
        yield f"  {case.label:<6} {case.name}{runs}"
        yield from (f"         {line}" for reason in each.reasons.get(case.name, ()) for line in reason.split("\n"))
    yield f"  {describe_rate(each)}{'' if each.asked else '; known, nothing was asked'}"


def _compared_lines(each: Compared) -> Iterator[str]:
    """The cases of both instances side by side, where they differ, and the verdict."""
    here, there, found = each.here.target.environment.name, each.there.target.environment.name, each.comparison
    labels = {case.name: case.label for case in each.there.result.cases}
    width = max(len(here), 6)
    yield f"  against {_heading(each.there)}"
    yield f"  {here:<{width}}  {there}"
    for case in each.here.result.cases:
        yield f"  {case.label:<{width}}  {labels[case.name]:<{max(len(there), 6)}}  {case.name}"
    for name, reasons in each.there.reasons.items():
        yield from (f"         {line}" for reason in reasons for line in f"{name} in {there}: {reason}".split("\n"))
    yield f"  {there}: {describe_rate(each.there)}{'' if each.there.asked else '; known, nothing was asked'}"
    verdict = "worse" if found.significantly_worse else "no worse than what is there"
    if each.there.errors or each.here.errors:
        verdict = "not to be compared"
    yield f"  better in {found.better}, worse in {found.worse}; p = {found.p:.3f}: {verdict}"
