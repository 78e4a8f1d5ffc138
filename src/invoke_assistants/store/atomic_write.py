"""Files that are written whole or not at all, and modes that keep them private."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..errors import StoreError

__all__ = ["make_private_folder", "read_bytes", "restrict_to_owner", "write_atomic"]


def read_bytes(path: Path) -> bytes | None:
    """Read a file; return None where there is none.

    Raises:
        StoreError: it is a symbolic link (its target belongs to somebody else), or it cannot be read.
    """
    try:
        if path.is_symlink():
            raise StoreError(f"{path} is a symbolic link: put the file itself there")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may use, unless it exists.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}") from None


def restrict_to_owner(folder: Path) -> None:
    """Take the permissions of all but the owner from a folder and everything in it; skip what somebody else owns."""
    if not folder.is_symlink():
        for at, _, names in os.walk(folder):
            for path, mode in ((Path(at), 0o700), *((Path(at, name), 0o600) for name in names)):
                with contextlib.suppress(OSError):
                    if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                        path.chmod(mode)


def write_atomic(path: Path, content: bytes, *, sync: bool = True, private: bool = False) -> None:
    """Replace a file whole or not at all: write a temporary file, fsync, rename, fsync the folder.

    The caller must hold the file's lock: there is one temporary name, and what a killed run left under it is replaced.

    Args:
        sync: without it the content survives a crash of the process, but not of the machine.
        private: give the file mode 0600; else it keeps its mode.

    Raises:
        StoreError: it cannot be written; the old content stands.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        if path.is_symlink():
            raise StoreError(f"{path} is a symbolic link: put the file itself there")
        if path.exists() and not os.access(path, os.W_OK):
            raise StoreError(f"{path} is read-only")
        temporary.unlink(missing_ok=True)
        mode = 0o600 if private else stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, opened with O_EXCL
                if path.exists():
                    os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    # Some systems cannot open or fsync a folder; the rename is done all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
