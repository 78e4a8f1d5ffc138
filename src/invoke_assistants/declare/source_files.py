"""The files that the app's functions and classes were imported from: whether they are still what was imported."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["FileVersion", "file_version", "is_unchanged"]

FileVersion = tuple[str, int, int, int]  # the path, when its content and when anything of it was changed, its size

# What was changed before, the app has imported as it is: this module comes with the first declaration, at most so much later.
IMPORTED = time.time_ns() - 10 * 10**9


def file_version(thing: Callable[..., Any]) -> FileVersion | None:
    """Which version of its file is on the disk; None where it has no file."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(thing)) or ""
        found = os.stat(path)  # noqa: PTH116 - a Path would be made at each start of the app
    except (OSError, TypeError, ValueError):
        return None
    return path, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def is_unchanged(thing: Callable[..., Any], declared: FileVersion | None) -> bool:
    """Whether the file of a function or class is the one that it was imported from.

    Args:
        declared: the version that was there when it was declared, shortly after its import.
    """
    if file_version(thing) != declared:
        return False
    if declared is None:
        return True
    if max(declared[1:3]) < IMPORTED:
        return True  # nor is it compared: what other tools make of code, such as a tracer, is theirs
    path = Path(declared[0])
    try:
        compiled = set(_nested(compile(path.read_bytes(), path, "exec", dont_inherit=True)))
    except (OSError, SyntaxError, ValueError):
        return False
    return compiled.issuperset(code for code in _codes(thing) if code.co_filename == declared[0])


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _nested(each)


def _codes(thing: Callable[..., Any]) -> Iterator[CodeType]:
    """The code of a function, or of the methods of a class."""
    inner: Any = inspect.unwrap(thing)
    for each in vars(inner).values() if isinstance(inner, type) else [inner]:
        if code := getattr(inspect.unwrap(each) if callable(each) else each, "__code__", None):
            yield code
