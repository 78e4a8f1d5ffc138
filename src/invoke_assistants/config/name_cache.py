"""The names that the shell completes, kept where it reads them without starting Python."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable

from ..errors import StoreError
from ..store.atomic_write import make_private_folder, read_bytes, write_atomic
from .settings import Settings

__all__ = ["cache_names"]


def cache_names(settings: Settings, assistants: Iterable[str]) -> None:
    """Write the names of assistants and environments to ``.asst/names``, a kind and a name a line, where they changed.

    Nothing is raised and nothing is said where that cannot be: completion is no reason for a command to fail.
    """
    if settings.root is None:
        return
    names = [("assistant", name) for name in assistants] + [("environment", each.name) for each in settings.environments]
    content = "".join(f"{kind} {name}\n" for kind, name in names).encode()
    path = settings.private_folder / "names"
    # Several commands may write at once, and none waits for a lock: each has a file of its own to rename.
    own = path.with_name(f"names-{os.getpid()}-{threading.get_ident()}")
    with contextlib.suppress(StoreError, OSError):
        if read_bytes(path) == content:
            return
        make_private_folder(path.parent)
        write_atomic(own, content, sync=False, private=True)
        try:
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)
