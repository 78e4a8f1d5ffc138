"""The file of a saved plan: read strictly, written whole, and never over another file."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from ..errors import Refused, SettingsError, StoreError
from ..reconcile.rows import json_value
from ..reconcile.saved_plan import FORMAT, SavedPlan
from ..store.atomic_write import write_atomic
from ..store.strict_json import load_json

__all__ = ["check_target", "read_plan", "write_plan"]

LONGEST = 256 * 1024 * 1024  # bytes of a plan that is read


def read_plan(file: str | Path) -> SavedPlan:
    """Read a saved plan.

    Raises:
        SettingsError: there is no such file, or it is not a plan that this version saved.
        StoreError: it is not valid JSON; the message names the line.
    """
    content = _read(file, "--plan")
    if content is None:
        raise SettingsError(f"there is no file {str(file)!r:.200}: inv asst.plan --out {_typed(file)} makes one")
    try:
        return SavedPlan.parse(str(file), load_json(file, content))
    except ValueError as error:
        raise SettingsError(f"{file} {error}: inv asst.plan --out FILE makes one") from None


def check_target(file: str | Path) -> None:
    """Raise unless a plan can be saved to a file: there is none, or it holds a plan.

    Raises:
        Refused: it holds something else.
        SettingsError: it can be no file, or cannot be read.
    """
    if str(file) == "-":
        raise SettingsError("--out takes the name of a file, and - is none: inv asst.plan --json prints on stdout")
    content = _read(file, "--out")
    if content is None:
        return
    try:
        held = load_json(file, content)
    except StoreError:
        held = None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise Refused(f"{file} holds something else than a plan: name another file; nothing was written")


def write_plan(plan: SavedPlan) -> None:
    """Write a plan to its file, which ``check_target`` has taken.

    Raises:
        StoreError: it cannot be written; what it held stays.
    """
    write_atomic(Path(plan.file), f"{json_value(plan.to_json(), indent=2)}\n".encode())


def _read(file: str | Path, flag: str) -> bytes | None:
    """The content of a regular file; None where there is no file."""
    path = Path(file)
    try:
        if not str(file):
            raise SettingsError(f"{flag} needs the name of a file")
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError(f"{str(file)!r:.200} is not a file: {flag} takes one")
        with path.open("rb") as opened:
            content = opened.read(LONGEST + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise SettingsError(f"{str(file)!r:.200} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LONGEST:
        raise SettingsError(f"{str(file)!r:.200} is longer than {LONGEST:,} bytes: it is no plan")
    return content


def _typed(file: str | Path) -> str:
    return shlex.quote(str(file))
