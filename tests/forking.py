"""Processes that run ``python -m invoke``, forked from one that has imported the packages already: 0.15 s each, not 1.2 s.

Arguments that begin with ``-m MODULE`` run that module instead.

The project's app and tasks are imported by each process itself; arguments, environment, folder, streams, signals and the exit
are a process's own as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

OTHERS = ["invoke.main", "pydantic", "openai", "rich.console", "rich.table", "rich.progress", "tinydb", "filelock", "dotenv"]
OURS = ["ask.ask", "commands", "emulator.transport", "platforms.agents", "tasks"]
MESSAGE = 1 << 17  # bytes; a command's arguments and environment are one message


class Forked:
    """A command that was started; it is used like a ``subprocess.Popen``."""

    returncode: int | None = None

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self.pid = int(reply.recv(MESSAGE))

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._reply.settimeout(timeout)
            try:
                self.returncode = int(self._reply.recv(MESSAGE))
            except TimeoutError:
                raise subprocess.TimeoutExpired(["invoke"], timeout or 0) from None
            self._reply.close()
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Written(Forked):
    """One whose stdout and stderr are files."""

    def __init__(self, reply: socket.socket, out: Path, err: Path) -> None:
        super().__init__(reply)
        self.stdout, self.stderr = out.open(), err.open()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote that nobody has read yet, once it has ended."""
        self.wait(timeout)
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()


class Forking:
    """The process to fork from, begun at first use; it ends when this one does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        atexit.register(self._end)

    def start(self, args: tuple[str, ...], cwd: Path, env: dict[str, str]) -> Written:
        """Start ``invoke ARGS`` with nothing to read."""
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err, Path(os.devnull).open() as stdin:
            reply = self._forked(args, cwd, env, [stdin.fileno(), out.fileno(), err.fileno()])
            return Written(reply, Path(out.name), Path(err.name))

    def start_on(self, streams: list[int], args: tuple[str, ...], cwd: Path, env: dict[str, str]) -> Forked:
        """Start ``invoke ARGS`` with these file descriptors as stdin, stdout and stderr."""
        return Forked(self._forked(args, cwd, env, streams))

    def _forked(self, args: tuple[str, ...], cwd: Path, env: dict[str, str], streams: list[int]) -> socket.socket:
        """A socket from which the new process's id comes, and at its end its exit code: minus the signal that ended it."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there, self._lock:
            socket.send_fds(self._begun(), [json.dumps([args, str(cwd), env]).encode()], [*streams, there.fileno()])
        return here

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


def _serve(there: socket.socket) -> tuple[str, ...] | None:
    """Fork for each command until the other side is gone; in the forked process, the arguments of its command."""
    running: dict[int, socket.socket] = {}

    def reap(*_: object) -> None:
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with running.pop(pid) as reply, contextlib.suppress(OSError):  # nobody may be waiting any more
                reply.send(str(os.waitstatus_to_exitcode(status)).encode())

    signal.signal(signal.SIGCHLD, reap)
    while True:
        message, fds, _, _ = socket.recv_fds(there, MESSAGE, 4)
        if not message:
            return None
        args, cwd, env = json.loads(message)
        reply = socket.socket(fileno=fds.pop())
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # until its end has a place to be told
        pid = os.fork()
        if pid == 0:
            for each in (there, reply, *running.values()):
                each.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            os.environ.clear()
            os.environ.update(env)
            os.chdir(cwd)
            for fd, target in zip(fds, (0, 1, 2), strict=True):
                os.dup2(fd, target)
                os.close(fd)
            _open_streams()
            sys.path[0] = cwd
            return tuple(args)
        for fd in fds:
            os.close(fd)
        running[pid] = reply
        reply.send(str(pid).encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _open_streams() -> None:
    """As at the start of a process: whether a stream is a terminal or can be sought decides how it is written."""
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    for name in [*OTHERS, *(f"invoke_assistants.{each}" for each in OURS)]:
        importlib.import_module(name)
    gc.freeze()  # nothing imported so far is looked through again, in each process and at its end
    given = None
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        module, given = (given[1], given[2:]) if given[:1] == ("-m",) else ("invoke", given)
        sys.argv = [module, *given]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
