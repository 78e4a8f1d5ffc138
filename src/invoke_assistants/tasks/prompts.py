"""Where prompts come from: an argument, a file, stdin, the lines that a person types."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

from ..errors import SettingsError, StoreError
from ..store.atomic_write import make_private_folder, read_bytes, write_atomic

__all__ = ["PipedLines", "TypedLines", "is_typed", "read_prompt"]

KEPT = 1000  # lines of the history
LONGEST = 10 * 1024 * 1024  # bytes of a prompt that is read


def read_prompt(given: str) -> str:
    """The prompt that an argument stands for: ``-`` for stdin, ``@FILE`` for a file's text, ``@@text`` for ``@text``.

    What is read loses the line breaks at its end.

    Raises:
        SettingsError: there is no such text.
    """
    if given == "-":
        if is_typed():
            print("reading the prompt from the terminal, until Ctrl-D", file=sys.stderr, flush=True)
        return _decode(sys.stdin.buffer.read(LONGEST + 1), "stdin")
    if not given.startswith("@"):
        return given
    if given.startswith("@@"):
        return given[1:]
    return _decode(_read_file(given[1:]), given)


def is_typed() -> bool:
    """Whether a person at a terminal writes stdin.

    Raises:
        SettingsError: it is closed.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by whoever started this process
        raise SettingsError("stdin is closed: there is no prompt to read")
    return sys.stdin.isatty()


def _read_file(name: str) -> bytes:
    escape = "@@ begins a prompt that begins with @"
    if not name:
        raise SettingsError(f"@ needs the name of a file; {escape}")
    try:
        with Path(name).open("rb") as file:
            return file.read(LONGEST + 1)
    except FileNotFoundError:
        raise SettingsError(f"there is no file {name!r:.200}; {escape}") from None
    except IsADirectoryError:
        raise SettingsError(f"{name!r:.200} is a folder: @FILE takes a file") from None
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise SettingsError(f"{name!r:.200} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _decode(content: bytes, where: str) -> str:
    if len(content) > LONGEST:
        raise SettingsError(f"{where} is longer than {LONGEST:,} bytes: nobody was asked")
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where} is not UTF-8 (byte {error.start}): a prompt is UTF-8 text") from None
    if not text.strip():
        raise SettingsError(f"{where} is empty: there is no prompt in it, and nobody was asked")
    return text


class PipedLines:
    """The lines of stdin, without a word to whoever writes them."""

    def read(self, prompt: str) -> str | None:
        """The next line, or None at the end.

        Raises:
            SettingsError: it is not UTF-8.
        """
        line = sys.stdin.buffer.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise SettingsError(f"a line of stdin is longer than {LONGEST:,} bytes")
        try:
            return line.decode().rstrip("\r\n") if line else None
        except UnicodeDecodeError:
            raise SettingsError("stdin is not UTF-8: prompts are UTF-8 text") from None


class TypedLines:
    """The lines that a person types at a prompt, with a history that outlives the process where readline is there.

    Args:
        folder: holds the history, in a file that only its owner may read; it is made with the first line.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "chat_history"
        self._readline = _import_readline()
        with contextlib.suppress(StoreError, OSError, ValueError):  # talking works without it
            self._load()

    def read(self, prompt: str) -> str | None:
        """The next line, or None after Ctrl-D.

        Raises:
            KeyboardInterrupt: Ctrl-C was typed.
        """
        try:
            line = input(prompt)
        except EOFError:
            return None
        except UnicodeDecodeError:
            print("the line is not UTF-8: it was dropped", file=sys.stderr, flush=True)
            return ""
        if line.strip() and self._readline is not None:
            with contextlib.suppress(StoreError, OSError):
                self._append(line)
        return line

    def _load(self) -> None:
        if self._readline is None or not stat.S_ISREG(self._path.stat().st_mode):
            return
        self._readline.clear_history()
        lines = (read_bytes(self._path) or b"").decode(errors="replace").splitlines()
        if len(lines) > KEPT:
            lines = lines[-KEPT:]
            write_atomic(self._path, "".join(f"{line}\n" for line in lines).encode(), private=True)
        for line in lines:
            self._readline.add_history(line.replace("\0", ""))

    def _append(self, line: str) -> None:
        make_private_folder(self._path.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, f"{line}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)


def _import_readline() -> ModuleType | None:
    """The module that edits a line and remembers those before; ``input`` uses it once it is imported. Not every Python has it."""
    try:
        import readline
    except ImportError:
        return None
    return readline
