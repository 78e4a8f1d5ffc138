"""The verb that checks declarations offline, and the datasets of their evals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..config.check import check_declarations, refuse_tracked_key
from ..config.project import Project
from ..types import Step
from .arguments import Root

__all__ = ["check"]


def check(root: Root = None, only: Iterable[str] = ()) -> list[Step]:
    """Validate every declaration offline, in every environment; a step's ``error`` holds what the platform would refuse.

    It also holds what is wrong with the dataset of an assistant's evals; without pydantic-evals only whether it is there.
    Its ``note`` holds what is unknown here and a newer API may take.

    Raises:
        AsstError: the settings, the app or a declaration is wrong already; or, with the steps, git tracks a key.
    """
    project = Project.load(root, only)
    steps = _with_evals(check_declarations(project), _evals_problems(project))
    refuse_tracked_key(project, steps)
    return steps


def _evals_problems(project: Project) -> Mapping[str, str]:
    """By assistant, what is wrong with its evals; evals are loaded only where one declares any."""
    declaring = [each for each in project.selected() if each.evals is not None]
    if not declaring:
        return {}
    from ..evals.problems import find_evals_problem

    found = ((each.name, find_evals_problem(each, project.settings.root)) for each in declaring)
    return {name: problem for name, problem in found if problem}


def _with_evals(steps: Sequence[Step], problems: Mapping[str, str]) -> list[Step]:
    """The steps with the problem of their assistant's evals behind what is wrong otherwise."""
    return [
        replace(step, error="; ".join(filter(None, (step.error, problems[step.name])))) if step.name in problems else step
        for step in steps
    ]
