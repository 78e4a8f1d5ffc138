"""Processes that run ``python -m invoke``, forked from one that has imported the packages already: 0.07 s each, not 0.8 s.

Arguments that begin with ``-m MODULE`` run that module instead, and ``-c CODE`` that code.

The project's app and tasks are imported by each process itself; arguments, environment, folder, streams, signals and the exit
are a process's own as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import itertools
import json
import marshal
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
from types import ModuleType
from typing import NoReturn

OTHERS = [
    "invoke.main", "pydantic", "openai", "rich.console", "rich.table", "rich.progress", "tinydb", "filelock", "dotenv", "tomllib",
    "encodings.utf_8_sig", "httpcore2", "anyio._backends._asyncio", "concurrent.futures.thread", "truststore",
]  # fmt: skip
OURS = [
    "ask.ask", "assistant", *(f"commands.{each}" for each in ("creating", "deploying", "looking", "rolling_back", "storing")),
    "emulator.transport", "platforms.agents", "platforms.connect", "sdk.connections", "tasks.terminal", "tasks.text_diff",
]  # fmt: skip
ASKING = [
    "openai.resources.beta.beta", "openai.resources.responses.responses",
    *(f"invoke_assistants.ask.{each}" for each in ("agents_api", "responses_api", "by_name", "clients", "dialogue")),
    "invoke_assistants.tasks.chat_loop", "invoke_assistants.tasks.prompts",
]  # fmt: skip
LATE = {  # imported before the first command with such a word in its arguments or environment: most commands need none of them
    "redis://": ["redis"],
    "postgresql://": ["psycopg"],
    "s3://": ["obstore"],
    "asst.run": ASKING,
    "asst.chat": ASKING,
    "asst.eval": [*ASKING, "pydantic_evals", "invoke_assistants.evals.dataset"],
}
MESSAGE = 1 << 17  # bytes; a command's arguments and environment are one message
CLIENT = """#!{python} -ISE
import _signal, _socket, marshal, os, sys  # what is behind signal and socket: they would be most of this program's time
there = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
there.connect({address!r})
blocked = [int(each) for each in _signal.pthread_sigmask(_signal.SIG_BLOCK, ())]
fds = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
message = marshal.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), blocked])
there.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
pid = int(there.recv(99))
for number in (_signal.SIGINT, _signal.SIGTERM):
    _signal.signal(number, lambda number, _: os.kill(pid, number))
_signal.pthread_sigmask(_signal.SIG_SETMASK, ())
code = int(there.recv(99))
os._exit(code if code >= 0 else 128 - code)
"""


class Forked:
    """A command that was started; it is used like a ``subprocess.Popen``."""

    returncode: int | None = None

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self.pid = _number(reply)

    def fileno(self) -> int:
        """What can be read from once the command has ended."""
        return self._reply.fileno()

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._reply.settimeout(timeout)
            try:
                self.returncode = _number(self._reply)
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


def _number(reply: socket.socket) -> int:
    """The number that the process to fork from tells."""
    told = reply.recv(MESSAGE)
    if not told:
        raise ConnectionError("the process to fork from has ended")
    return int(told)


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


class Piped(Forked):
    """One that reads what is written to ``stdin``, and whose output comes from ``stdout``; its errors are shown as ours are."""

    def __init__(self, reply: socket.socket, stdin: int, stdout: int) -> None:
        super().__init__(reply)
        self.stdin, self.stdout = os.fdopen(stdin, "w"), os.fdopen(stdout)

    def end(self) -> None:
        self.kill()
        self.wait()
        self.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()


class Forking:
    """The process to fork from, begun at first use; it ends when this one does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._listener: socket.socket | None = None
        atexit.register(self._end)

    def start(self, args: tuple[str, ...], cwd: Path, env: dict[str, str]) -> Written:
        """Start ``invoke ARGS`` with nothing to read."""
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err, Path(os.devnull).open() as stdin:
            reply = self._forked(args, cwd, env, [stdin.fileno(), out.fileno(), err.fileno()])
            return Written(reply, Path(out.name), Path(err.name))

    def start_on(self, streams: list[int], args: tuple[str, ...], cwd: Path, env: dict[str, str]) -> Forked:
        """Start ``invoke ARGS`` with these file descriptors as stdin, stdout and stderr."""
        return Forked(self._forked(args, cwd, env, streams))

    def start_piped(self, args: tuple[str, ...], cwd: Path, env: dict[str, str]) -> Piped:
        """Start ``invoke ARGS`` with pipes from and to this process."""
        (stdin, to_it), (from_it, stdout) = os.pipe(), os.pipe()
        try:
            return Piped(self._forked(args, cwd, env, [stdin, stdout, 2]), to_it, from_it)
        finally:
            os.close(stdin)
            os.close(stdout)

    def _forked(
        self, args: tuple[str, ...], cwd: Path, env: dict[str, str], streams: list[int], blocked: tuple[int, ...] = ()
    ) -> socket.socket:
        """A socket from which the new process's id comes, and at its end its exit code: minus the signal that ended it.

        Args:
            blocked: the signals that are blocked at the start.
        """
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there, self._lock:
            socket.send_fds(self._begun(), [json.dumps([args, str(cwd), env, blocked]).encode()], [*streams, there.fileno()])
        return here

    def script(self) -> str:
        """A program that a shell can start as ``inv``: the command is forked, on the streams of the program."""
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._listener.bind(b"")  # to a name that is free, of no file
            self._listener.listen()
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()
        return CLIENT.format(python=sys.executable, address=self._listener.getsockname())

    def _accept(self, listener: socket.socket) -> None:
        while True:
            threading.Thread(target=self._stand_in, args=listener.accept()[:1], daemon=True).start()

    def _stand_in(self, program: socket.socket) -> None:
        """Run what a program asks for, tell it the id and the exit code, and end what it leaves behind when it is killed."""
        with program, contextlib.suppress(ConnectionError):
            message, fds, _, _ = socket.recv_fds(program, MESSAGE, 3)
            args, cwd, env, blocked = marshal.loads(message)
            process = Forked(self._forked(tuple(args), Path(cwd), env, fds, tuple(blocked)))
            for fd in fds:
                os.close(fd)
            program.send(str(process.pid).encode())
            select.select([process, program], [], [])
            if process.poll() is None:
                process.kill()
            program.send(str(process.wait()).encode())

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
    late = dict(LATE)
    ended, wake = socket.socketpair()  # an end is told here, not in a handler: another end would come in its midst
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([there, ended], [], [])
        if ended in ready:
            ended.recv(MESSAGE)
            _tell_ends(running)
        if there not in ready:
            continue
        message, fds, _, _ = socket.recv_fds(there, MESSAGE, 4)
        if not message:
            return None
        for word in [word for word in late if word in message.decode()]:
            _import(late.pop(word))
        args, cwd, env, blocked = json.loads(message)
        reply = socket.socket(fileno=fds.pop())
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for each in (there, reply, ended, wake, *running.values()):
                each.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
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


