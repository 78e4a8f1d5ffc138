"""The program behind ``python -m invoke_assistants``: the tasks without a ``tasks.py``."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version

from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.program import Program

from ..errors import AsstError
from ..text import did_you_mean
from . import ns
from ._init import init
from .completion import completion
from .exit_codes import discard_output
from .spelling import spell_commands, use_module_commands

__all__ = ["make_program"]


class _ModuleProgram(Program):
    """Invoke's program, which ends quietly where nobody reads its help or its list to the end."""

    def parse_tasks(self) -> None:
        """See ``Program``; names the nearest verb to a misspelt one, and our commands as they are typed here."""
        try:
            super().parse_tasks()
        except ParseError as error:
            odd = re.search(r"No idea what '(.*)' is", str(error))
            hint = did_you_mean(odd[1], ns.tasks) if odd else ""
            raise ParseError(f"{spell_commands(str(error))}{hint.replace('; d', ' D')}", error.context) from None

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
