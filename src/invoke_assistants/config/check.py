"""The offline check of every declaration: what the platform would refuse, and what only a newer API may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..declare.payload import find_problems, find_warnings
from ..errors import DeclarationError, SettingsError
from ..store.git import find_tracked_key
from ..types import Step
from .project import Project

__all__ = ["check"]


def check(root: str | Path | None = None, only: Iterable[str] = ()) -> list[Step]:
    """Validate every declaration offline, in every environment; a step's ``error`` holds what the platform would refuse.

    Its ``note`` holds what is unknown here and a newer API may take.

    Raises:
        AsstError: the settings, the app or a declaration is wrong already; or, with the steps, git tracks a key.
    """
    project = Project.load(root, only)
    steps = _check_declarations(project)
    if project.settings.root and (problem := find_tracked_key(project.settings.root)):
        raise SettingsError(problem, steps)
    return steps


def _check_declarations(project: Project) -> list[Step]:
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
