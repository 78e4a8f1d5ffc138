"""An evaluation of one instance, as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.environment import Environment
from ..declare.declaration import Declaration
from ..declare.evals import Evals, Rule
from ..errors import SettingsError
from ..types import EvalResult, Evaluations, Location

__all__ = ["Evaluation", "Target", "as_evaluations"]


@dataclass(frozen=True)
class Target:
    """What is evaluated: an assistant's instance in an environment, which holds the payload of a digest."""

    assistant: Declaration[Any]
    environment: Environment
    digest: str

    @property
    def evals(self) -> Evals:
        """How it is evaluated.

        Raises:
            SettingsError: the assistant declares no evals.
        """
        if self.assistant.evals is None:
            raise SettingsError(f'{self.assistant.name} declares no evals: add evals=Evals("FILE.yaml") to its Assistant(…)')
        return self.assistant.evals

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return f"{self.assistant.name} in {self.environment.name}"


@dataclass(frozen=True)
class Evaluation:
    """What is known of one instance after an evaluation.

    Args:
        sha: of the dataset, its evaluators, ``repeat`` and ``rule``.
        asked: how many runs of cases ended now; the rest was known.
        reasons: by case, why its runs failed or ended in an error; only of those that were asked now.
    """

    target: Target
    sha: str
    result: EvalResult
    asked: int = 0
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The assistant and the environment, for messages."""
        return self.target.title

    @property
    def rule(self) -> Rule:
        """How many of its runs a case must pass."""
        return self.target.evals.rule

    @property
    def location(self) -> Location:
        """Where the instance lives."""
        return self.target.environment.location

    @property
    def errors(self) -> int:
        """How many cases ended in an error."""
        return sum(case.label == "error" for case in self.result.cases)


def as_evaluations(found: Iterable[Evaluation]) -> Evaluations:
    """What the store keeps of evaluations."""
    out: dict[str, dict[str, dict[str, EvalResult]]] = {}
    for each in found:
        out.setdefault(each.target.digest, {}).setdefault(str(each.location), {})[each.sha] = each.result
    return out
