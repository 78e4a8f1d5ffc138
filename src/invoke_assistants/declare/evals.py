"""How an assistant is evaluated: an inert value of its declaration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

from ..errors import DeclarationError
from .source_files import file_version, is_unchanged

__all__ = ["Evals", "Rule", "changed_evaluator"]

Rule = Literal["all", "majority", "any"]


@dataclass(frozen=True)
class Evals:
    """The dataset that an assistant is evaluated with, and what counts as passed.

    Args:
        dataset: the path of a YAML file of pydantic-evals, relative to the project's root.
        evaluators: the app's own evaluators, which the dataset names: functions that take any of ``output``,
            ``expected_output``, ``inputs`` and ``metadata``, and return a bool, or a bool and a reason. The dataset gives
            their other parameters. pydantic-evals' ``Evaluator`` classes can stand among them.
        minimum: the share of cases that must pass, 0 to 1.
        repeat: how often each case is asked.
        rule: whether a case must pass in all of its runs, in more than half of them, or in any.
        required: whether ``deploy`` refuses later environments without a pass.

    Raises:
        DeclarationError: a value is of a kind that can't be right.
    """

    dataset: str
    _: KW_ONLY
    evaluators: Sequence[Callable[..., Any]] = ()
    minimum: float = 1.0
    repeat: int = 1
    rule: Rule = "majority"
    required: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.dataset, str) or not self.dataset.strip():
            raise DeclarationError(f"evals: the dataset must be the path of a file, not {self.dataset!r:.80}")
        if not isinstance(self.evaluators, list | tuple):
            raise DeclarationError(f"evals: evaluators must be a list, not {type(self.evaluators).__name__}")
        names = [_name_of(each) for each in self.evaluators]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DeclarationError(f"evals: two evaluators are called {twice}")
        object.__setattr__(self, "evaluators", tuple(self.evaluators))
        if isinstance(self.minimum, bool) or not isinstance(self.minimum, int | float) or not 0 <= self.minimum <= 1:
            raise DeclarationError(f"evals: minimum must be a number from 0 to 1, not {self.minimum!r:.80}")
        if isinstance(self.repeat, bool) or not isinstance(self.repeat, int) or not 1 <= self.repeat <= 100:
            raise DeclarationError(f"evals: repeat must be a number from 1 to 100, not {self.repeat!r:.80}")
        if self.rule not in get_args(Rule):
            raise DeclarationError(f"evals: rule must be one of {', '.join(get_args(Rule))}, not {self.rule!r:.80}")
        if not isinstance(self.required, bool):
            raise DeclarationError(f"evals: required must be True or False, not {self.required!r:.80}")
        object.__setattr__(self, "_files", tuple(map(file_version, self.evaluators)))  # they were imported just now


def changed_evaluator(evals: Evals) -> str | None:
    """The name of an evaluator whose file was changed since it was imported; None where there is none."""
    pairs = zip(evals.evaluators, vars(evals)["_files"], strict=True)
    return next((each.__name__ for each, file in pairs if not is_unchanged(each, file)), None)


def _name_of(evaluator: object) -> str:
    """The name by which a dataset calls an evaluator."""
    name = getattr(evaluator, "__name__", "")
    if not callable(evaluator) or not isinstance(name, str) or not name.isidentifier():
        raise DeclarationError(f"evals: an evaluator must be a function or a class with a name, not {evaluator!r:.80}")
    return name
