"""The store as a file that is committed to git, and one side of its merge."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import StoreError
from . import atomic_write
from .storage import Conflict, Storage, Stored

__all__ = ["FileStorage", "GitVersion"]


class FileStorage(Storage):
    """A file, written atomically. Its version is the SHA-256 of its bytes; whoever writes holds the file's lock."""

    kind = "file"
    shared = False
    remedy = "bring it back with git"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = self.label = str(path)

    def load(self) -> Stored:
        """See ``Storage``."""
        content = self.content()
        return Stored(content, None if content is None else _version(content))

    def content(self) -> bytes | None:
        """The bytes of the file; None where there is none yet."""
        return atomic_write.read_bytes(self.path)

    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """See ``Storage``. Git keeps the revisions."""
        if self.load().version != version:
            raise Conflict
        atomic_write.write_atomic(self.path, content)
        return _version(content)


class GitVersion(FileStorage):
    """One side of a merge of the file: read as strictly as the file itself, never written.

    Args:
        path: the file.
        side: the name of the version in messages.
        content: its bytes.
    """

    def __init__(self, path: Path, side: str, content: bytes) -> None:
        super().__init__(path)
        self.label = f"{path} ({side})"
        self._content = content

    def content(self) -> bytes:
        """The bytes of this version."""
        return self._content

    def compare_and_set(self, content: bytes, version: str | None, *, keep: bool) -> str:
        """Refuse: one side of a merge is never written.

        Raises:
            StoreError: always.
        """
        raise StoreError(f"{self.label} is one side of a merge: it is not written")


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
