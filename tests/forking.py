"""Processes that run ``python -m invoke``, forked from one that has imported other people's packages: 0.3 s each, not 1.5 s.

Our own package, the app and its tasks are imported by each process itself; arguments, environment, folder, streams, signals and
the exit are a process's own as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

IMPORTED = ["invoke.main", "pydantic", "openai", "rich.console", "rich.table", "rich.progress", "tinydb", "filelock", "dotenv"]
MESSAGE = 1 << 17  # bytes; a command's arguments and environment are one message


class Forking:
    """The process to fork from, begun at first use; it ends when this one does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        atexit.register(self._end)

    def run(self, args: tuple[str, ...], cwd: Path, env: dict[str, str], timeout: float) -> tuple[int, str, str]:
        """Run ``invoke ARGS`` to its end: its exit code (minus the signal that ended it), and what it wrote.

        Raises:
            subprocess.TimeoutExpired: it took longer, and was killed.
        """
        with self._lock, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            connection = self._begun()
            socket.send_fds(connection, [json.dumps([args, str(cwd), env]).encode()], [out.fileno(), err.fileno()])
            pid = int(connection.recv(MESSAGE))
            connection.settimeout(timeout)
            try:
                code = int(connection.recv(MESSAGE))
            except BaseException as error:  # a test that was ended here must not leave its answer to the next one
                os.kill(pid, signal.SIGKILL)
                self._end()
                if isinstance(error, TimeoutError):
                    raise subprocess.TimeoutExpired(args, timeout) from None
                raise
            connection.settimeout(None)
            return code, *(_text(stream) for stream in (out, err))

    def _begun(self) -> socket.socket:
        if self._server is None:
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with there:
                command = [sys.executable, __file__, str(there.fileno())]
                self._server = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL), here
        return self._server[1]

    def _end(self) -> None:
        if self._server is not None:
            process, connection = self._server
            connection.close()
            process.wait()
            self._server = None


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def _serve(there: socket.socket) -> tuple[str, ...] | None:
    """Fork for each command until the other side is gone; in the forked process, the arguments of its command."""
    while True:
        message, fds, _, _ = socket.recv_fds(there, MESSAGE, 2)
        if not message:
            return None
        args, cwd, env = json.loads(message)
        pid = os.fork()
        if pid == 0:
            there.close()
            os.environ.clear()
            os.environ.update(env)
            os.chdir(cwd)
            for fd, target in zip(fds, (1, 2), strict=True):
                os.dup2(fd, target)
                os.close(fd)
            sys.path[0] = cwd
            return tuple(args)
        for fd in fds:
            os.close(fd)
        there.send(str(pid).encode())
        there.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    given = None
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        sys.argv = ["invoke", *given]
        runpy.run_module("invoke", run_name="__main__", alter_sys=True)
