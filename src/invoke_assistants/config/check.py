"""Checking every declaration offline: what the platform would refuse, and what only a newer API may take."""

from __future__ import annotations

from dataclasses import replace

from ..declare.payload import problems, warnings
from ..errors import DeclarationError
from ..types import Step
from .project import Project

__all__ = ["check_declarations"]


def check_declarations(project: Project) -> list[Step]:
    """A step for each chosen assistant in each environment: refused with an ``error``, doubtful with a ``note``."""
    steps = []
    for declaration in project.chosen():
        for environment in project.settings.environments:
            step = Step(declaration.name, environment.name, environment.location.platform, None)
            try:
                desired = project.instance(declaration, environment)
                error, note = "; ".join(problems(declaration, desired)), "; ".join(warnings(desired))
                step = replace(step, digest=desired.digest, error=error or None, note=note or None)
            except DeclarationError as error:
                step = replace(step, error=str(error))
            steps.append(step)
    return steps
