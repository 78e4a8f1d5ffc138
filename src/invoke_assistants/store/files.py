"""Files that survive: one atomic write, and a lock that tells whoever waits who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreError

__all__ = ["load_json", "lock_file", "make_private_folder", "read_bytes", "restrict_to_owner", "write_atomic"]

WAIT = 60.0  # seconds that a run waits for another one


def read_bytes(path: Path) -> bytes | None:
    """A file's content, or None where there is no file.

    Raises:
        StoreError: it is a symbolic link (its target is somebody else's), or it cannot be read.
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
    """Make a folder for its owner alone, where it is lacking.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}") from None


def restrict_to_owner(folder: Path) -> None:
    """Take the rights of others from a folder and all that is in it; what belongs to somebody else stays as it is."""
    if not folder.is_symlink():
        for at, _, names in os.walk(folder):
            for path, mode in ((Path(at), 0o700), *((Path(at, name), 0o600) for name in names)):
                with contextlib.suppress(OSError):
                    if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                        path.chmod(mode)


def write_atomic(path: Path, content: bytes, *, sync: bool = True, private: bool = False) -> None:
    """Replace a file whole or not at all: write beside it, fsync, rename, fsync the folder; its mode is kept.

    With ``private`` its mode becomes 0600. Without ``sync`` it survives the end of the process at any point, but not that
    of the machine. The caller holds the file's lock, so the one temporary name is its own; a leftover of a killed run is
    replaced.

    Raises:
        StoreError: the file, its folder or the disk does not take it; the old content stands.
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
    # Not every OS can open or fsync a folder; the rename is done either way.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def lock_file(
    path: Path, command: str, say: Callable[[str], None], wait: float = WAIT, *, private: bool = False
) -> Generator[None]:
    """Hold the lock of a file, which lies beside it as ``NAME.lock``; who waits is told who holds it.

    Args:
        path: the file that is locked; the lock file stays behind, empty.
        command: what the holder is doing, as the waiting run shows it.
        say: takes one line where this run has to wait.
        wait: seconds to wait at most.
        private: a lock file that is made here is for its owner alone.

    Raises:
        StoreError: another run held it all that time, or the lock file cannot be used.
    """
    from filelock import FileLock, Timeout

    beside = path.with_name(path.name + ".lock")
    lock = FileLock(beside, mode=0o600) if private else FileLock(beside)
    try:
        if beside.is_symlink():
            raise StoreError(f"{beside} is a symbolic link: remove it")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"waiting for {path.name}: {_holder(beside)}")
            lock.acquire(timeout=wait)
    except Timeout:
        raise StoreError(f"{path.name} is still locked after {wait:.0f} s: {_holder(beside)}") from None
    except OSError as error:
        raise StoreError(f"{beside} cannot be locked: {error.strerror or error}") from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "command": command, "since": since}
        _write_lock(beside, json.dumps(holder).encode())
        yield
    finally:
        with contextlib.suppress(StoreError):
            _write_lock(beside, b"")
        lock.release()


def _write_lock(beside: Path, content: bytes) -> None:
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0))
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{beside} cannot be written: {error.strerror}") from None


def _holder(beside: Path) -> str:
    try:
        holder = json.loads(beside.read_bytes()[:4096])
        return f"held by {holder['command']} (pid {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run holds it"


class _DuplicateKey(ValueError):
    pass


def load_json(path: Path | str, content: bytes, *, several: bool = False) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, no key twice, no depth that exhausts the stack.

    Args:
        several: take one value behind the other (JSON Lines, too), and return a list of them.

    Raises:
        StoreError: anything else; the message has the path and the line.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items):
            keys = [key for key, _ in items]
            raise _DuplicateKey(next(key for key in keys if keys.count(key) > 1))
        return out

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    text = ""
    try:
        text = content.decode("utf-8-sig")
        decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_constant=constant)
        return list(_values(decoder, text)) if several else decoder.decode(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StoreError(f"{path}, line {line}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise StoreError(f"{path}, line {error.lineno}: not valid JSON ({error.msg})") from None
    except _DuplicateKey as error:
        key = str(error)
        raise StoreError(f"{path}, line {line_number(text, key, last=True)}: the key {key!r:.80} stands there twice") from None
    except RecursionError:
        raise StoreError(f"{path}, line 1: nested too deep to be ours") from None
    except ValueError as error:
        name = str(error).split()[0]
        raise StoreError(f"{path}, line {line_number(text, name)}: {str(error)[:80]}") from None


def _values(decoder: json.JSONDecoder, text: str) -> Iterator[Any]:
    def behind_blanks(at: int) -> int:
        return next((index for index in range(at, len(text)) if text[index] not in " \t\r\n"), len(text))

    at = behind_blanks(0)
    while True:
        value, at = decoder.raw_decode(text, at)
        yield value
        at = behind_blanks(at)
        if at == len(text):
            return


def line_number(text: str, needle: str, *, last: bool = False) -> int:
    """The number of the first (or last) line that holds a text, 1 where none does."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if needle in line]
    return lines[-1 if last else 0] if lines else 1
