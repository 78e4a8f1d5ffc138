"""One round of ``asst.watch``, in a process of its own: ``python -m invoke_assistants.tasks.watch_round ROOT [NAME…]``.

Each round imports the app anew, as a command does: importing an app twice in one process breaks it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from .. import commands
from ..config.check import check_declarations, refuse_tracked_key
from ..config.project import NotDeclared, Project
from ..errors import AsstError, Refused
from ..text import escape_unencodable
from ..types import Step
from .exit_codes import NOT_DECLARED, discard_output, format_error, interruptible
from .output import print_steps
from .spelling import use_module_commands
from .terminal import Terminal

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Check, and update where the check finds nothing wrong; return the exit code.

    SIGINT must be blocked at the start: until here, nothing could answer it in one line.
    """
    root, *only = arguments
    terminal = Terminal()
    escape_unencodable()
    use_module_commands()  # where Invoke's own tasks.py has the collection, its commands are spelled as ever
    with interruptible():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return _run(root, only, terminal)
        except BrokenPipeError:
            discard_output()
            return AsstError.exit_code
        except (Exception, KeyboardInterrupt) as error:
            terminal.stop()
            message, code = format_error(error)
            if isinstance(error, AsstError) and any(step.state for step in error.rows):  # check's steps have none
                _print_changed(error.rows, refused=code == Refused.exit_code)
            print(message, file=sys.stderr)
            return NOT_DECLARED if isinstance(error, NotDeclared) else code
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _run(root: str, only: Sequence[str], terminal: Terminal) -> int:
    # Python takes bytecode for current by the second and the size, and two saves may be alike in both.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    project = Project.load(root, only)
    checked = check_declarations(project)  # not evals, which would take a second of each round
    refuse_tracked_key(project, checked)
    sys.dont_write_bytecode = before
    if any(step.error for step in checked):
        print_steps("check", checked, sys.stdout, planned=True)
        return AsstError.exit_code
    steps = commands.update(root, only, reporter=terminal)
    terminal.stop()
    _print_changed(steps)
    return 0


def _print_changed(steps: Sequence[Step], *, refused: bool = False) -> None:
    """Print the steps that did or say something, or one line where none did."""
    changed = [step for step in steps if step.action != "none" or step.error or step.note]
    if steps and not changed:
        print(f"{len(steps)} unchanged", flush=True)
    else:
        print_steps("update", changed, sys.stdout, planned=False, refused=refused)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
