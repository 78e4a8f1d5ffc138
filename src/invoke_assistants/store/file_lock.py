"""The lock of a file, which names its holder to a run that waits."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Generator
from pathlib import Path

from ..errors import StoreError

__all__ = ["describe_holder", "lock_file"]

WAIT = 60.0  # seconds that a run waits for the lock


@contextlib.contextmanager
def lock_file(
    path: Path, command: str, say: Callable[[str], None], wait: float = WAIT, *, private: bool = False
) -> Generator[None]:
    """Hold the lock of a file: ``NAME.lock`` beside it, which stays behind, empty.

    Args:
        path: the file to lock.
        command: what this run does, shown to a run that waits for it.
        say: called with one line if this run has to wait.
        wait: seconds to wait at most.
        private: make the lock file with mode 0600.

    Raises:
        StoreError: another run held the lock all that time, or the lock file cannot be used.
    """
    from filelock import FileLock, Timeout

    lock_path = path.with_name(path.name + ".lock")
    lock = FileLock(lock_path, mode=0o600) if private else FileLock(lock_path)
    try:
        if lock_path.is_symlink():
            raise StoreError(f"{lock_path} is a symbolic link: remove it")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"waiting for {path.name}: {_read_holder(lock_path) or 'another run holds it'}")
            lock.acquire(timeout=wait)
    except Timeout:
        raise StoreError(
            f"{path.name} is still locked after {wait:.0f} s: {_read_holder(lock_path) or 'another run holds it'}"
        ) from None
    except OSError as error:
        raise StoreError(f"{lock_path} cannot be locked: {error.strerror or error}") from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "command": command, "since": since}
        _write_holder(lock_path, json.dumps(holder).encode())
        yield
    finally:
        with contextlib.suppress(StoreError):
            _write_holder(lock_path, b"")
        lock.release()


def _write_holder(lock_path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(lock_path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0))
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{lock_path} cannot be written: {error.strerror}") from None


def describe_holder(path: Path) -> str | None:
    """Who holds the lock of a file, as far as its lock file says; None where nobody does. What a killed run left is no holder."""
    from filelock import FileLock, Timeout

    lock_path = path.with_name(path.name + ".lock")
    holder = _read_holder(lock_path)
    if holder:
        with contextlib.suppress(Timeout, OSError), FileLock(lock_path, timeout=0):
            return None
    return holder


def _read_holder(lock_path: Path) -> str | None:
    try:
        holder = json.loads(lock_path.read_bytes()[:4096])
        return f"held by {holder['command']} (pid {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
