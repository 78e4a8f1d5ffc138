"""The program behind ``python -m invoke_assistants``: the tasks without a ``tasks.py``."""

from __future__ import annotations

from importlib.metadata import version

from invoke.collection import Collection
from invoke.program import Program

from . import ns
from .completion import completion

__all__ = ["make_program"]


def make_program() -> Program:
    """Make Invoke's program over our tasks: ``python -m invoke_assistants VERB`` is ``inv asst.VERB``."""
    verbs = Collection()
    for name, task in ns.tasks.items():
        verbs.add_task(task, name=name, default=name == ns.default)
    verbs.add_task(completion)
    return Program(
        namespace=verbs,
        name="invoke-assistants",
        binary="python -m invoke_assistants",
        binary_names=["invoke-assistants"],
        version=version("invoke-assistants"),
    )