def _tell_ends(running: dict[int, socket.socket]) -> None:
    """Tell the exit codes of the processes that have ended, and forget these."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as reply, contextlib.suppress(OSError):  # nobody may be waiting any more
            reply.send(str(os.waitstatus_to_exitcode(status)).encode())


def _import(names: list[str]) -> None:
    """Import these modules for all processes to come, which spend no time on them at their end.

    Nothing imported so far is looked through by the garbage collector again, or taken apart, module by module: that is
    half of what a short command computes. Whatever a process imports and makes itself ends as ever.
    """
    for name in names:
        importlib.import_module(name)
    if "openai.types.responses.response" in sys.modules:
        sys.modules["openai.types.responses.response"].Response.model_rebuild()  # else the first answer of each process does
    kept.update({name: module for name, module in sys.modules.items() if name not in ("sys", "builtins", "__main__")})
    ctypes.pythonapi.Py_IncRef(ctypes.py_object([*kept.values(), *(list(vars(module).values()) for module in kept.values())]))
    gc.freeze()


def _open_streams() -> None:
    """As at the start of a process: whether a stream is a terminal or can be sought decides how it is written."""
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _put_aside() -> None:
    """Leave the modules that were there before the command out of what Python takes apart at the end."""
    for name in kept:
        sys.modules.pop(name, None)


def _run(command: tuple[str, ...]) -> int:
    """Run the command as ``python`` does; its exit code. Any other end than ``sys.exit`` with a number is left to Python."""
    try:
        if command[:1] == ("-c",):
            sys.argv = ["-c", *command[2:]]
            exec(command[1], {"__name__": "__main__"})
        else:
            module, args = (command[1], command[2:]) if command[:1] == ("-m",) else ("invoke", command)
            sys.argv = [module, *args]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        return end.code or 0
    return 0


def _end(code: int, begun: int) -> NoReturn:
    """End as ``Py_FinalizeEx`` does, as far as any code runs that could be seen from outside.

    Args:
        begun: how many modules were there before the command.

    Threads are waited for, what is registered for the end is called, the streams are flushed, and what the command imported
    and left is taken apart. Spared is what Python does then to give back its own tables and strings, one by one: 15 ms.
    """
    atexit.unregister(_put_aside)
    threading._shutdown()
    atexit._run_exitfuncs()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # from here on, Python itself minds it no more
    _flush(code)
    for name in list(itertools.islice(reversed(sys.modules), max(len(sys.modules) - begun, 0))):
        del sys.modules[name]
    gc.collect()
    _flush(code)  # what was taken apart may have written too
    os._exit(code)


def _flush(code: int) -> None:
    """Write what the streams hold; where that fails, Python does it again, says what fails, and ends with 120."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        sys.exit(code)


if __name__ == "__main__":
    kept: dict[str, ModuleType] = {}
    atexit.register(_put_aside)  # registered first: the last to run
    _import([*OTHERS, *(f"invoke_assistants.{each}" for each in OURS)])
    given = None
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        modules = len(sys.modules)
        _end(_run(given), modules)
