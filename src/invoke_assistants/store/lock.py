"""The lock of a store, which a run holds from its first look to its last write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ..errors import StoreError
from .file_lock import lock_file
from .file_storage import FileStorage
from .shared_lock import lock_shared
from .store import Store

__all__ = ["lock_store"]


def lock_store(store: Store, command: str, say: Callable[[str], None]) -> AbstractContextManager[None]:
    """Hold a store for a whole run, remote calls included.

    Args:
        command: what this run does, shown to a run that waits for it.
        say: called with one line if this run has to wait.

    Raises:
        StoreError: another run holds it all the time, its folder cannot be used, its server cannot be reached, or, at the
            end, another run has taken it over.
    """
    if not isinstance(store.storage, FileStorage):
        return lock_shared(store, command, say)
    path = store.storage.path
    try:
        exists = path.parent.is_dir()
    except OSError as error:
        raise StoreError(f"the folder of the store, {path.parent}, cannot be read: {error.strerror}") from None
    if not exists:
        raise StoreError(f"the folder of the store, {path.parent}, does not exist: make it first")
    return lock_file(path, command, say)
