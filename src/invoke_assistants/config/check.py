"""The offline check of every declaration: what the platform would refuse, and what only a newer API may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..declare.payload import find_problems, find_warnings
from ..errors import DeclarationError, SettingsError
from ..store.git import find_tracked_key
from ..types import Step
from .project import Project

__all__ = ["check_declarations", "refuse_tracked_key"]


def refuse_tracked_key(project: Project, steps: Sequence[Step]) -> None:
    """Make sure that git tracks no file with a key.

    Raises:
        SettingsError: with the steps, it does.
    """
    if project.settings.root and (problem := find_tracked_key(project.settings.root)):
        raise SettingsError(problem, steps)


def check_declarations(project: Project) -> list[Step]:
    """Return a step for each selected assistant in each environment: ``error`` holds its problems, ``note`` its warnings."""
    steps = []
    for declaration in project.selected():
        for environment in project.settings.environments:
            step = Step(declaration.name, environment.name, environment.location.platform, None)
            try:
                desired = project.desired_instance(declaration, environment)
                error, note = "; ".join(find_problems(declaration, desired)), "; ".join(find_warnings(desired))
                step = replace(step, digest=desired.digest, error=error or None, note=note or None)
            except DeclarationError as error:
                step = replace(step, error=str(error))
            steps.append(step)
    return steps
