"""Importing the app for the assistants that it declares."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from ..declare.declaration import Declaration
from ..errors import DeclarationError, SettingsError

__all__ = ["load_assistants"]


def load_assistants(where: str, root: Path | None) -> dict[str, Declaration[Any]]:
    """Import the assistants at ``MODULE:ATTRIBUTE``; return them by name, in the order declared.

    ``root`` and ``root/src`` go on ``sys.path``. What the app prints while it is imported goes to stderr.

    Raises:
        SettingsError: the module cannot be imported (with the cause), or has no such attribute.
        DeclarationError: the attribute holds something that is not an assistant, or two of one name.
    """
    module_name, _, attribute = where.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"assistants is {where!r:.80}, which is not MODULE:ATTRIBUTE, like app.assistants:ASSISTANTS")
    for folder in (root / "src", root) if root else ():
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        with _stdout_to_stderr():
            module = importlib.import_module(module_name)
    except DeclarationError as error:
        raise DeclarationError(f"{error}{_app_location(error, root)}") from None
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        ours = missing is not None and f"{module_name}.".startswith(f"{missing}.")
        hint = "; make it, or is assistants in [tool.asst] another?" if ours else ""
        raise SettingsError(f"cannot import {module_name}: {_describe_cause(error, root)}{hint}") from None
    try:
        declared = getattr(module, attribute)
    except AttributeError:
        raise SettingsError(f"{module_name} has no {attribute}: define it, or set assistants in [tool.asst]") from None
    return _by_name(declared, where)


@contextlib.contextmanager
def _stdout_to_stderr() -> Generator[None]:
    """Send what is printed to stderr, by a child process too: stdout is for the command's own output."""
    sys.stdout.flush()
    try:
        before = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # no such descriptor, so nothing can be printed to it
        before = -1
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if before >= 0:
            os.dup2(before, 1)
            os.close(before)


def _describe_cause(error: BaseException, root: Path | None) -> str:
    """The error on one line, with the file and line of the app where it was raised."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        path = Path(error.filename)  # its own message has only the file's name
        path = path.relative_to(root) if root and path.is_relative_to(root) else path
        return f"{type(error).__name__}: {error.msg} ({path}, line {error.lineno or 1})"
    return f"{type(error).__name__}: {error}"[:400] + _app_location(error, root)


def _app_location(error: BaseException, root: Path | None) -> str:
    """`` (FILE, line N)`` of the innermost frame in the app's own code, if there is one."""
    package = Path(__file__).parent.parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        ours = package in path.parents or "site-packages" in path.parts
        if root and path.is_relative_to(root) and not ours:
            return f" ({path.relative_to(root)}, line {frame.lineno})"
    return ""


def _by_name(declared: Any, where: str) -> dict[str, Declaration[Any]]:
    if isinstance(declared, Mapping):
        for key, value in declared.items():
            if isinstance(value, Declaration) and key != value.name:
                raise DeclarationError(f"{where}: the key {key!r:.80} stands for the assistant {value.name}; they must be equal")
        declared = list(declared.values())
    if not isinstance(declared, list | tuple):
        raise DeclarationError(f"{where} must be a list of assistants, not {type(declared).__name__}")
    out: dict[str, Declaration[Any]] = {}
    for index, value in enumerate(declared):
        if not isinstance(value, Declaration):
            raise DeclarationError(f"{where}[{index}] is {value!r:.80}, which is not an Assistant")
        if value.name in out:
            raise DeclarationError(f"{where}: two assistants are called {value.name}")
        out[value.name] = value
    return out
