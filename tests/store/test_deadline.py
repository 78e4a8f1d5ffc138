"""Calls of a driver that end in time: what becomes of the client, the thread that makes them, and the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from places import wait_for

from invoke_assistants.store import deadline
from invoke_assistants.store.deadline import Deadline
from invoke_assistants.store.storage import Unreachable


class Clients:
    """Clients, numbered from 1, and those that were closed."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: list[int] = []

    def connect(self) -> int:
        self.opened += 1
        return self.opened

    def deadline(self) -> Deadline[int]:
        return Deadline("there", self.connect, self.closed.append)


@pytest.fixture
def clients() -> Clients:
    return Clients()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a call that takes too long waits for."""
    monkeypatch.setattr(deadline, "CONNECT", 0.1)
    monkeypatch.setattr(deadline, "OPERATION", 0.2)
    event = threading.Event()
    yield event
    event.set()


def test_calls_are_made_by_one_kept_thread(clients: Clients) -> None:
    """One thread, never the caller's, makes the calls of all clients one after the other; the same client serves its calls."""
    one, other = clients.deadline(), clients.deadline()
    threads = {each.call(lambda _: threading.get_ident()) for each in (one, other) * 3}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert clients.opened == 2
    one.close()
    other.close()
    assert clients.closed == [1, 2]


def test_two_calls_at_once(clients: Clients) -> None:
    """Two clients are called at once, each in a thread; one thread is kept of them."""
    one, other = clients.deadline(), clients.deadline()
    meeting, threads = threading.Barrier(2, timeout=10), []

    def meet(_: int) -> None:
        threads.append(threading.current_thread())
        meeting.wait()

    beside = threading.Thread(target=one.call, args=[meet])
    beside.start()
    other.call(meet)
    beside.join(10)
    assert len(set(threads)) == 2
    wait_for(lambda: len([each for each in threads if each.is_alive()]) == 1)


def test_an_error_is_the_callers(clients: Clients) -> None:
    """What a call raises is raised where it was called; the client is closed, and the next call opens another."""
    calls = clients.deadline()

    def fail(_: int) -> None:
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        calls.call(fail)
    assert clients.closed == [1]
    assert calls.call(lambda client: client) == 2


def test_a_call_that_takes_too_long_is_left(clients: Clients, gate: threading.Event) -> None:
    """It is unreachable in time, and so is the next one not: another client answers. The left one is closed when its call ends,
    and its thread ends with it."""
    calls = clients.deadline()
    left = calls.call(lambda _: threading.current_thread())
    began = time.monotonic()
    with pytest.raises(Unreachable, match="there: no answer within 0 s"):
        calls.call(lambda _: gate.wait(30))
    assert 0.2 <= time.monotonic() - began < 5
    assert calls.call(lambda client: client) == 2
    assert clients.closed == []
    assert left.is_alive()
    gate.set()
    wait_for(lambda: not left.is_alive())
    assert clients.closed == [1]
    assert calls.call(lambda client: client) == 2


def test_a_connection_that_takes_too_long_is_left(clients: Clients, gate: threading.Event) -> None:
    """It is given up after the time for a connection; where it comes about later, it is closed."""

    def connect() -> int:
        gate.wait(30)
        return clients.connect()

    calls = Deadline("there", connect, clients.closed.append, " (ASST_STORE names it)")
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"there: no connection within 0 s \(ASST_STORE names it\)"):
        calls.call(lambda client: client)
    assert 0.1 <= time.monotonic() - began < 5
    gate.set()
    wait_for(lambda: clients.closed == [1])
    assert calls.call(lambda client: client) == 2


def test_the_time_of_an_operation_begins_with_its_connection(clients: Clients, gate: threading.Event) -> None:
    """A slow connection takes nothing from the time of the operation, which may take longer than a connection may."""

    def slow(client: int) -> int:
        assert not gate.wait(0.15)  # above CONNECT
        return client

    def connect() -> int:
        assert not gate.wait(0.08)
        return clients.connect()

    assert Deadline("there", connect, clients.closed.append).call(slow) == 1


def test_an_interrupt_leaves_the_call(clients: Clients, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during a call ends the wait at once; the client is closed when the call ends, and the next call works."""
    monkeypatch.setattr(deadline, "CONNECT", 30)
    monkeypatch.setattr(deadline, "OPERATION", 30)
    calls, seen = clients.deadline(), threading.Event()

    def interrupt(*_: object) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    def interrupted(_: int) -> None:
        while not seen.wait(0.1):  # again: Python misses one that comes in the moment before it waits
            os.kill(os.getpid(), signal.SIGINT)
        gate.wait(30)

    before, began = signal.signal(signal.SIGINT, interrupt), time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            calls.call(interrupted)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 10
    assert calls.call(lambda client: client) == 2
    assert clients.closed == []
    gate.set()
    wait_for(lambda: clients.closed == [1])


def test_the_threads_of_calls_take_no_interrupt(clients: Clients) -> None:
    """Ctrl-C and SIGTERM must wake the main thread, whatever it waits in."""
    assert clients.deadline().call(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, ())) >= {signal.SIGINT, signal.SIGTERM}


PROGRAM = """
    import os, sys, threading, time
    forks = []
    os.register_at_fork(before=lambda: forks.append(threading.active_count()))  # hooks run from the last one to the first
    from invoke_assistants.store import deadline
    from invoke_assistants.store.deadline import Deadline
    calls = Deadline("there", lambda: 1, lambda _: None)
    assert calls.call(lambda client: client) == 1
"""


def run(program: str) -> str:
    script = textwrap.dedent(PROGRAM) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fork_after_a_call() -> None:
    """No thread of ours is there when a process forks, which Python would warn of; both processes go on calling."""
    run("""
        import multiprocessing
        def child():
            began = time.monotonic()
            assert calls.call(lambda client: client) == 1
            assert time.monotonic() - began < 4
        for _ in range(2):
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
            assert process.exitcode == 0
            child()
            assert threading.active_count() == 2
        assert forks == [1, 1]
    """)


def test_a_fork_while_another_thread_calls() -> None:
    """A child calls in a thread of its own where its parent was calling."""
    run("""
        import warnings
        warnings.simplefilter("ignore")  # Python's, of the threads of this program
        busy, done = threading.Event(), threading.Event()
        other = Deadline("other", lambda: 1, lambda _: None)
        thread = threading.Thread(target=other.call, args=[lambda _: (busy.set(), done.wait())])
        thread.start()
        busy.wait()
        if child := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            done.set()
            thread.join()
            sys.exit(status)
        os._exit(0 if calls.call(lambda client: client) == 1 else 1)
    """)


def test_a_process_ends_while_a_call_hangs() -> None:
    """Neither a call that was left nor a kept thread holds up the end of the process."""
    run("""
        deadline.CONNECT = deadline.OPERATION = 0.1
        calls.call(lambda client: client)
        other = Deadline("other", lambda: time.sleep(600), lambda _: None)
        try:
            other.call(lambda client: client)
        except deadline.Unreachable:
            print("left")
    """)
