"""What evals found, and required ones as the gate between the first environment and those after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import EvalsFailed
from ..text import join_errors
from ..types import Desired, EvalResult, State, Step
from .plan import Plan
from .promotion import describe_promotion, not_started

__all__ = ["EvalGate", "KnownEvals"]

NAMED = 3  # failed cases that a message names

Standing = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True)
class KnownEvals:
    """What is known of an assistant's evals.

    Args:
        minimum: the share of cases that must pass.
        results: what is known, by digest and location, judged by the declared rule and minimum.
    """

    minimum: float
    results: Mapping[tuple[str, str], EvalResult]


@dataclass(frozen=True)
class EvalGate:
    """Which updates of later environments wait for evals.

    Args:
        required: by the names of assistants; they must pass before later environments get a payload.
        optional: the same of evals that only tell.
        first: by name, the declared instances of the first environment, which is where evals run.
        state: what the store holds.
    """

    required: Mapping[str, KnownEvals]
    optional: Mapping[str, KnownEvals]
    first: Mapping[str, Desired]
    state: State

    def waiting(self, plan: Plan) -> list[Step]:
        """What is to be done after the first environment although its evals have not passed, as far as is known."""
        gated = [step for step in plan.to_do() if step.target.position > 0 and step.name in self.required]
        return [step for step in gated if self._standing(step) != "passed"]

    def to_run(self, plan: Plan) -> list[str]:
        """The assistants whose evals would decide; none where it is decided already that the plan cannot go on."""
        waiting = self.waiting(plan)
        if not all(self._standing(step) == "unknown" and self._counts(step) for step in waiting):
            return []
        return list(dict.fromkeys(step.name for step in waiting))

    def skipped(self, plan: Plan) -> Plan:
        """The plan with the updates that go ahead without a pass; their records keep that."""
        return plan.updated(replace(step, evals_skipped=True) for step in self.waiting(plan))

    def described(self, plan: Plan, *, applied: bool) -> Plan:
        """The plan with a remark at each update of a later environment: what the first one has shown of it, and what not.

        Args:
            applied: whether the plan was carried out, so that the first environment is whole.
        """
        current = {name for name in self.first if self._is_current(name)}
        known = self.required.keys() | self.optional.keys()
        later = [step for step in plan.to_do("update") if step.target.position > 0 and step.name in known]
        standing = {step.key: self._standing(step) for step in later}
        passed = {key for key, each in standing.items() if each == "passed"}
        plan = describe_promotion(plan, self.first, self.first if applied else current, passed)
        words = {"failed": "evals failed", "unknown": "evals not known"}
        remarks = {step.key: words[self._standing(step)] for step in self.waiting(plan)}
        remarks |= {key: words[each] for key, each in standing.items() if each == "failed" and key[0] in self.optional}
        remarks |= {step.key: "evals skipped" for step in plan if step.evals_skipped}
        return plan.updated(replace(step, promotion=_joined(step, remarks[step.key])) for step in plan if step.key in remarks)

    def foreseen(self, plan: Plan, *, alone: bool) -> Plan:
        """The plan with an error at each update that a deploy would refuse, whatever evals it could run.

        Args:
            alone: whether the deploy is of one environment, which asks nobody.
        """
        waiting = [step for step in self.waiting(plan) if step.action == "update" and not step.error]
        refused = [step for step in waiting if alone or self._standing(step) == "failed" or not self._counts(step)]
        return plan.updated(replace(step, error=self._refusal(step), needs_confirmation=True) for step in refused)

    def refusal(self, plan: Plan) -> EvalsFailed:
        """The error that ends a deploy in front of its later environments; its rows say why each was not started."""
        waiting = self.waiting(plan)
        closed = plan.updated(replace(step, error=self._refusal(step), needs_confirmation=True) for step in waiting)
        reasons = join_errors(closed.step(step.key).error for step in waiting)
        return EvalsFailed(reasons, not_started(closed, "required evals have not passed").steps)

    def _refusal(self, step: Step) -> str:
        origin = self.first[step.name]
        skip = "--skip-evals goes on without"
        if not self._counts(step):
            return (
                f"{step.title}: evals in {origin.environment} run on {origin.location.label}, which says nothing about"
                f" {step.target.location.label}; {skip}"
            )
        command = f"inv asst.eval --env {origin.environment} --only {step.name}"
        if self._standing(step) == "unknown":
            before = "" if self._is_current(step.name) else "inv asst.update, then "
            return f"{step.title}: its evals are not known to have passed: run {before}{command} first; {skip}"
        result = self._result(step.name, step.target) or self._result(step.name, self._promoted(step))
        assert result is not None
        needed = self.required[step.name].minimum
        failed = [case.name for case in result.cases if case.label != "pass"]
        named = f"{', '.join(failed[:NAMED])}{f' and {len(failed) - NAMED} more' if len(failed) > NAMED else ''}"
        return (
            f"{step.title}: its evals passed {result.rate:.0%} of the cases, and {needed:.0%} are required (failed: {named}):"
            f" correct the instructions, or {command} asks again; {skip}"
        )

    def _is_current(self, name: str) -> bool:
        """Whether the first environment holds an assistant's declared payload, as the store says."""
        record = self.state.record(self.first[name])
        return record is not None and record.digest == self.first[name].digest

    def _counts(self, step: Step) -> bool:
        """Whether what evals find in the first environment counts for a step: the same platform and origin."""
        return self.first[step.name].location == step.target.location

    def _standing(self, step: Step) -> Standing:
        """How the evals of a step's payload ended where it is to go: of its own digest, else of the first environment's."""
        own = self._judge(step.name, step.target)
        return own if own != "unknown" else self._judge(step.name, self._promoted(step))

    def _promoted(self, step: Step) -> Desired:
        """The first environment's instance, as if it were where the step is to go: there a result counts."""
        return replace(self.first[step.name], location=step.target.location)

    def _judge(self, name: str, desired: Desired) -> Standing:
        result = self._result(name, desired)
        if result is None or any(case.label == "error" for case in result.cases):
            return "unknown"
        return "passed" if result.passed else "failed"

    def _result(self, name: str, desired: Desired) -> EvalResult | None:
        known = self.required.get(name) or self.optional[name]
        return known.results.get((desired.digest, str(desired.location)))


def _joined(step: Step, remark: str) -> str:
    return f"{step.promotion}, {remark}" if step.promotion else remark
