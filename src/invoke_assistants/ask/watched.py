"""What a running app looks at before each answer from its memory: environment variables and files, as they were and as they are.

It looks at variables and the store each time, so that what was written a moment ago is never overlooked, and now and then at
files of settings, which people edit; a look is a few system calls and loops in C.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from operator import attrgetter
from typing import Any

__all__ = ["EnvironmentVariables", "Stamp", "WatchedFiles", "stamp_files"]

Stamp = tuple[int, int, int] | None  # of a file: when it was modified (ns), its size, its inode; None where there is none
_stamp_of: Callable[[os.stat_result], tuple[int, int, int]] = attrgetter("st_mtime_ns", "st_size", "st_ino")


class EnvironmentVariables:
    """Some variables of the environment. No ``repr`` shows a value: the URL of a store may hold a password."""

    __slots__ = ("_bound", "_names", "_values")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._bound = self._bind()
        self._values = self.read()

    def read(self) -> tuple[Any, ...]:
        """The values that they have now, as the system spells them; None for a variable that is not set."""
        environ, get, keys = self._bound
        if environ is not os.environ:  # a test replaced it
            self._bound = _, get, keys = self._bind()
        return tuple(map(get, keys))

    def unchanged(self) -> bool:
        """Whether they have the values that they had when this was made."""
        return self._values == self.read()

    def _bind(self) -> tuple[Mapping[str, str], Callable[[Any], Any], tuple[Any, ...]]:
        """The environment, and how to get a value from it."""
        environ = os.environ
        # os.environ.get takes ten times as long as its dict: for a name that is not set, it raises and catches two exceptions.
        if isinstance(data := getattr(environ, "_data", None), dict) and hasattr(environ, "encodekey"):
            return environ, data.get, tuple(map(environ.encodekey, self._names))
        return environ, environ.get, self._names


class WatchedFiles:
    """Files as they were stamped: those that there were, and those that there were not.

    Args:
        pause: seconds between two looks at them; until the next one, they count as unchanged.
    """

    __slots__ = ("_absent", "_due", "_pause", "_present", "_stamps")

    def __init__(self, stamps: Mapping[str, Stamp], pause: float = 0) -> None:
        self._pause = pause
        self._due = time.monotonic() + pause
        self._present = tuple(file for file, stamp in stamps.items() if stamp is not None)
        self._absent = tuple(file for file, stamp in stamps.items() if stamp is None)
        self._stamps = tuple(stamp for stamp in stamps.values() if stamp is not None)

    def unchanged(self) -> bool:
        """Whether they were all as they were stamped when they were last looked at."""
        if self._pause and time.monotonic() < self._due:
            return True
        try:
            now = tuple(map(_stamp_of, map(os.stat, self._present)))
        except OSError:
            return False
        if now != self._stamps or (self._absent and True in map(os.access, self._absent, repeat(os.F_OK))):
            return False  # and go on saying so: who asks next must not take it for unchanged
        if self._pause:
            self._due = time.monotonic() + self._pause
        return True


def stamp_files(files: Iterable[str]) -> dict[str, Stamp]:
    """The stamps of files."""
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> Stamp:
    try:
        return _stamp_of(os.stat(file))  # noqa: PTH116 - a Path would cost as much again
    except OSError:
        return None
