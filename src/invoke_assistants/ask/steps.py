"""A turn as a generator of steps: what comes next is decided once, whether sync or async code sends it.

A loop sends the current step, in ``attempt``, and takes the next one with ``advance``:

    while (step := steps.current) is not None:
        with steps.attempt():
            steps.value = step.send(…)
        time.sleep(steps.advance())
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import openai

from ..errors import PlatformError
from ..sdk.deadline import Deadline
from ..sdk.error_translator import SDK_ERRORS, ErrorTranslator

__all__ = ["StepRunner"]

Step = TypeVar("Step")
Result = TypeVar("Result")


class StepRunner(Generic[Step, Result]):
    """The current step of a generator, and its result once there is no further step.

    The generator is sent what each step gave. A failed request is sent again where no model can be asked twice by that;
    otherwise the generator is thrown the failure, as a ``PlatformError``.
    """

    def __init__(self, steps: Generator[Step, Any, Result], translator: ErrorTranslator, deadline: Deadline) -> None:
        self._steps = steps
        self._translator = translator
        self._deadline = deadline
        self._attempts = 0
        self._failure: PlatformError | None = None
        self._read_only = False
        self.value: Any = None
        self.current: Step | None = None
        self.result: Result
        self._take(steps.send, None)

    @contextlib.contextmanager
    def attempt(self) -> Generator[None]:
        """Keep the failure of what is sent within, for ``advance``."""
        self._failure = None
        try:
            yield
        except SDK_ERRORS as error:
            self._failure = self._translator.translated(error)
            self._read_only = _is_read_only(error)

    def advance(self) -> float:
        """Take the next step and return 0, or the seconds to wait before the current one is sent again."""
        failure = self._failure
        if failure is None:
            self._take(self._steps.send, self.value)
            return 0.0
        wait = self._translator.retry_delay(failure, self._attempts, looked=self._read_only)
        if wait is not None and wait <= self._deadline.left:
            self._attempts += 1
            return wait
        self._take(self._steps.throw, failure)
        return 0.0

    def _take(self, resume: Callable[[Any], Step], value: Any) -> None:
        self._attempts, self.value = 0, None
        try:
            self.current = resume(value)
        except StopIteration as end:
            self.current, self.result = None, end.value


def _is_read_only(error: Exception) -> bool:
    """Whether the failed request begins nothing at the service."""
    return isinstance(error, openai.APIStatusError | openai.APIConnectionError) and error.request.method == "GET"
