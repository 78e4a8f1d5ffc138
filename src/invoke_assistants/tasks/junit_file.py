"""The file of ``--junit``: it never says that all passed while the command does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AsstError, SettingsError, StoreError
from ..text import one_line
from .exit_codes import format_error

if TYPE_CHECKING:
    from ..evals.report import EvalReport

__all__ = ["junit_file"]

EMPTY = (".lock", ".py")  # files that are what they are although they hold nothing
UNFINISHED = "the command did not end"


@contextmanager
def junit_file(name: str | None) -> Generator[Callable[[EvalReport], None]]:
    """Until the block writes a report, the file holds an error: at last the one that the block raises.

    Args:
        name: of the file; where it is None, reports are written nowhere.

    Raises:
        SettingsError: the file cannot be written, or holds something else than JUnit's XML.
    """
    if name is None:
        yield lambda report: None
        return
    from ..evals.junit import junit_error, junit_xml

    path = Path(name).absolute()  # the app's code can go to another folder
    _check(name, path)
    _write(name, path, junit_error(UNFINISHED))
    reported = False

    def write(report: EvalReport) -> None:
        nonlocal reported
        _write(name, path, junit_xml(report))
        reported = True

    try:
        yield write
    except (Exception, KeyboardInterrupt) as error:
        if not reported:
            with suppress(AsstError):
                _write(name, path, junit_error(format_error(error, "eval")[0]))
        raise


def _check(name: str, path: Path) -> None:
    """Refuse to write over what is no earlier JUnit file, such as the store; an empty one is as mktemp makes it."""
    if not name.strip():
        raise SettingsError("--junit is empty: give it the name of a file")
    if name == "-":
        raise SettingsError("--junit takes the name of a file, and - is none: --json prints on stdout")
    try:
        if not path.exists():
            return
        content = path.read_bytes()[:1000] if path.is_file() else None
    except (OSError, ValueError) as error:
        raise _refusal(name, f"it cannot be read: {getattr(error, 'strerror', error)}") from None
    new = content == b"" and path.suffix not in EMPTY
    if not new and not re.match(rb"\s*<\?xml[^>]*\?>\s*<testsuites\b", content or b""):
        raise _refusal(name, "it is there already, and is no JUnit file")


def _write(name: str, path: Path, content: bytes) -> None:
    from ..store.atomic_write import write_atomic

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(name, f"its folder cannot be made: {error.strerror}") from None
    try:
        write_atomic(path, content)
    except StoreError as error:
        raise _refusal(name, str(error)) from None


def _refusal(name: str, reason: str) -> SettingsError:
    return SettingsError(f"--junit {one_line(name)}: {reason}: name another one")
