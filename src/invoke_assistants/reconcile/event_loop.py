"""Running a command in an event loop of its own, under the store's lock."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Coroutine, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from typing import Any, TypeVar

from ..errors import AsstError
from ..sdk.event_loop import is_running
from .world import World

__all__ = ["run"]

T = TypeVar("T")


def run(world: World, command: Coroutine[Any, Any, T]) -> T:
    """Await a command in an event loop of its own, under the store's lock where it may write."""
    try:
        if not is_running():
            return _run(world, command)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so ours needs another
            return pool.submit(copy_context().run, _run, world, command).result()
    finally:
        world.project.store.close()
        if inspect.getcoroutinestate(command) == inspect.CORO_CREATED:  # the lock was not to be had
            command.close()


def _run(world: World, command: Coroutine[Any, Any, T]) -> T:
    signals = ExitStack()

    async def main() -> T:
        signals.close()  # from here on the loop's own handler takes an interrupt
        return await world.work(command)

    with _lock(world), signals:
        signals.enter_context(_signals_held())
        try:
            return asyncio.run(main())
        except asyncio.CancelledError:  # not by Ctrl-C, of which asyncio makes a KeyboardInterrupt
            raise AsstError(
                "code of the app cancelled the whole command, such as an evaluator that cancels all tasks: correct it"
            ) from None


def _lock(world: World) -> AbstractContextManager[None]:
    if not world.lock:
        return nullcontext()
    from ..store.lock import lock_store

    return lock_store(world.project.store, f"inv asst.{world.command}", world.reporter.say)


@contextmanager
def _signals_held() -> Generator[None]:
    """Keep signals back: one that strikes while an event loop is made leaves half of it, which Python complains about."""
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
