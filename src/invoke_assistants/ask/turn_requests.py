"""A turn as a generator of requests: what is asked next is decided once, whether sync or async code sends it.

A loop sends the current request, in ``attempt``, and takes the next one with ``advance``::

    while (request := requests.current) is not None:
        with requests.attempt():
            requests.value = request.send(…)
        if pause := requests.advance():
            time.sleep(pause)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import openai

from ..errors import PlatformError
from ..sdk.deadline import Deadline
from ..sdk.error_translator import ErrorTranslator
from ..sdk.sdk_errors import SDK_ERRORS, is_busy

__all__ = ["TurnRequests"]

Request = TypeVar("Request")
Result = TypeVar("Result")


class TurnRequests(Generic[Request, Result]):
    """The current request of a generator, and the generator's result once there is none.

    The generator is sent what each request gave in ``value``. A failed request is sent again if no model can be asked twice
    by that; otherwise the failure is raised in the generator, as a ``PlatformError``.
    """

    def __init__(self, generator: Generator[Request, Any, Result], translator: ErrorTranslator, deadline: Deadline) -> None:
        self._generator = generator
        self._translator = translator
        self._deadline = deadline
        self._retries = 0
        self._failure: PlatformError | None = None
        self._read_only = False
        self.value: Any = None
        self.current: Request | None = None
        self.result: Result
        self._take_next(generator.send, None)

    @contextlib.contextmanager
    def attempt(self) -> Generator[None]:
        """Keep the failure of the request that is sent within, for ``advance``."""
        self._failure = None
        try:
            yield
        except SDK_ERRORS as error:
            if is_busy(error):
                raise
            self._failure = self._translator.translate(error)
            self._read_only = _is_read_only(error)

    def advance(self) -> float:
        """Take the next request and return 0, or the seconds to wait before the current one is sent again."""
        failure = self._failure
        if failure is None:
            self._take_next(self._generator.send, self.value)
            return 0.0
        wait = self._translator.retry_delay(failure, self._retries, repeatable=self._read_only)
        if wait is not None and wait <= self._deadline.left:
            self._retries += 1
            return wait
        self._take_next(self._generator.throw, failure)
        return 0.0

    def _take_next(self, resume: Callable[[Any], Request], value: Any) -> None:
        self._retries, self.value = 0, None
        try:
            self.current = resume(value)
        except StopIteration as end:
            self.current, self.result = None, end.value


def _is_read_only(error: Exception) -> bool:
    """Whether the failed request begins nothing at the service."""
    return isinstance(error, openai.APIStatusError | openai.APIConnectionError) and error.request.method == "GET"
