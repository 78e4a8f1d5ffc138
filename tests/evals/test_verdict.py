"""Verdicts: from runs to cases, from cases to an assistant, and from two instances to a comparison."""

from __future__ import annotations

import itertools

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_assistants.declare.evals import Rule
from invoke_assistants.evals.verdict import compare, judge, passes
from invoke_assistants.types import EvalCase, EvalLabel, label_case

RUN_LABELS: list[EvalLabel] = ["pass", "fail", "error"]
CASES = st.lists(st.lists(st.sampled_from(RUN_LABELS), min_size=1, max_size=5), max_size=8).map(
    lambda all_runs: [label_case(f"case {number}", runs) for number, runs in enumerate(all_runs)]
)


@pytest.mark.parametrize(
    ("runs", "label", "passed_by"),
    [
        ("p", "pass", {"all", "majority", "any"}),
        ("f", "fail", set()),
        ("e", "error", set()),
        ("", "error", set()),
        ("ppp", "pass", {"all", "majority", "any"}),
        ("ppf", "flaky", {"majority", "any"}),
        ("pf", "flaky", {"any"}),
        ("pff", "flaky", {"any"}),
        ("ppe", "error", set()),
        ("fff", "fail", set()),
    ],
)
def test_a_case_by_its_runs(runs: str, label: str, passed_by: set[Rule]) -> None:
    """Mixed runs are flaky, and the rule decides; a run that ended in an error, or none at all, never passes."""
    case = label_case("x", [{"p": "pass", "f": "fail", "e": "error"}[run] for run in runs])  # type: ignore[misc]
    assert case.label == label
    rules: list[Rule] = ["all", "majority", "any"]
    assert {rule for rule in rules if passes(case, rule)} == passed_by


@settings(max_examples=examples(200), deadline=None)
@given(CASES, st.floats(0, 1))
def test_an_assistant_by_its_cases(cases: list[EvalCase], minimum: float) -> None:
    """It passes if and only if there are cases, none ended in an error, and enough passed; a stricter rule passes fewer."""
    results = [judge(cases, rule, minimum) for rule in ("all", "majority", "any")]
    for result, rule in zip(results, ("all", "majority", "any"), strict=True):
        share = sum(passes(case, rule) for case in cases) / max(len(cases), 1)
        assert result.rate == share
        assert result.passed == (bool(cases) and "error" not in {case.label for case in cases} and share >= minimum)
    assert results[0].rate <= results[1].rate <= results[2].rate


@pytest.mark.parametrize("tenths", range(11))
def test_the_minimum_itself_is_enough(tenths: int) -> None:
    """A share that equals the minimum passes, whatever binary fractions make of it."""
    cases = [label_case(str(number), ["pass" if number < tenths else "fail"]) for number in range(10)]
    assert judge(cases, "all", float(f"0.{tenths}" if tenths < 10 else "1")).passed


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [
        (0, 0, 1.0),
        (0, 4, 1 / 16),
        (0, 5, 1 / 32),
        (1, 7, 9 / 256),
        (2, 7, 46 / 512),
        (5, 0, 1.0),
        (3, 3, 42 / 64),
        (0, 60, 2**-60),
    ],
)
def test_the_exact_one_sided_test_of_mcnemar(better: int, worse: int, p: float) -> None:
    """p is the binomial tail of the cases that differ; those that agree count for nothing."""
    pairs = [(True, False)] * better + [(False, True)] * worse + [(True, True)] * 9 + [(False, False)] * 4
    found = compare(pairs)
    assert (found.better, found.worse) == (better, worse)
    assert found.p == pytest.approx(p, rel=1e-12)
    assert found.significantly_worse == (p < 0.05)


@pytest.mark.parametrize("differing", range(9))
def test_the_test_counts_the_ways(differing: int) -> None:
    """p is the share of all ways in which chance decides the differing cases that are at least as bad."""
    ways = list(itertools.product([0, 1], repeat=differing))
    for worse in range(differing + 1):
        found = compare([(False, True)] * worse + [(True, False)] * (differing - worse))
        assert found.p == sum(sum(way) >= worse for way in ways) / len(ways)
