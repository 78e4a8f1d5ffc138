"""The program behind ``python -m invoke_assistants``: the tasks without a ``tasks.py``."""

from __future__ import annotations

import sys
from importlib.metadata import version

from invoke.collection import Collection
from invoke.program import Program

from ..errors import AsstError
from . import ns
from ._init import init
from .completion import completion
from .exit_codes import discard_output
from .spelling import use_module_commands

__all__ = ["make_program"]


class _ModuleProgram(Program):
    """Invoke's program, which ends quietly where nobody reads its help or its list to the end."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """See ``Program``."""
        use_module_commands()
        try:
            try:
                super().run(argv, exit)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
            sys.exit(AsstError.exit_code)


def make_program() -> Program:
    """Make Invoke's program over our tasks: ``python -m invoke_assistants VERB`` is ``inv asst.VERB``. Some are here alone."""
    verbs = Collection()
    for name, task in ns.tasks.items():
        verbs.add_task(task, name=name, default=name == ns.default)
    verbs.add_task(completion)
    verbs.add_task(init)
    return _ModuleProgram(
        namespace=verbs,
        name="invoke-assistants",
        binary="python -m invoke_assistants",
        binary_names=["invoke-assistants"],
        version=version("invoke-assistants"),
    )
