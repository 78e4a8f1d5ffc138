"""One round of ``asst.watch``, in a process of its own: ``python -m invoke_assistants.tasks.watch_round ROOT [NAME…]``.

Each round imports the app anew, as a command does; importing it again in a process that has it already breaks apps.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from .. import commands
from ..errors import AsstError
from ..text import escape_unencodable
from ..types import Step
from . import output
from .exit_codes import format_error, interruptible

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Check, and update where nothing is wrong; show what was done, or what is wrong. The exit code comes back.

    SIGINT is expected to be blocked: until here nobody would have answered to it in one line.
    """
    root, *only = arguments
    reporter = output.Terminal()
    escape_unencodable()
    with interruptible():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return _round(root, only, reporter)
        except (Exception, KeyboardInterrupt) as error:
            reporter.stop()
            message, code = format_error(error)
            if isinstance(error, AsstError) and any(row.state for row in error.rows):  # check's rows have none
                _show(error.rows, refused=code == 3)
            print(message, file=sys.stderr)
            return code
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _round(root: str, only: Sequence[str], reporter: output.Terminal) -> int:
    # Python takes bytecode for current by the second and the size, and two saves may be alike in both.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    checked = commands.check(root, only)
    sys.dont_write_bytecode = before
    if any(row.error for row in checked):
        output.show("check", checked, sys.stdout, planned=True)
        return 1
    rows = commands.update(root, only, reporter=reporter)
    reporter.stop()
    _show(rows)
    return 0


def _show(rows: Sequence[Step], *, refused: bool = False) -> None:
    """The rows where something happened, or one line where nothing did."""
    shown = [row for row in rows if row.action != "none" or row.error or row.note]
    if rows and not shown:
        print(f"{len(rows)} unchanged", flush=True)
    else:
        output.show("update", shown, sys.stdout, planned=False, refused=refused)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
