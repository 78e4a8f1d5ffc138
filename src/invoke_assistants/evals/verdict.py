"""From how the runs of a case ended to the verdict on an assistant, and on two of its instances. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..declare.evals import Rule
from ..types import EvalCase, EvalResult

__all__ = ["SIGNIFICANT", "Comparison", "compare", "judge", "passes"]

SIGNIFICANT = 0.05  # a difference that chance explains with a smaller probability is real


def passes(case: EvalCase, rule: Rule) -> bool:
    """Whether enough runs of a case passed; one with an error never passes."""
    if case.label == "error":
        return False
    passed, total = case.runs.count("pass"), len(case.runs)
    return {"all": passed == total, "majority": 2 * passed > total, "any": passed > 0}[rule]


def judge(cases: Iterable[EvalCase], rule: Rule, minimum: float) -> EvalResult:
    """The verdict on an assistant: it passes if no case ended in an error and the share of passed cases is large enough."""
    cases = tuple(cases)
    rate = sum(passes(case, rule) for case in cases) / len(cases) if cases else 0.0
    sound = bool(cases) and not any(case.label == "error" for case in cases)
    return EvalResult(rate, minimum, sound and rate >= minimum, cases)


@dataclass(frozen=True)
class Comparison:
    """The same cases on two instances.

    Attributes:
        better: cases that passed here alone.
        worse: cases that passed there alone.
        p: how likely so many worse ones are by chance, if both instances are equally good (McNemar, exact, one-sided).
    """

    better: int
    worse: int
    p: float

    @property
    def significantly_worse(self) -> bool:
        """Whether chance hardly explains it."""
        return self.p < SIGNIFICANT


def compare(pairs: Iterable[tuple[bool, bool]]) -> Comparison:
    """Compare two instances by whether each case passed here and there."""
    pairs = list(pairs)
    better, worse = pairs.count((True, False)), pairs.count((False, True))
    differing = better + worse
    ways = sum(math.comb(differing, count) for count in range(worse, differing + 1))
    return Comparison(better, worse, ways / 2**differing)
