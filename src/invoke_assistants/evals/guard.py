"""The app's code while it is asked and judges: whatever it raises is an error of its case, and Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

__all__ = ["guard", "guard_evaluator"]


def guard(call: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    """The same, but whatever it raises is an error: it must not end the command, least of all as if all had passed."""

    async def guarded(argument: Any) -> Any:
        try:
            return await call(argument)
        except Exception:
            raise
        except SystemExit as error:
            raise RuntimeError(f"it called sys.exit({error.code!r:.80})") from None
        except BaseException as error:
            if _is_interruption(error):
                raise
            raise RuntimeError(f"it raised {type(error).__name__}: {error}".removesuffix(": ")) from None

    return guarded


def _is_interruption(error: BaseException) -> bool:
    """Whether somebody interrupts the command, rather than code of the app raising the same by itself."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    if not isinstance(error, KeyboardInterrupt):
        return False
    handler = signal.getsignal(signal.SIGINT)  # asyncio's, which raises at the second Ctrl-C
    code = getattr(getattr(handler, "func", handler), "__code__", None)
    return code is None or any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))


def guard_evaluator(call: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """The same for an evaluator, which can also cancel its own task, or never come back."""

    async def called(argument: Any) -> Any:
        return await call(argument)

    async def interruptible(argument: Any) -> Any:
        try:
            return await _in_steps(called(argument))
        except _Interrupted:
            return await asyncio.Event().wait()  # the signal has cancelled the command, and so this task

    async def alone(argument: Any) -> Any:
        task = asyncio.create_task(guard(interruptible)(argument))
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                raise
            raise RuntimeError("it cancelled its own task") from None
        except KeyboardInterrupt:  # which has ended the event loop already
            raise asyncio.CancelledError from None

    return alone


class _Interrupted(BaseException):
    """Ctrl-C struck while code of the app ran, and has cancelled the command."""


@types.coroutine
def _in_steps(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Await a coroutine; Ctrl-C ends the step that it is in, and lets no other begin."""
    sent: Any = None
    thrown: BaseException | None = None
    while True:
        command = _command()
        if command and command.cancelling() and not thrown:
            thrown = _Interrupted()
        try:
            resume = coroutine.throw if thrown else coroutine.send
            waited = _step(command, resume, thrown or sent)
        except StopIteration as end:
            return end.value
        sent = thrown = None
        try:
            sent = yield waited
        except BaseException as error:
            thrown = error


def _command() -> asyncio.Task[Any] | None:
    """The task that Ctrl-C cancels; None where asyncio does not care for it."""
    handler: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        return None
    ours = isinstance(getattr(getattr(handler, "func", None), "__self__", None), asyncio.Runner)
    return handler.keywords.get("main_task") if ours else None


def _step(command: asyncio.Task[Any] | None, resume: Callable[[Any], Any], value: Any) -> Any:
    """Go on with a coroutine until it waits. The event loop, which a signal would have to wait for, stands still meanwhile.

    Raises:
        _Interrupted: by Ctrl-C.
    """
    before: Any = signal.getsignal(signal.SIGINT)
    if command is None:
        return resume(value)
    interrupted = False

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        nonlocal interrupted
        before(number, frame)  # cancels the command; at the second time, it raises
        interrupted = True
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, interrupt)
        return resume(value)
    except KeyboardInterrupt:
        if interrupted:
            raise _Interrupted from None
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:  # else the app's code has put another one in its place
            signal.signal(signal.SIGINT, before)
