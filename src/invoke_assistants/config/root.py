"""The project's folder: for tasks, and at run time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import SettingsError
from .sources import Variables

__all__ = ["find_root", "runtime_root"]


def find_root(start: Path, needed: bool = True) -> Path | None:
    """The folder of the nearest ``pyproject.toml`` at or above ``start``.

    Raises:
        SettingsError: there is none, and one is needed.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    if needed:
        raise SettingsError(
            f"no pyproject.toml in {start} or above it: run this in your project, or start one: python -m invoke_assistants init"
        )
    return None


def runtime_root(environ: Mapping[str, str]) -> Path | None:
    """The project's folder at run time: ``ASST_ROOT``, else the nearest one with a ``pyproject.toml``.

    Return None where there is no such folder and ``ASST_STORE`` is a URL or an absolute path, so that none is needed.

    Raises:
        SettingsError: there is no ``pyproject.toml``, or ``ASST_ROOT`` is not a folder.
    """
    environ = Variables(environ)  # tracebacks with locals show no key
    if named := environ.get("ASST_ROOT"):
        if not Path(named).is_dir():
            raise SettingsError(f"ASST_ROOT is {named!r:.200}, which is not a folder")
        return Path(named).resolve()
    root = find_root(Path.cwd(), needed=False)
    store = environ.get("ASST_STORE", "")
    if root is None and "://" not in store and not Path(store).is_absolute():
        raise SettingsError(
            f"no pyproject.toml in {Path.cwd()} or above it: set ASST_ROOT to the project's folder, or ASST_STORE to an"
            " absolute path or a URL"
        )
    return root
